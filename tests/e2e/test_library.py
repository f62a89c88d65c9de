"""Prompts and presets in a real browser: by keyboard, in forms, and as texts that attack."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.e2e.conftest import Lab, may_move
from tests.e2e.test_axe import check
from tests.server_process import ServerProcess
from wireside.testing import answer

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def nothing_saved(served: ServerProcess, page: Page) -> None:
    for kind in ("prompts", "presets"):  # those of the test before
        for item in page.request.get(f"{served.url}/api/{kind}").json()[kind]:
            page.request.delete(f"{served.url}/api/{kind}/{item['id']}")


def box(page: Page) -> Locator:
    return page.get_by_test_id("input-chat")


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Prompts").or_(page.get_by_test_id("library"))


def test_a_prompt_is_made_used_changed_and_deleted(chat_page: Page) -> None:
    page = chat_page
    box(page).press_sequentially("/")
    expect(page.get_by_role("listbox", name="Prompts")).to_be_visible()
    check(page)
    box(page).press("Enter")  # the only entry: manage
    expect(page.get_by_text("No prompts yet.")).to_be_visible()
    check(page)
    page.get_by_role("button", name="New prompt").click()
    page.get_by_label("Name").fill("Explain")
    page.get_by_label("Text").fill("Explain {{topic}} to {{ reader }}, not {{topic}} alone")
    check(page)
    assert not may_move(page)  # a move to another server would end the form
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="New prompt").click()
    page.get_by_label("Name").fill("Greet")
    page.get_by_label("Text").fill("Say hello")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_test_id("library-item")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("library")).to_be_hidden()
    expect(box(page)).to_be_focused()
    assert may_move(page)

    box(page).press_sequentially("/ex")
    expect(page.get_by_role("option", name="Explain", exact=False)).to_be_visible()
    expect(page.get_by_role("option")).to_have_count(2)  # and "Manage prompts…"
    box(page).press("Enter")
    form = page.get_by_role("dialog", name="Explain")
    check(page)
    expect(form.get_by_label("topic")).to_be_focused()
    page.keyboard.type("tides")
    assert not may_move(page)
    form.get_by_label("reader").fill("a child")
    form.get_by_label("reader").press("Enter")
    expect(box(page)).to_have_value("Explain tides to a child, not tides alone")
    expect(box(page)).to_be_focused()
    expect(page.get_by_test_id("message-user")).to_have_count(0)

    box(page).fill("")
    page.get_by_test_id("open-prompts").click()
    box(page).press("ArrowDown")
    box(page).press("Tab")
    expect(box(page)).to_have_value("Say hello")
    box(page).fill("/gree")
    page.mouse.click(700, 150)  # next to the list
    expect(page.get_by_role("listbox")).to_have_count(0)
    box(page).fill("/greet")
    expect(page.get_by_role("listbox")).to_be_visible()
    box(page).press("Escape")
    expect(page.get_by_role("listbox")).to_have_count(0)
    expect(box(page)).to_have_value("/greet")

    box(page).fill("")
    page.get_by_test_id("open-prompts").click()
    page.get_by_role("option", name="Manage prompts…").click()
    page.get_by_role("button", name="Edit: Greet").click()
    page.get_by_label("Text").fill("Say goodbye")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Say goodbye")).to_be_visible()
    page.get_by_role("button", name="Delete: Explain").click()
    page.get_by_role("button", name="Really delete?").click()
    expect(page.get_by_test_id("library-item")).to_have_count(1)
    page.get_by_test_id("library-item").get_by_role("button").first.click()
    expect(box(page)).to_have_value("Say goodbye")


def test_a_text_that_is_no_command_is_sent(chat_page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["a path"]))
    box(chat_page).press_sequentially("/etc")
    expect(chat_page.get_by_role("listbox")).to_have_count(0)
    box(chat_page).press("Enter")
    expect(chat_page.get_by_test_id("message-user")).to_have_text("/etc")


def test_prompts_are_imported(page: Page, served: ServerProcess, tmp_path: Path) -> None:
    page.goto(served.url)
    file = tmp_path / "prompts.json"
    file.write_text(json.dumps([{"command": "/sum", "title": "Sum", "content": "Sum up"}]))
    page.get_by_test_id("open-prompts").click()
    page.get_by_role("option", name="Manage prompts…").click()
    page.get_by_test_id("library-file").set_input_files(file)
    expect(page.get_by_text("Prompts imported: 1")).to_be_visible()
    file.write_text("nonsense")
    page.get_by_test_id("library-file").set_input_files(file)
    expect(page.get_by_role("alert")).to_have_text("The file is not JSON.")


def make_prompt(page: Page, served: ServerProcess, **fields: str) -> dict[str, str]:
    made = page.request.post(f"{served.url}/api/prompts", data={"name": "Greet", **fields})
    prompt: dict[str, str] = made.json()
    return prompt


def manage(page: Page) -> None:
    box(page).fill("/")
    page.get_by_role("option", name="Manage prompts…").click()


def test_a_long_text_leaves_the_buttons_in_sight(chat_page: Page, served: ServerProcess) -> None:
    make_prompt(chat_page, served, text="word " * 500)
    manage(chat_page)
    for name in ("Edit: Greet", "Delete: Greet"):
        expect(chat_page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    line = chat_page.get_by_test_id("library-item").locator(".ws-library-line")
    assert len(line.inner_text()) <= 200


def test_a_prompt_leaves_what_was_typed(chat_page: Page, served: ServerProcess) -> None:
    page = chat_page
    make_prompt(page, served, text="Say hello")
    make_prompt(page, served, name="Vary", text="Say {{what}}")
    for name, said in (("Greet", "Say hello"), ("Vary", "Say hi")):
        box(page).fill("/etc/hosts is broken")
        page.keyboard.press("ControlOrMeta+k")
        page.get_by_test_id("palette-box").fill(name)
        page.get_by_role("option", name=name).click()
        if name == "Vary":
            page.get_by_role("textbox", name="what").fill("hi")
            page.get_by_role("textbox", name="what").press("Enter")
        expect(box(page)).to_have_value(f"/etc/hosts is broken\n{said}")


def test_the_form_of_variables_closes_and_has_a_limit(
    chat_page: Page, served: ServerProcess
) -> None:
    page = chat_page
    text = " ".join(f"{{{{v{n}}}}}" for n in range(25))
    make_prompt(page, served, text=text)
    form = page.get_by_test_id("prompt-form")

    def ask() -> None:
        box(page).fill("/")
        expect(page.get_by_role("option", name="Greet")).to_be_visible()
        box(page).press("Enter")
        expect(form.get_by_role("textbox")).to_have_count(20)

    ask()
    assert not may_move(page)
    expect(form.get_by_role("button", name="Insert")).to_be_in_viewport(ratio=1)
    form.get_by_role("button", name="Insert").focus()
    page.keyboard.press("Escape")
    expect(form).to_have_count(0)
    expect(box(page)).to_be_focused()
    assert may_move(page)
    ask()
    page.get_by_test_id("sidebar-new").click()
    expect(form).to_have_count(0)
    ask()
    form.get_by_label("v0", exact=True).fill("first")
    form.get_by_role("button", name="Insert").press("Enter")
    expect(box(page)).to_have_value(re.compile(r"^first .* \{\{v24\}\}$"))


def test_an_unsaved_form_is_not_lost_at_once(chat_page: Page) -> None:
    page = chat_page
    manage(page)
    page.get_by_role("button", name="New prompt").click()
    assert not may_move(page)
    page.keyboard.press("Escape")  # nothing is lost
    expect(page.get_by_role("button", name="New prompt")).to_be_focused()
    page.get_by_role("button", name="New prompt").click()
    page.get_by_label("Text").fill("a long text")
    page.keyboard.press("Escape")
    discard = page.get_by_role("button", name="Discard the changes?")
    expect(discard).to_be_focused()
    check(page)
    page.get_by_label("Name").fill("kept")
    expect(discard).to_have_count(0)
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_label("Text")).to_have_value("a long text")
    discard.click()
    expect(page.get_by_test_id("library")).to_be_hidden()
    assert may_move(page)


def test_errors_are_in_the_language_of_the_page(
    new_context: Callable[..., BrowserContext], served: ServerProcess
) -> None:
    page = new_context(locale="de-DE").new_page()
    prompt = make_prompt(page, served, text="Say hello")
    page.goto(served.url)
    box(page).fill("/")
    page.get_by_role("option").last.click()
    remove = page.get_by_role("button", name="Löschen: Greet")
    remove.click()
    page.request.delete(f"{served.url}/api/prompts/{prompt['id']}")
    page.get_by_test_id("library-remove").click()
    gone = "Diesen Prompt oder diese Voreinstellung gibt es nicht mehr."
    expect(page.get_by_role("alert")).to_have_text(gone)


class TestPresets:
    def test_settings_are_saved_and_chosen_at_the_picker(
        self, chat_page: Page, lab: Lab, served: ServerProcess
    ) -> None:
        page = chat_page
        page.get_by_test_id("options").click()
        page.get_by_role("textbox", name="Instructions").fill("Be a pirate")
        page.get_by_role("textbox", name="Temperature").fill("0.5")
        page.get_by_label("Reasoning effort").select_option("low")
        check(page)
        page.get_by_test_id("save-preset").click()
        page.get_by_test_id("library").get_by_label("Name").fill("Pirate")
        check(page)
        page.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="Use for new chats: Pirate").click()
        expect(page.get_by_text("for new chats", exact=True)).to_be_visible()
        check(page)
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("model-picker")).to_contain_text("Pirate")

        page.get_by_test_id("options").click()
        page.get_by_role("button", name="Reset", exact=True).click()
        expect(page.get_by_test_id("model-picker")).not_to_contain_text("Pirate")
        page.get_by_test_id("model-picker").click()
        check(page)
        page.get_by_role("option", name="Pirate").click()
        expect(page.get_by_test_id("model-picker")).to_contain_text("Pirate")

        lab.answer_with(answer(["Arr"]))
        box(page).fill("Hi")
        box(page).press("Enter")
        expect(page.get_by_test_id("message-assistant")).to_contain_text("Arr")
        asked = lab.requests[-1].body
        assert asked["messages"][0] == {"role": "system", "content": "Be a pirate"}
        assert (asked["temperature"], asked["reasoning_effort"]) == (0.5, "low")
        page.reload()
        expect(page.get_by_test_id("model-picker")).to_contain_text("Pirate")

        page.get_by_test_id("sidebar-new").click()
        expect(page.get_by_test_id("model-picker")).to_contain_text("Pirate")
        page.evaluate("sessionStorage.clear(); localStorage.clear()")
        page.goto(served.url)
        expect(page.get_by_test_id("model-picker")).to_contain_text("Pirate")

    def test_a_link_names_a_preset(self, page: Page, served: ServerProcess) -> None:
        made = page.request.post(
            f"{served.url}/api/presets", data={"name": "Brief", "system": "Be brief"}
        ).json()
        page.goto(f"{served.url}/?preset={made['id']}&q=Hello")
        expect(page.get_by_test_id("model-picker")).to_contain_text("Brief")
        expect(box(page)).to_have_value("Hello")
        page.goto(f"{served.url}/?preset=unknown")
        expect(page.get_by_test_id("connection-status")).to_have_attribute(
            "data-state", "connected"
        )


class TestOtherModels:
    """One question, or one answer, of another model than the chosen one."""

    def test_at_asks_another_model_once(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer(["first"]), answer(["second"]))
        box(page).press_sequentially("@lab-2")
        expect(page.get_by_role("option", name="lab-2")).to_be_visible()
        box(page).press("Enter")
        expect(page.get_by_text("Only this question: lab-2")).to_be_visible()
        box(page).fill("Hi")
        check(page)
        box(page).press("Enter")
        expect(page.get_by_test_id("message-assistant")).to_contain_text("first")
        assert lab.requests[-1].body["model"] == "lab-2"
        expect(page.get_by_test_id("ask-once")).to_have_count(0)
        expect(page.get_by_test_id("model-picker")).to_contain_text("lab-1")
        page.reload()
        expect(page.get_by_test_id("message-assistant")).to_contain_text("first")
        expect(page.get_by_test_id("model-picker")).to_contain_text("lab-1")
        box(page).fill("And?")
        box(page).press("Enter")
        expect(page.get_by_test_id("message-assistant").last).to_contain_text("second")
        assert lab.requests[-1].body["model"] == "lab-1"

    def test_the_menu_asks_the_question_of_another_model(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer(["first"]), answer(["second"]))
        box(page).fill("Hi")
        box(page).press("Enter")
        turn = page.get_by_test_id("message-assistant")
        expect(turn).to_contain_text("first")
        menu = page.get_by_role("button", name="Ask again, differently")
        menu.focus()
        menu.press("Enter")
        check(page)
        expect(page.get_by_role("menuitem", name="Shorter")).to_be_focused()
        page.keyboard.press("End")
        expect(page.get_by_role("menuitem", name="lab-2")).to_be_focused()
        page.keyboard.press("Enter")
        expect(turn).to_contain_text("second")
        assert lab.requests[-1].body["model"] == "lab-2"
        expect(page.get_by_text(re.compile(r"2\s*/\s*2"))).to_have_count(1)
        expect(page.get_by_test_id("model-picker")).to_contain_text("lab-1")


def test_hostile_texts_stay_texts(
    chat_page: Page, served: ServerProcess, corpus: ModuleType
) -> None:
    page = chat_page
    texts = [payload.text for payload in corpus.payloads()][::10]
    entries = [{"name": text[:90] or "x", "text": text[:20_000]} for text in texts if text.strip()]
    page.request.post(f"{served.url}/api/prompts/import", data=entries[:30])
    for entry in entries[:5]:
        preset = {"name": entry["name"], "system": entry["text"]}
        page.request.post(f"{served.url}/api/presets", data=preset)
    box(page).press_sequentially("/")
    expect(page.get_by_role("option").nth(1)).to_be_visible()
    assert page.get_by_role("listbox").locator("img, b, script, a").count() == 0
    page.get_by_role("option", name="Manage prompts…").click()
    expect(page.get_by_test_id("library-item").first).to_be_visible()
    assert page.get_by_test_id("library").locator("img, b, script, a:not([download])").count() == 0
