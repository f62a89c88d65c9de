"""Memory of an idle WebSocket: unique memory of the server per connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from benchmarks import clients
from benchmarks.answers import Plan
from benchmarks.clients import Target, closing
from benchmarks.loops import raise_file_limit, run
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Servers

WARM = 20
"""Connections opened and closed before the measurement, so that lazy imports are done."""

AT_MOST = Aim(26)


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield memory with and without compression, idle and after one answer."""
    raise_file_limit()
    number = 500 if quick else 2000
    figures: list[Figure] = []
    for with_deflate in (False, True):
        with servers.upstream() as upstream:
            with servers.relay(upstream) as bare:
                measures = run(_kilobytes(clients.relay(bare), number, with_deflate))
            with servers.wireside(upstream) as ours:
                values = run(_kilobytes(clients.wireside(ours), number, with_deflate))
        deflate = "permessage-deflate" if with_deflate else "no compression"
        when = ("idle", "idle again after one answer")
        aims = (AT_MOST, None)
        figures += [
            Figure(f"{deflate}, {when[i]}", "KB", values[i], measures[i], aims[i]) for i in (0, 1)
        ]
    yield Section(f"Memory of a connection, {number} of them", "relay", figures)


async def _kilobytes(target: Target, number: int, with_deflate: bool) -> tuple[float, float]:
    with closing(await target.connect(WARM, with_deflate=with_deflate)) as peers:
        await asyncio.gather(*[peer.ask(Plan("prose", 1)).whole() for peer in peers[:20]])
    await asyncio.sleep(1.5)
    before = target.server.unique_bytes()
    with closing(await target.connect(number, with_deflate=with_deflate)) as peers:
        await asyncio.sleep(1.5)
        idle = target.server.unique_bytes() - before
        for start in range(0, number, 50):
            await asyncio.gather(
                *[peer.ask(Plan("prose", 20)).whole() for peer in peers[start : start + 50]]
            )
        await asyncio.sleep(1.5)
        used = target.server.unique_bytes() - before
    return idle / number / 1000, used / number / 1000
