"""Delay that a server adds between the model and the client, in microseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from statistics import median, quantiles

from benchmarks import clients
from benchmarks.answers import Plan
from benchmarks.clients import Target, closing
from benchmarks.loops import run
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Servers

STREAMS = 50
RATE = 50
SETTLE = 25
"""Number of first tokens of each stream to omit: they coincide with the other streams' start."""

FIRST_ANSWER_AFTER_S = 2.0
"""Time that a user needs to type, in seconds: work of the server meanwhile delays no answer."""

AIMS = {50: Aim(300), 95: None, 99: Aim(3000)}


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield delays of 50 streams, then of first tokens."""
    rounds = 2 if quick else 5
    with servers.upstream() as upstream:
        with servers.relay(upstream) as bare, servers.wireside(upstream) as ours:
            targets = [clients.direct(upstream), clients.relay(bare), clients.wireside(ours)]
            run(_warm_up(targets))
            yield _added(targets, rounds, 4)
            first = _first_tokens(targets, rounds)
        yield Section("Added time to the first token", "relay", [first, _fresh(servers, rounds)])


def _added(targets: list[Target], rounds: int, seconds: int) -> Section:
    found: dict[str, list[list[float]]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            found[target.name].append(percentiles(run(delays(target, seconds))))
    figures = []
    for number, (percentile, aim) in enumerate(AIMS.items()):
        direct, bare, ours = (
            [each[number] for each in found[name]] for name in ("direct", "relay", "wireside")
        )
        figures.append(_over(f"p{percentile}", direct, bare, ours, median, aim))
        if percentile == 99:  # other load on the machine shows in the tails of single rounds
            figures.append(_over("p99, quietest round", direct, bare, ours, min))
    return Section(f"Added delay of a token, {STREAMS} streams of {RATE}/s", "relay", figures)


def _over(
    subject: str,
    direct: list[float],
    bare: list[float],
    ours: list[float],
    chosen: Callable[[list[float]], float],
    aim: Aim | None = None,
) -> Figure:
    """Return the delay added to that of the direct connection, by Wireside and by the relay."""
    straight = chosen(direct)
    return Figure(subject, "µs", chosen(ours) - straight, chosen(bare) - straight, aim)


async def delays(target: Target, seconds: int) -> list[int]:
    """Return the delay of each token after the first ``SETTLE`` of its stream, in ns."""
    plan = Plan("stamps", SETTLE + seconds * RATE, RATE)
    with closing(await target.connect(STREAMS)) as peers:
        answers = []
        for peer in peers:
            answers.append(peer.ask(plan))
            await asyncio.sleep(1 / STREAMS / 4)
        for answer in answers:
            await answer.whole()
    return [delay for answer in answers for delay in answer.delays_ns[SETTLE:]]


def percentiles(delays_ns: list[int]) -> list[float]:
    """Return the percentiles listed in ``AIMS``, in µs."""
    cuts = quantiles(delays_ns, n=100)
    return [cuts[percentile - 1] / 1000 for percentile in AIMS]


def _first_tokens(targets: list[Target], rounds: int) -> Figure:
    found: dict[str, list[float]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            found[target.name].append(run(first_token_us(target, 30)))
    return _over("warm", found["direct"], found["relay"], found["wireside"], median, Aim(1000))


async def first_token_us(target: Target, number: int) -> float:
    """Return the median time to the first token of ``number`` answers, in µs."""
    waits: list[float] = []
    with closing(await target.connect(1)) as [peer]:
        for _ in range(number):
            answer = peer.ask(Plan("stamps", 1))
            await answer.whole()
            assert answer.first_ns is not None
            waits.append((answer.first_ns - answer.asked_ns) / 1000)
            await asyncio.sleep(0.02)
    return median(waits)


def _fresh(servers: Servers, rounds: int) -> Figure:
    """Measure the first answer of a process; each round starts new processes."""
    ours: list[float] = []
    relays: list[float] = []
    with servers.upstream() as upstream:
        for _ in range(rounds):
            with servers.relay(upstream) as bare:
                relays.append(run(_first_of_process(clients.relay(bare))))
            with servers.wireside(upstream) as server:
                ours.append(run(_first_of_process(clients.wireside(server))))
    return Figure.of("first answer of a process", "µs", ours, relays, Aim(10_000))


async def _first_of_process(target: Target) -> float:
    await asyncio.sleep(FIRST_ANSWER_AFTER_S)
    return await first_token_us(target, 1)


async def _warm_up(targets: list[Target]) -> None:
    for target in targets:
        with closing(await target.connect(STREAMS)) as peers:
            for answer in [peer.ask(Plan("stamps", 25, 50)) for peer in peers]:
                await answer.whole()
