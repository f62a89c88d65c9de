"""Reads the body of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from wireside.errors import BadJson
from wireside.offload import run_in_worker
from wireside.protocol.strict_json import parse_object

T = TypeVar("T")

LONG_BYTES: Final = 128 * 1024
"""Size from which a body is parsed in a thread."""


async def read_body(receive: Receive) -> bytes:
    """Return the whole body, whose size a middleware has checked.

    Raises:
        ClientDisconnect: the client is gone.
    """
    pieces: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


async def parse_request(body: bytes, read: Callable[[dict[str, Any]], T]) -> T:
    """Return what ``read`` makes of the JSON object in a body.

    Raises:
        BadJson: the body is no JSON object.
        BadField: ``read`` refuses it.
    """
    if len(body) > LONG_BYTES:
        return await run_in_worker(_read, body, read)
    return _read(body, read)


def _read(body: bytes, read: Callable[[dict[str, Any]], T]) -> T:
    return read(_parse(body))


def _parse(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BadJson("The body is not UTF-8.") from error
    try:
        return parse_object(text)
    except BadJson as error:
        raise BadJson(str(error).replace("The frame", "The body")) from error
