"""Links to snapshots, below the routes that use them."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import pytest

from wireside.chat.asking import NEW
from wireside.chat.service import ChatService
from wireside.errors import TooLarge
from wireside.messages import Options
from wireside.providers.scripted import ScriptedProvider
from wireside.store.store import SqlStore
from wireside.transfer.sharing import Sharing


async def asked(chat: ChatService, provider: ScriptedProvider, text: str) -> Any:
    conversation, turn = await chat.ask_in_conversation(NEW, "why?", key=None, options=Options())
    call = await provider.call(0)
    call.say(text)
    call.finish()
    while turn.is_live or not turn.segments:
        await asyncio.sleep(0.001)
    return conversation


async def test_others_are_served_while_a_page_is_made(
    chat: ChatService, provider: ScriptedProvider, store: SqlStore
) -> None:
    begun, served = threading.Event(), threading.Event()

    def render(text: str) -> str:
        begun.set()
        return f"{text} {served.wait(5)}"

    sharing = Sharing(store.accounts, render, lambda: 0.0, audience="public")
    conversation = await asked(chat, provider, "because")
    _, secret = await sharing.share_conversation(chat.library, conversation)
    page = asyncio.create_task(sharing.page_of_secret(secret))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    served.set()  # in time only if the event loop is not blocked
    assert "because True" in await page


async def test_a_snapshot_has_bounds(
    chat: ChatService, provider: ScriptedProvider, store: SqlStore
) -> None:
    sharing = Sharing(store.accounts, str, lambda: 0.0, audience="public", max_snapshot_chars=2_000)
    conversation = await asked(chat, provider, "x" * 3_000)
    with pytest.raises(TooLarge, match="export it"):
        await sharing.share_conversation(chat.library, conversation)
    assert await store.accounts.list_shares("") == []


async def test_a_snapshot_names_the_zone_of_its_times(
    chat: ChatService, provider: ScriptedProvider, store: SqlStore
) -> None:
    sharing = Sharing(store.accounts, str, lambda: 0.0, audience="public")
    _, secret = await sharing.share_conversation(
        chat.library, await asked(chat, provider, "because")
    )
    assert re.search(r"\d\d:\d\d \(UTC\)</time>", await sharing.page_of_secret(secret))
