"""The command palette in a real browser, by keyboard and by role."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import Lab
from tests.e2e.test_axe import check
from tests.server_process import ServerProcess
from wireside.testing import answer

pytestmark = pytest.mark.timeout(120)


def palette(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Command palette")


def opened(page: Page) -> Locator:
    page.keyboard.press("ControlOrMeta+k")
    box = page.get_by_role("combobox", name="Command palette")
    expect(box).to_be_focused()
    return box


def test_conversations_are_found_and_opened(chat_page: Page, lab: Lab) -> None:
    page = chat_page
    lab.answer_with(answer(["they eat eucalyptus"]))
    page.get_by_test_id("input-chat").fill("What do koalas eat?")
    page.get_by_test_id("input-chat").press("Enter")
    expect(page.get_by_test_id("message-assistant")).to_contain_text("eucalyptus")
    page.get_by_test_id("sidebar-new").click()
    expect(page.get_by_test_id("message-user")).to_have_count(0)
    box = opened(page)
    expect(page.get_by_role("option", name="What do koalas eat?")).to_be_visible()
    check(page)
    box.press_sequentially("eucalyp")
    group = page.get_by_role("group", name="Conversations")
    expect(group.get_by_role("option")).to_have_count(1)
    box.press("Enter")
    expect(palette(page)).to_be_hidden()
    expect(page.get_by_test_id("message-user")).to_have_text("What do koalas eat?")


def test_commands_models_and_prompts_are_run_by_keyboard(
    chat_page: Page, served: ServerProcess
) -> None:
    page = chat_page
    made = page.request.post(
        f"{served.url}/api/prompts", data={"name": "Palindromes", "text": "Name a palindrome"}
    ).json()
    box = opened(page)
    box.fill("lab-")
    marked = page.get_by_role("option", selected=True)
    expect(marked).to_have_text("lab-1")
    box.press("ArrowDown")
    expect(marked).to_have_text("lab-2")
    box.press("ArrowUp")
    expect(marked).to_have_text("lab-1")
    box.fill("palindr")
    expect(page.get_by_role("group", name="Prompts")).to_be_visible()
    box.press("Enter")
    expect(page.get_by_test_id("input-chat")).to_have_value("Name a palindrome")
    expect(page.get_by_test_id("input-chat")).to_be_focused()

    opened(page).fill("lab-2")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("model-picker")).to_contain_text("lab-2")
    opened(page).fill("colours dark")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_class("ws-dark")
    opened(page).fill("search conv")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("search")).to_be_focused()
    opened(page).fill("temporary")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("temporary-note")).to_be_visible()
    opened(page).fill("keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.request.delete(f"{served.url}/api/prompts/{made['id']}")


def test_enter_opens_no_conversation_of_an_earlier_query(
    chat_page: Page, served: ServerProcess
) -> None:
    page = chat_page
    for title in ("Penguins in the south", "Walruses in the north"):
        page.request.post(f"{served.url}/api/conversations", data={"title": title})
    held: list[Route] = []
    page.route("**/api/conversations/search*", lambda route: held.append(route))
    box = opened(page)
    expect(page.get_by_role("option", name="Walruses")).to_be_visible()
    with page.expect_request("**/api/conversations/search*"):
        box.fill("penguins")
        box.press("Enter")
    expect(palette(page)).to_be_visible()
    expect(page.get_by_role("option")).to_have_count(0)
    held[0].continue_()
    expect(palette(page)).to_be_hidden()
    expect(page).to_have_title(re.compile("Penguins in the south"))


def test_a_large_collection_shows_some_of_it(chat_page: Page, served: ServerProcess) -> None:
    page = chat_page
    url = f"{served.url}/api/prompts"
    file = [{"name": f"bulk {n}", "text": "word " * 500} for n in range(60)]
    page.request.post(f"{url}/import", data=file)
    opened(page).fill("bulk")
    rows = page.get_by_role("group", name="Prompts").get_by_role("option")
    expect(rows).to_have_count(50)
    assert len(rows.first.inner_text()) < 250
    for item in page.request.get(url).json()["prompts"]:
        page.request.delete(f"{url}/{item['id']}")


def test_it_closes_and_gives_the_focus_back(chat_page: Page) -> None:
    page = chat_page
    page.get_by_test_id("input-chat").press_sequentially("half ")
    opened(page).fill("nothing like that")
    expect(page.get_by_text("Nothing found for “nothing like that”.")).to_be_visible()
    check(page)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("input-chat")).to_be_focused()
    page.keyboard.type("whole")
    expect(page.get_by_test_id("input-chat")).to_have_value("half whole")
    opened(page)
    page.keyboard.press("ControlOrMeta+k")
    expect(palette(page)).to_be_hidden()


def test_hostile_titles_stay_texts(
    chat_page: Page, served: ServerProcess, corpus: ModuleType
) -> None:
    page = chat_page
    texts = [payload.text for payload in corpus.payloads() if "<" in payload.text]
    for text in texts[:16]:
        page.request.post(f"{served.url}/api/conversations", data={"title": text[:200]})
    opened(page)
    group = page.get_by_role("group", name="Conversations")
    expect(group.get_by_role("option")).to_have_count(8)
    assert palette(page).locator("img, script, a, b, iframe, form").count() == 0
