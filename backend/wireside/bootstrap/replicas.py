"""Builds the membership among several servers on one database, and what a removal ends."""

from __future__ import annotations

import time

from wireside.api.middleware.open_sockets import OpenSockets
from wireside.bootstrap.storage import database_url
from wireside.chat.core import ChatCore
from wireside.generation.commits import GroupCommit
from wireside.generation.runner import Runner
from wireside.replicas.membership import Membership, ReplicaTimes
from wireside.settings.model import Settings
from wireside.store.replicas import SqlReplicas
from wireside_ui.application_pages import ApplicationPages


def build_membership(settings: Settings) -> Membership | None:
    """Return the membership among the replicas; None if one server uses the database."""
    if not settings.replicas:
        return None
    beat_s, ttl_s = settings.replica_beat_s, settings.replica_ttl_s
    store = SqlReplicas(
        database_url(settings), statement_s=ttl_s / 2, lock_s=beat_s / 2, frozen_s=ttl_s
    )
    return Membership(
        store,
        time.monotonic,
        name=settings.effective_replica_name,
        times=ReplicaTimes(beat_s, ttl_s),
        replaces_name=bool(settings.replica_name),
    )


def end_when_fenced(
    membership: Membership,
    *,
    saving: GroupCommit,
    runner: Runner,
    core: ChatCore,
    sockets: OpenSockets,
    pages: ApplicationPages,
) -> None:
    """End all that shows answers of this server when the other replicas have removed it.

    Connections are closed first, so that no client is sent the end of an answer that is shorter
    than the stored one: clients resume from the store.
    """

    def end_all() -> None:
        sockets.close_all()
        saving.abandon_writes()
        runner.abandon_stored()
        core.conversations.forget_stored()
        pages.close()

    membership.call_when_fenced(end_all)
