"""The frames of one answer for one client, from the pieces of its log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

import msgspec

from wireside.errors import WiresideError
from wireside.generation.log import PartPiece, Piece, ReasoningPiece, TextPiece, ToolPiece
from wireside.generation.reader import Reader
from wireside.messages import End
from wireside.parts import DataPart, data_of, is_hidden, label_of, part_to_object
from wireside.protocol.frames import (
    CHAR_BYTES,
    CHUNK_BYTES,
    DEFAULT_FRAME_BYTES,
    MAX_NAME_CHARS,
    DoneFrame,
    ErrorFrame,
    Level,
    PartFrame,
    ReasoningFrame,
    ResumedFrame,
    StartFrame,
    ToolFrame,
    encode_chunk,
    split_text,
)
from wireside.protocol.sanitize import ScriptEscaper
from wireside.session.counts import FrameCounts


class Outgoing:
    """Converts what a reader returns into the frames of one request, by level and sanitising.

    Args:
        reader: reader of the answer's log.
        counts: counters of the frames.
        request_id: id of the request; None on level 1.
        sanitize: whether ``<script`` is escaped.
        index: position in a batch.
        has_index_everywhere: whether all frames have the index, as several answers of the batch
            are sent at once.
        opening: frame to send before all others.
        is_saved: whether the store has the answer.
        max_frame_bytes: largest size of a frame, in bytes of UTF-8.
    """

    def __init__(
        self,
        reader: Reader,
        counts: FrameCounts,
        *,
        request_id: str | None,
        sanitize: bool,
        index: int | None = None,
        has_index_everywhere: bool = False,
        opening: StartFrame | ResumedFrame | None = None,
        is_saved: Callable[[], bool] = lambda: True,
        max_frame_bytes: int = DEFAULT_FRAME_BYTES,
    ) -> None:
        self._reader = reader
        self._counts = counts
        self._id = request_id
        self._index = index
        self._piece_index = index if has_index_everywhere else None
        self._opening = opening
        self._is_saved = is_saved
        self._max_bytes = max_frame_bytes
        self._escaper = ScriptEscaper() if sanitize else None
        self._offset = reader.offset  # after the last returned text
        self.end: End | None = None
        """How the answer ended; set once the frame that reports it was returned."""

    def next_frames(self) -> list[str]:
        """Return the frames that can be sent now; the last frame of the answer sets ``end``."""
        out: list[str] = []
        if self._opening is not None:
            out.append(self._encode_frame(self._opening))
            self._opening = None
        while pieces := self._reader.take_pieces():
            for piece in pieces:
                self._add_piece(out, piece)
            # else the pieces were of kinds not sent on level 1, and no wake-up would follow
            if out:
                break
        if (end := self._reader.end) is not None and self.end is None:
            self._flush_text(out)
            out.append(self._encode_frame(self._last_frame(end)))
            self.end = end
        return out

    def error_frames(self, error: WiresideError) -> list[str]:
        """Return the frame that ends the answer with an error, for this client only."""
        self.end = End(None, error)
        return [self._encode_frame(self._last_frame(self.end))]

    def stop_reading(self) -> None:
        """Stop reading; the answer itself continues."""
        self._reader.stop_reading()

    def _add_piece(self, out: list[str], piece: Piece) -> None:
        match piece:
            case TextPiece():
                offset = piece.offset - len(piece.text)
                for part in self._split_text(piece.text):
                    offset += len(part)
                    self._add_text_frames(out, part, offset)
            case ReasoningPiece() if self._id is not None:
                self._flush_text(out)
                offset = piece.offset - len(piece.text)
                for part in self._split_text(piece.text):
                    offset += len(part)
                    frame = ReasoningFrame(
                        id=self._id, content=part, offset=offset, index=self._piece_index
                    )
                    out.append(self._encode_frame(frame))
            case ToolPiece() if self._id is not None:
                self._flush_text(out)
                tool = _tool_frame(self._id, piece, self._piece_index)
                out.append(self._encode_frame(tool.cut_to(self._max_bytes)))
            case PartPiece() if self._id is not None and not is_hidden(piece.delta.part):
                self._flush_text(out)
                shown = _part_frame(self._id, piece, self._piece_index, max_bytes=self._max_bytes)
                out.append(self._encode_frame(shown))
            case ReasoningPiece() | ToolPiece() | PartPiece():
                pass  # not part of level 1, or hidden
            case _:
                assert_never(piece)

    def _split_text(self, text: str) -> Iterable[str]:
        """Split a text so that each part fits into a frame, escapes included."""
        room = self._max_bytes - CHUNK_BYTES
        if len(text) * CHAR_BYTES <= room:
            return (text,)
        return split_text(text, room, escapes=self._escaper is not None)

    def _add_text_frames(self, out: list[str], text: str, offset: int) -> None:
        if self._escaper is not None:
            text = self._escaper.feed(text)
            offset -= self._escaper.held  # never a position within the held-back text
        self._offset = offset
        if text:
            self._add_chunk(out, text, offset)

    def _flush_text(self, out: list[str]) -> None:
        if self._escaper is None or not self._escaper.held:
            return
        self._offset += self._escaper.held
        self._add_chunk(out, self._escaper.flush(), self._offset)

    def _add_chunk(self, out: list[str], text: str, offset: int) -> None:
        out.append(encode_chunk(self._id, text, offset, self._piece_index))
        counts, size = self._counts, len(text)
        counts.chunk_sizes[size.bit_length()] += 1
        counts.chunk_chars += size

    def _encode_frame(
        self,
        frame: StartFrame
        | ResumedFrame
        | ReasoningFrame
        | ToolFrame
        | PartFrame
        | DoneFrame
        | ErrorFrame,
    ) -> str:
        self._counts.sent[frame.type] += 1
        return frame.encode()

    def _last_frame(self, end: End) -> DoneFrame | ErrorFrame:
        return last_frame(
            end,
            self._reader.offset,
            request_id=self._id,
            index=self._index,
            is_saved=self._is_saved(),
        )


def last_frame(
    end: End,
    offset: int,
    *,
    request_id: str | None,
    index: int | None = None,
    is_saved: bool = True,
) -> DoneFrame | ErrorFrame:
    """Return the frame that reports how an answer of ``offset`` length ended."""
    if end.error is not None:
        level: Level = 1 if request_id is None else 2
        return ErrorFrame.of(end.error, level=level, id=request_id, index=index)
    if request_id is None:
        return DoneFrame()
    return DoneFrame(
        id=request_id,
        offset=offset,
        reason=end.reason or "interrupted",
        usage=end.usage,
        index=index,
        saved=is_saved,
    )


def _tool_frame(request_id: str, piece: ToolPiece, index: int | None) -> ToolFrame:
    delta = piece.delta
    return ToolFrame(
        id=request_id,
        offset=piece.offset,
        name=delta.name[:MAX_NAME_CHARS],
        call=delta.call[:MAX_NAME_CHARS],
        state=delta.state,
        arguments=delta.arguments,
        result=delta.result,
        index=index,
    )


def _part_frame(
    request_id: str, piece: PartPiece, index: int | None, *, max_bytes: int
) -> PartFrame:
    part = piece.delta.part
    if not isinstance(part, DataPart):
        fields = part_to_object(part)
        kind = fields.pop("type")
        data = msgspec.Raw(msgspec.json.encode(fields))
        frame = PartFrame(
            id=request_id,
            offset=piece.offset,
            kind=kind,
            text=label_of(part),
            data=data,
            index=index,
        )
        return frame.cut_to(max_bytes)
    # what fits into no frame is not parsed: that takes milliseconds for each reader
    is_too_large = len(part.data) > max_bytes
    is_sent = not is_too_large and data_of(part) is not None
    frame = PartFrame(
        id=request_id,
        offset=piece.offset,
        kind=part.kind[:MAX_NAME_CHARS],
        part=part.id[:MAX_NAME_CHARS],
        text=part.text,
        data=msgspec.Raw(part.data.encode()) if is_sent else None,
        truncated=is_too_large,
        index=index,
    )
    return frame.cut_to(max_bytes)
