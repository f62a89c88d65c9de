"""Pages without NiceGUI: plain HTML from ``templates/``, in the visitor's language.

They work without JavaScript and use no server memory while they are open: a NiceGUI page takes
200 KB for each visitor of the sign-in page.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from wireside_ui.i18n.catalogue import direction_of, words_in
from wireside_ui.request_language import language_of_request
from wireside_ui.theme import Branding, icon_links


class PlainPages:
    """Renders the pages, each with its own Content-Security-Policy."""

    def __init__(
        self, look: Branding, version: str, *, frame_ancestors: Iterable[str] = ()
    ) -> None:
        """``version`` is the version of the assets, which is appended to their addresses.

        ``frame_ancestors`` are sources of pages that may embed the chat.
        """
        self._ancestors = " ".join(frame_ancestors) or "'none'"
        self._look = look
        self._version = version
        self._templates = Environment(
            loader=PackageLoader("wireside_ui"), autoescape=True, undefined=StrictUndefined
        )

    def page(
        self,
        request: Request,
        template: str,
        status: int,
        *,
        connects: bool = False,
        is_embeddable: bool = False,
        **values: Any,
    ) -> Response:
        """Render a page.

        ``connects``: its script may open WebSockets to this server. ``is_embeddable``: the page has
        no form that another page could make a user submit, and may stand where the chat does.
        """
        ancestors = self._ancestors if is_embeddable else "'none'"
        language = language_of_request(request)
        base = request.scope.get("root_path", "")
        nonce = secrets.token_urlsafe(16)
        html = self._templates.get_template(template).render(
            words=words_in(language),
            language=language,
            direction=direction_of(language),
            look=self._look,
            theme=self._look.theme,
            base=base,
            icon_links=icon_links(self._look, base=base, version=self._version),
            version=self._version,
            nonce=nonce,
            **values,
        )
        host = request.headers.get("host", "")
        policy = (
            f"default-src 'none'; style-src 'self' 'nonce-{nonce}'; script-src 'self';"
            " img-src 'self' data:; font-src 'self'; manifest-src 'self';"
            " form-action 'self'; base-uri 'none';"
            f" frame-ancestors {ancestors}"
        )
        if connects:  # older Safari does not apply 'self' to WebSockets
            policy += f"; connect-src 'self' ws://{host} wss://{host}"
        return HTMLResponse(
            html,
            status,
            {"Content-Security-Policy": policy, "Cache-Control": "no-store"},
        )
