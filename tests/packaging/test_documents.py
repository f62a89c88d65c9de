"""Documents: links resolve, named files exist, and ARCHITECTURE.md maps every module."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from wireside_ui.static_files import JOINED

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
FOLDERS = ("examples", "assets", "backend", "benchmarks", "docs", "scripts", "tests", "ui")
FOLDER = re.compile(rf"(?:{'|'.join(FOLDERS)})(?:/[\w.-]+)+/")
FILE = re.compile(r"[\w*./-]+\.(?:py|js|mjs|css)")
INVENTED = re.compile(r".*NAME|example\.")
"""Matches files that a reader of the document creates."""


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


def map_of_modules() -> set[str]:
    """Return the paths of all modules in the map, rebuilt from its indentation."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    block = re.search(r"^```text$(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert block is not None
    folders: list[str] = []
    found = set()
    for line in filter(None, block[1].splitlines()):
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders[depth:] = [name] if name.endswith("/") else []
        if name.endswith(".py") and folders[:1] != ["tests/"]:
            found.add("".join(folders) + name)
    return found


def test_the_map_names_every_module() -> None:
    sources = [*(ROOT / "backend").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]
    modules = {
        name_of(file)
        for file in sources
        if file.name != "__init__.py" and "migrations" not in file.parts
    }
    assert map_of_modules() == modules


def paths_in(document: Path) -> Iterator[str]:
    """Return the source files and folders that a document names in backticks."""
    for text in re.findall(r"`([^`\s]+)`", document.read_text("utf-8")):
        if (FILE.fullmatch(text) or FOLDER.fullmatch(text)) and not INVENTED.match(text):
            yield text.removeprefix("./").strip("/")


@pytest.fixture(scope="module")
def files_and_folders() -> list[str]:
    files = [f"/{name_of(path)}" for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    return [*files, *(f"/assets/{path}" for path in JOINED)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_named_files_exist(document: Path, files_and_folders: list[str]) -> None:
    """A file may be named without the folders above it."""
    named = set(paths_in(document))
    assert not [path for path in named if not fnmatch.filter(files_and_folders, f"*/{path}")]
