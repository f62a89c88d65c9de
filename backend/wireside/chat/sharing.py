"""Links to snapshots: what a conversation showed at one moment, for others to read."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

from wireside.aside import aside
from wireside.chat.conversation import Conversation
from wireside.chat.export import HtmlExport, JsonExport
from wireside.chat.importing import read
from wireside.chat.library import Library
from wireside.errors import Forbidden, NotFound, TooLarge, TooMany
from wireside.generation.runner import new_name
from wireside.identity import Caller
from wireside.messages import Options
from wireside.ports import AccountStore, Blind, Clock, Witness
from wireside.records import Branch, Share, TurnRecord
from wireside.secret_words import digest, new_id, new_secret

MAX_SHARES = 1000

MAX_SNAPSHOT_CHARS = 10_000_000
"""Whoever has the link may have it made into a page, again and again."""

TOO_LONG = "This conversation is too long to be shared by a link; export it as a file."

Audience = Literal["off", "users", "public"]
"""Who may open the links: nobody, whoever is signed in, everybody."""


class Sharing:
    """Makes, shows and revokes links. What was said later, system prompts and other branches are in
    no snapshot.
    """

    def __init__(
        self,
        store: AccountStore,
        render: Callable[[str], str],
        wall_clock: Clock,
        *,
        audience: Audience,
        witness: Witness | None = None,
    ) -> None:
        """``render`` makes safe HTML of an answer's Markdown, as ``HtmlExport`` wants it."""
        self._store = store
        self._render = render
        self._now = wall_clock
        self._saw = (witness or Blind()).saw
        self.audience: Final = audience
        self.is_on: Final = audience != "off"

    async def share(self, library: Library, conversation: Conversation) -> tuple[Share, str]:
        """Take a snapshot of what is shown; returns it, and the secret of its link.

        Raises ``Forbidden`` where sharing is off, ``TooLarge``, ``TooMany``.
        """
        caller = library.caller
        caller.require("chat")
        if not self.is_on:
            raise Forbidden("Sharing is off on this server (WIRESIDE_SHARING).")
        if len(await self._store.shares(caller.user_id)) >= MAX_SHARES:
            raise TooMany(f"You share {MAX_SHARES} conversations already; end some first.")
        secret = new_secret()
        snapshot = await self._snapshot(library, conversation)
        share = Share(
            new_id(),
            digest(secret),
            caller.user_id,
            conversation.id,
            conversation.title,
            self._now(),
            snapshot,
        )
        await self._store.add_share(share)
        self._saw(caller, "shared", f"{share.id} of {conversation.id}")
        return share, secret

    async def page(self, secret: str) -> str:
        """Return a snapshot as one HTML page. Raises ``NotFound``."""
        share = await self._store.share(digest(secret)) if self.is_on else None
        if share is None or not hmac.compare_digest(share.token, digest(secret)):
            raise NotFound("There is no such page, or it is shared no more.")
        return await aside(self._page_of, share)

    def _page_of(self, share: Share) -> str:
        (taken,) = read(share.content.encode(), new_id=new_name, now=self._now()).conversations
        exporter = HtmlExport(self._render)
        pieces = [exporter.begin(taken.info, taken.branches)]
        pieces += [exporter.turn(turn) for turn in taken.turns]
        return "".join([*pieces, exporter.end()])

    async def of(self, caller: Caller, conversation_id: str | None = None) -> Sequence[Share]:
        """Return what the caller shares, the newest first, without the content."""
        caller.require("read")
        return await self._store.shares(caller.user_id, conversation_id)

    async def revoke(self, caller: Caller, share_id: str) -> None:
        """End a link. Raises ``NotFound``."""
        caller.require("chat")
        if not await self._store.remove_share(caller.user_id, share_id):
            raise NotFound("There is no such link.")
        self._saw(caller, "share_ended", share_id)

    async def _snapshot(self, library: Library, conversation: Conversation) -> str:
        turns = [turn async for turn in _alone(library.walk(conversation, "shown"))]
        exporter = JsonExport()
        info = replace(conversation.info, tags=(), pinned_at=None, archived_at=None)
        pieces = [exporter.opening()]
        pieces.append(exporter.begin(info, (Branch(0, None, 0, len(turns) - 1),), 0))
        pieces += [exporter.turn(turn) for turn in turns]
        if sum(map(len, pieces)) > MAX_SNAPSHOT_CHARS:
            raise TooLarge(TOO_LONG)
        return "".join([*pieces, exporter.end(), exporter.closing()])


async def _alone(turns: AsyncIterator[TurnRecord]) -> AsyncIterator[TurnRecord]:
    """Go through the turns as if there were no others, without what is not for everybody."""
    depth = 0
    async for turn in turns:
        yield replace(turn, branch=0, depth=depth, options=Options(), feedback=None)
        depth += 1
