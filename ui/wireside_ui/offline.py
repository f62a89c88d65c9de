"""The service worker of the pages, and the page that it shows while the server can't be reached.

The page is part of the worker's script. Therefore nothing is cached, nothing of a user can be left
in a browser, and another version of the page is another script, which browsers look for at each
navigation.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from wireside.assets import assets_folder
from wireside_ui.i18n.catalogue import LANGUAGES, RIGHT_TO_LEFT, words_in
from wireside_ui.inline_scripts import inline
from wireside_ui.theme import Branding

WORKER_PATH: Final = "/service-worker.js"
"""In the folder of the pages: the scope of a worker is the folder of its script."""

WORKER_POLICY: Final = "default-src 'none'; connect-src 'self'"
"""Content-Security-Policy of the worker, which loads pages of this server only."""

PASSED: Final = ("api/", "v1/", "ws/", "oidc/", "assets/", "_nicegui/", "_nicegui_ws/")
"""Beginnings of paths below the application's whose navigations the worker leaves alone."""

SHEETS: Final = ("theme", "account", "accent")

MAX_KEPT: Final = 8
"""Number of scripts in memory: a server is reached below few paths."""

_templates = Environment(
    loader=PackageLoader("wireside_ui"), autoescape=True, undefined=StrictUndefined
)


class ServiceWorker:
    """Makes the script of the service worker.

    Args:
        look: the branding.
        version: version of the assets, which is appended to their addresses.
        frame_ancestors: sources of pages that may embed the chat.
    """

    def __init__(
        self, look: Branding, version: str, *, frame_ancestors: Iterable[str] = ()
    ) -> None:
        self._look = look
        self._version = version
        self._ancestors = " ".join(frame_ancestors) or "'none'"
        self.script = lru_cache(MAX_KEPT)(self._script)

    def page(self, base: str) -> tuple[str, str]:
        """Return the page, and its Content-Security-Policy.

        ``base`` is the path that the application is mounted at, without a trailing slash.
        """
        css = f"{_styles(base)}{self._look.css}"
        script = f"({inline('offline_page')})()"
        html = _templates.get_template("offline.html").render(
            look=self._look,
            base=base,
            version=self._version,
            css=css,
            script=script,
            words=_literal(
                {
                    "words": {language: self._words(language) for language in LANGUAGES},
                    "rightToLeft": sorted(RIGHT_TO_LEFT),
                    "base": base,
                    "theme": self._look.theme,
                }
            ),
        )
        policy = (
            f"default-src 'none'; style-src {_hash(css)}; script-src {_hash(script)};"
            " img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none';"
            f" form-action 'none'; frame-ancestors {self._ancestors}"
        )
        return html, policy

    def _script(self, base: str) -> str:
        page, policy = self.page(base)
        given = {
            "page": page,
            "passed": PASSED,
            "headers": {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": policy,
                "Cache-Control": "no-store",
                "Referrer-Policy": "same-origin",
                "X-Content-Type-Options": "nosniff",
            },
        }
        return f"({inline('service_worker')})({json.dumps(given)});\n"

    def _words(self, language: str) -> dict[str, str]:
        words = words_in(language)
        return {
            "title": words["offline_title"],
            "line": words["offline_line"].format(name=self._look.name),
            "again": words["try_again"],
            "trying": words["offline_trying"],
            "still": words["offline_still"],
        }


def _styles(base: str) -> str:
    texts = [(assets_folder() / "css" / f"{name}.css").read_text("utf-8") for name in SHEETS]
    joined = re.sub(r"/\*.*?\*/", "", "\n".join(texts), flags=re.DOTALL)
    return re.sub(r"\s+", " ", joined).replace("../fonts/", f"{base}/assets/fonts/")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _literal(value: object) -> str:
    """Return JSON that can stand in a ``<script>`` element."""
    return json.dumps(value).replace("<", "\\u003c")
