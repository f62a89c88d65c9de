"""Long work of the processor, beside the event loop: nobody else waits for it.

One piece at a time, since Python lets only one thread run: more of them would take turns with the
loop, too, and it would wait longer for its own.
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


async def aside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what ``work`` returns. It shares nothing with the loop that may change meanwhile."""
    return await _run(_thread, work, *args, **kwargs)


async def aside_short(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Like ``aside``, for work of a second at most: it does not wait behind longer work."""
    return await _run(_short_thread, work, *args, **kwargs)


async def _run(
    thread: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    call = partial(work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(thread, call)
