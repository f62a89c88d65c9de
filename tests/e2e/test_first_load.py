"""What the first load transfers, and what moves while a page loads and an answer grows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import Lab
from tests.server_process import ServerProcess
from wireside.testing import answer

RICH = (Path(__file__).parent / "rich_answer.md").read_text(encoding="utf-8")

MOST_BYTES = 350_000
"""Of all responses of the first load, compressed, with their header fields."""

LARGEST_SHIFT = 0.02
"""Of all layout shifts together; the usual measure counts those of at most five seconds."""

OBSERVE = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const shift of list.getEntries())
    if (!shift.hadRecentInput) shifts.push([shift.value, shift.sources.map(
      ({node, previousRect: a, currentRect: b}) =>
        `${node?.className || node?.nodeName}: ${[a.x, a.y, a.width, a.height]}`
        + ` to ${[b.x, b.y, b.width, b.height]}`)]);
}).observe({type: "layout-shift", buffered: true});
"""


def test_the_first_load_is_small(page: Page, served: ServerProcess) -> None:
    received: list[float] = []
    cdp = page.context.new_cdp_session(page)
    cdp.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    cdp.send("Network.enable")
    page.goto(served.url)
    expect(page.get_by_test_id("connection-status")).to_have_attribute("data-state", "connected")
    page.wait_for_load_state("networkidle")
    assert 50_000 < sum(received) < MOST_BYTES


@pytest.mark.parametrize("width", [1440, 375])
def test_nothing_moves_but_what_grows(
    new_context: Callable[..., BrowserContext], served: ServerProcess, lab: Lab, width: int
) -> None:
    page = new_context(viewport={"width": width, "height": 800}).new_page()
    page.add_init_script(OBSERVE)
    page.goto(served.url)
    expect(page.get_by_test_id("connection-status")).to_have_attribute("data-state", "connected")
    page.wait_for_load_state("networkidle")
    assert total(page) < LARGEST_SHIFT
    pieces = re.findall(r"\S+\s*", RICH)
    lab.answer_with(answer(pieces, rate=200))
    page.get_by_test_id("input-chat").fill("Everything")
    page.get_by_test_id("button-send").click()
    expect(page.locator('[data-state="streaming"]').first).to_be_attached()
    page.wait_for_timeout(600)  # until then the browser takes a shift for a reaction to the click
    page.evaluate("shifts.length = 0")
    expect(page.get_by_test_id("button-stop")).to_have_count(0, timeout=60_000)
    assert total(page) < LARGEST_SHIFT, sorted(page.evaluate("shifts"), reverse=True)[:5]


def total(page: Page) -> float:
    shifts: list[list[Any]] = page.evaluate("shifts")
    return float(sum(value for value, _ in shifts))
