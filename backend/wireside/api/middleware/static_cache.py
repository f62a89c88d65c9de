"""Caches responses with static files, so that each is read and compressed once.

NiceGUI serves some twenty files to a new browser and compresses each of them per request: 0.15 s of
event-loop time that delays the first page.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wireside.api.middleware.root_path import route_path
from wireside.api.policy import policy_of

MAX_BYTES = 16 * 1024 * 1024
"""Total size of the cached bodies. When it is reached, nothing is added."""

MAX_FILE_BYTES = 2 * 1024 * 1024
"""Largest cached body."""


@dataclass(frozen=True, slots=True)
class _File:
    start: Message
    body: bytes


class StaticFileCache:
    """Middleware that caches whole responses of cacheable paths, outside of all that creates them.

    A response is cached if it is a 200 to a plain GET and its ``Cache-Control`` permits shared
    caching. The key is the path and whether the client accepts gzip. The query is ignored: it only
    names the version that a page was made with, and a process serves one version.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._files: dict[tuple[str, bool], _File] = {}
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from the cache, or call the application and cache its response."""
        if not self._is_cacheable(scope):
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        if b"range" in headers or b"if-none-match" in headers or b"if-modified-since" in headers:
            return await self._app(scope, receive, send)
        takes_gzip = b"gzip" in headers.get(b"accept-encoding", b"")
        key = (route_path(scope), takes_gzip)
        if (file := self._files.get(key)) is None:
            return await self._app(scope, receive, self._remembering(key, send))
        await send(file.start)
        await send({"type": "http.response.body", "body": file.body})

    def _is_cacheable(self, scope: Scope) -> bool:
        is_get = scope["type"] == "http" and scope["method"] == "GET"
        return is_get and policy_of(scope).is_cacheable

    def _remembering(self, key: tuple[str, bool], send: Send) -> Send:
        start: Message | None = None
        body = bytearray()

        async def remember_message(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message if _is_for_everyone(message) else None
            elif start is not None and message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if len(body) > MAX_FILE_BYTES:
                    start = None
                elif not message.get("more_body", False):
                    self._keep_file(key, _File(start, bytes(body)))
            elif start is not None:
                # the server sends the file by its path: the body does not pass through here
                start = None
            await send(message)

        return remember_message

    def _keep_file(self, key: tuple[str, bool], file: _File) -> None:
        if key in self._files or self._bytes + len(file.body) > MAX_BYTES:
            return
        self._bytes += len(file.body)
        self._files[key] = file


def _is_for_everyone(start: Message) -> bool:
    headers = dict(start["headers"])
    cache = headers.get(b"cache-control", b"")
    return start["status"] == 200 and b"max-age" in cache and b"set-cookie" not in headers
