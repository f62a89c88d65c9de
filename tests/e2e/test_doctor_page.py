"""The connection doctor in a real browser: it examines its connection and shows the findings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.proxies import kinds
from tests.server_process import ServerProcess

CHECKS = 13


def examine(page: Page, url: str) -> None:
    page.goto(f"{url}/doctor")
    expect(page.locator("#report")).to_be_hidden()
    page.evaluate("document.querySelector('#silence option').value = '1'")
    page.get_by_role("button", name="Run the test").click()
    expect(page.locator("#findings > li")).to_have_count(CHECKS, timeout=50_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_finds_a_connection_that_is_well(
    page: Page, served: ServerProcess, scheme: str
) -> None:
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    examine(page, served.url)
    expect(page.get_by_role("status")).to_have_text("All is well.")
    expect(page.locator("#findings > li[data-state=ok]")).to_have_count(CHECKS)
    expect(page.locator("#findings > li").nth(0)).to_contain_text("WebSocket")
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == (scheme == "dark")
    width = "document.documentElement.scrollWidth - innerWidth"
    for size in (1440, 820, 375):
        page.set_viewport_size({"width": size, "height": 800})
        assert page.evaluate(width) <= 0
    assert complaints == []


def test_a_way_that_is_cut_is_shown_with_what_to_do(page: Page, served: ServerProcess) -> None:
    page.route_web_socket("**/ws/**", lambda ws: ws.close())  # as a proxy that refuses WebSockets
    examine(page, served.url)
    expect(page.get_by_role("status")).to_contain_text("To look at:")
    finding = page.locator("#findings > li[data-check=WebSocket]")
    expect(finding).to_have_attribute("data-state", "failed")
    expect(finding).to_contain_text("At fault:")
    expect(finding.locator("figcaption")).to_have_text(["nginx", "Caddy", "Traefik", "HAProxy"])


# ---- behind a real proxy -------------------------------------------------------------------------

UPGRADES = ("Upgrade $http_upgrade;", "Connection $connection_upgrade;")


@pytest.fixture
def behind_nginx(
    new_context: Callable[..., BrowserContext], served: ServerProcess, tmp_path: Path
) -> Iterator[Callable[..., Page]]:
    """Call with an edit of nginx' documented configuration to get the page behind that nginx."""
    kinds.found(kinds.Nginx.program)
    context = new_context(ignore_https_errors=True)
    proxy = kinds.Nginx(tmp_path, served, kinds.make_certificate(tmp_path))

    def examined(edit: kinds.Edit) -> Page:
        proxy.start(edit)
        page = context.new_page()
        examine(page, proxy.url)
        return page

    yield examined
    proxy.stop()


def test_the_page_finds_the_documented_nginx_well(behind_nginx: Callable[..., Page]) -> None:
    page = behind_nginx(lambda text: text)
    expect(page.locator("#findings > li[data-state=ok]")).to_have_count(CHECKS)
    expect(page.get_by_role("status")).to_have_text("All is well.")
    expect(page.locator("li[data-check=Address]")).to_contain_text("by https")
    expect(page.locator("li[data-check='HTTP version']")).to_contain_text("2 here")


def test_the_page_names_nginx_and_its_line_where_upgrades_are_lost(
    behind_nginx: Callable[..., Page],
) -> None:
    def without_upgrades(text: str) -> str:
        lines = text.splitlines(True)
        kept = [line for line in lines if not line.rstrip().endswith(UPGRADES)]
        assert len(lines) - len(kept) == len(UPGRADES)
        return "".join(kept)

    page = behind_nginx(without_upgrades)
    finding = page.locator("li[data-check=Upgrade]")
    expect(finding).to_have_attribute("data-state", "failed")
    expect(finding).to_contain_text("At fault: the proxy")
    expect(finding.locator("figcaption")).to_have_text(["nginx"])
    expect(finding.locator("pre")).to_contain_text("proxy_set_header Upgrade $http_upgrade;")
    for name in ("Clocks", "Round trip"):  # requests are timed instead
        expect(page.locator(f"li[data-check='{name}']")).to_have_attribute("data-state", "ok")
    expect(page.locator("li[data-check='Round trip']")).to_contain_text("by HTTP")
