"""Reads the requests of a door's clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from wireside.chat.service import ChatService
from wireside.doors import bodies
from wireside.errors import BadJson, BadMessage
from wireside.files.service import content_of_data_url
from wireside.messages import Options
from wireside.protocol.frames.fields import Fields

T = TypeVar("T")

MAX_BODY_BYTES: Final = 3 * 1024 * 1024
"""Largest body of a request to a door, which may contain files; the middleware's limit on all
unfinished bodies is a little larger."""

UPLOAD_PATH: Final = "/api/files/"
"""Beginning of the path of a file that the server keeps."""


async def read_body(receive: Receive, read: Callable[[dict[str, Any]], T]) -> T:
    """Return what ``read`` makes of the JSON object in a body, which the middleware has limited.

    Raises:
        BadJson: it is not a JSON object, or the client has disconnected.
        WiresideError: ``read`` refuses it.
    """
    try:
        body = await bodies.read_body(receive)
    except ClientDisconnect as error:
        raise BadJson("The request was not sent completely.") from error
    return await bodies.parse_request(body, read)


def options_in(body: dict[str, Any], chat: ChatService, *, system: str = "") -> Options:
    """Return the options that a client adds to the body of a question.

    ``system`` is that of the client's messages. Raises ``BadMessage`` and ``TooLarge``.
    """
    fields = Fields(body, chat.max_message_chars)
    return Options(
        model=fields.name("model"),
        system=fields.text("system") or system or None,
        temperature=fields.number("temperature", low=0, high=2),
        max_tokens=fields.count("max_tokens"),
        values=fields.json_object("options"),
        sanitize=bool(fields.get("sanitize", bool)),
    )


async def keep_file(chat: ChatService, url: str, name: str) -> str:
    """Return the id of an upload for the file of a question.

    Args:
        chat: the caller's chat, which keeps a new file.
        url: a ``data:`` URL with base64, or the address of a file that the server keeps.
        name: the client's name for it.

    Raises:
        BadMessage: it is another URL; the server loads nothing for its clients.
        InvalidAttachment, TooLarge, TooMany: see ``CallerFiles.upload_file``.
    """
    if url.startswith("data:"):
        return (await chat.files.upload_file(name or "file", content_of_data_url(url))).id
    upload = upload_in(url)
    if upload is None:
        raise BadMessage(
            "files: expected a data: URL with base64, or the address of a file of this server;"
            " nothing is loaded from other addresses."
        )
    return upload


def upload_in(url: str) -> str | None:
    """Return the id of the file whose address a URL is, None for any other URL."""
    if url.startswith("data:"):
        return None
    _, found, upload = url.partition(UPLOAD_PATH)
    return upload if found else None


def texts_in(value: Any) -> str:
    """Return a text, or the texts of a list of parts; "" for anything else."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    texts = [part.get("text") for part in value if isinstance(part, dict)]
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)
