"""The dashboard in a browser: its figures are correct, and it shows no content of conversations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from websockets.sync.client import connect

from tests.e2e.conftest import Lab
from wireside.testing import answer

SECRET = "the launch is on Thursday"


@pytest.fixture(scope="module")
def asked(running_lab: Lab, tmp_path_factory: pytest.TempPathFactory, served_with: Any) -> Any:
    """A server that was asked three questions, one of them for a model that does not exist."""
    server = served_with(running_lab.url, tmp_path_factory.mktemp("figures"))
    yield server
    server.stop()


def ask(server: Any, message: str, **more: str) -> dict[str, Any]:
    with connect(server.url.replace("http", "ws") + "/ws/ai-chat") as socket:
        socket.send(json.dumps({"type": "chat", "id": "1", "message": message, **more}))
        while True:
            frame: dict[str, Any] = json.loads(socket.recv(timeout=20))
            if frame["type"] in ("done", "error"):
                return frame


@pytest.fixture
def dashboard(asked: Any, page: Page) -> Iterator[Page]:
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.goto(f"{asked.url}/dashboard")
    expect(page.get_by_test_id("dashboard")).to_be_visible()
    yield page
    assert complaints == []


def test_what_is_asked_is_shown_and_what_is_said_is_not(
    dashboard: Page, asked: Any, lab: Lab
) -> None:
    lab.answer_with(answer([SECRET]), answer([SECRET]))
    assert ask(asked, SECRET)["type"] == "done"
    assert ask(asked, SECRET)["type"] == "done"
    assert ask(asked, SECRET, model="no-such-model")["code"] == "unknown_model"
    sums = dashboard.locator(".ws-dashboard-sums")
    expect(sums).to_contain_text("messages 3 · answers 2", timeout=30_000)
    errors = dashboard.get_by_role("row").filter(has_text="unknown_model")
    expect(errors.get_by_role("cell").nth(1)).to_have_text("1")
    expect(errors.get_by_role("cell").nth(2)).to_have_text(re.compile(r"^[\w-]{8,}$"))
    expect(dashboard.get_by_role("listitem").filter(has_text="lab-1")).to_contain_text("2")
    expect(dashboard.locator("[data-figure=dash_memory] dd").first).to_have_text(
        re.compile(r"^\d+ MiB$")
    )
    assert dashboard.locator("canvas").count() == 8
    assert SECRET not in dashboard.content()


def test_a_word_that_ends_in_a_figure_is_whole(dashboard: Page) -> None:
    expect(dashboard.locator("[data-figure=dash_first] .ws-dashboard-line")).to_have_text(
        re.compile(r"^p50( · p95 [\d.,]+ s)?$")
    )


def test_the_doctor_is_a_click_away_and_back(dashboard: Page) -> None:
    current = dashboard.locator("nav [aria-current=page]")
    expect(current).to_have_text("Dashboard")
    dashboard.get_by_role("link", name="Doctor").click()
    expect(current).to_have_text("Doctor")
    dashboard.get_by_role("link", name="Dashboard").click()
    expect(current).to_have_text("Dashboard")


def test_any_time_can_be_looked_at(dashboard: Page) -> None:
    dashboard.get_by_role("button", name="30 days").click()
    expect(dashboard.locator(".ws-dashboard-sums strong")).to_have_text("30 days")
    dashboard.get_by_role("button", name="Other…").click()
    dashboard.get_by_role("textbox", name="From").fill("2026-01-01T00:00")
    dashboard.get_by_role("textbox", name="To").fill("2025-01-01T00:00")
    dashboard.get_by_role("button", name="Show").click()
    expect(dashboard.get_by_role("alert")).to_contain_text("after the beginning")
    dashboard.wait_for_timeout(2500)  # a refresh arrives and keeps the typed text
    dashboard.get_by_role("textbox", name="To").fill("2026-01-02T00:00")
    dashboard.get_by_role("button", name="Show").click()
    expect(dashboard.locator(".ws-dashboard-sums")).to_contain_text("messages 0")
    expect(dashboard.get_by_text("Nothing in this time.").first).to_be_visible()


@pytest.mark.parametrize("width", [375, 820, 1440])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_it_fits_every_screen(
    asked: Any, new_context: Callable[..., BrowserContext], width: int, colours: str
) -> None:
    context = new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if colours == "dark" else "light",
    )
    page = context.new_page()
    page.goto(f"{asked.url}/dashboard")
    page.locator("canvas").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(23, 22, 20)" if colours == "dark" else "rgb(251, 250, 248)")


def test_a_server_that_is_gone_is_told(
    running_lab: Lab, tmp_path_factory: pytest.TempPathFactory, served_with: Any, page: Page
) -> None:
    server = served_with(running_lab.url, tmp_path_factory.mktemp("gone"))
    page.goto(f"{server.url}/dashboard")
    expect(page.get_by_role("status")).to_have_text("live")
    server.kill()
    expect(page.get_by_role("status")).to_have_text("The server can't be reached.", timeout=20_000)
