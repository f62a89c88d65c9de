"""The documentation as a site: complete, self-contained, small, and packed into a wheel."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.documentation import ROOT, built_site

pytestmark = pytest.mark.timeout(300)  # the first test builds the site

MAX_BYTES = 5_000_000


@pytest.fixture(scope="module")
def site() -> Path:
    return built_site()


class Addresses(HTMLParser):
    """Collects what a page links to, what it loads, and its anchors."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("next", "prev", "canonical"):
            self.loaded.append(given.get("href", ""))
        elif tag in ("script", "img", "iframe", "source") and "src" in given:
            self.loaded.append(given["src"])


def target_of(page: Path, address: str) -> Path:
    target = (page.parent / unquote(urlsplit(address).path)).resolve()
    return target / "index.html" if target.is_dir() else target


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {page.resolve(): Addresses(page) for page in site.rglob("*.html")}
    assert len(pages) > 40
    broken = []
    for page, addresses in pages.items():
        for address in (*addresses.links, *addresses.loaded):
            if urlsplit(address).scheme:
                continue
            target = target_of(page, address) if urlsplit(address).path else page
            fragment = unquote(urlsplit(address).fragment)
            has_anchor = target not in pages or fragment in {"", *pages[target].anchors}
            if not target.exists() or not has_anchor:
                broken.append(f"{page.relative_to(site)}: {address}")
    assert not broken


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    """The browser test sees what scripts load; this one sees all pages and style sheets."""
    for page in site.rglob("*.html"):
        foreign = [one for one in Addresses(page).loaded if urlsplit(one).netloc]
        assert not foreign, page
    for sheet in site.rglob("*.css"):
        text = sheet.read_text("utf-8")
        assert not re.findall(r"url\([\"']?(?:https?:)?//[^)]*", text), sheet
        assert "@import" not in text, sheet


def test_it_is_small_and_has_every_page(site: Path) -> None:
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < MAX_BYTES
    assert "Permission is hereby granted" in (site / "assets" / "LICENSE").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        name = "" if page.stem == "index" else page.stem
        assert (site / name / "index.html").is_file(), page.name
    for name in ("chat", "parts", "server", "provider", "errors", "tester", "adapters"):
        assert (site / "api" / name / "index.html").is_file()


def test_the_reference_describes_all_public_names(site: Path) -> None:
    import wireside

    text = " ".join(page.read_text("utf-8") for page in (site / "api").rglob("*.html"))
    found = set(re.findall(r'id="([\w.]+)"', text))
    described = {name.rpartition(".")[2] for name in found}
    assert set(wireside.__all__) - described == {"__version__", "Settings", "Delta"}


def test_a_page_that_the_navigation_does_not_list_is_added() -> None:
    specification = importlib.util.spec_from_file_location("docs", ROOT / "scripts" / "docs.py")
    assert specification is not None
    assert specification.loader is not None
    docs = importlib.util.module_from_spec(specification)
    sys.modules["docs"] = docs
    specification.loader.exec_module(docs)
    configuration = (ROOT / "docs" / "site" / "mkdocs.yml").read_text("utf-8")
    assert "      - clients.md" not in docs.with_navigation(configuration, [])
    without = configuration.replace("      - Overview: clients.md\n", "")
    navigation = docs.with_navigation(without, docs.API[:1]).partition("\ntheme:")[0]
    assert navigation.endswith(
        "  - API reference:\n      - Chat: api/chat.md\n  - More:\n      - clients.md\n"
    )


def wheel_names(folder: Path, root: Path) -> set[str]:
    """Build a wheel of a checkout; return the names of its files."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, root],
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_a_wheel_contains_the_site(site: Path, tmp_path: Path) -> None:
    names = wheel_names(tmp_path, ROOT)
    pages = ("index.html", "console/index.html", "site/console.js")
    assert {f"wireside/_site/{page}" for page in pages} <= names
    assert {name for name in names if name.startswith("wireside/_docs/")} == {
        "wireside/_docs/protocol.md"
    }


def test_a_wheel_of_a_checkout_without_the_site_contains_the_plain_pages(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    for name in ("docs", "scripts", "assets"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("backend/wireside", "ui/wireside_ui"):
        (checkout / name).mkdir(parents=True)
        (checkout / name / "__init__.py").touch()
    names = wheel_names(tmp_path / "dist", checkout)
    found = {name for name in names if name.startswith("wireside/_docs/")}
    assert {f"wireside/_docs/{file.name}" for file in (ROOT / "docs").glob("*.md")} <= found
    assert {"wireside/_docs/site/console.js", "wireside/_docs/images/chat-light.png"} <= found
    assert not any("contract" in name for name in found - {"wireside/_docs/contract.md"})
