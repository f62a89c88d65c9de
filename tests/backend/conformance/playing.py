"""Scenario servers in a thread, one for each scenario, so that clients play them concurrently."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from wireside.conformance.results import Result
from wireside.conformance.scenarios.catalogue import Scenario
from wireside.conformance.scenarios.server import ScenarioServer
from wireside.conformance.scenarios.stage import Stage

PING_S = 3.0
"""Interval of pings that the scenarios expect. Clients under test ping more often: a machine that
is slow for a while delays them."""

DEAD_S = 10.0

GOODBYE_S = 15.0
"""Time for a client that was cut to come back and ask for the comparison of its text."""


class Playing:
    """Servers by scenario: ``urls``, and ``results`` once all have ended."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        self.urls: dict[str, str] = {}
        self.results: dict[str, Result] = {}
        self._scenarios = scenarios
        self._are_listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._are_listening.wait(20)

    def wait(self, timeout_s: float = 60.0) -> dict[str, Result]:
        """Wait for the results; those of texts have ``/text`` in their names."""
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), set(self.urls) - set(self.results)
        return self.results

    async def _run(self) -> None:
        await asyncio.gather(*map(self._serve, self._scenarios))

    async def _serve(self, scenario: Scenario) -> None:
        def listening(url: str) -> None:
            self.urls[scenario.name] = url.replace("http", "ws", 1) + "/ws/ai-chat"
            if len(self.urls) == len(self._scenarios):
                self._are_listening.set()

        def take(result: Result) -> None:
            if result.name != "closes-cleanly":
                self.results[result.name] = result

        stage = Stage([scenario], patience_s=30, settle_s=0.5, ping_s=PING_S, dead_s=DEAD_S)
        await ScenarioServer(stage, take, goodbye_s=GOODBYE_S).run("127.0.0.1", 0, listening)


@contextmanager
def playing(scenarios: Sequence[Scenario]) -> Iterator[Playing]:
    """Serve scenarios until all have results."""
    servers = Playing(scenarios)
    servers.start()
    yield servers


def faults(results: dict[str, Result]) -> dict[str, str]:
    """Return what was wrong, by the name of the result."""
    return {
        name: "; ".join(map(str, result.faults)) + "\n" + "\n".join(result.transcript)
        for name, result in results.items()
        if result.state == "failed"
    }
