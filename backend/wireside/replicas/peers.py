"""Connects a server with the others of its database: bus, feed, mirrors, unstored answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner, Stream
from wireside.generation.tasks import Tasks
from wireside.ports.clock import Clock
from wireside.records import Segment
from wireside.replicas.bus import QueuedBus
from wireside.replicas.exchange import Exchange
from wireside.replicas.feed import Feed
from wireside.replicas.mirrors import Mirrors, ReadTails
from wireside.replicas.unstored import IsMember, UnstoredAnswers

Refresh = Callable[[Collection[str] | None], Coroutine[Any, Any, None]]
"""Makes conversations what the store has; None: all that are open."""


class Peers:
    """The other servers of the database, as this one reaches them."""

    def __init__(
        self,
        bus: QueuedBus,
        *,
        runner: Runner,
        saving: GroupCommit,
        tasks: Tasks,
        read_tails: ReadTails,
        is_member: IsMember,
        clock: Clock = time.monotonic,
    ) -> None:
        """Connect the parts; ``start`` connects the bus.

        Args:
            bus: the bus, which has not been started.
            runner: the answers of this server.
            saving: their group commit, whose commits are sent to the servers that follow them.
            tasks: the owner of the tasks.
            read_tails: see ``Store.read_tails``.
            is_member: returns whether the server of an id belongs to the database's servers.
            clock: the time in seconds, monotonic.
        """
        self.bus = bus
        self.exchange = Exchange(bus)
        self.feed = Feed(
            self.exchange, lambda name: runner.stream_in_memory(name) is not None, clock
        )
        self.mirrors = Mirrors(self.exchange, runner, read_tails, clock)
        self.unstored = UnstoredAnswers(self.exchange, runner, tasks, is_member, clock)
        self._runner = runner
        self._tasks = tasks
        self.refresh_changed: Refresh | None = None
        """Called with the ids of conversations that other servers have changed; with None when
        announcements were missed."""
        self._changed: set[str] = set()
        self._is_refreshing = False
        self._works_when_joined: list[Callable[[], None]] = []
        self.exchange.handle("changed", self._receive_changed)
        bus.call_when_up(self._refresh_all)
        saving.on_committed = self.feed.send_committed

    def join(self, own_id: str) -> None:
        """Send and receive under the id of this server's row; called again under each new id."""
        self.exchange.join(own_id)
        self._runner.name_prefix = f"{own_id}."
        for work in self._works_when_joined:
            work()

    def call_when_joined(self, work: Callable[[], None]) -> None:
        """Call ``work`` each time this server has a new id."""
        self._works_when_joined.append(work)

    def start(self) -> None:
        """Connect to the bus and follow answers, until the owner of the tasks is closed."""
        self._tasks.create_task(self.bus.run_until_cancelled(), name="bus")
        self._tasks.create_task(self.mirrors.run_until_cancelled(), name="mirrors")

    # ---- conversations -------------------------------------------------------------------------

    def announce_changes(self, conversation_ids: Collection[str]) -> None:
        """Announce that the store has newer versions of conversations."""
        if conversation_ids:
            self.exchange.post("changed", list(conversation_ids))

    def announce_folders(self, owner: str) -> None:
        """Announce that the folders of an owner have changed."""
        self.exchange.post("folders", owner)

    def announce_shared(self, keys: Collection[str]) -> None:
        """Announce that what is shared has changed in the lists of these keys."""
        if keys:
            self.exchange.post("shared", sorted(keys))

    def announce_comments(self, conversation_id: str) -> None:
        """Announce that the comments of a conversation have changed."""
        self.exchange.post("comments", conversation_id)

    def announce_answering(self, owner: str, conversation_id: str, *, is_answering: bool) -> None:
        """Announce whether an answer of a conversation is running at this server."""
        self.exchange.post("answering", (owner, conversation_id, is_answering))

    def announce_stop(self, stream: str) -> None:
        """Announce to the server that writes an answer that its stop was requested."""
        self.mirrors.post_stop(stream)

    def follow_answer(self, segment: Segment, owner: str) -> Stream:
        """Return the stream of a running answer that another server writes."""
        return self.mirrors.follow(segment, owner)

    async def find_answer(self, name: str, owner: str) -> Stream:
        """Return an answer outside of conversations; see ``UnstoredAnswers.find_stream``."""
        return await self.unstored.find_stream(name, owner)

    def _receive_changed(self, _: str, conversation_ids: Collection[str]) -> None:
        self._changed.update(conversation_ids)
        if not self._is_refreshing and self.refresh_changed is not None:
            self._is_refreshing = True
            self._tasks.create_task(self._refresh(self.refresh_changed), name="refresh")

    def _refresh_all(self) -> None:
        if self.refresh_changed is not None:
            self._tasks.create_task(self.refresh_changed(None), name="refresh all")

    async def _refresh(self, refresh_changed: Refresh) -> None:
        try:
            while self._changed:
                changed, self._changed = self._changed, set()
                await refresh_changed(changed)
        finally:
            self._is_refreshing = False
