"""Connects a server with the others of its database: the bus, and what passes over it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

from wireside.auth.auth import Auth
from wireside.auth.shared_slots import SharedSlots
from wireside.chat.service import ChatService
from wireside.errors import StoreError
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner
from wireside.generation.tasks import Tasks
from wireside.replicas.bus import QueuedBus
from wireside.replicas.notify_bus import NotifyBus
from wireside.replicas.peers import Peers
from wireside.replicas.redis_bus import RedisBus
from wireside.settings.model import Settings
from wireside.store.store import SqlStore


def build_peers(
    settings: Settings, *, store: SqlStore, runner: Runner, saving: GroupCommit, tasks: Tasks
) -> Peers | None:
    """Return what connects this server with others; None if it has the database alone.

    Raises:
        NotConfigured: ``WIRESIDE_REDIS_URL`` can't be used.
    """
    if not settings.replicas:
        return None
    return Peers(
        _build_bus(settings, store),
        runner=runner,
        saving=saving,
        tasks=tasks,
        read_tails=store.read_tails,
        is_member=store.is_member,
    )


def connect_auth(peers: Peers, auth: Auth, service: ChatService) -> None:
    """Close connections at all servers when a session, an account or a key ends at one."""
    presence, exchange = auth.gate.presence, peers.exchange

    def announce(users: frozenset[str], credentials: frozenset[str]) -> None:
        exchange.post("ended", (sorted(users), sorted(credentials)))

    def end_here(_: str, value: Sequence[Sequence[str]]) -> None:
        users, credentials = value
        presence.end_here(frozenset(users), frozenset(credentials))

    presence.announce_endings = announce
    exchange.handle("ended", end_here)
    exchange.handle("removed", lambda _, user_id: service.library.forget_all_of(user_id))
    auth.gate.hears_revocations = lambda: peers.bus.is_up


def connect_chat(peers: Peers, service: ChatService) -> None:
    """Load conversations again that other servers have changed."""
    core = service.core

    async def refresh(conversation_ids: Collection[str] | None) -> None:
        with suppress(StoreError):  # a look for changes follows some seconds later
            if conversation_ids is None:
                core.conversations.note_folders(None)
                core.conversations.note_shared(None)
                core.conversations.note_comments(None)
                await core.look_for_changes()
            else:
                await core.refresh_conversations(conversation_ids)

    def note_answering(_: str, value: Sequence[Any]) -> None:
        owner, conversation_id, is_answering = value
        core.conversations.note_answering(owner, conversation_id, is_answering=is_answering)

    peers.refresh_changed = refresh
    peers.exchange.handle("answering", note_answering)
    peers.exchange.handle("folders", lambda _, owner: core.conversations.note_folders(owner))
    peers.exchange.handle("shared", lambda _, keys: core.conversations.note_shared(keys))
    peers.exchange.handle("comments", lambda _, name: core.conversations.note_comments(name))


def build_slots(peers: Peers, store: SqlStore, tasks: Tasks) -> SharedSlots:
    """Return what counts concurrent answers over all servers."""
    slots = SharedSlots(store.slot_counts, lambda: peers.exchange.own_id, tasks)
    peers.call_when_joined(slots.rewrite_all)
    return slots


def forget_removed(user_id: str, service: ChatService, peers: Peers | None) -> None:
    """Stop all answers of an account that was removed, at this server and at the others."""
    service.library.forget_all_of(user_id)
    if peers is not None:
        peers.exchange.post("removed", user_id)


def _build_bus(settings: Settings, store: SqlStore) -> QueuedBus:
    if settings.redis_url is None:
        return NotifyBus(store.connect_driver)
    return RedisBus(settings.redis_url.get_secret_value(), store.database_id)
