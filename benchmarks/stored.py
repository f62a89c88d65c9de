"""The cost of storing each token before it is shown, and the cost of a long history.

The same answers are given four times in each round: by the bare relay, by Wireside from memory, and
in stored conversations on SQLite and on PostgreSQL. The CPU is that of the Wireside process alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks import clients
from benchmarks.answers import Plan
from benchmarks.clients import Target, closing
from benchmarks.latency import AIMS, STREAMS, delays, first_token_us, percentiles
from benchmarks.latency import RATE as DELAY_RATE
from benchmarks.loops import run
from benchmarks.raw import RATE, paced_of, warm_up
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Servers
from wireside.messages import End, TextDelta
from wireside.parts import text_parts
from wireside.records import Branch, ConversationInfo, Segment, Span, TurnRecord
from wireside.store.store import SqlStore

PAGE = 20
"""Number of turns that a page loads first."""

ROUNDS = 200

QUESTIONS = 100
"""Questions that are asked one after another."""

CROWD = 200
"""Conversations that begin at the same moment."""

SAVE_DELAY_S = "60"
"""No question is refused: the benchmark asks faster than a slow machine can store."""

KINDS = ("relay", "in memory", "SQLite", "PostgreSQL")

AT_MOST_TWICE = Aim(2.0, "ratio")


@dataclass(frozen=True, slots=True)
class Cost:
    """Costs measured together, in µs, and the aims for SQLite beside the relay."""

    subjects: tuple[str, ...]
    measured: Callable[[Target], Awaitable[Sequence[float]]]
    aims: tuple[Aim | None, ...]


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield stored answers beside the relay, memory and each other, then long histories."""
    with (
        servers.upstream() as upstream,
        servers.relay(upstream) as bare,
        servers.postgresql() as url,
        servers.wireside(upstream, save_delay_s=SAVE_DELAY_S) as on_sqlite,
        servers.wireside(
            upstream,
            save_delay_s=SAVE_DELAY_S,
            data_dir=str(servers.folder / "data-postgresql"),
            database_url=url,
        ) as on_postgresql,
    ):
        targets = [
            clients.relay(bare),
            clients.wireside(on_sqlite),
            clients.wireside(on_sqlite, is_stored=True),
            clients.wireside(on_postgresql, is_stored=True),
        ]
        run(warm_up(targets))
        costs = _costs(2.0 if quick else 4.0)
        yield from _sections(targets, costs, rounds=2 if quick else 3)
    yield run(_history(servers.folder / "history.db", 10_000 if quick else 100_000))


def _costs(window_s: float) -> list[Cost]:
    paced = [
        Cost(
            (f"CPU of a token, {streams} streams of {RATE[streams]}/s",),
            _one(paced_of(streams, window_s)),
            (AT_MOST_TWICE if streams in (1, 100) else None,),
        )
        for streams in (1, 100, 500)
    ]
    return [
        Cost(
            ("CPU of a question in a new conversation", "time of it"),
            _questions,
            (Aim(2000), None),
        ),
        Cost(("time to the first token",), _one(_first_token), (Aim(4000),)),
        *paced,
        Cost(
            tuple(f"delay of a token, {STREAMS} of {DELAY_RATE}/s, p{name}" for name in AIMS),
            _delays,
            tuple({50: Aim(5000), 99: Aim(20_000)}.get(name) for name in AIMS),
        ),
        Cost(
            (
                f"CPU of a conversation, {CROWD} begin at once",
                f"time of a conversation, {CROWD} begin at once",
            ),
            _crowd,
            (Aim(2500), None),  # 400 a second and core
        ),
    ]


def _sections(targets: Sequence[Target], costs: Sequence[Cost], *, rounds: int) -> list[Section]:
    beside: dict[str, list[Figure]] = {kind: [] for kind in KINDS[:-1]}
    for cost in costs:
        found: dict[str, list[Sequence[float]]] = {kind: [] for kind in KINDS}
        for _ in range(rounds):  # alternately: other load on the machine affects all
            for kind, target in zip(KINDS, targets, strict=True):
                found[kind].append(run(_awaited(cost, target)))
        for number, (subject, aim) in enumerate(zip(cost.subjects, cost.aims, strict=True)):
            values = {kind: median(each[number] for each in found[kind]) for kind in KINDS}
            for kind in KINDS[1:]:
                beside["relay"].append(
                    Figure(
                        f"{subject}, {kind}",
                        "µs",
                        values[kind],
                        values["relay"],
                        aim if kind == "SQLite" else None,
                    )
                )
            beside["in memory"] += [
                Figure(f"{subject}, {kind}", "µs", values[kind], values["in memory"])
                for kind in KINDS[2:]
            ]
            beside["SQLite"].append(
                Figure(subject, "µs", values["PostgreSQL"], values["SQLite"], AT_MOST_TWICE)
            )
    return [
        Section("Stored answers", "relay", beside["relay"]),
        Section("Stored answers beside those in memory", "in memory", beside["in memory"]),
        Section("Stored answers on PostgreSQL", "SQLite", beside["SQLite"]),
    ]


async def _awaited(cost: Cost, target: Target) -> Sequence[float]:
    return await cost.measured(target)


def _one(
    measured: Callable[[Target], Awaitable[float]],
) -> Callable[[Target], Awaitable[Sequence[float]]]:
    async def cost(target: Target) -> Sequence[float]:
        return [await measured(target)]

    return cost


async def _questions(target: Target) -> Sequence[float]:
    """Return CPU and time of a question with an answer of one token."""
    with closing(await target.connect(1)) as [peer]:
        cpu_s, since = target.server.cpu_s(), time.perf_counter()
        for _ in range(QUESTIONS):
            await peer.ask(Plan("prose", 1)).whole()
        took_s = time.perf_counter() - since
        cpu_s = target.server.cpu_s() - cpu_s
    return [cpu_s / QUESTIONS * 1e6, took_s / QUESTIONS * 1e6]


async def _first_token(target: Target) -> float:
    return await first_token_us(target, 30)


async def _delays(target: Target) -> Sequence[float]:
    return percentiles(await delays(target, 4))


async def _crowd(target: Target) -> Sequence[float]:
    """Return CPU and time of each of many answers that are requested at once."""
    with closing(await target.connect(CROWD)) as peers:
        cpu_s, since = target.server.cpu_s(), time.perf_counter()
        await asyncio.gather(*[peer.ask(Plan("prose", 20)).whole() for peer in peers])
        took_s = time.perf_counter() - since
        cpu_s = target.server.cpu_s() - cpu_s
    return [cpu_s / CROWD * 1e6, took_s / CROWD * 1e6]


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
            await store.create(_info(f"few-{number}"))
        few = await _us(lambda: store.conversations(cursor=None, limit=50))
        few_hits = await _us(lambda: store.search("frame", cursor=None, limit=30))
        for number in range(count):
            await store.create(_info(f"many-{number}"))
        many = await _us(lambda: store.conversations(cursor=None, limit=50))
        hits = await _us(lambda: store.search("frame", cursor=None, limit=30))
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
        turns = await store.turns(conversation, [Span(0, first, first + PAGE - 1)])
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
    await store.add_conversation(
        _info(name), [Branch(id=0, parent=None, first=0, last=count - 1)], 0, turns
    )


def _info(name: str) -> ConversationInfo:
    return ConversationInfo(
        id=name, title=f"About {name}", created_at=0.0, updated_at=asyncio.get_running_loop().time()
    )
