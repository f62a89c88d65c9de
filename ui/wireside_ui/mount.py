"""Mounts the pages on a FastAPI application."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.routing import Match

from wireside.api.errors import ErrorResponses
from wireside.api.policy import STATIC, route_policy
from wireside.assets import assets_folder
from wireside.auth.auth import Auth
from wireside.chat.service import ChatService
from wireside.extension.pages import SidePage
from wireside.extension.views import ViewFunction
from wireside.transfer.sharing import Sharing
from wireside_ui.application_pages import ApplicationPages
from wireside_ui.html_pages.account import AccountPages
from wireside_ui.html_pages.administration import AdministrationPages
from wireside_ui.html_pages.errors import ErrorPages, register_unknown_paths
from wireside_ui.html_pages.render import PlainPages
from wireside_ui.installing import installing_router
from wireside_ui.pages.chat import ChatPages
from wireside_ui.pages.dashboard import DashboardPage, Figures
from wireside_ui.pages.own import OwnPages
from wireside_ui.static_files import Assets, Packed, version_of
from wireside_ui.theme import Branding

ASSETS: Final = replace(STATIC, is_cross_origin=True)


def mount(
    app: FastAPI,
    chat: ChatService,
    look: Branding,
    *,
    pages: ApplicationPages,
    auth: Auth,
    sharing: Sharing,
    board: Figures,
    base_url: str = "",
    frame_ancestors: Iterable[str] = (),
    views: Mapping[str, ViewFunction[Any]] = {},
    own_pages: Sequence[SidePage] = (),
    count_error: Callable[[str], None],
) -> None:
    """Register the pages at ``/`` and ``/c/{id}`` and everything they need.

    Must be called after all other routes are registered, because the error pages match every
    remaining path.

    Args:
        app: the application.
        chat: the chat service.
        look: the branding.
        pages: the application's NiceGUI pages, none yet.
        auth: the authentication.
        sharing: the links to shared conversations.
        board: source of the dashboard's metrics.
        base_url: public address of the server, "" to derive it from each request.
        frame_ancestors: sources of pages that may embed the chat.
        views: the views of answers by name.
        own_pages: the pages next to the chat.
        count_error: called with the code of each error that a route raises.
    """
    assets = assets_folder()
    logo = _logo(look, assets)
    version = version_of(logo, look.accent)
    files = route_policy(ASSETS)(Packed(Assets()))
    app.mount("/assets", files)
    ancestors = tuple(frame_ancestors)
    installing = installing_router(look, logo, version, frame_ancestors=ancestors)
    app.router.routes.extend(installing.routes)
    plain = PlainPages(look, version, frame_ancestors=ancestors)
    accounts = AccountPages(
        auth=auth,
        sharing=sharing,
        look=look,
        plain=plain,
        base_url=base_url,
        administration=chat.administration,
    )
    app.router.routes.extend(accounts.router().routes)
    if chat.administration is not None:
        administration = AdministrationPages(chat, chat.administration, accounts)
        app.router.routes.extend(administration.router().routes)
    has_account_pages = auth.gate.mode != "host"
    ChatPages(
        chat,
        look,
        version,
        sharing=sharing.audience,
        has_account_pages=has_account_pages,
        view_names=tuple(views),
        own_pages=own_pages,
    ).register(pages)
    DashboardPage(board, look, version, time.time, has_account_pages=has_account_pages).register(
        pages
    )
    own = OwnPages(
        chat,
        look,
        version,
        views=views,
        pages=own_pages,
        has_account_pages=has_account_pages,
    )
    own.register_views(pages)
    _check_paths(app, pages, own_pages)
    own.register_pages(pages)
    app.router.routes.extend(pages.routes)
    errors = ErrorResponses(count=count_error, page=ErrorPages(plain).render)
    errors.register_handlers(app)
    register_unknown_paths(app, errors)


def _check_paths(app: FastAPI, pages: ApplicationPages, own: Iterable[SidePage]) -> None:
    """Raise ``ValueError`` if a page next to the chat has the path of one of ours."""
    for page in own:
        scope = {"type": "http", "method": "GET", "path": page.path, "root_path": "", "headers": []}
        for route in (*app.router.routes, *pages.routes):
            if route.matches(scope)[0] is not Match.NONE:
                raise ValueError(f"A page can't be at {page.path!r}: Wireside has one there.")


def _logo(look: Branding, assets: Path) -> Path:
    return look.logo or assets / "logo.svg"
