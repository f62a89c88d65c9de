"""The REST API of a server: conversations, files, models and tickets, as values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from wireside.client.address import ServerAddress
from wireside.client.core import refusal
from wireside.client.errors import ConnectionLost
from wireside.errors import WiresideError

T = TypeVar("T")

PIECE_BYTES = 65_536
TIMEOUT_S = 60.0


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the server. ``options`` is the JSON Schema of its own options."""

    id: str
    name: str
    owner: str | None = None
    context_tokens: int | None = None
    can_see: bool | None = None
    can_chat: bool = True
    description: str = ""
    options: dict[str, Any] | None = None


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file on the server; ``attachments`` of a question refers to it by its id."""

    id: str
    name: str
    media_type: str
    size_bytes: int
    created_at: datetime


class ConversationInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A stored conversation in a list."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    pinned: bool = False
    archived: bool = False
    answering: bool = False
    tags: list[str] = []


class ConversationPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of conversations; ``cursor`` requests the next one, None at the end."""

    conversations: list[ConversationInfo]
    cursor: str | None = None


class AnswerPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a stored answer, with the fields of its ``type``."""

    type: str
    text: str | None = None
    name: str | None = None
    call: str | None = None
    state: str | None = None
    arguments: str | None = None
    result: str | None = None
    kind: str | None = None
    part: str | None = None
    data: Any = None


class StoredStream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream of a stored answer; a client can follow it by its name."""

    stream: str
    model: str
    state: str
    head: int
    saved: bool = True
    reason: str | None = None
    error: str | None = None
    code: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    parts: list[AnswerPart] = []

    @property
    def text(self) -> str:
        """The text of the answer."""
        return "".join(part.text or "" for part in self.parts if part.type == "text")


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A question with its answer; one that was continued has several streams."""

    id: str
    index: int
    question: str
    created_at: datetime
    waiting: bool = False
    answer: list[StoredStream] = []


class StoredConversation(ConversationInfo, frozen=True, kw_only=True):
    """A conversation with one page of its shown turns, oldest first."""

    total: int
    turns: list[Turn]


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A search hit; every second piece of ``snippet``, from the second on, is a match."""

    conversation: str
    title: str
    turn: str | None
    kind: str
    snippet: list[str]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The caller, and what is left of its limits; None where there is no limit."""

    id: str
    name: str
    role: str
    scopes: list[str] = []
    messages_left: int | None = None
    messages_limit: int | None = None


class _Models(msgspec.Struct):
    models: list[Model]


class _Hits(msgspec.Struct):
    hits: list[Hit]


class _Ticket(msgspec.Struct):
    ticket: str


class _Problem(msgspec.Struct):
    message: str = ""
    code: str = ""
    retry_after: float | None = None


class RestApi:
    """Requests to the REST API. All methods raise the ``WiresideError`` of the response.

    ``ConnectionLost`` is raised where there is no response.
    """

    def __init__(
        self,
        address: ServerAddress,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        own = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx2.AsyncClient(
            base_url=address.base_url,
            headers={**(headers or {}), **own},
            timeout=TIMEOUT_S,
            trust_env=not address.is_loopback,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def models(self) -> list[Model]:
        """Return the models that the caller may use, the default first."""
        return (await self._read("GET", "/api/models", kind=_Models)).models

    async def account(self) -> Account:
        """Return the caller, and what is left of its limits."""
        return await self._read("GET", "/api/me", kind=Account)

    async def ticket(self, origin: str | None = None) -> str:
        """Return a one-time ticket for opening a WebSocket, also from pages of ``origin``."""
        body = {} if origin is None else {"origin": origin}
        return (await self._read("POST", "/api/tickets", kind=_Ticket, json=body)).ticket

    async def upload(self, file: Path | str | bytes | BinaryIO, name: str | None = None) -> Upload:
        """Upload a file for a question.

        Args:
            file: a path, the content, or an open binary file.
            name: name of the file; that of the path by default.
        """
        if isinstance(file, str | Path):
            name = name or Path(file).name
        elif not isinstance(file, bytes):
            name = name or Path(str(getattr(file, "name", "file"))).name
        parameters = {"name": name or "file"}
        return await self._read(
            "POST", "/api/uploads", kind=Upload, params=parameters, content=_pieces(file)
        )

    async def download(self, file_id: str) -> bytes:
        """Return the content of a file."""
        return (await self._request("GET", f"/api/files/{_quoted(file_id)}")).content

    async def delete_upload(self, file_id: str) -> None:
        """Delete an upload that no question refers to."""
        await self._request("DELETE", f"/api/files/{_quoted(file_id)}")

    async def conversations(
        self,
        *,
        archived: bool = False,
        tag: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> ConversationPage:
        """Return a page of conversations: pinned ones first, then newest first."""
        parameters: dict[str, str | int | bool] = {"archived": archived, "limit": limit}
        if tag is not None:
            parameters["tag"] = tag
        if cursor is not None:
            parameters["cursor"] = cursor
        return await self._read(
            "GET", "/api/conversations", kind=ConversationPage, params=parameters
        )

    async def search(self, query: str, *, limit: int = 30) -> list[Hit]:
        """Return the newest texts of conversations that match all words of a query."""
        parameters = {"q": query, "limit": limit}
        return (
            await self._read("GET", "/api/conversations/search", kind=_Hits, params=parameters)
        ).hits

    async def conversation(
        self, conversation_id: str, *, before: int | None = None, limit: int = 50
    ) -> StoredConversation:
        """Return a conversation with its last turns, or those with an index below ``before``."""
        parameters = {"limit": limit} | ({} if before is None else {"before": before})
        path = f"/api/conversations/{_quoted(conversation_id)}"
        return await self._read("GET", path, kind=StoredConversation, params=parameters)

    async def change_conversation(
        self,
        conversation_id: str,
        *,
        title: str | None = None,
        pinned: bool | None = None,
        archived: bool | None = None,
        tags: list[str] | None = None,
    ) -> ConversationInfo:
        """Change a conversation; what is None stays as it is."""
        changes = {"title": title, "pinned": pinned, "archived": archived, "tags": tags}
        given = {name: value for name, value in changes.items() if value is not None}
        path = f"/api/conversations/{_quoted(conversation_id)}"
        return await self._read("PATCH", path, kind=ConversationInfo, json=given)

    async def delete_conversation(self, conversation_id: str) -> None:
        """Delete a conversation; ``restore_conversation`` undoes it for some time."""
        await self._request("DELETE", f"/api/conversations/{_quoted(conversation_id)}")

    async def restore_conversation(self, conversation_id: str) -> ConversationInfo:
        """Undo a deletion."""
        path = f"/api/conversations/{_quoted(conversation_id)}/restore"
        return await self._read("POST", path, kind=ConversationInfo)

    async def export_conversation(
        self, conversation_id: str, file_format: Literal["markdown", "json", "html"] = "markdown"
    ) -> bytes:
        """Return a conversation as a file."""
        path = f"/api/conversations/{_quoted(conversation_id)}/export"
        return (await self._request("GET", path, params={"format": file_format})).content

    async def _read(self, method: str, path: str, *, kind: type[T], **request: Any) -> T:
        response = await self._request(method, path, **request)
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.DecodeError as error:
            address = response.url
            raise ConnectionLost(f"{address} is not the API of a Wireside server.") from error

    async def _request(self, method: str, path: str, **request: Any) -> httpx2.Response:
        try:
            response = await self._http.request(method, path, **request)
        except httpx2.HTTPError as error:
            raise ConnectionLost(
                f"{self._http.base_url} can't be reached: {error or type(error).__name__}."
            ) from error
        if response.is_success:
            return response
        raise problem_of(response.status_code, response.content, response.headers)


def problem_of(status: int, body: bytes, headers: Any) -> WiresideError:
    """Return the error for a response of REST or of a refused handshake."""
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    message = problem.message or f"The server answered with HTTP {status}."
    error = refusal(status, problem.code, message)
    error.retry_after = problem.retry_after or retry_after_of(headers)
    return error


def retry_after_of(headers: Any) -> float | None:
    """Return ``Retry-After`` of a response, in seconds."""
    value = str(headers.get("Retry-After") or "")
    return float(value) if value.isascii() and value.isdigit() else None


def _quoted(text: str) -> str:
    return quote(text, safe="")


async def _pieces(file: Path | str | bytes | BinaryIO) -> AsyncIterator[bytes]:
    if isinstance(file, bytes):
        yield file
        return
    is_path = isinstance(file, str | Path)
    opened = await asyncio.to_thread(_open, file)
    try:
        while piece := await asyncio.to_thread(opened.read, PIECE_BYTES):
            yield piece
    finally:
        if is_path:
            opened.close()


def _open(file: Path | str | BinaryIO) -> BinaryIO:
    return Path(file).open("rb") if isinstance(file, str | Path) else file
