"""The owner of tasks that outlive whoever started them, but not the server."""

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
    """Holds tasks, logs what they fail of, ends them with the application.

    Unlike ``asyncio.TaskGroup`` it exists before the loop runs, and one task's failure does not
    end the others: an answer that breaks must not take a thousand with it.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def create_task(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run ``work`` until it ends, or until ``aclose``."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work`` to its end and return its result, also when whoever awaits it goes away."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Cancel all tasks and wait until they are gone."""
        while self._tasks:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.wait(tuple(self._tasks))

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever awaits it is told; if nobody does, nobody wants to know

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_failed", task=task.get_name(), exc_info=error)


class _Owner(Protocol):
    _tasks: Tasks


Self = TypeVar("Self", bound=_Owner)


def whole(
    method: Callable[Concatenate[Self, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Self, P], Coroutine[Any, Any, T]]:
    """Have a method done to its end once it has begun: a client that goes away in the middle must
    not leave the store and what is in memory apart.
    """

    @wraps(method)
    async def run(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._tasks.finish(method(self, *args, **kwargs))

    return run
