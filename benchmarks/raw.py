"""The raw endpoint: server CPU per token with 1 to 500 streams, in bursts and paced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from benchmarks import clients
from benchmarks.answers import Plan, chars_per_token
from benchmarks.clients import Target, closing
from benchmarks.loops import run
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Server, Servers

BURST_TOKENS = 1000
"""Tokens of an answer that is sent at once: enough to make the request's own cost negligible."""

LEAST_TOKENS = 40_000
"""Minimum of tokens in one round: a single stream repeats the answer."""

SETTLE_S = 0.5
"""Seconds for which paced streams run before the measured window."""

RATE = {1: 50, 10: 50, 50: 50, 100: 50, 500: 20}
"""Tokens a second of a paced stream, by number of streams: 500 at 50 would use a whole core."""

AT_MOST_RELAY = Aim(1.0, "ratio")
AT_MOST_TWICE = Aim(2.0, "ratio")


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield bursts, then paced streams, then the cost of an answer of one token."""
    counts = (1, 100) if quick else (1, 10, 100, 500)
    rounds = 2 if quick else 3
    window_s = 2.0 if quick else 4.0
    with (
        servers.upstream() as upstream,
        servers.relay(upstream) as bare,
        servers.wireside(upstream) as ours,
    ):
        pair = Pair(ours, bare, rounds)
        run(warm_up([pair.relay, pair.level_1, pair.level_2]))
        yield _bursts(pair, counts)
        yield _paced(pair, counts, window_s)
        yield Section(
            "Server CPU of an answer of one token",
            "relay",
            [pair.figure("one after the other", _answers)],
        )


Measured = Callable[[Target], Awaitable[float]]
"""Measures one round; returns microseconds."""


class Pair:
    """Wireside and the relay, measured alternately: other load on the machine affects both."""

    def __init__(self, ours: Server, bare: Server, rounds: int) -> None:
        self.relay = clients.relay(bare)
        self.level_1 = clients.wireside(ours, 1)
        self.level_2 = clients.wireside(ours)
        self._rounds = rounds

    def figure(
        self, subject: str, cost: Measured, aim: Aim | None = None, *, level: clients.Level = 2
    ) -> Figure:
        """Return the median costs of Wireside and of the relay."""
        ours = self.level_2 if level == 2 else self.level_1
        measures: list[float] = []
        values: list[float] = []
        for _ in range(self._rounds):
            measures.append(run(once(cost, self.relay)))
            values.append(run(once(cost, ours)))
        return Figure.of(subject, "µs", values, measures, aim)


def _bursts(pair: Pair, counts: Sequence[int]) -> Section:
    figures = [
        pair.figure(f"{number} streams", burst_of(number), AT_MOST_RELAY if number >= 100 else None)
        for number in counts
    ]
    figures.append(pair.figure("100 streams, level 1", burst_of(100), level=1))
    title = f"Server CPU of a token: {BURST_TOKENS} of them lie ready"
    return Section(title, "relay", figures)


def _paced(pair: Pair, counts: Sequence[int], window_s: float) -> Section:
    figures = [
        pair.figure(
            f"{number} streams of {RATE[number]}/s",
            paced_of(number, window_s),
            AT_MOST_TWICE if number >= 100 else None,
        )
        for number in counts
    ]
    figures.append(pair.figure("100 streams of 50/s, level 1", paced_of(100, window_s), level=1))
    return Section("Server CPU of a token: each comes alone", "relay", figures)


async def once(cost: Measured, target: Target) -> float:
    """Measure one round; return its cost in microseconds."""
    return await cost(target)


def burst_of(streams: int) -> Measured:
    """Return a function that measures the cost of a token at ``streams`` answers sent at once."""

    async def cost(target: Target) -> float:
        plan = Plan("prose", BURST_TOKENS)
        repeats = max(1, LEAST_TOKENS // (streams * plan.tokens))
        with closing(await target.connect(streams)) as peers:
            before = target.server.cpu_s()
            for _ in range(repeats):
                answers = [peer.ask(plan) for peer in peers]
                for answer in answers:
                    await answer.whole()
            used_s = target.server.cpu_s() - before
        return used_s / (repeats * streams * plan.tokens) * 1e6

    return cost


def paced_of(streams: int, window_s: float) -> Measured:
    """Return a function that measures the cost of a token at ``streams`` streams of ``RATE``."""

    async def cost(target: Target) -> float:
        rate = RATE[streams]
        plan = Plan("prose", round((window_s + 2 * SETTLE_S + 1.5) * rate), rate)
        with closing(await target.connect(streams)) as peers:
            answers = [peer.ask(plan) for peer in peers]
            await asyncio.gather(*[answer.begun for answer in answers])
            await asyncio.sleep(SETTLE_S)
            chars, before = sum(answer.chars for answer in answers), target.server.cpu_s()
            await asyncio.sleep(window_s)
            used_s = target.server.cpu_s() - before
            chars = sum(answer.chars for answer in answers) - chars
            for answer in answers:
                await answer.whole()
        return used_s / (chars / chars_per_token("prose", plan.tokens)) * 1e6

    return cost


async def _answers(target: Target) -> float:
    number = 100
    with closing(await target.connect(1)) as [peer]:
        before = target.server.cpu_s()
        for _ in range(number):
            await peer.ask(Plan("prose", 1)).whole()
        used_s = target.server.cpu_s() - before
    return used_s / number * 1e6


async def warm_up(targets: list[Target]) -> None:
    """Trigger the work that is done only once, such as lazy imports."""
    for target in targets:
        with closing(await target.connect(4)) as peers:
            for plan in (Plan("prose", 20, 50), Plan("prose", 2000)):
                for answer in [peer.ask(plan) for peer in peers]:
                    await answer.whole()
