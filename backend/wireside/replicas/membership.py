"""The membership of this server among the replicas: the servers that share a database.

Each process is a row with an id that is never used again, the fencing token: all that it commits
for its answers is committed together with a look at the row. It counts up a beat in the row. A
replica whose beat stands still is removed by the others, which delete the row. Then nothing of it
can be committed, however long it slept; when it finds that out, it is ``fenced``: it ends what it
was doing, and joins again under a new id.

No decision reads a wall clock. A beat says only that it has changed: each replica measures by its
own clock since when it has not. One that slept, or did not reach the database, has not seen the
beats of the others in that time, and judges none of them.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, ParamSpec

import structlog

from wireside.errors import Fenced, StoreError
from wireside.ports.clock import Clock
from wireside.ports.replicas import ReplicaStore
from wireside.records import Replica
from wireside.version import __version__

_log = structlog.get_logger(__name__)

P = ParamSpec("P")

MISSED_BEATS: Final = 3
"""Intervals without a look at the others after which they are judged from the beginning."""


CLOCK_LOOKS: Final = 10
"""Beats of which the one with the shortest round trip says how far the clocks differ."""

LEADER_TTLS: Final = 10
"""Times to live for which a start waits for the leader at most."""


@dataclass(frozen=True, slots=True)
class ReplicaTimes:
    """Seconds between two beats, and without one after which a replica is removed."""

    beat_s: float = 1.0
    ttl_s: float = 5.0

    @property
    def blind_s(self) -> float:
        """Seconds between two looks after which what was seen before says nothing."""
        return max(MISSED_BEATS * self.beat_s, self.ttl_s / 2)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A beat of another replica, and when it was first seen, in seconds of our clock."""

    beat: int
    at: float


class Membership:
    """This server as a replica. All methods must be called on the event loop."""

    def __init__(
        self,
        store: ReplicaStore,
        clock: Clock,
        *,
        name: str,
        times: ReplicaTimes = ReplicaTimes(),
        replaces_name: bool = False,
        wall_clock: Clock = time.time,
    ) -> None:
        """Prepare a membership, which begins with ``join``.

        Args:
            store: the rows of all replicas.
            clock: a monotonic clock, in seconds.
            name: the name of this replica, for people.
            times: the same for all replicas.
            replaces_name: the name is unique: another replica of it is an earlier process.
            wall_clock: seconds since 1970, compared with the clock of the database for people.
        """
        self.name: Final = name
        self._store = store
        self._clock = clock
        self._times = times
        self._replaces_name = replaces_name
        self._id: str | None = None
        self._replicas: Sequence[Replica] = ()
        self._looked_at: float | None = None
        self._seen: dict[str, _Seen] = {}
        self._failures: Counter[str] = Counter()
        """How often each dead replica could not be removed."""
        self._at_join: list[Callable[[str], None]] = []
        self._at_fence: list[Callable[[], None]] = []
        self._at_removal: list[Callable[[], None]] = []
        self._beat_is_due = asyncio.Event()
        self._has_left = False
        self._wall_clock = wall_clock
        self._clock_looks: deque[tuple[float, float]] = deque(maxlen=CLOCK_LOOKS)
        """Duration of a beat and what our clock is ahead of the database's, in seconds."""
        self.fenced_count = 0
        """How often the others have removed this replica."""
        self.make_report: Callable[[], str] | None = None
        """Returns what the others are to know about this server; must be cheap."""

    # ---- for others --------------------------------------------------------------------------

    @property
    def replica_id(self) -> str:
        """The current id of this replica. Raises ``Fenced`` while it has none."""
        if self._id is None:
            raise Fenced
        return self._id

    @property
    def is_joined(self) -> bool:
        """Whether this replica may write, as far as it knows."""
        return self._id is not None

    @property
    def replicas(self) -> Sequence[Replica]:
        """All replicas at the last look, the oldest first."""
        return self._replicas

    @property
    def is_leader(self) -> bool:
        """Whether this replica does what one of them has to do: it is the oldest.

        Two may be so for a moment: such work must bear being done twice.
        """
        is_blind = self._looked_at is None or self._clock() - self._looked_at > self._times.ttl_s
        return not is_blind and bool(self._replicas) and self._replicas[0].id == self._id

    @property
    def clock_ahead_s(self) -> float | None:
        """Seconds by which this server's clock is ahead of the database's; None if unknown."""
        return min(self._clock_looks)[1] if self._clock_looks else None

    def silence_s(self, replica: Replica) -> float:
        """Return for how many seconds a replica, this one included, has sent no beat."""
        seen = self._seen.get(replica.id)
        since = seen.at if seen is not None else self._looked_at
        return 0.0 if since is None else max(0.0, self._clock() - since)

    async def wait_for_leader(self) -> bool:
        """Wait until the leader has shown that it runs; return whether it is this replica.

        The oldest row may be one that a killed process has left. ``beat_until_cancelled`` runs.
        """
        seen: dict[str, int] = {}
        until = self._clock() + LEADER_TTLS * self._times.ttl_s
        while not self.is_leader and self._clock() < until:
            if self._replicas:
                oldest = self._replicas[0]
                if seen.setdefault(oldest.id, oldest.beat) != oldest.beat:
                    return False
            await asyncio.sleep(self._times.beat_s / 2)
        return self.is_leader

    def call_when_joined(self, work: Callable[[str], None]) -> None:
        """Call ``work`` with the id of this replica each time that it has a new one."""
        self._at_join.append(work)

    def call_when_fenced(self, work: Callable[[], None]) -> None:
        """Call ``work`` when the others have removed this replica, before it joins again."""
        self._at_fence.append(work)

    def call_after_removal(self, work: Callable[[], None]) -> None:
        """Call ``work`` when this replica has removed another one."""
        self._at_removal.append(work)

    def fence(self) -> None:
        """Take note that the others have removed this replica, as a refused commit says."""
        if self._id is None:
            return
        _log.error("replica_fenced", replica=self.name, id=self._id)
        self.fenced_count += 1
        self._id = None
        self._forget_seen()
        _call_all(self._at_fence)
        self._beat_is_due.set()

    # ---- its life ----------------------------------------------------------------------------

    async def join(self) -> None:
        """Become a replica, under a new id. Raises ``StoreError``."""
        is_first = not self.fenced_count
        new_id = secrets.token_urlsafe(12)
        self._replicas = await self._store.add_replica(new_id, self.name, __version__)
        self._forget_seen()
        self._id = new_id
        self._looked_at = self._clock()
        _call_all(self._at_join, new_id)
        _log.info("replica_joined", replica=self.name, id=new_id, replicas=len(self._replicas))
        if any(one.name == self.name and one.id != new_id for one in self._replicas):
            await self._remove_earlier(new_id, is_first=is_first)

    async def beat_until_cancelled(self) -> None:
        """Beat, look at the others, and join again after a removal, until cancelled."""
        while True:
            began_at = self._clock()
            try:
                await self._beat_once()
            except StoreError as error:
                _log.warning("replica_beat_failed", replica=self.name, exc_info=error)
            except Exception:  # the others would remove a server that no longer beats
                _log.exception("replica_beat_failed", replica=self.name)
            rest_s = began_at + self._times.beat_s - self._clock()
            try:
                async with asyncio.timeout(max(0.0, rest_s)):
                    await self._beat_is_due.wait()
            except TimeoutError:
                pass

    async def leave(self) -> None:
        """End the membership; its answers have ended. Others remove the row if this fails."""
        self._has_left = True
        replica_id, self._id = self._id, None
        if replica_id is not None:
            try:
                await self._store.remove_replica(replica_id)
            except StoreError as error:
                _log.warning("replica_not_left", replica=self.name, exc_info=error)
        await self._store.aclose()

    async def remove_ended(self, replica_id: str) -> None:
        """Remove a replica whose process has ended, as its supervisor says: at once.

        It is named by its id, as a new process of the same name may have joined by now.
        """
        if self._id is None or self._id == replica_id:
            return
        name = next((one.name for one in self._replicas if one.id == replica_id), "")
        try:
            is_removed = await self._store.remove_replica(replica_id)
        except StoreError as error:  # it is removed after its time to live
            _log.warning("replica_not_removed", replica=name, exc_info=error)
            return
        if is_removed:
            _log.warning("replica_removed", replica=name, id=replica_id)
            self._notify_removal()

    async def _beat_once(self) -> None:
        self._beat_is_due.clear()
        if self._has_left:
            return
        if self._id is None:
            await self.join()
            return
        replica_id = self._id
        report = self.make_report() if self.make_report is not None else None
        sent_at, sent_wall = self._clock(), self._wall_clock()
        replicas = await self._store.beat(replica_id, report)
        if replicas:
            took_s = self._clock() - sent_at
            theirs = replicas[0].started_at + replicas[0].age_s
            self._clock_looks.append((took_s, sent_wall + took_s / 2 - theirs))
        if self._id != replica_id:  # fenced or left in the meantime
            return
        if replicas is None:
            self.fence()
            await self.join()
            return
        self._replicas = replicas
        await self._judge_others()

    async def _judge_others(self) -> None:
        """Remove the replicas whose beat has not changed for ``ttl_s``."""
        now = self._clock()
        if self._looked_at is None or now - self._looked_at > self._times.blind_s:
            self._seen.clear()
        self._looked_at = now
        self._seen = {
            one.id: self._seen_of(one, now) for one in self._replicas if one.id != self._id
        }
        dead = [
            one
            for one in self._replicas
            if one.id in self._seen and now - self._seen[one.id].at >= self._times.ttl_s
        ]
        self._failures = Counter({one.id: self._failures[one.id] for one in dead})
        # one that can't be removed takes time, in which this one does not beat: the others are
        # tried before it, at the next beats
        for one in sorted(dead, key=lambda one: self._failures[one.id]):
            if not await self._remove(one):
                self._failures[one.id] += 1
                break

    def _seen_of(self, replica: Replica, now: float) -> _Seen:
        seen = self._seen.get(replica.id)
        return seen if seen is not None and seen.beat == replica.beat else _Seen(replica.beat, now)

    async def _remove(self, replica: Replica) -> bool:
        """Remove another replica, unless it has shown itself or was removed by another one.

        Returns False if the store has failed to.
        """
        try:
            is_removed = await self._store.remove_replica(replica.id, beat=replica.beat)
        except StoreError as error:  # a frozen process may hold a lock for some seconds
            _log.warning("replica_not_removed", replica=replica.name, exc_info=error)
            return False
        if is_removed:
            _log.warning("replica_removed", replica=replica.name, id=replica.id)
            self._notify_removal()
        return True

    async def _remove_earlier(self, new_id: str, *, is_first: bool) -> None:
        """Remove what an earlier process of this name has left, or log that there are two."""
        if not (is_first and self._replaces_name):
            _log.warning("replica_name_taken", replica=self.name)
            return
        try:
            removed = await self._store.remove_named(self.name, but=new_id)
        except StoreError as error:
            _log.warning("replica_not_removed", replica=self.name, exc_info=error)
            return
        if removed:
            self._replicas = [one for one in self._replicas if one.id not in removed]
            _log.warning("replica_replaced", replica=self.name, ids=removed)
            self._notify_removal()

    def _notify_removal(self) -> None:
        _call_all(self._at_removal)

    def _forget_seen(self) -> None:
        self._seen.clear()
        self._looked_at = None


def _call_all(works: Sequence[Callable[P, None]], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call each of ``works``; the failure of one must not keep the others from being called."""
    for work in works:
        try:
            work(*args, **kwargs)
        except Exception:
            _log.exception("replica_callback_failed")
