"""The OpenAI-compatible API: server CPU of a token, compared with level 2 in the same run."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import clients
from benchmarks.loops import run
from benchmarks.raw import Measured, burst_of, once, paced_of, warm_up
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Servers

PATHS = ("/v1/chat/completions", "/v1/responses")

AT_MOST = Aim(1.3, "ratio")


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield the costs of paced tokens and of bursts."""
    rounds = 2 if quick else 3
    window_s = 2.0 if quick else 4.0
    with servers.upstream() as upstream, servers.wireside(upstream) as ours:
        level_2 = clients.wireside(ours)
        doors = [clients.door(ours, path) for path in PATHS]
        run(warm_up([level_2, *doors]))

        def figures(name: str, cost: Measured) -> Iterator[Figure]:
            for one in doors:
                pairs = [(run(once(cost, one)), run(once(cost, level_2))) for _ in range(rounds)]
                values, measures = zip(*pairs, strict=True)
                yield Figure.of(f"{one.path}, {name}", "µs", values, measures, AT_MOST)

        yield Section(
            "Server CPU of a token through a door",
            "level 2",
            [
                *figures("100 streams of 50/s", paced_of(100, window_s)),
                *figures("100 streams in bursts", burst_of(100)),
            ],
        )
