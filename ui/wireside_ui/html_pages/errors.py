"""Error pages, and the fallback route for unknown paths.

An error page holds no memory for its visitor, and no address is logged: it may contain a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from wireside.api.errors import ErrorResponses
from wireside.api.policy import PAGE, Kind, policy_of, route_policy
from wireside.errors import NotFound, WiresideError
from wireside_ui.html_pages.render import PlainPages
from wireside_ui.i18n.catalogue import sentence_in, words_in
from wireside_ui.request_language import language_of_request


class ErrorPages:
    """Renders errors in the visitor's language."""

    def __init__(self, plain: PlainPages) -> None:
        self._plain = plain

    def render(self, request: Request, error: WiresideError, status: int) -> Response | None:
        """Return an error as a page, None if the client is not a browser."""
        if not is_a_person(request):
            return None
        language = language_of_request(request)
        words = words_in(language)
        is_missing = isinstance(error, NotFound)
        title = words["missing_title"] if is_missing else words["error"]
        line = words["no_page"] if is_missing else sentence_in(language, error)
        return self._plain.page(
            request,
            "nowhere.html",
            status,
            is_embeddable=True,
            title=title,
            heading=title,
            line=line,
            problem="",
        )


def register_unknown_paths(app: FastAPI, errors: ErrorResponses) -> None:
    """Register the fallback route of ``app``, after all of its other routes."""
    app.router.routes.append(UnknownPath(errors, app.router.routes))
    app.add_exception_handler(404, errors.handle_unknown_path)


def is_a_person(request: Request) -> bool:
    """Return whether a browser requests a document to display."""
    return (
        request.method in ("GET", "HEAD")
        and "text/html" in request.headers.get("accept", "")
        and policy_of(request.scope).kind is Kind.PAGE
    )


@route_policy(PAGE)
class UnknownPath(BaseRoute):
    """Fallback route for paths that match none of ``routes``."""

    def __init__(self, errors: ErrorResponses, routes: list[BaseRoute]) -> None:
        self._errors = errors
        self._routes = tuple(routes)

    def matches(self, scope: Scope) -> tuple[Match, dict[str, Any]]:
        """See ``BaseRoute``."""
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with 404, or redirect if the path without its trailing slashes exists."""
        request = Request(scope)
        path: str = scope["path"]
        meant = {**scope, "path": path.rstrip("/")}
        if path.endswith("/") and "\n" not in path and _take(self._routes, meant):
            query = request.url.query
            to = quote(meant["path"]) + (f"?{query}" if query else "")
            await RedirectResponse(to, 307)(scope, receive, send)
            return
        answer = await self._errors.handle_unknown_path(request, NotFound())
        await answer(scope, receive, send)


def _take(routes: Iterable[BaseRoute], scope: Scope) -> bool:
    return any(route.matches(scope)[0] is not Match.NONE for route in routes)
