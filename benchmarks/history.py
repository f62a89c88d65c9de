"""The cost of a long history, compared with a short one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.loops import run
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Servers
from wireside.messages import End, TextDelta
from wireside.parts import text_parts
from wireside.records import Branch, ConversationInfo, Segment, Span, TurnRecord
from wireside.store.store import SqlStore

PAGE = 20
"""Number of turns that a page loads first."""

ROUNDS = 200


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield the time to open, list and search a long history."""
    yield run(_history(servers.folder / "history.db", 10_000 if quick else 100_000))


async def _history(file: Path, count: int) -> Section:
    store = SqlStore(f"sqlite:///{file}")
    await store.open()
    try:
        await _fill(store, "long", count)
        await _fill(store, "short", 100)
        figures = [
            await _pair("open the last page", _last_page(store, count), _last_page(store, 100)),
            await _pair("open the middle", _page_at(store, count // 2), _page_at(store, 50)),
        ]
        for number in range(100):
            await store.create_conversation(_info(f"few-{number}"))
        few = await _us(lambda: store.conversations(cursor=None, limit=50))
        few_hits = await _us(lambda: store.search_documents("frame", cursor=None, limit=30))
        for number in range(count):
            await store.create_conversation(_info(f"many-{number}"))
        many = await _us(lambda: store.conversations(cursor=None, limit=50))
        hits = await _us(lambda: store.search_documents("frame", cursor=None, limit=30))
        figures += [
            Figure("list conversations", "µs", many, few, Aim(1.5, "ratio")),
            Figure("search", "µs", hits, few_hits),
        ]
    finally:
        await store.aclose()
    return Section(f"A history of {count:,}, wall time", "of 100", figures)


async def _pair(
    subject: str, long: Callable[[], Awaitable[object]], short: Callable[[], Awaitable[object]]
) -> Figure:
    values, measures = [], []
    for _ in range(3):
        values.append(await _us(long))
        measures.append(await _us(short))
    return Figure.of(subject, "µs", values, measures, Aim(1.5, "ratio"))


async def _us(work: Callable[[], Awaitable[object]]) -> float:
    """Return the median time of ``work``, in microseconds."""
    times = []
    for _ in range(ROUNDS):
        since = time.perf_counter_ns()
        await work()
        times.append((time.perf_counter_ns() - since) / 1000)
    return median(times)


def _last_page(store: SqlStore, count: int) -> Callable[[], Awaitable[object]]:
    return _page_at(store, count - PAGE, "long" if count > 100 else "short")


def _page_at(store: SqlStore, first: int, name: str = "") -> Callable[[], Awaitable[object]]:
    conversation = name or ("long" if first > 100 else "short")

    async def read() -> None:
        await store.conversation(conversation)
        turns = await store.read_turns(conversation, [Span(0, first, first + PAGE - 1)])
        if len(turns) != PAGE:
            raise RuntimeError("turns are missing")

    return read


async def _fill(store: SqlStore, name: str, count: int) -> None:
    """Add a conversation of ``count`` turns, in batches of a thousand."""
    end = End("stop")
    turn = TurnRecord(
        id="",
        conversation_id=name,
        branch=0,
        depth=0,
        question_parts=text_parts("What is a frame, and why?"),
        created_at=0.0,
    )
    turns = [
        replace(
            turn,
            id=f"{name}-{n}",
            depth=n,
            segments=(
                Segment(
                    stream=f"{name}-s{n}",
                    model="m",
                    entries=(TextDelta(f"Answer {n}. " * 20),),
                    end=end,
                ),
            ),
        )
        for n in range(count)
    ]
    await store.add_imported(
        _info(name), [Branch(id=0, parent=None, first=0, last=count - 1)], 0, turns
    )


def _info(name: str) -> ConversationInfo:
    return ConversationInfo(
        id=name, title=f"About {name}", created_at=0.0, updated_at=asyncio.get_running_loop().time()
    )
