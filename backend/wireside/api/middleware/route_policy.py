"""Finds the policy of each request's path, for the middlewares behind it."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.middleware.root_path import route_path
from wireside.api.policy import RoutePolicies, set_policy


class RoutePolicyLookup:
    """Sets the policy that ``policy_of`` returns for a request or a WebSocket."""

    def __init__(self, app: ASGIApp, policies: RoutePolicies) -> None:
        self.app = app
        self._policies = policies

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application with the policy of the path in the scope."""
        if scope["type"] in ("http", "websocket"):
            set_policy(scope, self._policies.policy_for(route_path(scope)))
        return self.app(scope, receive, send)
