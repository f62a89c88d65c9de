"""Ways to ask in a real browser: send now, shorter and longer, and edited answers."""

from __future__ import annotations

from types import ModuleType

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Lab
from tests.e2e.test_axe import check
from tests.server_process import ServerProcess
from wireside.chat.instructions import TEXTS
from wireside.testing import answer

pytestmark = pytest.mark.timeout(120)


def box(page: Page) -> Locator:
    return page.get_by_test_id("input-chat")


def say(page: Page, text: str) -> None:
    box(page).fill(text)
    box(page).press("Enter")


def answers(page: Page) -> Locator:
    return page.get_by_test_id("message-assistant")


class TestSendNow:
    def test_a_button_ends_the_answer_and_the_question_goes_on(
        self, chat_page: Page, lab: Lab
    ) -> None:
        page = chat_page
        lab.answer_with(answer(["Go is a ", "language"]).stalled(1), answer(["Fast."]))
        say(page, "Describe Go")
        expect(answers(page)).to_contain_text("Go is a")
        box(page).fill("In one word")
        expect(page.get_by_role("button", name="Send when the answer is complete")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Send now").click()
        expect(answers(page).last).to_contain_text("Fast.")
        expect(answers(page).first).to_contain_text("Go is a")
        expect(page.get_by_test_id("note-stopped")).to_be_visible()
        expect(box(page)).to_be_focused()
        sent = lab.requests[-1].body["messages"]
        assert [one["role"] for one in sent][-3:] == ["user", "assistant", "user"]
        assert sent[-2]["content"].strip() == "Go is a"

    def test_a_key_sends_now_and_enter_waits(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer(["one"]).stalled(0), answer(["two"]).stalled(0), answer(["three"]))
        say(page, "1")
        expect(page.get_by_test_id("typing")).to_be_visible()
        say(page, "2")
        expect(page.get_by_test_id("waiting")).to_be_visible()
        box(page).fill("3")
        box(page).press("Control+Enter")
        expect(page.get_by_test_id("message-user")).to_have_count(3)
        second = page.get_by_role("article", name="2")
        expect(second.get_by_test_id("typing")).to_be_visible()  # it is answered before "3"
        expect(page.get_by_test_id("waiting")).to_have_count(1)
        page.get_by_test_id("button-stop").click()
        expect(answers(page).last).to_contain_text("three")


def test_shorter_and_longer_answers(chat_page: Page, lab: Lab) -> None:
    page = chat_page
    lab.answer_with(answer(["long"]), answer(["short"]), answer(["longer"]))
    say(page, "What is Go?")
    expect(answers(page)).to_contain_text("long")
    menu = page.get_by_role("button", name="Ask again, differently")
    menu.focus()
    menu.press("Enter")
    check(page)
    page.get_by_role("menuitem", name="Shorter").click()
    expect(answers(page)).to_contain_text("short")
    assert lab.requests[-1].body["messages"][-1]["content"] == (
        f"What is Go?\n\n{TEXTS['shorter']}"
    )
    expect(page.get_by_test_id("message-user")).to_have_text("What is Go?")
    expect(page.get_by_test_id("instruction")).to_have_text("Shorter")
    expect(page.get_by_test_id("versions")).to_contain_text("2 / 2")
    page.reload()
    expect(page.get_by_test_id("instruction")).to_have_text("Shorter")
    check(page)


def test_an_answer_is_edited_and_its_original_kept(
    chat_page: Page, lab: Lab, corpus: ModuleType, served: ServerProcess
) -> None:
    page = chat_page
    lab.answer_with(answer(["The moon is cheese."]), answer(["Yes."]))
    say(page, "How large is the moon?")
    expect(answers(page)).to_contain_text("cheese")
    page.get_by_role("button", name="More", exact=True).last.click()
    page.get_by_role("menuitem", name="Edit the answer").click()
    dialog = page.get_by_test_id("rewrite")
    field = dialog.get_by_role("textbox")
    expect(field).to_have_value("The moon is cheese.")
    check(page)
    field.fill("The moon is rock.")
    page.keyboard.press("Escape")  # the text is not lost by one key
    expect(dialog.get_by_role("button", name="Discard the changes?")).to_be_visible()
    texts = [payload.text for payload in corpus.payloads()]
    hostile = "\n\n".join(text for text in texts[::7] if text.strip())[:200_000]
    field.fill(f"The moon is rock.\n\n{hostile}")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    expect(answers(page)).to_contain_text("The moon is rock.")
    expect(page.get_by_test_id("edited")).to_have_text("edited")
    expect(page.get_by_test_id("versions")).to_contain_text("2 / 2")
    assert answers(page).locator("script, iframe, object, [onerror], [onclick]").count() == 0
    say(page, "Sure?")
    expect(answers(page).last).to_contain_text("Yes.")
    assert "rock" in lab.requests[-1].body["messages"][-2]["content"]
    page.reload()
    expect(page.get_by_test_id("edited")).to_have_count(1)
    page.get_by_role("button", name="Previous version").click()
    expect(answers(page).first).to_contain_text("cheese")
    conversation = page.url.rpartition("/")[2]
    export = page.request.get(f"{served.url}/api/conversations/{conversation}/export")
    assert export.ok


def test_older_messages_are_summarised_and_the_summary_undone(chat_page: Page, lab: Lab) -> None:
    page = chat_page
    expect(page.get_by_test_id("context")).to_have_count(0)
    lab.answer_with(*(answer([f"answer {number}"]) for number in range(3)))
    for number in range(3):
        say(page, f"question {number}")
        expect(answers(page).nth(number)).to_contain_text(f"answer {number}")
    gauge = page.get_by_role("button", name="Context: 17% used")  # 7 of 40 messages
    expect(gauge).to_be_visible()
    gauge.focus()
    gauge.press("Enter")
    panel = page.get_by_role("dialog", name="Context: 17% used")
    expect(panel).to_contain_text("6 of 40 messages")
    check(page)
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    gauge.press("Enter")
    lab.answer_with(answer(["It was about <b>numbers</b>."]), answer(["Sure."]))
    panel.get_by_role("button", name="Summarise older messages").click()
    fold = page.locator(".ws-turn-summary")
    expect(fold).to_contain_text("Summary of the first 2 messages")
    fold.locator("summary").click()
    expect(fold.locator(".ws-turn-summary-text")).to_have_text("It was about <b>numbers</b>.")
    check(page)
    say(page, "Go on")
    expect(answers(page).last).to_contain_text("Sure.")
    sent = [one["content"] for one in lab.requests[-1].body["messages"]]
    assert "It was about <b>numbers</b>." in sent
    assert "question 0" not in sent
    page.reload()
    expect(fold).to_contain_text("Summary of the first 2 messages")
    fold.locator("summary").click()
    page.get_by_role("button", name="Undo the summary").click()
    expect(fold).to_be_hidden()
    lab.answer_with(answer(["Back."]))
    say(page, "And now?")
    expect(answers(page).last).to_contain_text("Back.")
    assert "question 0" in [one["content"] for one in lab.requests[-1].body["messages"]]


def compare(page: Page, question: str) -> None:
    page.get_by_test_id("model-picker").click()
    page.get_by_role("button", name="Compare models…").click()
    form = page.get_by_role("dialog", name="Compare models…")
    expect(form.get_by_role("checkbox", name="lab-1")).to_be_focused()
    expect(form.get_by_role("button", name="Use")).to_be_disabled()
    form.get_by_role("checkbox", name="lab-1").check()
    form.get_by_role("checkbox", name="lab-2").check()
    check(page)
    form.get_by_role("button", name="Use").click()
    expect(page.get_by_text("Side by side: lab-1, lab-2")).to_be_visible()
    expect(box(page)).to_be_focused()
    say(page, question)


class TestSideBySide:
    def test_two_models_answer_and_one_is_kept(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(
            answer(["first ", "**one**"]).stalled(1), answer(["second ", "**two**"]).stalled(1)
        )
        compare(page, "Hi")
        columns = page.get_by_test_id("columns")
        expect(columns.get_by_text("first")).to_be_visible()
        expect(columns.get_by_text("second")).to_be_visible()
        expect(page.get_by_test_id("compare")).to_have_count(0)
        heads = columns.locator(".ws-turn-column-head")
        first, second = heads.evaluate_all("(els) => els.map((el) => el.getBoundingClientRect().y)")
        assert first == second
        check(page)
        lab.go_on()
        keep = columns.get_by_role("button", name="Keep this answer")
        expect(keep).to_have_count(2)
        check(page)
        page.reload()
        expect(keep).to_have_count(2)
        two = columns.locator("> *", has_text="two")
        two.get_by_role("button", name="Keep this answer").click()
        expect(columns).to_have_count(0)
        expect(answers(page)).to_have_count(1)
        expect(answers(page).locator("strong")).to_have_text("two")
        expect(page.get_by_test_id("versions")).to_contain_text("2 / 2")
        lab.answer_with(answer(["going on"]))
        say(page, "And?")
        expect(answers(page).last).to_contain_text("going on")
        sent = [one["content"] for one in lab.requests[-1].body["messages"]]
        assert "second **two**" in sent
        assert "first **one**" not in sent

    def test_a_question_without_a_choice_goes_on_from_the_first(
        self, chat_page: Page, lab: Lab
    ) -> None:
        page = chat_page
        page.set_viewport_size({"width": 375, "height": 740})
        lab.answer_with(answer(["one"]), answer(["two"]))
        compare(page, "Hi")
        columns = page.get_by_test_id("columns")
        expect(columns.get_by_role("button", name="Keep this answer")).to_have_count(2)
        boxes = [one.bounding_box() for one in columns.locator("> *").all()]
        assert boxes[0] and boxes[1] and boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"]
        lab.answer_with(answer(["three"]))
        say(page, "And?")
        expect(answers(page).last).to_contain_text("three")
        expect(columns).to_have_count(0)
        expect(page.get_by_test_id("versions")).to_contain_text("1 / 2")


VOICES = """
window.spoken = [];
Object.defineProperty(window, "speechSynthesis", { value: {
  getVoices: () => [{ name: "voice" }],
  speak: (one) => window.spoken.push(one),
  cancel: () => { window.isCancelled = true; },
} });
"""


def test_an_answer_is_read_aloud_in_its_language(chat_page: Page, lab: Lab) -> None:
    page = chat_page
    page.add_init_script(VOICES)
    page.reload()
    lab.answer_with(answer(["Der Mond ist **rund** und nicht eckig.\n\nDas ist die Antwort."]))
    say(page, "Mond?")
    expect(answers(page)).to_contain_text("Antwort")
    more = page.get_by_role("button", name="More", exact=True).last
    more.focus()
    more.press("Enter")
    page.get_by_role("menuitem", name="Read aloud").press("Enter")
    stop = page.get_by_role("button", name="Stop reading")
    expect(stop).to_be_focused()
    check(page)
    spoken = page.evaluate("window.spoken.map(({ text, lang }) => [text, lang])")
    assert "".join(text for text, _ in spoken).split() == (
        ["Der", "Mond", "ist", "rund", "und", "nicht", "eckig.", "Das", "ist", "die", "Antwort."]
    )
    assert {lang for _, lang in spoken} == {"de"}
    stop.press("Enter")
    expect(stop).to_have_count(0)
    assert page.evaluate("window.isCancelled")
    more.click()
    page.get_by_role("menuitem", name="Read aloud").click()
    page.evaluate("window.spoken.at(-1).onend()")
    expect(stop).to_have_count(0)
