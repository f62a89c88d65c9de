"""Preloads the script modules of a page's components.

A browser finds a module only when it has read the one that imports it, which costs a round trip for
each level of imports. NiceGUI knows the folders of modules, not their files.
"""

from __future__ import annotations

from functools import cache

from nicegui import __version__ as nicegui_version
from nicegui.dependencies import esm_modules

PAGES = {
    "chat": ("wireside-kit", "wireside-transcript", "wireside-composer", "wireside-sidebar"),
    "dashboard": ("wireside-kit", "wireside-dashboard"),
}
"""The packages of modules that a page imports, by their names in the import map."""


def preload_html(page: str, *, base: str) -> str:
    """Return the HTML for a page's head that preloads its modules.

    Args:
        page: name of the page in ``PAGES``.
        base: path that the application is mounted at, without a trailing slash.
    """
    return "".join(
        f'<link rel="modulepreload" href="{base}/_nicegui/{nicegui_version}/esm/{file}">'
        for file in _files(page)
    )


@cache
def _files(page: str) -> tuple[str, ...]:
    names = PAGES[page]
    return tuple(
        f"{key}/{file.relative_to(module.path).as_posix()}"
        for key, module in esm_modules.items()
        if module.name in names
        for file in sorted(module.path.rglob("*.js"))
    )
