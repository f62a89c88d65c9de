"""Loads a door on its first request: a door that is not used costs no memory and no start time."""

from __future__ import annotations

from importlib import import_module

from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.errors import json_response
from wireside.api.policy import policy_of
from wireside.doors.door import Door
from wireside.errors import BadMessage


class LazyDoor:
    """An ASGI application that a module's function ``build_door`` returns for a ``Door``."""

    def __init__(self, module: str, door: Door) -> None:
        self._module = module
        self._door = door
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        if self._app is None:
            self._app = import_module(self._module).build_door(self._door)
        assert self._app is not None
        await self._app(scope, receive, send)


class DoorEndpoint:
    """One path of a door, which has a policy of its own.

    Args:
        app: the door.
        path: template of the path.
        methods: the HTTP methods that it has; others are refused, unless the door does so in the
            shape of its own errors. Empty for a WebSocket.
    """

    def __init__(self, app: LazyDoor, path: str, methods: frozenset[str]) -> None:
        self.methods = methods
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection; refuse a method that the path does not have."""
        is_wrong = scope["type"] == "http" and scope["method"] not in self.methods
        if is_wrong and not policy_of(scope).has_openai_errors:
            error = BadMessage(f"{self._path} does not take {scope['method'][:20]}.")
            response = json_response(error, status=405, headers={"Allow": ", ".join(self.methods)})
            return await response(scope, receive, send)
        await self._app(scope, receive, send)
