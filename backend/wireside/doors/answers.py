"""Reads an answer as it is written, for a door that encodes its pieces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator

from wireside.errors import ResponseAborted
from wireside.generation.log import PartPiece, Piece, TextPiece
from wireside.generation.runner import Stream
from wireside.parts import is_hidden
from wireside.protocol.sanitize import ScriptEscaper


async def read_answer(
    stream: Stream, offset: int = 0, *, hidden_kind: str = ""
) -> AsyncGenerator[list[Piece], None]:
    """Yield the pieces of an answer from an offset on, until it ends.

    Hidden parts except those of ``hidden_kind`` are left out, and the text of a stream with
    ``sanitize`` is escaped. After the last pieces, ``stream.log.end`` is how the answer ended. A
    slow caller gets fewer, larger pieces; the answer does not wait for it.

    Raises:
        BadOffset: the offset is past the end of what is written.
        ResponseAborted: the other servers have removed this one, after all pieces that it may show.
            The store may have more of the answer, and how it ended: the client asks for it again.
    """
    reader = stream.new_reader(offset)
    shown = ShownPieces(sanitize=stream.sanitize, hidden_kind=hidden_kind)
    while True:
        await reader.wait_for_news()
        if pieces := reader.take_pieces():
            if pieces := shown.add_pieces(pieces):
                yield pieces
        elif reader.end is not None:
            if stream.is_abandoned:
                raise ResponseAborted
            if pieces := shown.flush():
                yield pieces
            return


def shown_pieces(stream: Stream, start: int, end: int) -> list[Piece]:
    """Return the pieces between two offsets as ``read_answer`` yields them."""
    shown = ShownPieces(sanitize=stream.sanitize)
    return [*shown.add_pieces(list(stream.log.read_pieces(start, end))), *shown.flush()]


class ShownPieces:
    """Converts the pieces of a log to those that readers are shown.

    Args:
        sanitize: whether ``<script`` is escaped in text.
        hidden_kind: the kind of hidden parts that are shown nevertheless, "" for none.
    """

    def __init__(self, *, sanitize: bool, hidden_kind: str = "") -> None:
        self._hidden_kind = hidden_kind
        self._escaper = ScriptEscaper() if sanitize else None
        self._offset = 0  # after the last text

    def add_pieces(self, pieces: list[Piece]) -> list[Piece]:
        """Return what is shown of the next pieces."""
        if self._escaper is None:
            if any(type(piece) is PartPiece for piece in pieces):
                return [piece for piece in pieces if not self._is_hidden(piece)]
            return pieces
        return list(self._escaped(pieces, self._escaper))

    def flush(self) -> list[Piece]:
        """Return the text that was held back: the answer has ended."""
        if self._escaper is None or not self._escaper.held:
            return []
        return [TextPiece(self._escaper.flush(), self._offset)]

    def _escaped(self, pieces: Iterable[Piece], escaper: ScriptEscaper) -> Iterator[Piece]:
        for piece in pieces:
            if isinstance(piece, TextPiece):
                text = escaper.feed(piece.text)
                self._offset = piece.offset
                if text:  # never a position within the text that is held back
                    yield TextPiece(text, piece.offset - escaper.held)
            elif not self._is_hidden(piece):
                yield from self.flush()
                yield piece

    def _is_hidden(self, piece: Piece) -> bool:
        if not isinstance(piece, PartPiece) or not is_hidden(piece.delta.part):
            return False
        return getattr(piece.delta.part, "kind", "") != self._hidden_kind
