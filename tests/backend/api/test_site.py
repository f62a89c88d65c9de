"""The documentation at /docs: the built site with its policy, and the Markdown files without it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from wireside.api.routes.documents import DocsAudience, add_documents
from wireside.api.site import DocumentationSite
from wireside.app import create_app
from wireside.settings.model import Settings

SCRIPT = "document.body.dataset.theme = 1"
PAGE = f"<h1>Clients</h1><script>{SCRIPT}</script><script src='../a.js'></script>" + " " * 2_000


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "index.md").write_text("# Wireside")
    (folder / "clients.md").write_text("# Clients")
    (folder / "a.txt").write_text("an image, say")
    (tmp_path / "secret.md").write_text("not part of it")
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "clients").mkdir(parents=True)
    (folder / "protocol").mkdir()
    for name in ("index.html", "clients/index.html", "protocol/index.html"):
        (folder / name).write_text(PAGE)
    (folder / "a.js").write_text("1")
    return folder


async def get(site: Path, sources: Path, path: str, **request: Any) -> httpx2.Response:
    audience: DocsAudience = request.pop("audience", "public")
    app = FastAPI(docs_url=None)
    documentation = DocumentationSite(site, sources)
    add_documents(app, audience=audience, max_message_chars=7, site=documentation)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://chat.example") as client:
        return await client.get(path, **request)


async def test_a_page_runs_its_own_scripts_only(site: Path, sources: Path) -> None:
    response = await get(site, sources, "/docs/clients/")
    assert (response.status_code, response.text) == (200, PAGE)
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in response.headers["content-security-policy"].split(";")
    )
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self' ws://chat.example wss://chat.example"
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["cache-control"] == "no-cache"


async def test_a_page_that_did_not_change_keeps_its_policy(site: Path, sources: Path) -> None:
    """A browser replaces the headers that it has by those of a 304."""
    first = await get(site, sources, "/docs/clients/")
    tag = {"If-None-Match": first.headers["etag"]}
    second = await get(site, sources, "/docs/clients/", headers=tag)
    assert (first.status_code, second.status_code) == (200, 304)
    name = "content-security-policy"
    assert first.headers[name] == second.headers[name]


async def test_a_page_that_changed_has_the_policy_of_its_scripts(site: Path, sources: Path) -> None:
    before = (await get(site, sources, "/docs/")).headers["content-security-policy"]
    (site / "index.html").write_text("<script>other()</script>")
    after = (await get(site, sources, "/docs/")).headers["content-security-policy"]
    assert before != after


@pytest.mark.parametrize(
    ("path", "target"), [("/docs", "docs/"), ("/docs/clients", "http://chat.example/docs/clients/")]
)
async def test_addresses_without_a_slash_lead_to_the_page(
    site: Path, sources: Path, path: str, target: str
) -> None:
    response = await get(site, sources, path)
    assert (response.status_code, response.headers["location"]) == (307, target)


@pytest.mark.parametrize("path", ["/docs/none/", "/docs/none.js", "/docs/%2e%2e/secret.md"])
async def test_nothing_else_is_served(site: Path, sources: Path, path: str) -> None:
    assert (await get(site, sources, path)).status_code == 404
    assert (await get(site / "none", sources, path)).status_code == 404


async def test_the_protocol_is_a_page_for_browsers_and_text_for_programs(
    site: Path, sources: Path
) -> None:
    response = await get(site, sources, "/docs/protocol", headers={"Accept": "text/html"})
    assert (response.status_code, response.headers["location"]) == (307, "protocol/")
    response = await get(site, sources, "/docs/protocol")
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text.startswith("# The `/ws/ai-chat` protocol")


async def test_without_a_site_the_files_are_simple_pages(tmp_path: Path, sources: Path) -> None:
    missing = tmp_path / "missing"
    response = await get(missing, sources, "/docs/")
    assert "make docs" in response.text
    assert '<a href="clients.md">' in response.text
    page = await get(missing, sources, "/docs/clients.md")
    assert '<h1 id="clients">Clients</h1>' in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 's")
    assert (await get(missing, sources, "/docs/a.txt")).text == "an image, say"
    for path, target in {"/docs/clients/": "../clients.md", "/docs/clients": "clients.md"}.items():
        response = await get(missing, sources, path)
        assert (response.status_code, response.headers["location"]) == (307, target)
    response = await get(missing, sources, "/docs/protocol", headers={"Accept": "text/html"})
    assert response.headers["content-type"].startswith("text/plain")


async def test_the_documentation_can_be_off(site: Path, sources: Path) -> None:
    for path in ("/docs", "/docs/", "/docs/clients/"):
        assert (await get(site, sources, path, audience="off")).status_code == 404
    response = await get(
        site, sources, "/docs/protocol", audience="off", headers={"Accept": "text/html"}
    )
    assert response.status_code == 200


@pytest.mark.parametrize(("docs", "status"), [("public", 200), ("users", 303)])
async def test_a_setting_says_who_reads_it(tmp_path: Path, docs: Any, status: int) -> None:
    settings = Settings(data_dir=tmp_path, auth="password", openai_api_key="k", docs=docs)
    app = create_app(settings).app
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/docs/")).status_code == status
        assert (await client.get("/docs/protocol")).status_code == 200
