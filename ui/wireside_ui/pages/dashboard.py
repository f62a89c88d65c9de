"""The administrators' dashboard: live metrics and those of the last thirty days."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from nicegui import Client, ui

from wireside.api.policy import PAGE
from wireside.errors import Forbidden, WiresideError
from wireside.identity import LOCAL, Caller
from wireside.ports.clock import Clock
from wireside_ui.application_pages import ApplicationPages
from wireside_ui.components.dashboard import Dashboard
from wireside_ui.document import use_own_document
from wireside_ui.i18n.catalogue import direction_of, sentence_in, words_in
from wireside_ui.nicegui_socket import making
from wireside_ui.request_language import language_of_request
from wireside_ui.theme import Branding, head_html

HOUR_S: Final = 3600


class Figures(Protocol):
    """Source of the metrics. Both methods raise ``Forbidden`` if the caller is no administrator."""

    async def read_period(self, caller: Caller, since: float, until: float) -> dict[str, Any]:
        """Return the metrics from ``since`` to ``until``, in seconds since 1970.

        Raises:
            Forbidden: the caller is no administrator.
            StoreError: the store can't be read.
        """
        ...

    def add_listener(
        self, caller: Caller, listener: Callable[[dict[str, Any]], object]
    ) -> Callable[[], None]:
        """Call ``listener`` with each new set of metrics; return a function that stops this.

        Raises:
            Forbidden: the caller is no administrator.
        """
        ...


class DashboardPage:
    """Registers the page at ``/dashboard``."""

    def __init__(
        self,
        board: Figures,
        look: Branding,
        version: str,
        clock: Clock,
        *,
        has_account_pages: bool = True,
    ) -> None:
        """``clock`` returns seconds since 1970."""
        self._has_account_pages = has_account_pages
        self._board = board
        self._look = look
        self._version = version
        self._now = clock

    def register(self, pages: ApplicationPages) -> None:
        """Add the page to those of the application."""
        pages.add("/dashboard", PAGE, self._serve)

    async def _serve(self, request: Request, client: Client) -> Response | None:
        caller = getattr(request.state, "caller", LOCAL)
        base = request.scope.get("root_path", "")
        if not caller.may("admin"):
            if not self._has_account_pages:
                raise Forbidden
            return RedirectResponse(f"{base}/audit", 303)  # shows the error
        async with making(client):
            await self._build(request, client, caller, base)
        return None

    async def _build(self, request: Request, client: Client, caller: Caller, base: str) -> None:
        language = language_of_request(request)
        direction = direction_of(language)
        words = words_in(language)
        ui.page_title(f"{words['dashboard']} · {self._look.name}")
        ui.add_head_html(
            head_html(
                self._look,
                base=base,
                version=self._version,
                language=language,
                direction=direction,
                page="dashboard",
            )
        )
        use_own_document(
            client, "dashboard", version=self._version, language=language, direction=direction
        )
        now = self._now()
        client.page_container.set_visibility(False)
        with client.layout:
            shown = Dashboard(
                first=await self._show(caller, language, now - HOUR_S, now),
                links=self._links(caller, base, words),
                logo=f"{base}/logo?v={quote(self._version)}",
                name=self._look.name,
                base=base,
                language=language,
                words=words,
                on_range=lambda since, until: self._show(caller, language, since, until),
                now=self._now,
            )
        client.on_delete(self._board.add_listener(caller, shown.push))

    async def _show(
        self, caller: Caller, language: str, since: float, until: float
    ) -> dict[str, Any]:
        try:
            return await self._board.read_period(caller, since, until)
        except WiresideError as error:
            return {"problem": sentence_in(language, error)}

    def _links(self, caller: Caller, base: str, words: dict[str, str]) -> list[dict[str, str]]:
        of_accounts = (
            ("settings", "account_settings"),
            ("people", "account_people"),
            ("audit", "account_audit"),
        )
        of_all = (("dashboard", "dashboard"), ("doctor", "doctor_short"))
        return [
            {"href": f"{base}/{path}", "text": words[word]}
            for path, word in (*(of_accounts if caller.user_id else ()), *of_all)
        ]
