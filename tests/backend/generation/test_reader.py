"""Readers: in any interleaving, each reader gets exactly the text, and buffers none of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wireside.generation.log import AnswerLog, Piece, ReasoningPiece, TextPiece
from wireside.generation.reader import Reader, Signal
from wireside.messages import End, TextDelta

STEPS = st.lists(
    st.one_of(
        st.text(alphabet="ab😀<", max_size=8).map(lambda text: ("append", text)),
        st.tuples(st.just("read"), st.integers(0, 3), st.integers(1, 6)),
        st.tuples(st.just("drop"), st.integers(0, 3)),
        st.tuples(st.just("open"), st.integers(0, 40)),
    ),
    max_size=60,
)


def text_of(pieces: Sequence[Piece]) -> str:
    """Return the text of pieces that are nothing else."""
    texts = [piece for piece in pieces if isinstance(piece, TextPiece | ReasoningPiece)]
    assert len(texts) == len(pieces)
    return "".join(piece.text for piece in texts)


@given(STEPS)
def test_any_interleaving_gives_every_reader_exactly_the_text(steps: list[tuple[Any, ...]]) -> None:
    """Appends, reads of any size at any time, disconnects and resumes at the last offset."""
    log, bell = AnswerLog(), Signal()
    written = ""
    readers: list[tuple[Reader, int, list[str]]] = [(Reader(log, bell, 0), 0, [])]
    for step in steps:
        match step:
            case ("append", text):
                log.append_entry(TextDelta(text))
                written += text
            case ("open", position):
                start = min(position, log.head)
                readers.append((Reader(log, bell, start), start, []))
            case ("read", which, size):
                reader, _, got = readers[which % len(readers)]
                got += [piece.text for piece in reader.take_pieces(size)]
            case ("drop", which):
                reader, start, got = readers[which % len(readers)]
                reader.stop_reading()
                resumed = Reader(log, bell, reader.offset)
                readers[which % len(readers)] = (resumed, start, got)
    log.close_with(End("stop"))
    for reader, start, got in readers:
        while pieces := reader.take_pieces(5):
            assert reader.end is None or not reader.has_new_pieces
            got.append(text_of(pieces))
        assert "".join(got) == written[start:]
        assert reader.end == End("stop")


def test_a_reader_that_never_reads_holds_nobody_up_and_no_memory() -> None:
    log, bell = AnswerLog(), Signal()
    sleeper, fast = Reader(log, bell, 0), Reader(log, bell, 0)
    size_before = sys.getsizeof(sleeper) + sum(map(sys.getsizeof, vars(sleeper).values()))
    got = ""
    for number in range(1000):
        log.append_entry(TextDelta(f"{number} "))
        bell.notify_listeners()
        got += text_of(fast.take_pieces())
    assert got == log.visible_text()
    size = sys.getsizeof(sleeper) + sum(map(sys.getsizeof, vars(sleeper).values()))
    assert size - size_before < 64
    assert text_of(sleeper.take_pieces(10**6)) == got


async def test_wait_returns_for_text_and_for_the_end() -> None:
    log, bell = AnswerLog(), Signal()
    readers = [Reader(log, bell, 0) for _ in range(3)]
    waits = [asyncio.ensure_future(reader.wait_for_news()) for reader in readers]
    await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)
    log.append_entry(TextDelta("x"))
    bell.notify_listeners()
    await asyncio.gather(*waits)
    assert [reader.take_pieces() for reader in readers] == [[TextPiece("x", 1)]] * 3
    last = asyncio.ensure_future(readers[0].wait_for_news())
    await asyncio.sleep(0)
    log.close_with(End("stop"))
    bell.notify_listeners()
    await last
    assert readers[0].end == End("stop")


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    log, bell = AnswerLog(), Signal()
    wait = asyncio.ensure_future(Reader(log, bell, 0).wait_for_news())
    await asyncio.sleep(0)
    wait.cancel()
    await asyncio.gather(wait, return_exceptions=True)
    assert not bell._wakes


@settings(max_examples=20)
@given(st.integers(1, 200))
def test_a_lagging_reader_gets_fewer_larger_pieces(tokens: int) -> None:
    log, bell = AnswerLog(), Signal()
    reader = Reader(log, bell, 0)
    for _ in range(tokens):
        log.append_entry(TextDelta("word "))
    assert reader.take_pieces() == [TextPiece("word " * tokens, 5 * tokens)]
