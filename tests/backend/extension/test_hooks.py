"""Hooks of a chat: the texts of a start, and feedback."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.backend.extension.test_handlers import ask, serving
from wireside.errors import NotFound
from wireside.extension import hooks
from wireside.extension.chat import Chat
from wireside.extension.hooks import FeedbackEvent, Start
from wireside.extension.turn import Turn, User
from wireside.identity import Caller
from wireside.records import Feedback

ADA = Caller(user_id="1", name="Ada", role="user", groups=frozenset({"staff"}), host_id="ada@host")


def echo() -> Chat:
    chat = Chat()

    @chat.on_message
    def answer(turn: Turn) -> str:
        return turn.text

    return chat


@pytest.mark.parametrize("is_async", [True, False])
async def test_feedback_reaches_the_hook(is_async: bool, tmp_path: Path) -> None:
    chat = echo()
    events: list[FeedbackEvent] = []
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    def note(event: FeedbackEvent) -> None:
        events.append(event)
        loop.call_soon_threadsafe(arrived.set)

    async def note_async(event: FeedbackEvent) -> None:
        note(event)

    chat.on_feedback(note_async if is_async else note)
    async with serving(chat, tmp_path) as service:
        ada = service.for_caller(ADA)
        conversation, turn = await ask(ada, "q")
        for given in (Feedback("down", "too long"), None):
            await ada.give_feedback(conversation, turn.id, given)
            await arrived.wait()
            arrived.clear()
            assert events[-1] == FeedbackEvent(
                user=User(id="ada@host", name="Ada", groups=("staff",)),
                conversation=conversation.id,
                turn=turn.id,
                value=given.verdict if given else None,
                text=given.words if given else "",
            )
        with pytest.raises(NotFound):
            await ada.give_feedback(conversation, "other", None)
    assert len(events) == 2


async def test_a_failing_feedback_hook_loses_no_feedback(tmp_path: Path) -> None:
    chat = echo()

    @chat.on_feedback
    def fail(event: FeedbackEvent) -> None:
        raise RuntimeError("no tracker")

    with structlog.testing.capture_logs() as logs:
        async with serving(chat, tmp_path) as service:
            conversation, turn = await ask(service, "q")
            await service.give_feedback(conversation, turn.id, Feedback("up"))
            while not any(entry["event"] == "feedback_hook_failed" for entry in logs):
                await asyncio.sleep(0.01)
            found = await service.library.read_turn(conversation, turn.id)
            assert found.feedback == Feedback("up")


@pytest.mark.parametrize(
    ("returned", "texts"),
    [
        (None, Start()),
        ("Hello", Start(welcome="Hello")),
        (["a", "b"], Start(starters=["a", "b"])),
        (Start("Hi", ["c"]), Start("Hi", ["c"])),
    ],
)
async def test_a_start_has_texts_for_the_user(returned: Any, texts: Start, tmp_path: Path) -> None:
    chat = echo()
    users: list[tuple[User, bool]] = []

    @chat.on_start
    def start(user: User) -> Any:
        users.append((user, threading.current_thread() is threading.main_thread()))
        return returned

    async with serving(chat, tmp_path) as service:
        assert await service.for_caller(ADA).read_start_texts() == texts
    assert users == [(User(id="ada@host", name="Ada", groups=("staff",)), False)]


async def test_a_start_that_fails_leaves_the_texts_of_the_chat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = echo()

    async def hang(user: User) -> None:
        await asyncio.Event().wait()

    async def fail(user: User) -> None:
        raise RuntimeError

    async with serving(chat, tmp_path) as service:
        assert await service.read_start_texts() is None
        for hook, event in (
            (hang, "start_hook_too_slow"),
            (fail, "start_hook_failed"),
            (lambda user: 7, "start_hook_failed"),
        ):
            chat.on_start(hook)
            # only the one that hangs must be too slow, on any machine
            monkeypatch.setattr(hooks, "START_S", 0.01 if hook is hang else 30.0)
            with structlog.testing.capture_logs() as logs:
                assert await service.read_start_texts() is None
            assert [entry["event"] for entry in logs] == [event]
