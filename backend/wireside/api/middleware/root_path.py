"""The path below which browsers reach the application: from a setting, a host or a proxy."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.middleware.client_address import peer_address
from wireside.limits.networks import TrustedNetworks
from wireside.root_path import parse_root_path

_PREFIX: Final = b"x-forwarded-prefix"


class RootPath:
    """Sets ``root_path`` and ``path`` of each scope as ASGI defines them: the path includes it.

    A proxy may remove the root path from a request or pass it on; both are accepted, and a request
    without it, such as a health check, is served too. ``X-Forwarded-Prefix`` of a trusted proxy is
    put in front, unless the root path begins with it. NiceGUI, which believes the header of any
    client, never sees it.

    Args:
        app: the application.
        root_path: the root path where the server that calls the application names none.
        trusted_proxies: peers whose ``X-Forwarded-Prefix`` is accepted.
    """

    def __init__(
        self, app: ASGIApp, *, root_path: str = "", trusted_proxies: TrustedNetworks
    ) -> None:
        self.app = app
        self._root = root_path
        self._trusted = trusted_proxies

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application, or redirect from the root path to the same with a slash."""
        if scope["type"] not in ("http", "websocket"):
            return self.app(scope, receive, send)
        root = scope.get("root_path", "").rstrip("/") or self._root
        _set_root_path(scope, root, removed=root)
        prefix = self._forwarded(scope)
        if prefix and not f"{root}/".startswith(f"{prefix}/"):
            _set_root_path(scope, prefix + root, removed=prefix)
        if scope["type"] == "http" and scope["root_path"] and not route_path(scope):
            return _add_slash(scope, send)
        return self.app(scope, receive, send)

    def _forwarded(self, scope: Scope) -> str:
        """Return what a trusted proxy says that it removed; take the header out of the scope."""
        said = [value for name, value in scope["headers"] if name == _PREFIX]
        if not said:
            return ""
        scope["headers"] = [one for one in scope["headers"] if one[0] != _PREFIX]
        if len(said) > 1 or not self._trusted.is_trusted(peer_address(scope)):
            return ""
        try:
            return parse_root_path(said[0].decode("latin-1"))
        except ValueError:
            return ""


def route_path(scope: Scope) -> str:
    """Return the path below the root path, as routers match it; "" for the root path itself."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if path == root or path.startswith(f"{root}/") else path


def _set_root_path(scope: Scope, root: str, *, removed: str) -> None:
    """Set the root path; put what a proxy removed in front of a path that lacks it."""
    path: str = scope["path"]
    if path != root and not path.startswith(f"{root}/"):
        scope["path"] = removed + path
        if (raw := scope.get("raw_path")) is not None:
            scope["raw_path"] = removed.encode() + raw
    scope["root_path"] = root


async def _add_slash(scope: Scope, send: Send) -> None:
    query: bytes = scope.get("query_string", b"")
    where = scope["root_path"].encode() + b"/" + (b"?" + query if query else b"")
    headers = [(b"location", where), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 307, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
