"""Owns background tasks that outlive their callers but end with the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import structlog

_log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Tasks:
    """Holds tasks, logs their failures and cancels them when the application ends.

    Unlike ``asyncio.TaskGroup`` it exists before the event loop runs, and the failure of one task
    does not cancel the others: one broken answer must not end a thousand.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def create_task(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run ``work`` as a task until it completes or ``aclose`` cancels it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._discard_and_log)
        return task

    async def run_to_completion(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` to completion, even if the caller is cancelled, and return its result."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._discard_awaited)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Cancel all tasks and wait until they are done."""
        while self._tasks:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.wait(tuple(self._tasks))

    def _discard_awaited(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved by the awaiting caller; without one, no warning is wanted

    def _discard_and_log(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_failed", task=task.get_name(), exc_info=error)


class _Owner(Protocol):
    _tasks: Tasks


Self = TypeVar("Self", bound=_Owner)


def runs_to_completion(
    method: Callable[Concatenate[Self, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Self, P], Coroutine[Any, Any, T]]:
    """Make a method run to completion once started, even if its caller is cancelled.

    A client that disconnects half-way must not leave memory and store inconsistent.
    """

    @wraps(method)
    async def run_whole(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._tasks.run_to_completion(method(self, *args, **kwargs))

    return run_whole
