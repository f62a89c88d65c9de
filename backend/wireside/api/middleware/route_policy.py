"""Finds the policy of each request's path, for the middlewares behind it."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.policy import RoutePolicies, set_policy


class RoutePolicyLookup:
    """Sets the policy that ``policy_of`` returns for a request or a WebSocket."""

    def __init__(self, app: ASGIApp, policies: RoutePolicies) -> None:
        self.app = app
        self._policies = policies

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application with the policy of the path in the scope."""
        if scope["type"] in ("http", "websocket"):
            set_policy(scope, self._policies.of(_route_path(scope)))
        return self.app(scope, receive, send)


def _route_path(scope: Scope) -> str:
    """Return the path below the root path, as routers match it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if path.startswith(f"{root}/") else path
