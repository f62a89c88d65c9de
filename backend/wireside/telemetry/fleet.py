"""What each of several servers on one database says about itself, and what all say together.

A server writes its report into its row with each beat, and reads those of the others by the same
statement: they need no bus, and cost nothing for each token.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from wireside.ports.clock import Clock
from wireside.replicas.membership import Membership

CPU_BEATS: Final = 10
"""Reports over which the CPU time is averaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """Gauges of a server; CPU in percent of a core, clocks in seconds."""

    streams: int = 0
    raw: int = 0
    pages: int = 0
    memory_mb: float | None = None
    cpu_percent: float | None = None
    clock_ahead_s: float | None = None
    is_draining: bool = False

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def from_json(text: str | None) -> ServerReport | None:
        """Parse the output of ``to_json``, also of another version; None if there is none."""
        if text is None:
            return None
        kept: Mapping[str, Any] = json.loads(text)
        return ServerReport(**{one.name: kept[one.name] for one in _FIELDS if one.name in kept})


_FIELDS: Final = fields(ServerReport)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """One of the servers on a database, as this one sees it.

    ``silent_s`` is the time since its last beat was seen; ``report`` is None if it has not said
    anything yet, or runs a version that says nothing.
    """

    id: str
    name: str
    version: str
    uptime_s: float
    silent_s: float
    is_own: bool
    report: ServerReport | None


class Reporter:
    """Makes the reports of this server."""

    def __init__(
        self,
        sample: Callable[[], ServerReport],
        *,
        clock: Clock = time.monotonic,
        cpu_clock: Clock = time.process_time,
    ) -> None:
        """``sample`` returns the gauges, without the CPU."""
        self._sample = sample
        self._clock = clock
        self._cpu = cpu_clock
        self._recent: deque[tuple[float, float]] = deque(maxlen=CPU_BEATS + 1)

    def make_report(self) -> str:
        """Return the report for a beat."""
        self._recent.append((self._clock(), self._cpu()))
        (since, used), (now, used_now) = self._recent[0], self._recent[-1]
        gauges = asdict(self._sample())
        if now > since:
            gauges["cpu_percent"] = round(100 * (used_now - used) / (now - since), 1)
        return ServerReport(**gauges).to_json()


def list_servers(membership: Membership | None) -> list[ServerState]:
    """Return all servers, the one that runs longest first; none if one has the database alone."""
    if membership is None:
        return []
    own_id = membership.replica_id if membership.is_joined else None
    return [
        ServerState(
            id=one.id,
            name=one.name,
            version=one.version,
            uptime_s=one.age_s,
            silent_s=membership.silence_s(one),
            is_own=one.id == own_id,
            report=ServerReport.from_json(one.report),
        )
        for one in membership.replicas
    ]


def sum_of_servers(servers: Sequence[ServerState]) -> dict[str, float]:
    """Return the sums of all reports, by the names of ``steps.FIGURES``."""
    reports = [one.report for one in servers if one.report is not None]
    return {
        "streams": sum(one.streams for one in reports),
        "raw": sum(one.raw for one in reports),
        "pages": sum(one.pages for one in reports),
        "memory": round(sum(one.memory_mb or 0.0 for one in reports), 1),
        "cpu": round(sum(one.cpu_percent or 0.0 for one in reports), 1),
    }
