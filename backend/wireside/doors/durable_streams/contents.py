"""An answer as a stream of text, or of JSON values. No I/O besides waiting for its next pieces.

The offset of a client is the position in the log, written as a decimal number of 16 digits. The
last value of a JSON stream tells how the answer ended, and counts one position.
"""

from __future__ import annotations

import re
from typing import Any, Final

from wireside.doors.answers import ShownPieces
from wireside.doors.json_texts import to_json
from wireside.errors import BadMessage, BadOffset
from wireside.generation.log import Piece, ReasoningPiece, TextPiece, ToolPiece
from wireside.generation.runner import Stream
from wireside.messages import End
from wireside.parts import part_to_object

RESPONSE_CHARS: Final = 256 * 1024
"""Characters after which a response that is not live ends; the client requests the rest."""

_OFFSET: Final = re.compile("[0-9]{1,16}", re.ASCII)


def parse_offset(value: str, stream: Stream, *, is_json: bool) -> int:
    """Return the position of a client's offset.

    Raises:
        BadMessage: it is no offset.
        BadOffset: it is past the end of what is written.
    """
    if value == "-1":
        return 0
    tail = stream.log.head + (is_json and not stream.is_live)
    if value == "now":
        return tail
    if not _OFFSET.fullmatch(value):
        raise BadMessage("offset: expected one that the server has sent, -1 or now.")
    position = int(value)
    if position > tail:
        raise BadOffset
    return position


def format_offset(position: int) -> str:
    """Return a position as an offset; offsets sort like their positions."""
    return f"{position:016d}"


class Contents:
    """Reads an answer from a position on.

    Args:
        stream: the answer.
        position: where to begin; see ``parse_offset``.
        is_json: whether the content is JSON values instead of the visible text.
    """

    def __init__(self, stream: Stream, position: int, *, is_json: bool) -> None:
        self._stream = stream
        self._log = stream.log
        self._reader = stream.new_reader(min(position, stream.log.head))
        self._shown = ShownPieces(sanitize=stream.sanitize)
        self._is_json = is_json
        self._is_end_sent = position > stream.log.head
        self.position = position
        """The position after the content that was taken."""
        self.is_closed = False
        """Whether nothing follows what was taken."""

    @property
    def is_up_to_date(self) -> bool:
        """Whether everything that is written was taken."""
        return not self._reader.has_new_pieces and not self.is_abandoned

    @property
    def is_abandoned(self) -> bool:
        """Whether the other servers have removed this one, and the store may have more."""
        return self._stream.is_abandoned

    async def wait(self) -> None:
        """Wait until there is something to take, or the answer has ended."""
        await self._reader.wait_for_news()

    def take(self, max_chars: int = RESPONSE_CHARS) -> str:
        """Return the next content, "" if there is none: text, or a JSON array."""
        pieces: list[Piece] = []
        start = self._reader.offset
        while self._reader.offset - start < max_chars and (taken := self._reader.take_pieces()):
            pieces += self._shown.add_pieces(taken)
        end = None if self.is_abandoned else self._reader.end
        if end is not None:
            pieces += self._shown.flush()
        if pieces:
            self.position = pieces[-1].offset
        if not self._is_json:
            content = "".join([one.text for one in pieces if isinstance(one, TextPiece)])
        else:
            values = [_value(piece) for piece in pieces]
            if end is not None and not self._is_end_sent:
                values.append(_end_value(end))
            content = to_json(values) if values else ""
        if end is not None:
            self.is_closed = self._is_end_sent = True
            self.position = self._log.head + self._is_json
        return content


def _value(piece: Piece) -> dict[str, Any]:
    match piece:
        case TextPiece():
            return {"type": "text", "text": piece.text}
        case ReasoningPiece():
            return {"type": "reasoning", "text": piece.text}
        case ToolPiece():
            delta = piece.delta
            return {
                "type": "tool",
                "call": delta.call,
                "name": delta.name,
                "state": delta.state,
                "arguments": delta.arguments,
                "result": delta.result,
            }
        case _:
            return part_to_object(piece.delta.part)


def _end_value(end: End) -> dict[str, Any]:
    error = end.error
    return {
        "type": "end",
        "reason": end.reason,
        "error": error and {"code": error.code, "message": str(error)},
        "usage": {
            "input_tokens": end.usage.input_tokens,
            "output_tokens": end.usage.output_tokens,
        },
    }
