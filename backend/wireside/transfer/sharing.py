"""Share links: read-only snapshots of a conversation's shown turns at one point in time."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

from wireside.chat.conversation import Conversation
from wireside.chat.library import Library
from wireside.errors import Forbidden, NotFound, TooLarge, TooMany
from wireside.generation.runner import new_stream_name
from wireside.identity import Caller
from wireside.messages import Options
from wireside.offload import run_in_worker
from wireside.ports.accounts import AccountStore
from wireside.ports.audit import AuditRecorder, NullAuditRecorder
from wireside.ports.clock import Clock
from wireside.records import Branch, Share, TurnRecord
from wireside.tokens import hash_secret, new_record_id, new_secret
from wireside.transfer.export import HtmlExport, JsonExport
from wireside.transfer.imports import read_conversations

MAX_SHARES = 1000

MAX_SNAPSHOT_CHARS = 10_000_000
"""Maximum size of a snapshot: the link's holder can have it rendered any number of times."""

TOO_LONG = "This conversation is too long to be shared by a link; export it as a file."

LinkAudience = Literal["off", "users", "public"]
"""Audience of share links: none, signed-in users, or the public."""


class Sharing:
    """Creates, renders and revokes share links.

    A snapshot contains no later turns, no system prompts and no other branches.
    """

    def __init__(
        self,
        store: AccountStore,
        render: Callable[[str], str],
        wall_clock: Clock,
        *,
        audience: LinkAudience,
        witness: AuditRecorder | None = None,
        max_snapshot_chars: int = MAX_SNAPSHOT_CHARS,
    ) -> None:
        """``render`` turns an answer's Markdown into safe HTML, as ``HtmlExport`` expects."""
        self._store = store
        self._render = render
        self._now = wall_clock
        self._max_snapshot_chars = max_snapshot_chars
        self._record = (witness or NullAuditRecorder()).record
        self.audience: Final = audience
        self.is_on: Final = audience != "off"

    async def share_conversation(
        self, library: Library, conversation: Conversation
    ) -> tuple[Share, str]:
        """Store a snapshot of the shown turns; returns it and the secret of its link.

        Raises ``Forbidden`` if sharing is off, ``TooLarge`` or ``TooMany``.
        """
        caller = library.caller
        caller.require("chat")
        if not self.is_on:
            raise Forbidden("Sharing is off on this server (WIRESIDE_SHARING).")
        if len(await self._store.list_shares(caller.user_id)) >= MAX_SHARES:
            raise TooMany(f"You share {MAX_SHARES} conversations already; end some first.")
        secret = new_secret()
        snapshot = await self._render_snapshot(library, conversation)
        share = Share(
            id=new_record_id(),
            token=hash_secret(secret),
            owner=caller.user_id,
            conversation_id=conversation.id,
            title=conversation.title,
            created_at=self._now(),
            content=snapshot,
        )
        await self._store.add_share(share)
        self._record(caller, "shared", f"{share.id} of {conversation.id}")
        return share, secret

    async def page_of_secret(self, secret: str) -> str:
        """Return a snapshot as one HTML page. Raises ``NotFound``."""
        share = await self._store.find_share(hash_secret(secret)) if self.is_on else None
        if share is None or not hmac.compare_digest(share.token, hash_secret(secret)):
            raise NotFound("There is no such page, or it is no longer shared.")
        return await run_in_worker(self._page_of_share, share)

    def _page_of_share(self, share: Share) -> str:
        (taken,) = read_conversations(
            share.content.encode(), new_id=new_stream_name, now=self._now()
        ).conversations
        exporter = HtmlExport(self._render)
        pieces = [exporter.text_before_turns(taken.info, taken.branches)]
        pieces += [exporter.text_of_turn(turn) for turn in taken.turns]
        return "".join([*pieces, exporter.text_after_turns()])

    async def list_shares(
        self, caller: Caller, conversation_id: str | None = None
    ) -> Sequence[Share]:
        """Return the caller's shares, newest first, without their content."""
        caller.require("read")
        return await self._store.list_shares(caller.user_id, conversation_id)

    async def revoke_share(self, caller: Caller, share_id: str) -> None:
        """Revoke a link. Raises ``NotFound``."""
        caller.require("chat")
        if not await self._store.remove_share(caller.user_id, share_id):
            raise NotFound("There is no such link.")
        self._record(caller, "share_ended", share_id)

    async def _render_snapshot(self, library: Library, conversation: Conversation) -> str:
        turns = [
            turn async for turn in _as_single_branch(library.iterate_turns(conversation, "shown"))
        ]
        exporter = JsonExport()
        info = replace(conversation.info, tags=(), pinned_at=None, archived_at=None)
        pieces = [exporter.begin_file()]
        pieces.append(
            exporter.text_before_turns(
                info, (Branch(id=0, parent=None, first=0, last=len(turns) - 1),), 0
            )
        )
        pieces += [exporter.text_of_turn(turn) for turn in turns]
        if sum(map(len, pieces)) > self._max_snapshot_chars:
            raise TooLarge(TOO_LONG)
        return "".join([*pieces, exporter.text_after_turns(), exporter.finish_file()])


async def _as_single_branch(turns: AsyncIterator[TurnRecord]) -> AsyncIterator[TurnRecord]:
    """Renumber the turns as one branch, without options and feedback, which stay private."""
    depth = 0
    async for turn in turns:
        yield replace(turn, branch=0, depth=depth, options=Options(), feedback=None)
        depth += 1
