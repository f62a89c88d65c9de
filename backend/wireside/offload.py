"""Runs CPU-bound work in worker threads, so that it does not block the event loop.

Each thread runs one piece of work at a time, as only one thread can hold the interpreter lock: with
more threads, the event loop would wait longer for its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_thread = ThreadPoolExecutor(1, "aside")
_short_thread = ThreadPoolExecutor(1, "aside-short")


async def run_in_worker(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``work`` in the worker thread. It must not share mutable state with the event loop."""
    return await _run_in_thread(_thread, work, *args, **kwargs)


async def aside_short(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Like ``run_in_worker``, for work of at most a second: it is not queued behind longer work."""
    return await _run_in_thread(_short_thread, work, *args, **kwargs)


async def _run_in_thread(
    thread: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    call = partial(work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(thread, call)
