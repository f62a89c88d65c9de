"""Pages that a team's functions build of NiceGUI elements: views in answers and whole pages.

They have NiceGUI's own document, with Quasar. A view is shown in a frame of the chat page: its
name and data come from the stored answer of the caller, and what is built from the server's
registry only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from fastapi import Request
from nicegui import Client, ui

from wireside.api.policy import PAGE
from wireside.chat.service import ChatService
from wireside.extension.pages import SidePage
from wireside.extension.turn import User
from wireside.extension.views import ViewFunction
from wireside.parts import data_of
from wireside_ui.application_pages import ApplicationPages
from wireside_ui.i18n.catalogue import direction_of, words_in
from wireside_ui.nicegui_socket import making
from wireside_ui.request_language import language_of_request
from wireside_ui.theme import Branding, head_html

BUILD_S = 2.0
"""Time limit of a function that builds a view or a page; it holds a place of those being made."""

_log = structlog.get_logger(__name__)

VIEW = replace(PAGE, is_framed=True)

VIEW_PATH = "/view"


class OwnPages:
    """Registers the pages.

    Args:
        chat: the chat service.
        look: the branding.
        version: version of the assets, which is appended to their addresses.
        views: the views by name.
        pages: the pages next to the chat.
        has_account_pages: users sign in to this server.
    """

    def __init__(
        self,
        chat: ChatService,
        look: Branding,
        version: str,
        *,
        views: Mapping[str, ViewFunction[Any]],
        pages: Sequence[SidePage],
        has_account_pages: bool = True,
    ) -> None:
        self._chat = chat
        self._look = look
        self._version = version
        self._views = views
        self._pages = pages
        self._has_account_pages = has_account_pages

    def register_views(self, pages: ApplicationPages) -> None:
        """Add the page of the views to those of the application, if there are any."""
        if self._views:
            pages.add(f"{VIEW_PATH}/{{turn_id}}/{{part_id}}", VIEW, self._serve_view)

    def register_pages(self, pages: ApplicationPages) -> None:
        """Add the pages next to the chat to those of the application."""
        for page in self._pages:
            pages.add(page.path, PAGE, partial(self._serve_page, page))

    async def _serve_view(self, request: Request, client: Client) -> None:
        chat: ChatService = getattr(request.state, "chat", self._chat)
        ids = request.path_params
        part = await chat.read_data_part(ids["turn_id"], ids["part_id"])
        data = data_of(part)
        given = data if part.kind == "view" and isinstance(data, dict) else {}
        view = self._views.get(str(given.get("name")))
        async with making(client):
            self._prepare(request, client)
            with client.layout, ui.element("div").classes("ws-own-page-view") as root:
                if view is None:
                    ui.label(part.text)
                else:
                    arguments = given.get("data")
                    build = partial(view.build, arguments if isinstance(arguments, dict) else {})
                    await self._built(root, build, request, view=view.name)

    async def _serve_page(self, page: SidePage, request: Request, client: Client) -> None:
        chat: ChatService = getattr(request.state, "chat", self._chat)
        base = request.scope.get("root_path", "")
        async with making(client):
            self._prepare(request, client)
            ui.page_title(f"{page.title} · {self._look.name}")
            with client.layout, ui.element("main").classes("ws-own-page"):
                with ui.element("a").props(f'href="{base}/"').classes("ws-own-page-back"):
                    logo = f"{base}/logo?v={self._version}"
                    ui.element("img").props(f'src="{logo}" alt="" width=28 height=28')
                    ui.label(self._look.name)
                with ui.element("h1"):
                    ui.label(page.title)
                with ui.element("div").classes("ws-own-page-body") as root:
                    build = partial(page.build, User.of(chat.caller))
                    await self._built(root, build, request, page=page.path)

    def _prepare(self, request: Request, client: Client) -> None:
        language = language_of_request(request)
        # NiceGUI would put the header in front of the path, which the scope has already
        request.scope["headers"] = [
            item for item in request.scope["headers"] if item[0] != b"x-forwarded-prefix"
        ]
        ui.add_head_html(
            head_html(
                self._look,
                base=request.scope.get("root_path", ""),
                version=self._version,
                language=language,
                direction=direction_of(language),
                page="own",
                user="" if self._has_account_pages else self._user(request),
            )
        )
        client.page_container.set_visibility(False)

    def _user(self, request: Request) -> str:
        chat: ChatService = getattr(request.state, "chat", self._chat)
        return chat.caller.user_id

    async def _built(
        self,
        root: ui.element,
        build: Callable[[], Awaitable[None]],
        request: Request,
        **names: str,
    ) -> None:
        """Build elements; a function that fails or takes ``BUILD_S`` leaves a sentence."""
        try:
            async with asyncio.timeout(BUILD_S):
                with root:
                    await build()
        except Exception:
            _log.exception("own_page_failed", **names)
            language = language_of_request(request)
            root.clear()
            with root:
                ui.label(words_in(language)["view_failed"]).classes("ws-own-page-failed")
