"""Hooks of a chat: functions that are called when an empty chat is opened, and on feedback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Literal

import structlog

from wireside.extension.turn import User

_log = structlog.get_logger(__name__)

START_S = 5.0
"""Maximum time of ``on_start`` in seconds; after it the texts of the chat stay."""

HOOK_THREADS = 4
"""Number of threads of hooks without ``async``; further calls wait."""

FEEDBACK_S = 60.0
"""Maximum time of ``on_feedback`` in seconds."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a user sees in an empty chat; what is empty is as for all users.

    ``welcome`` is Markdown; ``starters`` are questions.
    """

    welcome: str = ""
    starters: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackEvent:
    """Feedback that a user has given on an answer, or has taken back (``value`` None).

    ``conversation`` and ``turn`` are ids.
    """

    user: User
    conversation: str
    turn: str
    value: Literal["up", "down"] | None
    text: str = ""


StartHook = Callable[[User], Any]
FeedbackHook = Callable[[FeedbackEvent], Any]


class Hooks:
    """The hooks of a chat, none at first. A hook without ``async`` runs in a thread."""

    on_start: StartHook | None = None
    on_feedback: FeedbackHook | None = None

    def __init__(self) -> None:
        # of their own: hooks that hang must not occupy the threads in which passwords are hashed
        self._pool = ThreadPoolExecutor(HOOK_THREADS, thread_name_prefix="hook")

    async def start(self, user: User) -> Start | None:
        """Return what a user sees first; None without a hook, or if it fails or takes too long."""
        if self.on_start is None:
            return None
        try:
            async with asyncio.timeout(START_S):
                return _start(await self._called(self.on_start, user))
        except TimeoutError:
            _log.warning("start_hook_too_slow", seconds=START_S)
        except Exception:  # the texts of the chat stay
            _log.exception("start_hook_failed")
        return None

    async def feedback(self, event: FeedbackEvent) -> None:
        """Pass feedback on. A failure is logged: the feedback is stored in any case."""
        if self.on_feedback is None:
            return
        try:
            async with asyncio.timeout(FEEDBACK_S):
                await self._called(self.on_feedback, event)
        except TimeoutError:
            _log.warning("feedback_hook_too_slow", seconds=FEEDBACK_S)
        except Exception:
            _log.exception("feedback_hook_failed", turn=event.turn)

    async def _called(self, hook: Callable[[Any], Any], value: object) -> Any:
        if iscoroutinefunction(hook):
            return await hook(value)
        context = copy_context()
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._pool, context.run, hook, value)
        return await found if isawaitable(found) else found


def _start(value: object) -> Start:
    """Return what a hook has returned. Raises ``TypeError``."""
    match value:
        case None:
            return Start()
        case Start():
            return value
        case str():
            return Start(welcome=value)
        case list() | tuple():
            return Start(starters=[str(text) for text in value])
    kind = type(value).__name__
    raise TypeError(f"on_start returned a {kind}: return a Start, a str or a list of starters.")
