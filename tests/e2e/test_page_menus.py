"""The title of the conversation with its menu, the menu of the page, and the preferences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import Lab
from tests.server_process import ServerProcess
from wireside.testing import answer

WIDE, PHONE = {"width": 1280, "height": 720}, {"width": 375, "height": 700}


def ask(page: Page, lab: Lab, question: str) -> None:
    lab.answer_with(answer(["ok"]))
    page.get_by_test_id("input-chat").fill(question)
    page.get_by_test_id("input-chat").press("Enter")
    expect(page.get_by_test_id("message-assistant").last).to_contain_text("ok")
    expect(page.get_by_test_id("button-send")).to_be_visible()


def test_the_header_says_which_conversation_is_open(chat_page: Page, lab: Lab) -> None:
    page, title = chat_page, chat_page.get_by_test_id("conversation-title")
    expect(page.get_by_role("heading", level=1)).to_have_text("New chat")
    ask(page, lab, "Where do wombats live?")
    expect(title).to_have_text("Where do wombats live?")
    title.click()
    page.get_by_test_id("menu-rename").click()
    page.get_by_test_id("rename-title").fill("Wombats")
    page.keyboard.press("Enter")
    expect(title).to_have_text("Wombats")
    expect(title).to_be_focused()
    expect(page.get_by_test_id("conversation-item").first).to_have_text("Wombats")
    expect(page).to_have_title("Wombats · Wireside")
    page.reload()
    expect(title).to_have_text("Wombats")
    page.keyboard.press("ControlOrMeta+Shift+o")
    expect(page.get_by_role("heading", level=1)).to_have_text("New chat")


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_its_menu_works_while_the_list_is_hidden(
    chat_page: Page, lab: Lab, size: dict[str, int]
) -> None:
    page = chat_page
    ask(page, lab, f"Delete me at {size['width']}")
    page.set_viewport_size(size)  # type: ignore[arg-type]
    if size is WIDE:
        page.get_by_test_id("sidebar-toggle").click()
    title = page.get_by_test_id("conversation-title")
    title.click()
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(title).to_be_focused()
    title.click()
    page.get_by_test_id("menu-delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("New chat")
    page.get_by_test_id("undo-delete").click()
    expect(title).to_have_text(f"Delete me at {size['width']}")


def test_one_menu_has_what_belongs_to_the_page(chat_page: Page) -> None:
    page, opener = chat_page, chat_page.get_by_test_id("app-menu")
    opener.click()
    menu = page.get_by_role("dialog", name="Menu")
    expect(menu.get_by_role("link", name="Connection doctor")).to_be_visible()
    expect(menu.get_by_role("link", name="Dashboard")).to_be_visible()
    expect(menu.get_by_role("button", name="Import conversations")).to_be_visible()
    expect(menu.get_by_role("button", name="Sign out")).to_have_count(0)  # there are no accounts
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    expect(opener).to_be_focused()
    opener.click()
    page.get_by_test_id("shortcuts").click()
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    for keys in ("F2", "Delete", "Space", "Shiftclick"):
        expect(sheet.locator("dt").filter(has_text=keys).first).to_be_visible()


def test_a_language_is_chosen_and_kept(chat_page: Page, served: ServerProcess) -> None:
    page = chat_page
    page.get_by_test_id("app-menu").click()
    page.get_by_test_id("language").select_option("de")
    expect(page.get_by_test_id("app-menu")).to_have_text("Menü")
    expect(page.locator("html[lang=de]")).to_have_count(1)
    page.goto(f"{served.url}/doctor")
    expect(page.locator("html[lang=de]")).to_have_count(1)
    page.goto(served.url)
    page.get_by_test_id("app-menu").click()
    page.get_by_test_id("language").select_option("")
    expect(page.get_by_test_id("app-menu")).to_have_text("Menu")


def test_text_size_and_spacing_are_kept(chat_page: Page, lab: Lab) -> None:
    page = chat_page
    ask(page, lab, "Hi")
    bubble = page.get_by_test_id("message-user")
    size = "(el) => [parseFloat(getComputedStyle(el).fontSize), el.closest('article').offsetHeight]"
    before = bubble.evaluate(size)
    page.get_by_test_id("app-menu").click()
    page.get_by_test_id("open-preferences").click()
    dialog = page.get_by_test_id("preferences")
    dialog.get_by_test_id("density").get_by_label("Compact").check(force=True)
    compact = bubble.evaluate(size)
    assert compact[0] == before[0]
    assert compact[1] < before[1]
    dialog.get_by_test_id("text_size").get_by_label("Larger").check(force=True)
    assert bubble.evaluate(size)[0] == before[0] * 1.25
    page.reload()
    expect(bubble).to_be_visible()
    assert bubble.evaluate(size)[0] == before[0] * 1.25


def test_an_answer_that_is_ready_marks_the_title_of_a_hidden_page(
    new_context: Callable[..., BrowserContext], served: ServerProcess, lab: Lab
) -> None:
    page = new_context().new_page()
    page.add_init_script(
        """window.notes = [];
        window.Notification = class {
          static permission = "granted";
          static requestPermission = async () => "granted";
          constructor(title, { body }) { window.notes.push([title, body]); }
        };
        window.isHidden = false;
        Object.defineProperty(document, "hidden", { get: () => window.isHidden });"""
    )
    page.goto(served.url)
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    page.get_by_test_id("app-menu").click()
    page.get_by_test_id("open-preferences").click()
    page.get_by_test_id("notify").check()
    page.wait_for_function("window.notes.length")
    assert page.evaluate("window.notes.splice(0)") == [["Wireside", "Notifications are on."]]
    page.keyboard.press("Escape")
    lab.answer_with(answer(["so", " it", " is"]).stalled(1))
    page.get_by_test_id("input-chat").fill("How is it?")
    page.get_by_test_id("input-chat").press("Enter")
    expect(page.get_by_test_id("message-assistant")).to_contain_text("so")
    page.evaluate("window.isHidden = true")
    lab.go_on()
    expect(page).to_have_title("● How is it? · Wireside")
    assert page.evaluate("window.notes") == [["How is it?", "The answer is ready."]]
    page.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page).to_have_title("How is it? · Wireside")


def test_the_last_answer_is_copied_by_keys(chat_page: Page, lab: Lab) -> None:
    page = chat_page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, lab, "Hi")
    page.keyboard.press("ControlOrMeta+Shift+c")
    page.wait_for_function("navigator.clipboard.readText().then((text) => text === 'ok')")


def test_a_long_title_leaves_room_for_the_connection(chat_page: Page, lab: Lab) -> None:
    page, status = chat_page, chat_page.get_by_test_id("connection-status")
    ask(page, lab, "Where do wombats live when it is very hot in the middle of the day?")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    for _ in range(2):
        box, title = status.bounding_box(), page.get_by_test_id("conversation-title").bounding_box()
        assert box and title
        assert box["width"] >= 40
        assert title["x"] + title["width"] <= box["x"] + 1
        assert title["width"] >= 40
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.evaluate("window.socket.disconnect()")
        expect(status).to_have_text("Disconnected")


@pytest.mark.parametrize("language", ["de", "ar"])
def test_the_button_of_a_preset_holds_its_text(
    new_context: Callable[..., BrowserContext], served: ServerProcess, language: str
) -> None:
    page = new_context(locale=language).new_page()
    page.goto(served.url)
    page.get_by_test_id("options").click()
    button = page.get_by_test_id("save-preset")
    expect(button).to_be_visible()
    assert button.evaluate(
        "b => b.scrollWidth <= b.clientWidth && b.scrollHeight <= b.clientHeight"
    )
