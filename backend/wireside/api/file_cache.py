"""Files that never change are compressed and read once, not for every visitor.

NiceGUI serves some twenty files to a new browser and compresses each anew: 0.15 s of the event
loop, which the first page waits for.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BYTES = 16 * 1024 * 1024
"""What is kept in all; then nothing more is."""

MAX_FILE_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _File:
    start: Message
    body: bytes


class FileCache:
    """Outermost of all that answers: keeps whole responses below ``prefixes``.

    A response is kept if it is a 200 to a plain GET whose ``Cache-Control`` allows everyone to keep
    it; it depends on the path and on whether the client takes gzip. A query only says which version
    a page was made with: a process serves one.
    """

    def __init__(self, app: ASGIApp, prefixes: tuple[str, ...]) -> None:
        self._app = app
        self._prefixes = prefixes
        self._files: dict[tuple[str, bool], _File] = {}
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from memory, or let the application answer and remember it."""
        if not self._is_kept(scope):
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        if b"range" in headers or b"if-none-match" in headers or b"if-modified-since" in headers:
            return await self._app(scope, receive, send)
        takes_gzip = b"gzip" in headers.get(b"accept-encoding", b"")
        key = (scope["path"], takes_gzip)
        if (file := self._files.get(key)) is None:
            return await self._app(scope, receive, self._remembering(key, send))
        await send(file.start)
        await send({"type": "http.response.body", "body": file.body})

    def _is_kept(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] != "GET":
            return False
        path: str = scope["path"]
        return path.startswith(self._prefixes)

    def _remembering(self, key: tuple[str, bool], send: Send) -> Send:
        start: Message | None = None
        body = bytearray()

        async def remember(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message if _is_for_everyone(message) else None
            elif start is not None and message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if len(body) > MAX_FILE_BYTES:
                    start = None
                elif not message.get("more_body", False):
                    self._keep(key, _File(start, bytes(body)))
            elif start is not None:
                start = None  # the server sends a file by its path: nothing passes here
            await send(message)

        return remember

    def _keep(self, key: tuple[str, bool], file: _File) -> None:
        if key in self._files or self._bytes + len(file.body) > MAX_BYTES:
            return
        self._bytes += len(file.body)
        self._files[key] = file


def _is_for_everyone(start: Message) -> bool:
    headers = dict(start["headers"])
    cache = headers.get(b"cache-control", b"")
    return start["status"] == 200 and b"max-age" in cache and b"set-cookie" not in headers
