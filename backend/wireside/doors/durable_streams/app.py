"""The endpoint for Durable Streams clients: reads at once, by long-poll, and live by SSE."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.errors import json_response
from wireside.doors.door import Door
from wireside.doors.durable_streams.contents import Contents, format_offset, parse_offset
from wireside.doors.json_texts import to_json
from wireside.doors.sse import EventStream
from wireside.errors import BadMessage, WiresideError
from wireside.generation.runner import Stream

LONG_POLL_S: Final = 20.0
"""Seconds after which a long-poll without new content is answered."""

CURSOR_S: Final = 20
"""Length of the intervals that number cursors, in seconds."""

_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"


def build_door(door: Door) -> ASGIApp:
    """Return the endpoint of the door."""
    return DurableStreamsDoor(door)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """The query of a request; ``live`` is None for what is written now."""

    offset: str
    live: Literal["sse", "long-poll"] | None
    is_json: bool
    cursor: str | None


class DurableStreamsDoor:
    """``/api/streams/{stream}``."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        self._door.count_reading()
        response: Response | EventStream
        try:
            request = parse_query(scope.get("query_string", b""))
            chat = self._door.chat_of(scope)
            chat.caller.require("read")
            stream = await chat.find_stream(scope["path_params"]["stream"])
            response = await read_stream(stream, request, scope)
        except WiresideError as error:
            self._door.count_error(error.code)
            response = json_response(error, headers={"Cache-Control": "no-store"})
        await response(scope, receive, send)


def parse_query(query: bytes) -> ReadRequest:
    """Return the query of a request. Raises ``BadMessage``."""
    fields = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    offsets, live = fields.get("offset", []), fields.get("live", [None])[-1]
    if len(offsets) > 1:
        raise BadMessage("offset: is there more than once.")
    if live not in (None, "sse", "long-poll"):
        raise BadMessage("live: expected sse or long-poll.")
    if live is not None and not offsets:
        raise BadMessage("offset: is missing; a live read needs one, such as -1.")
    form = fields.get("format", ["text"])[-1]
    if form not in ("text", "json"):
        raise BadMessage("format: expected text or json.")
    return ReadRequest(
        offset=offsets[0] if offsets else "-1",
        live="sse" if live == "sse" else "long-poll" if live else None,
        is_json=form == "json",
        cursor=fields.get("cursor", [None])[-1],
    )


async def read_stream(
    stream: Stream,
    request: ReadRequest,
    scope: Scope,
    *,
    now: Callable[[], float] = time.time,
    long_poll_s: float = LONG_POLL_S,
) -> Response | EventStream:
    """Return the response to a read. Raises ``BadMessage`` and ``BadOffset``."""
    position = parse_offset(request.offset, stream, is_json=request.is_json)
    if scope["method"] == "HEAD":
        return _head(stream, request)
    contents = Contents(stream, position, is_json=request.is_json)
    cursor = next_cursor(request.cursor, now())
    if request.live == "sse":
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform"}
        return EventStream(_read_events(contents, cursor), headers=headers)
    content = contents.take()
    headers = {"Cache-Control": "private, no-cache"}
    if request.offset == "now":
        headers["Cache-Control"] = "no-store"
    if request.live == "long-poll":
        if not content and not contents.is_closed:
            content = await _wait_for_content(contents, long_poll_s)
        headers["Stream-Cursor"] = cursor
        headers["Cache-Control"] = "no-store"
    headers |= _stream_headers(contents)
    if request.live == "long-poll" and not content:
        return Response(status_code=204, headers=headers)
    headers["ETag"] = f'"{position}-{contents.position}-{int(contents.is_closed)}"'
    if _header(scope, b"if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if not content and request.is_json:
        content = "[]"
    return Response(content.encode(), media_type=_type_of(request), headers=headers)


def next_cursor(given: str | None, now: float) -> str:
    """Return the number of the current interval, or one that follows the client's.

    A cache in between must not answer a client with a response that it has seen.
    """
    current = int(now // CURSOR_S)
    if given is not None and given.isascii() and given.isdigit() and len(given) < 16:
        current = max(current, int(given) + 1)
    return str(current)


def _head(stream: Stream, request: ReadRequest) -> Response:
    is_closed = not stream.is_live
    tail = stream.log.head + (request.is_json and is_closed)
    headers = {"Cache-Control": "no-store", "Stream-Next-Offset": format_offset(tail)}
    if is_closed:
        headers["Stream-Closed"] = "true"
    return Response(media_type=_type_of(request), headers=headers)


def _stream_headers(contents: Contents) -> dict[str, str]:
    headers = {"Stream-Next-Offset": format_offset(contents.position)}
    if contents.is_up_to_date:
        headers["Stream-Up-To-Date"] = "true"
    if contents.is_closed:
        headers["Stream-Closed"] = "true"
    return headers


async def _wait_for_content(contents: Contents, long_poll_s: float) -> str:
    """Return the next content, "" if there is none in time or the answer ends without any."""
    try:
        async with asyncio.timeout(long_poll_s):
            while True:
                await contents.wait()
                content = contents.take()
                if content or contents.is_closed or contents.is_abandoned:
                    return content
    except TimeoutError:
        return ""


async def _read_events(contents: Contents, cursor: str) -> AsyncGenerator[bytes, None]:
    is_first = True
    while not contents.is_closed:
        content = contents.take()
        if content or is_first or contents.is_closed:
            yield (_data_event(content) + _control_event(contents, cursor)).encode()
        is_first = False
        if contents.is_abandoned:
            return  # the client reads on from its offset
        if not contents.is_closed:
            await contents.wait()


def _data_event(content: str) -> str:
    """Return content as an event; an event can't carry a carriage return, which ends a line."""
    if not content:
        return ""
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # clients remove one space at the beginning
    data = "".join([f"data: {one}\n" if one.startswith(" ") else f"data:{one}\n" for one in lines])
    return f"event: data\n{data}\n"


def _control_event(contents: Contents, cursor: str) -> str:
    control: dict[str, str | bool] = {"streamNextOffset": format_offset(contents.position)}
    if contents.is_closed:
        control["streamClosed"] = True
    else:
        control["streamCursor"] = cursor
    if contents.is_up_to_date:
        control["upToDate"] = True
    return f"event: control\ndata:{to_json(control)}\n\n"


def _type_of(request: ReadRequest) -> str:
    return _JSON if request.is_json else _TEXT


def _header(scope: Mapping[str, object], name: bytes) -> str | None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]  # type: ignore[assignment]
    return next((value.decode("latin-1") for key, value in headers if key == name), None)
