"""Start-up: duration, CPU and memory, compared with a bare NiceGUI app."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Server, Servers

IDLE_AFTER_S = 2.0
"""Seconds until the imports that are deferred until after the first 200 are done."""

AT_MOST = Aim(1.2, "ratio")


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield the medians of alternating starts; the first of each only fills the file cache."""
    rounds = 2 if quick else 5
    ours: list[tuple[float, ...]] = []
    bare: list[tuple[float, ...]] = []
    with servers.upstream() as upstream:
        for _ in range(rounds + 1):
            bare.append(_started(servers.bare_nicegui()))
            ours.append(_started(servers.wireside(upstream, is_awaited=False)))
    units = (
        ("until the first 200", "s", AT_MOST),
        ("CPU until then", "s", AT_MOST),
        ("resident memory, idle", "MB", None),
    )
    yield Section(
        "Start-up",
        "NiceGUI",
        [
            Figure.of(
                subject, unit, [each[i] for each in ours[1:]], [each[i] for each in bare[1:]], aim
            )
            for i, (subject, unit, aim) in enumerate(units)
        ],
    )


def _started(starting: AbstractContextManager[Server]) -> tuple[float, float, float]:
    with starting as server:
        took_s = server.wait_until_live()
        cpu_s = server.cpu_s()
        time.sleep(IDLE_AFTER_S)
        return took_s, cpu_s, server.resident_bytes() / 1e6
