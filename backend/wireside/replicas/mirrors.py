"""The follower's side of an answer that another server writes: a stream filled from outside.

The owner sends what it has committed (``Feed``). Offsets show what is missing, and that is read
from the database; so is all that is new of an answer that was silent for ``SILENCE_S``. A lost
message, a bus that is away or a dead owner therefore cost time only, never text.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import structlog

from wireside.errors import InternalError, StoreError
from wireside.generation.runner import Runner, Stream
from wireside.messages import End, Entry, ReasoningDelta, TextDelta
from wireside.ports.clock import Clock
from wireside.records import Segment, StoredTail
from wireside.replicas.exchange import Exchange
from wireside.replicas.feed import FOLLOW_S
from wireside.replicas.wire import decode_end, decode_entries

_log = structlog.get_logger(__name__)

SILENCE_S = 1.0
"""Seconds without news of an answer after which the database is read."""

LOOK_S = 0.25
"""Pause between two checks for silent answers, in seconds."""

NAMES_PER_MESSAGE = 500
"""Number of answers in one message that says what is followed."""

ReadTails = Callable[[Mapping[str, int]], Awaitable[Mapping[str, StoredTail]]]
"""Returns what the store has of answers after an offset; see ``Store.read_tails``."""


class Mirror(Stream):
    """An answer that another server writes. Readers see a ``Stream`` like any other."""

    def __init__(
        self,
        name: str,
        model: str,
        *,
        owner: str,
        sanitize: bool,
        server: str | None,
        is_kept: bool,
    ) -> None:
        """Create an empty mirror.

        Args:
            name: the name of the stream.
            model: the model that answers.
            owner: id of the account that owns the answer.
            sanitize: see ``Stream``.
            server: id of the server that writes the answer; None if it is gone.
            is_kept: whether the answer belongs to a conversation in the store.
        """
        super().__init__(name, model, owner=owner, sanitize=sanitize)
        self.server = server
        self.heard_at = -math.inf
        """When there was news last, in seconds of the clock of ``Mirrors``."""
        self._is_kept = is_kept

    @property
    def is_stored(self) -> bool:
        """See ``Stream``."""
        return self._is_kept

    def add_entries(self, offset: int, entries: Iterable[Entry], end: End | None) -> bool:
        """Add what follows ``offset``, without what is known; returns False if there is a gap."""
        log = self.log
        if log.closed is not None:
            return True
        if offset > log.written:
            return False
        has_news = False
        for entry in entries:
            if isinstance(entry, TextDelta | ReasoningDelta):
                length = len(entry.text)
                known = log.written - offset
                if known > 0:
                    entry = type(entry)(entry.text[known:])  # empty text is ignored
            else:
                length = 1
            if offset + length > log.written:
                log.append_entry(entry)
                has_news = True
            offset += length
        if end is not None and offset >= log.written:
            self._close_log(end)
        elif has_news:
            self._wake_readers()
        return True


class Mirrors:
    """The answers of other servers that are read here; kept as long as something holds them."""

    def __init__(
        self, exchange: Exchange, runner: Runner, read_tails: ReadTails, clock: Clock
    ) -> None:
        self._exchange = exchange
        self._runner = runner
        self._read_tails = read_tails
        self._clock = clock
        self._mirrors: WeakValueDictionary[str, Mirror] = WeakValueDictionary()
        self._missing: set[str] = set()
        self._has_missing = asyncio.Event()
        self._followed_at = -math.inf
        self.gaps = 0
        """Number of times that a message showed that an earlier one was lost."""
        self.looks = 0
        """Number of queries for answers that were silent or had a gap."""
        exchange.handle("pieces", self._receive_pieces)
        exchange.handle("stop", self._receive_stop)
        exchange.bus.call_when_up(self._catch_up)

    @property
    def live_count(self) -> int:
        """Number of followed answers."""
        return sum(mirror.is_live for mirror in self._mirrors.values())

    def mirror_in_memory(self, name: str) -> Mirror | None:
        """Return the mirror of that name, None if nothing holds one."""
        return self._mirrors.get(name)

    def follow(self, segment: Segment, owner: str) -> Mirror:
        """Return the mirror of an answer that runs elsewhere, as far as ``segment`` has it."""
        mirror = self._mirrors.get(segment.stream)
        if mirror is None:
            mirror = Mirror(
                segment.stream,
                segment.model,
                owner=owner,
                sanitize=segment.sanitize,
                server=segment.replica,
                is_kept=True,
            )
            mirror.created_at = segment.created_at
            self._mirrors[mirror.name] = mirror
            if mirror.server is not None:
                self._exchange.post("follow", [mirror.name], to=mirror.server)
            self._look_for(mirror.name)  # what was committed since ``segment`` was read
        mirror.add_entries(0, segment.entries, segment.end)
        return mirror

    def post_stop(self, name: str) -> None:
        """Ask the server that writes a followed answer to stop it."""
        mirror = self._mirrors.get(name)
        if mirror is not None and mirror.server is not None:
            self._exchange.post("stop", (name, mirror.owner), to=mirror.server)

    async def run_until_cancelled(self) -> None:
        """Say what is followed, and read what is missing or silent, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._has_missing.wait()
            except TimeoutError:
                pass
            self._has_missing.clear()
            if not self._mirrors:
                continue
            now = self._clock()
            if now - self._followed_at >= FOLLOW_S:
                self._post_followed()
            try:
                await self._read_missing(now)
            except StoreError:  # the store reports its failures itself
                await asyncio.sleep(LOOK_S)
            except Exception:  # without this task, followed answers would never end
                _log.exception("answers_not_followed")
                await asyncio.sleep(LOOK_S)

    # ---- internals -----------------------------------------------------------------------------

    def _receive_pieces(self, server: str, some: Sequence[Any]) -> None:
        now = self._clock()
        for name, offset, entries, end in some:
            mirror = self._mirrors.get(name)
            if mirror is None:
                continue
            mirror.heard_at = now
            if not mirror.add_entries(offset, decode_entries(entries), decode_end(end)):
                self.gaps += 1
                self._look_for(name)

    def _receive_stop(self, server: str, value: Sequence[str]) -> None:
        name, owner = value
        stream = self._runner.stream_in_memory(name)
        if stream is not None and stream.owner == owner and not stream.is_elsewhere:
            stream.stop_answer()

    def _look_for(self, name: str) -> None:
        self._missing.add(name)
        self._has_missing.set()

    def _catch_up(self) -> None:
        """Follow again, and read at once what was missed while the bus was away."""
        self._post_followed()
        self._missing.update(self._mirrors.keys())
        self._has_missing.set()

    def _post_followed(self) -> None:
        self._followed_at = self._clock()
        names: dict[str, list[str]] = {}
        for mirror in self._mirrors.values():
            if mirror.is_live and mirror.server is not None:
                names.setdefault(mirror.server, []).append(mirror.name)
        for server, followed in names.items():
            for at in range(0, len(followed), NAMES_PER_MESSAGE):
                self._exchange.post("follow", followed[at : at + NAMES_PER_MESSAGE], to=server)

    async def _read_missing(self, now: float) -> None:
        missing, self._missing = self._missing, set()
        wanted = {
            mirror.name: mirror
            for mirror in self._mirrors.values()
            if mirror.is_live and (mirror.name in missing or now - mirror.heard_at >= SILENCE_S)
        }
        if not wanted:
            return
        self.looks += 1
        try:
            await self._read_mirrors(wanted, now)
        except StoreError:
            self._missing |= missing
            raise

    async def _read_mirrors(self, wanted: Mapping[str, Mirror], now: float) -> None:
        """Read what is new of answers; one that can't be read ends, and leaves the others alone."""
        offsets = {name: mirror.log.written for name, mirror in wanted.items()}
        try:
            found = await self._read_tails(offsets)
        except StoreError:
            raise
        except Exception as error:  # a fault of ours, such as a piece that can't be decoded
            for name, mirror in wanted.items():
                if len(wanted) > 1:
                    await self._read_mirrors({name: mirror}, now)
                else:
                    _log.error("answer_not_readable", stream=name, exc_info=error)
                    mirror.add_entries(mirror.log.written, (), End(None, InternalError()))
            return
        for name, mirror in wanted.items():
            mirror.heard_at = now
            tail = found.get(name)
            if tail is None:  # its conversation was purged
                mirror.add_entries(mirror.log.written, (), End("interrupted"))
            else:
                mirror.server = tail.replica
                mirror.add_entries(offsets[name], tail.entries, tail.end)
