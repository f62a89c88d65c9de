"""The cost of storing each token before it is shown.

The same answers are given four times in each round: by the bare relay, by Wireside from memory, and
in stored conversations on SQLite and on PostgreSQL. The CPU is that of the Wireside process alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from urllib.request import urlopen

from benchmarks import clients
from benchmarks.answers import Plan
from benchmarks.clients import Target, closing
from benchmarks.latency import AIMS, STREAMS, delays, first_token_us, percentiles
from benchmarks.latency import RATE as DELAY_RATE
from benchmarks.loops import run
from benchmarks.raw import RATE, paced_of, warm_up
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Servers

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
    """Costs measured together, in µs, and the aims for SQLite relative to the relay."""

    subjects: tuple[str, ...]
    measured: Callable[[Target], Awaitable[Sequence[float]]]
    aims: tuple[Aim | None, ...]


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield stored answers compared with the relay, with those in memory, and with each other."""
    with (
        servers.upstream() as upstream,
        servers.relay(upstream) as bare,
        servers.postgresql() as database,
        servers.wireside(upstream, save_delay_s=SAVE_DELAY_S) as on_sqlite,
        servers.wireside(
            upstream,
            save_delay_s=SAVE_DELAY_S,
            data_dir=str(servers.folder / "data-postgresql"),
            database_url=database.url,
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


def _costs(window_s: float) -> list[Cost]:
    paced = [
        Cost(
            (f"CPU of a token, {streams} streams of {RATE[streams]}/s",),
            _one(paced_of(streams, window_s)),
            (AT_MOST_TWICE,),
        )
        for streams in (1, 100)
    ]
    return [
        Cost(
            ("CPU of a question in a new conversation", "time of a question in a new conversation"),
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
        await _index_texts(target)
        cpu_s = target.server.cpu_s() - cpu_s
    return [cpu_s / QUESTIONS * 1e6, took_s / QUESTIONS * 1e6]


async def _index_texts(target: Target) -> None:
    """Search, which indexes what was stored: that belongs to its CPU."""
    if target.is_stored:
        url = f"{target.server.address}/api/conversations/search?q=prose"
        await asyncio.to_thread(lambda: urlopen(url).close())


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
        await _index_texts(target)
        cpu_s = target.server.cpu_s() - cpu_s
    return [cpu_s / CROWD * 1e6, took_s / CROWD * 1e6]
