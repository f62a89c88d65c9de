"""The style sheets of the pages, each joined from the sheets of its components.

A joined sheet is one request, and it declares the cascade layers in one place: a rule of a later
layer takes precedence over all rules of an earlier one, whatever their specificity.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wireside.assets import assets_folder

COMPONENTS = Path(__file__).parent / "components"

LAYERS = ("theme", "base", "components")
"""Layers within ``wireside``; in NiceGUI's own documents they override Quasar's rules."""

Sheets = Mapping[str, tuple[Path, ...]]
"""The files of each layer, in order. Those of "" are in no layer."""


def _of(component: str, *names: str) -> tuple[Path, ...]:
    return tuple(COMPONENTS / component / f"{name}.css" for name in names or (component,))


def _shared(name: str) -> Path:
    return assets_folder() / "css" / f"{name}.css"


PAGES: Mapping[str, Sheets] = {
    "chat": {
        "theme": (_shared("theme"),),
        "base": (_shared("base"),),
        "components": (
            _shared("frame"),
            *_of("kit", "dialog", "model_icon", "choices"),
            *_of("header", "header", "people"),
            *_of("banners"),
            *_of("preferences"),
            *_of("model_picker"),
            *_of("status"),
            *_of("welcome", "welcome", "welcome_text"),
            *_of("transcript", "transcript", "reasoning", "prose", "code", "formulas", "tables"),
            *_of(
                "transcript",
                "parts",
                "questions",
                "controls",
                "columns",
                "comments",
                "overlays",
                "views",
            ),
            *_of("composer", "composer", "chips", "prompts", "own_options", "footer", "voice"),
            *_of("library"),
            *_of("palette"),
            *_of(
                "sidebar", "sidebar", "list", "folders", "search", "notices", "bottom", "own_pages"
            ),
        ),
        "": (_shared("accent"), *_of("transcript", "katex")),
    },
    "own": {
        "theme": (_shared("theme"),),
        "": (_shared("accent"), *_of("own_page")),
    },
    "dashboard": {
        "theme": (_shared("theme"),),
        "components": (_shared("account"), *_of("dashboard")),
        "": (_shared("accent"),),
    },
}
"""The sheets of the pages that NiceGUI builds; the plain pages link theirs one by one."""


def joined(page: str) -> str:
    """Return the style sheet of a page of ``PAGES``, served as ``css/PAGE.css``."""
    texts = [f"@layer {', '.join(f'wireside.{name}' for name in LAYERS)};\n"]
    for layer, files in PAGES[page].items():
        text = "\n".join(file.read_text("utf-8") for file in files)
        texts.append(f"@layer wireside.{layer} {{\n{text}}}\n" if layer else text)
    return "\n".join(texts)
