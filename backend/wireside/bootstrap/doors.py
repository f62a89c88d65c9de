"""Builds the doors: their paths, their policies and the modules that serve them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from fastapi import FastAPI
from starlette.routing import Route, WebSocketRoute

from wireside.api.policy import API, OPENAI, SOCKET, Kind, RoutePolicy, route_policy
from wireside.chat.service import ChatService
from wireside.doors.door import Door, DoorCounters
from wireside.doors.lazy import DoorEndpoint, LazyDoor
from wireside.doors.requests import MAX_BODY_BYTES
from wireside.limits.windows import AddressWindows
from wireside.session.departure import Departure


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRoute:
    """A path that a door serves.

    Attributes:
        door: the label of its metrics.
        path: template of the path.
        module: has the function ``build_door``, which returns the ASGI application.
        policy: what middlewares apply to the path.
        methods: the HTTP methods of the path; none for a WebSocket, and for paths of which the
            door itself refuses all that it does not have.
    """

    door: str
    path: str
    module: str
    policy: RoutePolicy
    methods: frozenset[str] = frozenset()


_ASK: Final = replace(API, max_body_bytes=MAX_BODY_BYTES)
"""The policy of a path that takes questions, which may contain files."""

_AI_SDK: Final = "wireside.doors.ai_sdk.app"
_AG_UI: Final = "wireside.doors.ag_ui.app"
_DURABLE_STREAMS: Final = "wireside.doors.durable_streams.app"


def _openai(path: str, *methods: str) -> DoorRoute:
    return DoorRoute(
        door="openai",
        path=path,
        module="wireside.doors.openai.app",
        policy=OPENAI,
        methods=frozenset(methods),
    )


DOORS: Final = (
    DoorRoute(door="ai-sdk", path="/ws/ai-sdk", module=_AI_SDK, policy=SOCKET),
    DoorRoute(
        door="ai-sdk",
        path="/api/ai-sdk/chat",
        module=_AI_SDK,
        policy=_ASK,
        methods=frozenset({"POST"}),
    ),
    DoorRoute(
        door="ai-sdk",
        path="/api/ai-sdk/chat/{conversation_id:path}/stream",
        module=_AI_SDK,
        policy=API,
        methods=frozenset({"GET", "DELETE"}),
    ),
    DoorRoute(
        door="ag-ui",
        path="/api/ag-ui",
        module=_AG_UI,
        policy=_ASK,
        methods=frozenset({"POST"}),
    ),
    DoorRoute(
        door="ag-ui",
        path="/api/ag-ui/{conversation_id:path}",
        module=_AG_UI,
        policy=API,
        methods=frozenset({"DELETE"}),
    ),
    DoorRoute(
        door="durable-streams",
        path="/api/streams/{stream}",
        module=_DURABLE_STREAMS,
        policy=API,
        methods=frozenset({"GET", "HEAD"}),
    ),
    _openai("/v1/chat/completions", "POST"),
    _openai("/v1/responses", "POST"),
    _openai("/v1/responses/{response}", "GET", "DELETE"),
    _openai("/v1/responses/{response}/cancel", "POST"),
    _openai("/v1/responses/{response}/input_items", "GET"),
    _openai("/v1/models", "GET"),
    _openai("/v1/models/{model:path}", "GET"),
    _openai("/v1/{path:path}"),
)


def add_doors(
    app: FastAPI,
    *,
    chat: ChatService,
    windows: AddressWindows,
    counters: DoorCounters,
    clock: Callable[[], float],
    departure: Departure,
) -> None:
    """Add the routes of all doors to an application. The routes of a module share one door."""
    apps: dict[str, LazyDoor] = {}
    for route in DOORS:
        if route.module not in apps:
            door = Door(
                route.door,
                chat=chat,
                windows=windows,
                counters=counters,
                clock=clock,
                departure=departure,
            )
            apps[route.module] = LazyDoor(route.module, door)
        endpoint = route_policy(route.policy)(
            DoorEndpoint(apps[route.module], route.path, route.methods)
        )
        if route.policy.kind is Kind.WEBSOCKET:
            app.router.routes.append(WebSocketRoute(route.path, endpoint))
        else:
            app.router.routes.append(Route(route.path, endpoint))
