"""The main paths with a finger, on a phone's width: each action is a tap, without hovering."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import Lab
from tests.e2e.test_axe import connected, ended
from tests.server_process import ServerProcess
from wireside.testing import answer


@pytest.fixture
def phone(new_context: Callable[..., BrowserContext], served: ServerProcess) -> Page:
    context = new_context(viewport={"width": 375, "height": 700}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(served.url)
    connected(page)
    return page


def test_a_chat_is_held_and_kept_by_taps(phone: Page, lab: Lab) -> None:
    page = phone
    lab.answer_with(answer(["Some words", " never end"]).stalled(1))
    page.get_by_test_id("input-chat").tap()
    page.keyboard.insert_text("A question by finger")
    page.get_by_test_id("button-send").tap()
    expect(page.get_by_test_id("message-assistant")).to_contain_text("Some words")
    page.get_by_test_id("button-stop").last.tap()
    expect(page.get_by_test_id("note-stopped")).to_be_visible()
    lab.answer_with(answer(["It ends now."]))
    page.locator('[data-action="retry"]').last.tap()
    expect(page.get_by_test_id("message-assistant")).to_contain_text("It ends now.")
    ended(page)

    # the list covers the page; its menus need no hovering
    page.get_by_test_id("sidebar-toggle").tap()
    row = page.locator(".ws-sidebar-item").first
    expect(row).to_contain_text("A question by finger")
    row.locator(".ws-sidebar-item-more").tap()
    page.get_by_role("menuitem", name="Rename").tap()
    page.locator(".ws-sidebar-item-rename").fill("Renamed by finger")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("Renamed by finger")
    row.get_by_role("link").tap()
    expect(page.get_by_test_id("search")).to_be_hidden()
    expect(page.get_by_test_id("message-user")).to_have_text("A question by finger")

    # a menu closes when something else is tapped
    page.get_by_test_id("model-picker").tap()
    expect(page.locator(".ws-menu, dialog[open]").first).to_be_visible()
    page.touchscreen.tap(187, 90)
    expect(page.locator(".ws-menu")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
