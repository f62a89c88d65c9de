"""The connection doctor in a real browser: it measures its own way, and shows what was found."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

CHECKS = 13


def examine(page: Page, url: str) -> None:
    page.goto(f"{url}/doctor")
    expect(page.locator("#report")).to_be_hidden()
    page.evaluate("document.querySelector('#silence option').value = '1'")
    page.get_by_role("button", name="Examine").click()
    expect(page.locator("#findings > li")).to_have_count(CHECKS, timeout=50_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_finds_a_connection_that_is_well(page: Page, served: Any, scheme: str) -> None:
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


def test_a_way_that_is_cut_is_shown_with_what_to_do(page: Page, served: Any) -> None:
    page.route_web_socket("**/ws/**", lambda ws: ws.close())  # as a proxy that takes none
    examine(page, served.url)
    expect(page.get_by_role("status")).to_contain_text("To look at:")
    finding = page.locator("#findings > li[data-check=WebSocket]")
    expect(finding).to_have_attribute("data-state", "failed")
    expect(finding).to_contain_text("At fault:")
    expect(finding.locator("figcaption")).to_have_text(["nginx", "Caddy", "Traefik", "HAProxy"])
