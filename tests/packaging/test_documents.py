"""The documents: relative links resolve, and the map in ARCHITECTURE.md names every module."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
UNNAMED = {"__init__.py", "env.py"}


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def prose(document: Path) -> str:
    """Return the text without code, in which brackets are not links."""
    text = re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]+`", "", text)


def anchors(document: Path) -> set[str]:
    """Return the anchors that a hosting site generates for the headings of a document."""
    text = re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: Path) -> Iterator[str]:
    for match in LINK.finditer(prose(document)):
        target = match[1] or match[2]
        if not re.match(r"[a-z]+:", target):
            yield target


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_relative_links_resolve(document: Path) -> None:
    broken = []
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_the_map_names_every_module() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    words = set(re.findall(r"[\w.]+", text))
    sources = [*(ROOT / "backend").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]
    folders = {"migrations", "versions", "languages", "components", "pages"}
    missing = [
        name_of(file)
        for file in sources
        if file.name not in words and file.name not in UNNAMED and file.parent.name not in folders
    ]
    assert not missing
