"""Temporary chats and links to a new chat, in a real browser."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Lab, may_move
from tests.e2e.test_axe import check
from tests.server_process import ServerProcess
from wireside.testing import answer

pytestmark = pytest.mark.timeout(120)

STORAGE = "JSON.stringify([{...localStorage}, {...sessionStorage}])"


def say(page: Page, text: str) -> None:
    page.get_by_test_id("input-chat").fill(text)
    page.get_by_test_id("input-chat").press("Enter")


def test_a_temporary_chat_leaves_nothing(chat_page: Page, lab: Lab, served: ServerProcess) -> None:
    page = chat_page
    lab.answer_with(answer(["**fleeting**"]), answer(["again"]))
    switch = page.get_by_role("button", name="Temporary chat", exact=True)
    expect(switch).to_have_attribute("aria-pressed", "false")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("This chat is not stored")).to_be_visible()
    assert page.url == f"{served.url}/?temporary=1"
    check(page)
    assert may_move(page)  # nothing would be lost
    say(page, "zanzibar")
    expect(page.get_by_test_id("message-assistant")).to_contain_text("fleeting")
    expect(page.get_by_test_id("temporary-note")).to_be_visible()
    say(page, "marrakesh")
    expect(page.get_by_test_id("message-assistant")).to_have_count(2)
    assert not may_move(page)
    page.get_by_test_id("input-chat").fill("timbuktu")
    assert page.url == f"{served.url}/?temporary=1"
    expect(page.get_by_test_id("conversation-item").filter(has_text="zanzibar")).to_have_count(0)
    kept = page.evaluate(STORAGE)
    assert not any(word in kept for word in ("zanzibar", "marrakesh", "timbuktu"))
    check(page)
    page.reload()
    expect(switch).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_test_id("input-chat")).to_have_value("")
    expect(page.get_by_test_id("message-user")).to_have_count(0)
    found = page.request.get(f"{served.url}/api/conversations/search?q=zanzibar")
    assert json.loads(found.text())["hits"] == []
    page.get_by_role("button", name="End the temporary chat").click()
    expect(switch).to_have_attribute("aria-pressed", "false")
    assert page.url == f"{served.url}/"
    page.go_back()
    expect(page.get_by_test_id("temporary-note")).to_be_visible()


def test_a_temporary_chat_stays_on_its_server(chat_page: Page, lab: Lab) -> None:
    page, box = chat_page, chat_page.get_by_test_id("input-chat")
    lab.answer_with(answer(["fleeting"]))
    box.fill("a draft, which is stored")
    assert may_move(page)
    box.fill("")
    page.get_by_role("button", name="Temporary chat", exact=True).click()
    expect(page.get_by_test_id("temporary-note")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Temporary chat")
    assert may_move(page)
    box.fill("zanzibar")
    assert not may_move(page)
    box.press("Enter")
    expect(page.get_by_test_id("message-assistant")).to_contain_text("fleeting")
    assert not may_move(page)
    page.get_by_role("button", name="End the temporary chat").click()
    expect(page.get_by_test_id("message-user")).to_have_count(0)
    assert may_move(page)


def test_a_temporary_chat_that_must_move_tells_why_it_ends_and_leaves_its_draft(
    chat_page: Page, lab: Lab
) -> None:
    page, box = chat_page, chat_page.get_by_test_id("input-chat")
    note = page.get_by_test_id("temporary-note")
    lab.answer_with(answer(["fleeting"]))
    page.get_by_role("button", name="Temporary chat", exact=True).click()
    say(page, "zanzibar")
    expect(page.get_by_test_id("message-assistant")).to_contain_text("fleeting")
    box.fill("timbuktu")
    with page.expect_event("load"):
        page.evaluate("void socket.listeners('wireside_move')[0]({ within_ms: 6000 })")
        expect(note).to_contain_text("the chat ends in a few seconds")
    expect(note).to_contain_text("The last chat has ended")
    check(page)
    expect(box).to_have_value("timbuktu")
    expect(page.get_by_test_id("message-user")).to_have_count(0)
    kept = page.evaluate(STORAGE) + page.evaluate("window.name")
    assert not any(word in kept for word in ("zanzibar", "timbuktu"))
    say(page, "marrakesh")
    expect(note).to_contain_text("not stored")
    page.reload()
    expect(note).to_contain_text("not stored")
    expect(box).to_have_value("")


def test_a_link_fills_the_box_and_sends_nothing(
    page: Page, lab: Lab, served: ServerProcess
) -> None:
    lab.answer_with(answer(["fine"]))
    page.goto(served.url)
    page.get_by_test_id("input-chat").fill("my draft")
    before = page.evaluate("localStorage.getItem('wireside.model')")
    model = page.request.get(f"{served.url}/api/models").json()["models"][-1]["id"]
    page.goto(f"{served.url}/?q={quote('Is <b>this</b> fine?')}&model={quote(model)}")
    box = page.get_by_test_id("input-chat")
    expect(box).to_have_value("Is <b>this</b> fine?\nmy draft")
    expect(page.get_by_text("This text came with a link.")).to_be_visible()
    expect(page.get_by_test_id("model-picker")).to_contain_text(model)
    expect(page.get_by_test_id("message-user")).to_have_count(0)
    assert page.url == f"{served.url}/"  # a reload does not fill it in again
    assert page.evaluate("localStorage.getItem('wireside.model')") == before
    assert page.evaluate("sessionStorage.getItem('wireside.choice.')") is None
    page.reload()
    expect(page.get_by_text("This text came with a link.")).to_be_visible()
    address = f"{served.url}/?q={quote('Is <b>this</b> fine?')}&model={quote(model)}"
    page.goto(address)  # once more
    expect(page.get_by_test_id("model-picker")).to_contain_text(model)
    expect(box).to_have_value("Is <b>this</b> fine?\nmy draft")
    box.fill("Is this fine?")
    expect(page.get_by_text("This text came with a link.")).to_have_count(0)
    box.press("Enter")
    expect(page.get_by_test_id("message-assistant")).to_contain_text("fine")
    assert lab.requests[-1].body["model"] == model
    page.get_by_test_id("sidebar-new").click()
    expect(page.get_by_test_id("model-picker")).not_to_contain_text(model)


def test_a_model_of_a_link_is_for_its_chat_only(page: Page, served: ServerProcess) -> None:
    page.goto(f"{served.url}/?model=lab-2")
    picker = page.get_by_test_id("model-picker")
    expect(picker).to_contain_text("lab-2")
    page.get_by_test_id("sidebar-new").click()
    expect(picker).to_contain_text("lab-1")


def test_a_link_says_what_is_not_available(page: Page, served: ServerProcess) -> None:
    page.goto(f"{served.url}/?model=unknown&q=Hello")
    expect(page.get_by_text("The model of the link is not available here.")).to_be_visible()
    expect(page.get_by_text("This text came with a link.")).to_be_visible()
    page.goto(f"{served.url}/?preset=unknown")
    expect(page.get_by_text("The preset of the link is not available here.")).to_be_visible()
