"""Pages without a browser: presenters whose views record the calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

import pytest

from wireside.chat.conversation import Conversation
from wireside.chat.service import ChatService
from wireside.messages import ModelInfo, Options
from wireside.providers.scripted import ScriptedProvider
from wireside_ui.markdown.dialect import Markup
from wireside_ui.presenters.chat import ChatPresenter
from wireside_ui.presenters.rows import Action
from wireside_ui.presenters.transcript import LIMITS
from wireside_ui.presenters.views import ChatViews, Sending

Call = tuple[Any, ...]
"""A call of a view: ("composer.accepted", arguments …), keyword arguments last as a dictionary."""


class RecordedView:
    """Implements every interface of ``presenters.views``."""

    def __init__(self, name: str, calls: list[Call]) -> None:
        self.name = name
        self.calls = calls

    def __getattr__(self, method: str) -> Callable[..., None]:
        def record(*args: Any, **kwargs: Any) -> None:
            self.calls.append((f"{self.name}.{method}", *args, *([kwargs] if kwargs else [])))

        return record


class Connection:
    """A browser that takes its messages when the test says so."""

    is_open = True
    queued = 0


class Screen:
    """One open page: its presenter, and the calls of its views."""

    def __init__(self, chat: ChatService, **options: Any) -> None:
        self.chat = chat
        self.calls: list[Call] = []
        self.connection = Connection()
        self.presenter = ChatPresenter(
            chat,
            markup=Markup(frozenset()),
            language="en",
            base="",
            connection=self.connection,
            **options,
        )
        self.presenter.connect(
            ChatViews(**{f.name: RecordedView(f.name, self.calls) for f in fields(ChatViews)})
        )

    async def load(self, conversation_id: str | None = None) -> Screen:
        await self.presenter.begin(await self.presenter.load(conversation_id), None)
        self.presenter.watch()
        return self

    @property
    def conversation(self) -> Conversation:
        conversation = self.presenter.transcript.conversation
        assert conversation is not None
        return conversation

    async def shown(self) -> list[Call]:
        """Update the page; return the calls since the last time, without repeated states."""
        assert await self.chat.saving.wait_until_all_stored(5)
        for _ in range(3):  # tasks that waited for the store continue
            await asyncio.sleep(0)
        await self.presenter.update()
        calls, self.calls[:] = list(self.calls), []
        return [call for call in calls if call != ("frame.show_saving", False)]

    async def changes(self, method: str) -> list[Call]:
        return [call[1:] for call in await self.shown() if call[0] == method]

    async def ask(
        self,
        question: str,
        turn_id: str,
        *,
        edits: str | None = None,
        is_temporary: bool = False,
        **options: Any,
    ) -> None:
        sending = Sending(
            turn_id=turn_id,
            question=question,
            options=Options(**options),
            edits=edits,
            is_temporary=is_temporary,
        )
        await self.presenter.send(sending)

    async def act(self, name: Any, turn_id: str, **fields: Any) -> None:
        await self.presenter.act(Action(name=name, row_id=turn_id, **fields))


NewScreen = Callable[..., Awaitable[Screen]]
Say = Callable[..., Awaitable[None]]
Begun = Callable[[int], Awaitable[Say]]


@pytest.fixture
def new_screen(chat: ChatService) -> NewScreen:
    """Open another page, on a conversation or a new one."""

    async def open_page(
        conversation: Conversation | None = None,
        *,
        models: tuple[ModelInfo, ...] = (),
        limits: Any = LIMITS,
        welcome: str = "",
    ) -> Screen:
        screen = Screen(chat, models=models, limits=limits, welcome=welcome)
        return await screen.load(conversation.id if conversation else None)

    return open_page


@pytest.fixture
async def screen(new_screen: NewScreen) -> Screen:
    return await new_screen()


@pytest.fixture
def begun(provider: ScriptedProvider) -> Begun:
    """Wait for ``count`` provider requests; return a function that extends the last answer."""

    async def wait(count: int) -> Say:
        call = await provider.call(count - 1)

        async def say(text: str, *, ends: bool = False) -> None:
            call.say(text)
            if ends:
                call.finish()
            for _ in range(20):
                await asyncio.sleep(0)

        return say

    return wait
