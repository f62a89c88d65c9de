"""The log: a read from any offset returns exactly what was written after it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.errors import BadOffset
from wireside.generation.log import AnswerLog, Piece, ReasoningPiece, TextPiece
from wireside.messages import End, Entry, PartDelta, ReasoningDelta, TextDelta, ToolDelta
from wireside.parts import DataPart

ENTRIES = st.one_of(
    st.text(alphabet="aé😀\x00\n<", max_size=6).map(TextDelta),
    st.text(alphabet="rs😀", max_size=6).map(ReasoningDelta),
    st.sampled_from(["", "1"]).map(lambda i: PartDelta(DataPart(kind="step", data="{}", id=i))),
    st.sampled_from(["running", "done"]).map(lambda state: ToolDelta("c", "n", state)),  # type: ignore[arg-type]  # a literal
)

Atom = tuple[str, object]


def atoms(entries: list[Entry]) -> list[Atom]:
    """One item for each offset."""
    flat: list[Atom] = []
    for entry in entries:
        if isinstance(entry, ToolDelta | PartDelta):
            flat.append(("whole", entry))
        else:
            flat += [(type(entry).__name__, char) for char in entry.text]
    return flat


def piece_atoms(pieces: list[Piece]) -> list[Atom]:
    flat: list[Atom] = []
    for piece in pieces:
        if isinstance(piece, TextPiece):
            flat += [("TextDelta", char) for char in piece.text]
        elif isinstance(piece, ReasoningPiece):
            flat += [("ReasoningDelta", char) for char in piece.text]
        else:
            flat.append(("whole", piece.delta))
    return flat


@given(st.lists(ENTRIES), st.data(), st.booleans())
def test_any_offset_any_size(entries: list[Entry], data: st.DataObject, closed: bool) -> None:
    log = AnswerLog()
    for entry in entries:
        log.append_entry(entry)
    if closed:
        log.close_with(End("stop"))
    expected = atoms(entries)
    assert log.head == len(expected)
    offset = data.draw(st.integers(0, log.head))
    size = data.draw(st.integers(1, 9))
    pieces = log.read_pieces(offset, size)
    assert piece_atoms(pieces) == expected[offset : offset + size]
    if pieces:
        assert pieces[-1].offset == min(offset + size, log.head)


@given(st.lists(ENTRIES))
def test_neighbours_are_joined(entries: list[Entry]) -> None:
    log = AnswerLog()
    for entry in entries:
        log.append_entry(entry)
    kinds = [type(piece) for piece in log.read_pieces(0, 10_000)]
    texts = [kind for kind in kinds if kind in (TextPiece, ReasoningPiece)]
    assert all(a != b for a, b in zip(kinds, kinds[1:], strict=False) if a in texts)


def test_beyond_the_head_is_refused() -> None:
    log = AnswerLog()
    log.append_entry(TextDelta("abc"))
    assert log.read_pieces(3, 10) == []
    for offset in (-1, 4):
        with pytest.raises(BadOffset):
            log.read_pieces(offset, 10)


def test_the_first_end_stays() -> None:
    log = AnswerLog()
    log.close_with(End("cancelled"))
    log.close_with(End("stop"))
    assert log.end == End("cancelled")
    with pytest.raises(RuntimeError):
        log.append_entry(TextDelta("late"))


def test_text_leaves_reasoning_and_tools_out() -> None:
    log = AnswerLog()
    for entry in (
        ReasoningDelta("hm"),
        TextDelta("a"),
        ToolDelta("c", "n", "done"),
        TextDelta("b"),
    ):
        log.append_entry(entry)
    assert log.visible_text() == "ab"
