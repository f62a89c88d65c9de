"""Each class name belongs to one component and to one style sheet.

Two components that use one name for different things restyle each other: a tool call in an answer
was once drawn as the header's icon button.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from wireside_ui import styles
from wireside_ui.markdown.allow_list import CLASSES
from wireside_ui.theme import Branding, head_html

ROOT = Path(__file__).parents[2]
UI = ROOT / "ui/wireside_ui"
FILES = [*(ROOT / "assets/css").glob("*.css"), *UI.glob("components/*/*.css")]
SHEETS = {path.stem: path.read_text("utf-8") for path in FILES}
"""The style sheets by name: those of several components, and those in the components' folders."""

OWNERS = {path.stem: path.parent.name if path.is_relative_to(UI) else path.stem for path in FILES}
"""The component of each sheet; a sheet of several components is its own."""

SCRIPTS = {
    folder.name: "\n".join(path.read_text("utf-8") for path in folder.rglob("*.js"))
    for folder in UI.glob("components/*/")
    if folder.is_dir()
}
"""The scripts of each component."""
TEMPLATES = {path.stem: path.read_text("utf-8") for path in UI.glob("templates/*.html")}

PREFIXES = {
    **{name: {f"ws-{name.replace('_', '-')}"} for name in SCRIPTS},
    "model_picker": {"ws-picker"},
    "transcript": {"ws-transcript", "ws-turn", "ws-prose"},
}
"""The prefixes of each component's classes; the transcript has those of its turns and texts too."""

SHARED = {
    "ws-button": {
        "sidebar",
        "composer",
        "header",
        "preferences",
        "status",
        "model_picker",
        "welcome",
        "library",
    },
    "ws-icon": {"kit"},
    "ws-menu": {"sidebar", "composer", "status", "model_picker"},
    "ws-menu-anchor": {"status", "model_picker"},
    "ws-panel": {"composer", "model_picker"},
    "ws-strong": {"sidebar", "welcome", "library", "composer", "header"},
    "ws-text-tool": {"composer", "header", "status", "model_picker", "welcome"},
    "ws-tool": {"banners", "sidebar", "composer", "header", "library", "preferences"},
    "ws-unseen": {"sidebar", "status", "palette", "preferences", "header"},
}
"""Classes of the frame, in ``frame.css``, and the components that use each of them.

A component that uses a name by accident is not listed.
"""

ROOT_CLASSES = {"ws-page", "ws-main", "ws-dark", "ws-sidebar-closed"}
"""Classes of the page, its main area, its dark state, and that its sidebar is closed."""

MARKUP = {name for names in CLASSES.values() for name in names}
"""Classes of rendered Markdown."""

FRAMED = {"ws-own-page-view"}
"""The root of the pages that the transcript shows in frames."""

ACCOUNT = {"wa-back", "wa-bar", "wa-button", "wa-card", "wa-note", "wa-problem"}
"""Classes of the plain pages, in ``account.css``, that the dashboard uses too."""

PAGES = {
    **{
        page: tuple(file.stem for files in sheets.values() for file in files)
        for page, sheets in styles.PAGES.items()
    },
    "accounts": ("theme", "account", "accent"),
    "doctor": ("theme", "account", "accent", "doctor"),
}
"""The style sheets of each page, in order."""

CLASS = re.compile(r"(?<![\w-])(w[sad]-[a-z][a-z0-9-]*)")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def selectors(sheet: str) -> list[str]:
    """Return the selectors of all rules of a sheet, including those within ``@media`` and so on."""
    preludes = re.findall(r"([^{};]+)\{", COMMENT.sub("", sheet))
    return [text.strip() for text in preludes if not text.strip().startswith("@")]


def classes(sheet: str) -> set[str]:
    return {name for text in selectors(sheet) for name in re.findall(r"\.(w[sad]-[\w-]+)", text)}


STYLED = {name for sheet in SHEETS.values() for name in classes(sheet)}


def used(script: str) -> set[str]:
    """Return the class names in the strings of a component's script."""
    strings = re.findall(r"\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`", script)
    return {
        name
        for text in strings
        if "--ws-" not in text
        for name in CLASS.findall(text)
        if name in STYLED
    }


@pytest.mark.parametrize("component", sorted(PREFIXES))
def test_the_classes_of_a_component_begin_with_its_prefix(component: str) -> None:
    """Classes of rendered Markdown have names of their own: exported pages have them too."""
    styled = {
        name
        for sheet, owner in OWNERS.items()
        if owner == component
        for name in classes(SHEETS[sheet])
    }
    names = styled | used(SCRIPTS[component])
    others = {
        name
        for name in names
        if not any(
            name == prefix or name.startswith(f"{prefix}-") for prefix in PREFIXES[component]
        )
    }
    allowed = {name for name, users in SHARED.items() if component in users} | ROOT_CLASSES
    allowed |= {name for name in others if name.startswith("ws-kit-")}
    allowed |= MARKUP | FRAMED if component == "transcript" else set()
    allowed |= ACCOUNT if component == "dashboard" else set()
    assert others - allowed - (SHARED.keys() & styled) == set()


def test_a_shared_class_is_used_by_the_listed_components_only() -> None:
    assert set(SHARED) | ROOT_CLASSES >= classes(SHEETS["frame"]) | classes(SHEETS["base"])
    for name, users in SHARED.items():
        assert {one for one, script in SCRIPTS.items() if name in used(script)} == users


def test_a_joined_sheet_has_every_rule_of_its_files_in_declared_layers() -> None:
    for page, sheets in styles.PAGES.items():
        text = styles.joined(page)
        assert text.startswith("@layer wireside.theme, wireside.base, wireside.components;")
        assert {layer for layer in sheets if layer} <= set(styles.LAYERS)
        for files in sheets.values():
            assert all(file.read_text("utf-8") in text for file in files)


@pytest.mark.parametrize("place", PAGES)
def test_no_animation_belongs_to_two_sheets_of_a_page(place: str) -> None:
    names = Counter(
        name for sheet in PAGES[place] for name in re.findall(r"@keyframes\s+(\S+)", SHEETS[sheet])
    )
    assert {name for name, count in names.items() if count > 1} == set()


def test_a_sheet_of_a_component_styles_nothing_outside_its_classes() -> None:
    components = {path.stem for path in UI.glob("components/*/*.css")} - {"dashboard"}
    for name in sorted(components):
        bare = [
            part
            for text in selectors(SHEETS[name])
            for part in re.split(r",(?![^()]*\))", text)
            if not re.search(r"\.ws-|::highlight\(ws-", part)
            and not re.fullmatch(r"\s*(from|to|\d+%|html.*)\s*", part)
        ]
        assert bare == []


def test_the_page_links_the_sheets_that_are_compared_here() -> None:
    head = head_html(Branding(), base="", version="0", language="en", direction="ltr")
    assert re.findall(r"css/(\w+)\.css", head) == ["chat"]
    assert len(SHEETS) == len(FILES)
    assert set(SHEETS) == {sheet for sheets in PAGES.values() for sheet in sheets}
    assert set(re.findall(r"css/(\w+)\.css", TEMPLATES["base"])) == set(PAGES["accounts"])
