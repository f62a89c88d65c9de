"""How an answer ended, in the terms of OpenAI's API; and waiting for it while the client stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing, suppress
from typing import Any, Protocol

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.errors import headers_of, openai_body, openai_status_of
from wireside.doors.door import Door
from wireside.doors.sse import PING_S, EventStream, wait_for_disconnect
from wireside.errors import Fenced, InternalError, WiresideError
from wireside.generation.runner import Stream
from wireside.messages import End


class Interrupted(InternalError):
    """The answer was not written to its end."""

    code = "interrupted"
    sentence = "The answer was interrupted; ask again."


class Stopped(InternalError):
    """The answer was stopped by its owner, from another client or the page."""

    code = "cancelled"
    retryable = False
    sentence = "The answer was stopped."


def error_of_answer(stream: Stream) -> WiresideError | None:
    """Return why an answer that has ended is not complete; None if it is, or ended at a limit."""
    if stream.is_abandoned:  # the store may have more: the client is to ask again
        return Fenced()
    end = stream.log.end
    return None if end is None else error_of(end)


def error_of(end: End) -> WiresideError | None:
    """Return why an answer is not complete; None if it is, or ended at a limit."""
    if end.error is not None:
        return end.error
    match end.reason:
        case "interrupted":
            return Interrupted()
        case "cancelled":
            return Stopped()
        case _:
            return None


def failed_response(door: Door, error: WiresideError) -> JSONResponse:
    """Return the response to a request whose answer has failed, and count the error."""
    door.count_error(error.code, is_of_answer=True)
    status = openai_status_of(error)
    body = openai_body(str(error), status, code=error.code)
    return JSONResponse(body, status, headers_of(error, status))


async def first_news(stream: Stream) -> None:
    """Wait until an answer begins, so that a failure has its status; not for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PING_S):
            await stream.new_reader().wait_for_news()


async def wait_or_leave(work: Coroutine[Any, Any, object], receive: Receive) -> bool:
    """Wait for ``work``; return False once the client has disconnected before that."""
    working = asyncio.create_task(_discard_result(work))
    leaving = asyncio.create_task(wait_for_disconnect(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.done()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait((working, leaving))


class EventResponse(Protocol):
    """A response that can also go on in an event stream which has begun."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""

    def late_events(self) -> AsyncGenerator[bytes, None]:
        """Yield its events; used in place of sending it."""
        ...

    def give_up(self) -> None:
        """End the response, of which nothing was sent."""


async def response_or_leave(
    making: Coroutine[Any, Any, EventResponse],
    receive: Receive,
    *,
    late_error: Callable[[WiresideError], bytes] | None,
) -> ASGIApp:
    """Return the response that ``making`` returns, once its question is asked.

    A question may wait for minutes until the answers before it have ended. With ``late_error``, a
    stream of events begins meanwhile, so that no proxy closes the connection.

    Args:
        making: makes the response; it is cancelled when the client disconnects.
        receive: the messages of the connection.
        late_error: returns the event of an error in a stream that has begun; None for a response
            that is no stream.

    Raises:
        ClientDisconnect: the client has disconnected before that; also what ``making`` raises.
    """
    working = asyncio.create_task(making)
    leaving = asyncio.create_task(wait_for_disconnect(receive))
    wait_s = None if late_error is None else PING_S
    is_late = False
    try:
        await asyncio.wait((working, leaving), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if leaving.done() or late_error is None:
            raise ClientDisconnect
        is_late = True
        return LateResponse(working, late_error)
    finally:
        await _cancel((leaving,) if is_late else (working, leaving))


class LateResponse:
    """Sends a stream of events, with pings only until its response is made."""

    def __init__(
        self,
        making: asyncio.Task[EventResponse],
        late_error: Callable[[WiresideError], bytes],
    ) -> None:
        self._making = making
        self._late_error = late_error
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until their end, or until the client disconnects."""
        try:
            await EventStream(self._events())(scope, receive, send)
        finally:
            making = self._making
            await _cancel((making,))
            if not self._has_begun and not making.cancelled() and making.exception() is None:
                making.result().give_up()

    async def _events(self) -> AsyncGenerator[bytes, None]:
        try:
            response = await self._making
        except WiresideError as error:
            yield self._late_error(error)
            return
        self._has_begun = True
        async with aclosing(response.late_events()) as events:
            async for data in events:
                yield data


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _discard_result(work: Coroutine[Any, Any, object]) -> None:
    await work
