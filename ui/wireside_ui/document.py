"""The HTML document of the pages that NiceGUI builds.

NiceGUI's own document loads Quasar, DOMPurify and four more style sheets before it paints anything:
three quarters of the bytes of a page, none of which the components here use. This one paints with
our style sheet alone, and loads Vue, Socket.IO, NiceGUI's script and one script of our own.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import proxy

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from nicegui import Client, core, json
from nicegui import __version__ as nicegui_version
from nicegui.dependencies import esm_modules
from nicegui.favicon import get_favicon_url

from wireside_ui.bundle import externals

_templates = Environment(
    loader=PackageLoader("wireside_ui"), autoescape=True, undefined=StrictUndefined
)


def use_own_document(
    client: Client, page: str, *, version: str, language: str, direction: str
) -> None:
    """Make NiceGUI answer the request of ``client`` with the document of this module.

    Args:
        client: the page that is being created.
        page: its name in ``bundle.PAGES``.
        version: version of the assets, which is appended to their addresses.
        language: language of the page.
        direction: ``ltr`` or ``rtl``.
    """
    # by a weak reference, so that a closed page is freed at once, not when garbage is collected
    client.build_response = partial(  # type: ignore[method-assign]
        _respond,
        proxy(client),
        page=page,
        version=version,
        language=language,
        direction=direction,
    )


def _respond(
    client: Client,
    request: Request,
    status_code: int = 200,
    *,
    page: str,
    version: str,
    language: str,
    direction: str,
) -> Response:
    client._response_built = True
    client.outbox.updates.clear()
    # the script has all components: NiceGUI must not load them again before an update
    client.outbox._loaded_components.update(
        element.component.name
        for element in client.elements.values()
        if element.component is not None
    )
    prefix = str(request.scope.get("root_path", ""))
    html = _templates.get_template("document.html").render(
        page=page,
        version=version,
        language=language,
        direction=direction,
        title=client.resolve_title(),
        viewport=client.page.resolve_viewport(),
        favicon=get_favicon_url(client.page, prefix),
        head=client.head_html,
        body=client.body_html,
        base=prefix,
        nicegui=f"{prefix}/_nicegui/{nicegui_version}",
        imports=_literal({"imports": _imports(page, prefix)}),
        start=_literal(_start(client, request, prefix)),
    )
    headers = {"Cache-Control": "no-store", "X-NiceGUI-Content": "page"}
    return HTMLResponse(html, status_code, headers)


def _start(client: Client, request: Request, prefix: str) -> dict[str, Any]:
    """Return what ``start.js`` reads: the page's elements, and how to connect to the server."""
    config = core.app.config
    return {
        "elements": {name: element._to_dict() for name, element in client.elements.items()},
        "options": {
            "version": nicegui_version,
            "prefix": prefix,
            "query": {
                **config.socket_io_js_query_params,
                "client_id": client.id,
                "next_message_id": client.outbox.next_message_id,
                "implicit_handshake": not _is_prefetch(request),
            },
            "extraHeaders": config.socket_io_js_extra_headers,
            "transports": config.socket_io_js_transports,
        },
    }


def _is_prefetch(request: Request) -> bool:
    """Return whether the browser may never show the page: it then does not belong to it yet."""
    purpose = request.headers.get("Sec-Purpose") or request.headers.get("Purpose") or ""
    return "prefetch" in purpose.lower() and "prerender" not in purpose.lower()


def _imports(page: str, prefix: str) -> dict[str, str]:
    """Return the import map: the addresses of NiceGUI's modules that the page uses."""
    base = f"{prefix}/_nicegui/{nicegui_version}"
    found = {"vue": f"{base}/static/vue.esm-browser.prod.js"}
    used = externals(page)
    for key, module in esm_modules.items():
        if module.name in used:
            found[module.name] = f"{base}/esm/{key}/index.js"
            found[f"{module.name}/"] = f"{base}/esm/{key}/"
    return found


def _literal(value: object) -> str:
    """Return JSON that can stand in a ``<script>`` element."""
    return json.dumps(value).replace("<", "\\u003c")
