"""Joins the modules of the JavaScript client into the one file that programs download.

Theory of operation: the modules share the scope of the joined file, so that imports between them
can be dropped, and their exports become plain declarations; only ``index.js`` exports. Names at the
top of a module are therefore unique among all modules. Prettier formats them: an import, and the
beginning of an export, is a line.
"""

from __future__ import annotations

import re
from functools import cache

from wireside.assets import assets_folder

MODULES = (
    "types",
    "client",
    "conversation",
    "answer",
    "batch",
    "connection",
    "probe",
    "timers",
    "errors",
    "index",
)
"""The modules in ``client/wireside/`` of the assets, in the order of the joined file."""

_BETWEEN = re.compile(
    r"^(?:import .*|export \{\};|// @ts-check|/\*\* @import .* \*/)\n+", re.MULTILINE
)
_EXPORT = re.compile(r"^export (?=(?:async|class|const|function) )", re.MULTILINE)


@cache
def joined() -> str:
    """Return the client, served as ``client/wireside.js`` and ``client/wireside.mjs``."""
    source = assets_folder() / "client" / "wireside"
    texts = [(source / f"{name}.js").read_text("utf-8") for name in MODULES]
    return "// @ts-check\n" + "\n".join(
        _EXPORT.sub("", _BETWEEN.sub("", text)).rstrip() + "\n" for text in texts
    )
