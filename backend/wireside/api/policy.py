"""What middlewares apply to a path, declared where its route is.

An endpoint declares its policy by the decorator ``route_policy``; ``with_policy`` declares one for
the rest of a router. ``RoutePolicies`` collects them once and finds that of a path for each request
(``middleware/route_policy.py``). A route without a policy gets the strictest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final, TypeVar

import fastapi.routing
from fastapi import APIRouter
from starlette.routing import BaseRoute, Mount, WebSocketRoute, compile_path
from starlette.types import Scope

PAGE_COST: Final = 100
"""Cost of a page. It is rendered per visitor: 10 ms and 200 KB, where a file costs 0.2 ms."""

MAX_BODY_BYTES: Final = 1024 * 1024
"""Largest body of one request. Larger bodies are files, whose routes read them as a stream."""


class Access(Enum):
    """Which callers a path accepts."""

    CALLER = auto()
    """Authenticated callers only."""

    SHARED = auto()
    """As ``PUBLIC`` if the settings make shared snapshots public, else as ``CALLER``."""

    PUBLIC = auto()
    """Any caller; one that is authenticated is known to the route."""

    UNCHECKED = auto()
    """Any caller, without authentication: static files, and routes with a token of their own."""


class Kind(Enum):
    """What a path serves."""

    PAGE = auto()
    """HTML for browsers: errors are pages, and an unknown caller is redirected to the sign-in."""

    DATA = auto()
    """JSON and files."""

    WEBSOCKET = auto()
    """A WebSocket; HTTP requests are refused."""

    PAGE_SOCKET = auto()
    """Socket.IO behind a page: a WebSocket or polling, from the server's own pages only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePolicy:
    """What middlewares apply to a path. The defaults are the strictest values.

    Attributes:
        access: which callers are accepted.
        accepts_keys: API keys and tickets authenticate, besides sessions and proxy headers.
        is_metered: requests count against the caller's request quota.
        kind: what the path serves.
        cost: what a request takes from the rate limit of its address.
        max_body_bytes: limit of a body, which is read whole before the route is called; None for a
            route that reads it as a stream, within a limit of its own.
        is_cross_origin: pages of allowed origins can read the responses (CORS).
        is_cacheable: complete responses may be kept in memory and sent to any caller.
        checks_host: requests with an untrusted ``Host`` are refused.
        has_frames: the page may show framed pages of this application.
        uses_microphone: the page may ask for the microphone.
        is_framed: pages of this application may show the page in a frame.
        has_sign_in_session: a cookie carries the state of a sign-in that another service answers.
        has_openai_errors: errors have the shape of OpenAI's API.
        log_as: path that logs show instead of the requested one, which may hold a secret; None
            shows the requested one.
    """

    access: Access = Access.CALLER
    accepts_keys: bool = False
    is_metered: bool = True
    kind: Kind = Kind.PAGE
    cost: int = PAGE_COST
    max_body_bytes: int | None = MAX_BODY_BYTES
    is_cross_origin: bool = False
    is_cacheable: bool = False
    checks_host: bool = True
    has_frames: bool = False
    uses_microphone: bool = False
    is_framed: bool = False
    has_sign_in_session: bool = False
    has_openai_errors: bool = False
    log_as: str | None = "/…"


LARGE_BODY_BYTES: Final = 28 * 1024 * 1024
"""Largest body of a route that takes files in JSON: 20 MiB, as base64."""

STRICTEST: Final = RoutePolicy()

API: Final = RoutePolicy(
    accepts_keys=True, kind=Kind.DATA, cost=1, is_cross_origin=True, log_as=None
)
"""A route of the REST API."""

OPENAI: Final = replace(API, has_openai_errors=True, max_body_bytes=LARGE_BODY_BYTES)
"""A route of the OpenAI-compatible API."""

PAGE: Final = RoutePolicy(is_metered=False, log_as=None)
"""A page, or the target of its forms."""

PUBLIC_PAGE: Final = replace(PAGE, access=Access.PUBLIC)
"""A page that requires no sign-in."""

FILE: Final = RoutePolicy(
    access=Access.PUBLIC, is_metered=False, kind=Kind.DATA, cost=1, log_as=None
)
"""A file that requires no sign-in."""

STATIC: Final = replace(FILE, access=Access.UNCHECKED, is_cacheable=True)
"""Static files, the same for all callers."""

SOCKET: Final = RoutePolicy(accepts_keys=True, is_metered=False, kind=Kind.WEBSOCKET, log_as=None)
"""A WebSocket for programs and pages."""

PAGE_SOCKET: Final = RoutePolicy(is_metered=False, kind=Kind.PAGE_SOCKET, log_as=None)
"""The socket behind NiceGUI's pages."""

_ATTRIBUTE: Final = "__route_policy__"
_SCOPE_KEY: Final = "wireside.policy"

Endpoint = TypeVar("Endpoint", bound=Any)


def route_policy(policy: RoutePolicy) -> Callable[[Endpoint], Endpoint]:
    """Return a decorator that declares the policy of an endpoint: a function, an ASGI object."""

    def declare_policy(endpoint: Endpoint) -> Endpoint:
        setattr(getattr(endpoint, "__func__", endpoint), _ATTRIBUTE, policy)
        return endpoint

    return declare_policy


def with_policy(router: APIRouter, policy: RoutePolicy) -> APIRouter:
    """Declare a policy for all endpoints of a router that declare none; return the router."""
    for route in router.routes:
        endpoint = getattr(route, "endpoint", None)
        if endpoint is not None and _declared_by(endpoint) is None:
            route_policy(policy)(endpoint)
    return router


def policy_of(scope: Scope) -> RoutePolicy:
    """Return the policy of a request's path."""
    policy: RoutePolicy = scope.get(_SCOPE_KEY, STRICTEST)
    return policy


def set_policy(scope: Scope, policy: RoutePolicy) -> None:
    """Set the policy that ``policy_of`` returns."""
    scope[_SCOPE_KEY] = policy


def logged_path(scope: Scope) -> str:
    """Return the path for logs."""
    path: str = policy_of(scope).log_as or scope["path"]
    return path


class RoutePolicies:
    """The policies of an application's paths.

    ``declared`` maps path templates to the policies of what can't declare its own, such as mounted
    applications and routes of libraries: ``{"/assets/{path:path}": STATIC}``.

    Raises:
        ValueError: several routes match one path, and their policies differ.
    """

    def __init__(
        self, routes: Iterable[BaseRoute] = (), declared: Mapping[str, RoutePolicy] | None = None
    ) -> None:
        self.by_template: dict[str, RoutePolicy] = {}
        self.undeclared: list[str] = []
        """Templates of the routes without a policy."""
        self._patterns: dict[str, list[tuple[re.Pattern[str], RoutePolicy]]] = {}
        self._unknown = STRICTEST
        by_hand = {
            path: (_template_regex(path), policy) for path, policy in (declared or {}).items()
        }
        for template, own, kind in _collected(routes):
            if template is None:  # the fallback route
                self._unknown = own or STRICTEST
                continue
            above = (policy for regex, policy in by_hand.values() if regex.match(template))
            if (policy := own or next(above, None)) is None:
                self.undeclared.append(template)
                policy = replace(STRICTEST, kind=kind)
            self._add_policy(template, policy)
        for template, (_, policy) in by_hand.items():
            self._add_policy(template, policy)

    def policy_for(self, path: str) -> RoutePolicy:
        """Return the policy of a path, below the application's root path."""
        return self._find_matching(path) or self._unknown

    def _find_matching(self, path: str) -> RoutePolicy | None:
        found = self.by_template.get(path)
        if found is not None:
            return found
        for head in (_first_segment(path), ""):
            for regex, policy in self._patterns.get(head, ()):
                if regex.match(path):
                    return policy
        return None

    def _add_policy(self, template: str, policy: RoutePolicy) -> None:
        is_literal = "{" not in template
        # the first route that matches a path serves it: a later one must not change its policy
        before = self._find_matching(template) if is_literal else self.by_template.get(template)
        if before not in (None, policy):
            raise ValueError(f"Routes that match {template} differ: {before}, {policy}")
        self.by_template[template] = policy
        # clients of a WebSocket may add slashes
        if not is_literal or policy.kind is Kind.WEBSOCKET:
            patterns = self._patterns.setdefault(_first_segment(template), [])
            patterns.append(
                (_template_regex(template, slashes=policy.kind is Kind.WEBSOCKET), policy)
            )


def _first_segment(path: str) -> str:
    """Return the first segment of a path or template; "" if it is a parameter."""
    head = path[1:].partition("/")[0]
    return "" if "{" in head else head


def _template_regex(template: str, *, slashes: bool = False) -> re.Pattern[str]:
    """Return the expression of a path template, with any ``slashes`` after it."""
    regex = compile_path(template)[0].pattern
    # DOTALL: a line feed in a path must not change its policy
    return re.compile(regex[:-1] + "/*$" if slashes else regex, re.DOTALL)


def _declared_by(endpoint: object) -> RoutePolicy | None:
    policy: RoutePolicy | None = getattr(endpoint, _ATTRIBUTE, None)
    return policy


def _collected(
    routes: Iterable[BaseRoute], prefix: str = ""
) -> Iterator[tuple[str | None, RoutePolicy | None, Kind]]:
    """Yield the template of each route, its declared policy, and its kind if it declares none.

    The template of a fallback route is None.
    """
    # FastAPI includes routers without copying their routes since 0.137; it lists them since 0.138.
    flatten: Any = getattr(fastapi.routing, "iter_route_contexts", iter)
    for found in flatten(list(routes)):
        route = getattr(found, "original_route", found)
        path = getattr(found, "path", None)
        if (included := getattr(found, "original_router", None)) is not None:
            yield from _collected(included.routes, prefix + found.include_context.prefix)
        elif path is None:
            yield None, _declared_by(route), Kind.PAGE
        elif isinstance(route, Mount) and route.routes:
            yield from _collected(route.routes, prefix + path)
        elif isinstance(route, Mount):
            yield f"{prefix}{path}/{{path:path}}", _declared_by(route.app), Kind.PAGE
        else:
            kind = Kind.WEBSOCKET if isinstance(route, WebSocketRoute) else Kind.PAGE
            yield prefix + path, _declared_by(getattr(found, "endpoint", None)), kind
