"""Routes of the documentation and of the contract of the WebSocket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Literal

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from wireside.api.policy import FILE, PAGE, route_policy, with_policy
from wireside.api.site import DocumentationSite
from wireside.assets import documents_folder, site_folder
from wireside.protocol.contract import asyncapi_document
from wireside.version import __version__

CONTRACT: Final = replace(FILE, is_cross_origin=True, cost=5)
"""The contract is public, also for tools that other pages run."""

DocsAudience = Literal["off", "users", "public"]

SITE: Final = {"users": replace(PAGE, cost=2), "public": replace(FILE, cost=2)}
"""The policy of the site by its audience."""


def add_documents(
    app: FastAPI,
    *,
    audience: DocsAudience,
    max_message_chars: int,
    site: DocumentationSite | None = None,
) -> None:
    """Add the site at ``/docs``, the description of the protocol, and ``/asyncapi.json``.

    The description and the contract are public whatever ``audience`` is: a 426 response names the
    address of the former.
    """
    site = site or DocumentationSite(site_folder(), documents_folder())
    contract = _contract_routes(None if audience == "off" else site, max_message_chars)
    app.router.routes.extend(contract.routes)
    if audience == "off":
        return
    policy = SITE[audience]

    @app.get("/docs", include_in_schema=False)
    @route_policy(policy)
    async def documentation() -> RedirectResponse:
        return RedirectResponse("docs/")

    app.mount("/docs", route_policy(policy)(site))


def _contract_routes(site: DocumentationSite | None, max_message_chars: int) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    text = (documents_folder() / "protocol.md").read_text(encoding="utf-8")

    @router.get("/docs/protocol")
    async def protocol(request: Request) -> Response:
        """Return the description: Markdown, or for a browser the page of the site."""
        is_browser = "text/html" in request.headers.get("accept", "")
        if is_browser and site is not None and site.is_built:
            return RedirectResponse("protocol/", headers={"Vary": "Accept"})
        return PlainTextResponse(text, headers={"Vary": "Accept"})

    @router.get("/asyncapi.json")
    async def asyncapi(request: Request) -> JSONResponse:
        return JSONResponse(_contract(request, max_message_chars))

    return with_policy(router, CONTRACT)


def _contract(request: Request, max_message_chars: int) -> dict[str, Any]:
    """Return the AsyncAPI document with the address at which the client reaches the server."""
    return asyncapi_document(
        version=__version__,
        max_message_chars=max_message_chars,
        host=request.url.netloc,
        protocol="wss" if request.url.scheme == "https" else "ws",
        root_path=request.scope.get("root_path", ""),
    )
