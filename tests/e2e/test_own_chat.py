"""The page of a chat of handlers: what a team's `app.py` adds to it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.server_process import SERVE, ServerProcess

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ServerProcess(
        tmp_path_factory.mktemp("own"),
        command=[*SERVE, "tests.e2e.own_chat:chat"],
        PYTHONPATH=str(ROOT),
    ) as process:
        yield process.url


@pytest.fixture
def chat(server: str, page: Page) -> Page:
    page.goto(server)
    expect(page.get_by_test_id("model-picker")).to_be_enabled()
    return page


def pick(page: Page, name: str) -> None:
    page.keyboard.press("Escape")  # the settings may be in front of it
    page.get_by_test_id("model-picker").click()
    page.get_by_role("option", name=name).click()


def ask(page: Page, text: str) -> Locator:
    """Ask a question; return its answer once it has ended."""
    page.get_by_test_id("input-chat").fill(text)
    page.keyboard.press("Enter")
    answers = page.get_by_test_id("answered-by")
    expect(answers.last).to_be_visible()
    return page.locator(".ws-turn-parts").last


def test_icons_descriptions_and_starters_follow_the_chosen_handler(chat: Page) -> None:
    starters = chat.get_by_role("list").filter(has_text="Revenue by month").get_by_role("button")
    expect(starters).to_have_text(["Revenue by month"])
    chat.get_by_test_id("model-picker").click()
    first = chat.get_by_role("option", name="Analyst")
    expect(first).to_contain_text("Reads tables")
    expect(first.locator("svg.ws-kit-model-icon")).to_be_visible()
    chat.get_by_role("option", name="Poet").click()
    expect(chat.get_by_role("button", name="A haiku")).to_be_visible()
    expect(chat.get_by_text("Revenue by month")).to_have_count(0)
    chat.get_by_role("button", name="A haiku").click()
    answered_by = chat.get_by_test_id("answered-by")
    expect(answered_by).to_have_text("🪶 Poet")


def test_texts_links_and_variables_of_the_chat(chat: Page) -> None:
    welcome = chat.locator(".ws-welcome-text")
    expect(welcome).to_have_text("Ask about orders and customers.")
    expect(welcome.locator("strong")).to_have_text("orders")
    expect(chat.get_by_text("Figures are drafts.")).to_be_visible()
    links = chat.get_by_test_id("links").get_by_role("link")
    expect(links).to_have_text(["Imprint", "Docs"])
    expect(links.last).to_have_attribute("rel", "noopener noreferrer")
    starter = chat.get_by_role("button", name="Revenue by month")
    assert starter.evaluate("e => getComputedStyle(e).borderRadius") == "3px"


def test_options_are_a_form_kept_with_the_conversation(chat: Page, server: str) -> None:
    chat.get_by_test_id("options").click()
    form = chat.get_by_test_id("own-options")
    form.get_by_test_id("option-table").select_option(label="customers")
    form.get_by_test_id("option-tone").select_option(label="formal")
    form.get_by_test_id("option-exact").check()
    form.get_by_label("Rows").fill("1001")
    expect(chat.get_by_test_id("invalid-setting")).to_have_text(
        "Rows: a whole number is needed (1 – 1000)"
    )
    form.get_by_label("Rows").fill("25")
    form.get_by_test_id("option-share").fill("0,25")
    form.get_by_test_id("option-where").fill("id < 9")
    chat.keyboard.press("Escape")
    answer = ask(chat, "Read it")
    expect(answer).to_have_text("customers 25 0.25 True [id < 9] formal")
    chat.reload()
    chat.get_by_test_id("options").click()
    form = chat.get_by_test_id("own-options")
    expect(form.get_by_label("Rows")).to_have_value("25")
    expect(form.get_by_test_id("option-exact")).to_be_checked()
    expect(form.get_by_test_id("option-table")).to_have_value("1")
    pick(chat, "Poet")
    chat.get_by_test_id("options").click()
    expect(chat.get_by_test_id("option-where")).to_have_count(0)
    pick(chat, "Analyst")
    chat.get_by_test_id("options").click()
    expect(form.get_by_test_id("option-where")).to_have_value("id < 9")
    models = _models(server)
    assert models[0]["options"]["properties"]["limit"]["maximum"] == 1000
    assert models[0]["options"]["properties"]["columns"]["default"] == ["id"]
    assert models[2]["options"] is None


def test_options_that_are_lists_are_chosen_and_typed(chat: Page) -> None:
    pick(chat, "Lister")
    chat.get_by_test_id("options").click()
    columns = chat.get_by_test_id("option-columns")
    expect(columns.get_by_label("id")).to_be_checked()
    columns.get_by_label("sum").check()
    columns.get_by_label("name").check()
    problem = chat.get_by_test_id("invalid-setting")
    expect(problem).to_have_text("Columns: a different number of entries is needed (1 – 2)")
    columns.get_by_label("id").uncheck()
    expect(problem).to_have_count(0)
    tags = chat.get_by_test_id("option-tags")
    for text in ("two words", "a & b"):
        tags.get_by_role("textbox").fill(text)
        tags.get_by_role("textbox").press("Enter")
    sizes = chat.get_by_test_id("option-sizes")
    sizes.get_by_role("textbox").fill("0")
    sizes.get_by_role("textbox").press("Enter")
    expect(problem).to_have_text("Sizes: a whole number is needed (≥ 1)")
    for text in ("3", "7", "3"):
        sizes.get_by_role("textbox").fill(text)
        sizes.get_by_role("textbox").press("Enter")
    expect(sizes.get_by_role("listitem")).to_have_text(["3", "7"])
    tags.get_by_role("textbox").fill("left")  # added when the focus leaves
    tags.get_by_role("button", name="Remove two words").click()
    expect(tags.get_by_role("listitem")).to_have_text(["a & b", "left"])
    chat.keyboard.press("Escape")
    answer = ask(chat, "Which?")
    expect(answer).to_have_text("['name', 'sum'] ['a & b', 'left'] [3, 7]")
    chat.reload()
    chat.get_by_test_id("options").click()
    expect(columns.get_by_label("sum")).to_be_checked()
    expect(columns.get_by_label("id")).not_to_be_checked()
    expect(tags.get_by_role("listitem")).to_have_text(["a & b", "left"])


def test_a_view_is_built_for_each_page_and_again_after_a_reload(
    chat: Page, server: str, new_context: Callable[..., BrowserContext]
) -> None:
    loaded: list[str] = []
    chat.on("request", lambda request: loaded.append(request.url))
    pick(chat, "Viewer")
    ask(chat, "Show")
    frame = chat.frame_locator(".ws-turn-view-frame")
    expect(frame.get_by_text("Sums: 2 months")).to_be_visible()
    assert any("quasar" in url for url in loaded)
    frame.get_by_role("button", name="Count").click()
    frame.get_by_role("button", name="Count").click()
    expect(frame.get_by_text("2 clicks")).to_be_visible()
    frame_box = chat.locator(".ws-turn-view-frame").bounding_box()
    assert frame_box is not None
    assert 60 < frame_box["height"] < 160, "as high as its content"
    other = new_context().new_page()
    other.goto(chat.url)
    expect(other.frame_locator(".ws-turn-view-frame").get_by_text("0 clicks")).to_be_visible()
    chat.reload()
    expect(frame.get_by_text("0 clicks")).to_be_visible()
    expect(chat.locator(".ws-turn-parts > *")).to_have_count(3)
    address = chat.url.replace("/c/", "/api/conversations/") + "/export?format=markdown"
    exported = chat.request.get(address).text()
    assert "Sums\\: 7" in exported


def test_a_view_that_fails_or_is_unknown_shows_a_sentence(chat: Page) -> None:
    pick(chat, "Viewer")
    ask(chat, "fail")
    frame = chat.frame_locator(".ws-turn-view-frame")
    expect(frame.get_by_text("This view can't be shown.")).to_be_visible()
    expect(frame.get_by_text("half")).to_have_count(0)
    expect(chat.locator(".ws-turn-view-frame")).to_have_count(1)
    expect(chat.get_by_text("Nothing to see")).to_be_visible()


def test_without_views_quasar_is_not_loaded(chat: Page) -> None:
    loaded = chat.evaluate("performance.getEntriesByType('resource').map(one => one.name)")
    assert not any("quasar" in url for url in loaded)


def test_a_page_beside_the_chat(chat: Page) -> None:
    chat.get_by_test_id("pages").get_by_role("link", name="Reports").click()
    expect(chat.get_by_role("heading", name="Reports")).to_be_visible()
    expect(chat).to_have_title("Reports · Analyst")
    chat.get_by_role("button", name="Load").click()
    expect(chat.get_by_text("12 reports")).to_be_visible()
    chat.get_by_role("link", name="Analyst").click()
    expect(chat.get_by_test_id("input-chat")).to_be_visible()


def _models(server: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server}/api/models") as response:
        found: list[dict[str, Any]] = json.load(response)["models"]
        return found
