"""The append-only log of one answer. Pure: no clock, no task, no lock.

An offset is a position in the answer (protocol, "Offset"): each Unicode code point of text or
reasoning counts as one, and so does each state of a tool call or of another part.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import groupby

from wireside.errors import BadOffset
from wireside.messages import End, Entry, PartDelta, ReasoningDelta, TextDelta, ToolDelta


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Text of the answer; ``offset`` is the position after it."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class ReasoningPiece:
    """Text of the model's reasoning; ``offset`` is the position after it."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class ToolPiece:
    """One state of a tool call; ``offset`` is the position after it."""

    delta: ToolDelta
    offset: int


@dataclass(frozen=True, slots=True)
class PartPiece:
    """One state of a part that is written whole; ``offset`` is the position after it."""

    delta: PartDelta
    offset: int


Piece = TextPiece | ReasoningPiece | ToolPiece | PartPiece


class AnswerLog:
    """The answer of a model so far; written once, readable from any offset any number of times.

    A ``held`` log makes appended entries readable only when they are released, which normally
    happens once the store has them.
    """

    def __init__(self, *, held: bool = False) -> None:
        self._entries: list[Entry] = []
        self._offsets: list[int] = []  # the position after each entry
        self._held = held
        self.written = 0
        """The position after the last appended entry."""
        self.head = 0
        """The position after the last readable entry."""
        self.closed: End | None = None
        """How the answer ended, whether or not readers can see it yet."""
        self.end: End | None = None
        """How the answer ended; set once all of it is readable."""

    def append_entry(self, entry: Entry) -> None:
        """Append an entry; empty text is ignored. Raises ``RuntimeError`` if the log is closed."""
        if self.closed is not None:
            raise RuntimeError("the log is closed")
        length = _entry_length(entry)
        if length:
            self.written += length
            self._entries.append(entry)
            self._offsets.append(self.written)
            if not self._held:
                self.head = self.written

    def close_with(self, end: End) -> None:
        """End the answer. A second end is ignored: readers may have seen the first one already."""
        if self.closed is None:
            self.closed = end
            if not self._held:
                self.release_entries(self.written, end=True)

    def release_entries(self, offset: int, *, end: bool) -> None:
        """Make everything before ``offset`` readable, and with ``end`` how the answer ended.

        The end of a closed log is readable once all of its text is.
        """
        self.head = max(self.head, offset)
        if end and self.closed is not None and self.end is None and self.head == self.written:
            self.end = self.closed
            self._join_neighbours()

    def end_at(self, offset: int, end: End) -> None:
        """End the answer with ``end`` after ``offset``; what follows is removed.

        What readers can see already stays, and with it an end that they can see.
        """
        if self.end is not None:
            return
        offset = max(offset, self.head)
        kept = bisect_right(self._offsets, offset)
        del self._entries[kept:], self._offsets[kept:]
        self.written = offset
        self.closed = end
        self.release_entries(offset, end=True)

    def entries_after(self, offset: int) -> tuple[Entry, ...]:
        """Return all entries after ``offset``, readable or not, joining neighbours of one kind."""
        return self.entries_between(offset, self.written)

    def entries_between(self, offset: int, until: int) -> tuple[Entry, ...]:
        """Return the entries from ``offset`` to ``until``; see ``entries_after``."""
        offsets = self._offsets
        index = bisect_right(offsets, offset)
        begins_at = offsets[index - 1] if index else 0
        if begins_at == offset and index < len(offsets) and offsets[index] == until:
            return (self._entries[index],)  # most tails are one entry
        return tuple(_entry_of_piece(piece) for piece in self._read_entries(offset, until))

    def check_offset(self, offset: int) -> None:
        """Raise ``BadOffset`` unless ``offset`` is a readable position of this log."""
        if not 0 <= offset <= self.head:
            raise BadOffset

    def read_pieces(self, offset: int, max_chars: int) -> list[Piece]:
        """Return up to ``max_chars`` characters from ``offset`` on.

        Neighbours of one kind are joined. Empty at the head. Raises ``BadOffset`` past it.
        """
        self.check_offset(offset)
        return self._read_entries(offset, min(self.head, offset + max_chars))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries so far, readable or not."""
        return tuple(self._entries)

    def visible_text(self) -> str:
        """Return the visible text so far, without reasoning, tool calls and other parts."""
        return "".join(entry.text for entry in self._entries if isinstance(entry, TextDelta))

    def _read_entries(self, offset: int, limit: int) -> list[Piece]:
        pieces: list[Piece] = []
        kind: type[Entry] | None = None
        texts: list[str] = []
        position = offset
        index = bisect_right(self._offsets, offset)
        while position < limit:
            entry, after = self._entries[index], self._offsets[index]
            if type(entry) is not kind and texts:
                pieces.append(_join_texts(kind, texts, position))
                texts = []
            kind = type(entry)
            if isinstance(entry, ToolDelta):
                pieces.append(ToolPiece(entry, after))
            elif isinstance(entry, PartDelta):
                pieces.append(PartPiece(entry, after))
            else:
                start = after - len(entry.text)
                texts.append(entry.text[position - start : limit - start])
            position = min(after, limit)
            index += 1
        if texts:
            pieces.append(_join_texts(kind, texts, position))
        return pieces

    def _join_neighbours(self) -> None:
        """Join a finished answer into few long strings.

        Thousands of short strings cost five times as much.
        """
        joined: list[Entry] = []
        for kind, group in groupby(self._entries, type):
            entries = list(group)
            texts = [e.text for e in entries if isinstance(e, TextDelta | ReasoningDelta)]
            if not texts:
                joined += entries
            elif kind is TextDelta:
                joined.append(TextDelta("".join(texts)))
            else:
                joined.append(ReasoningDelta("".join(texts)))
        self._entries = joined
        self._offsets = []
        position = 0
        for entry in joined:
            position += _entry_length(entry)
            self._offsets.append(position)


def _entry_length(entry: Entry) -> int:
    return len(entry.text) if isinstance(entry, TextDelta | ReasoningDelta) else 1


def _join_texts(kind: type[Entry] | None, texts: list[str], offset: int) -> Piece:
    text = texts[0] if len(texts) == 1 else "".join(texts)
    return TextPiece(text, offset) if kind is TextDelta else ReasoningPiece(text, offset)


def _entry_of_piece(piece: Piece) -> Entry:
    match piece:
        case TextPiece():
            return TextDelta(piece.text)
        case ReasoningPiece():
            return ReasoningDelta(piece.text)
        case ToolPiece() | PartPiece():
            return piece.delta
