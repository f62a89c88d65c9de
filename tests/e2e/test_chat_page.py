"""The chat page for its users: a real server, a real browser, the fault lab as the model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.e2e.conftest import Lab, Proxy
from tests.server_process import ServerProcess
from wireside.testing import answer, failure
from wireside.testing.scripts import interleaved


def say(page: Page, text: str) -> None:
    page.get_by_test_id("input-chat").fill(text)
    page.get_by_test_id("input-chat").press("Enter")


def last_answer(page: Page) -> Locator:
    return page.get_by_test_id("message-assistant").last


def plain(text: str) -> str:
    return " ".join(text.split())


class TestAnswers:
    def test_an_answer_streams_and_ends(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["Hel", "lo **wor", "ld**"]).stalled(2))
        say(chat_page, "Hi")
        expect(chat_page.get_by_test_id("message-user")).to_have_text("Hi")
        expect(last_answer(chat_page)).to_contain_text("Hello")
        expect(chat_page.get_by_test_id("button-stop")).to_be_visible()
        lab.go_on()
        expect(last_answer(chat_page).locator("strong")).to_have_text("world")
        expect(chat_page.get_by_test_id("button-send")).to_be_visible()
        expect(chat_page.get_by_test_id("input-chat")).to_have_value("")
        assert lab.chats[-1].question == "Hi"
        expect(chat_page).to_have_title("Hi · Wireside")

    def test_parts_stay_in_their_order_also_after_a_reload(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(interleaved(rate=20))
        say(chat_page, "Hi")
        parts = chat_page.locator(".ws-turn-parts").last.locator("> *")
        expect(parts.nth(1)).to_contain_text("weather — requested, not run")
        expect(parts.nth(3)).to_contain_text("Reasoning")
        for is_reloaded in (False, True):
            expect(parts.nth(4)).to_have_text("It will rain.")
            expect(parts.nth(0)).to_have_text("Let me look outside.")
            expect(parts.nth(2)).to_have_text("The sky is grey.")
            expect(parts).to_have_count(5)
            if not is_reloaded:
                chat_page.reload()
        lab.answer_with(answer(["so"]))
        say(chat_page, "And then?")
        expect(last_answer(chat_page)).to_have_text("so")
        roles = [message["role"] for message in lab.chats[-1].body["messages"]]
        assert roles == ["user", "assistant", "tool", "assistant", "user"]

    def test_before_the_first_token_it_says_so(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["done"]).stalled(0))
        say(chat_page, "Hi")
        expect(chat_page.get_by_test_id("typing")).to_contain_text("AI is typing…")
        expect(chat_page.get_by_test_id("typing")).to_contain_text("The model is loading…")
        lab.go_on()
        expect(last_answer(chat_page)).to_contain_text("done")
        expect(chat_page.get_by_test_id("typing")).to_have_count(0)

    def test_stop_keeps_the_text_and_closes_the_upstream(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["kept "]).stalled(1), answer(["and more"]))
        say(chat_page, "Hi")
        expect(last_answer(chat_page)).to_contain_text("kept")
        chat_page.keyboard.press("Escape")
        expect(chat_page.get_by_test_id("note-stopped")).to_be_visible()
        expect(last_answer(chat_page)).to_contain_text("kept")
        assert lab.has_closed()
        chat_page.get_by_role("button", name="Continue").click()
        expect(last_answer(chat_page)).to_contain_text("kept and more")

    def test_a_follow_up_sees_what_was_said(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["four"]), answer(["eight"]))
        say(chat_page, "two and two?")
        expect(last_answer(chat_page)).to_contain_text("four")
        say(chat_page, "doubled?")
        expect(last_answer(chat_page)).to_contain_text("eight")
        said = [m["content"] for m in lab.chats[-1].body["messages"]]
        assert said[-3:] == ["two and two?", "four", "doubled?"]

    def test_a_starter_is_sent_by_a_click(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["Gladly."]))
        starters = chat_page.get_by_role("list").filter(has_text="rainy weekend")
        starter = starters.get_by_role("button", name="What makes a good question?")
        starter.click()
        expect(last_answer(chat_page)).to_contain_text("Gladly.")
        expect(starter).to_have_count(0)

    def test_reasoning_is_folded(self, chat_page: Page, lab: Lab) -> None:
        say(chat_page, "/lab reasoning")
        expect(chat_page.get_by_text("Reasoning").first).to_be_visible()
        expect(chat_page.get_by_test_id("button-send")).to_be_visible()


class TestErrors:
    def test_an_error_says_what_to_do_and_can_be_tried_again(
        self, chat_page: Page, lab: Lab
    ) -> None:
        lab.answer_with(failure(401), answer(["better"]))
        say(chat_page, "Hi")
        expect(chat_page.get_by_text("key for this model was refused")).to_be_visible()
        chat_page.get_by_role("button", name="Try again").click()
        expect(last_answer(chat_page)).to_contain_text("better")

    def test_an_error_can_be_reported(self, chat_page: Page, lab: Lab) -> None:
        chat_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        lab.answer_with(failure(401))
        say(chat_page, "Hi")
        line = chat_page.get_by_test_id("error-details")
        expect(line).to_have_text(re.compile(r"^lab-1 · provider_auth · \S{22}$"))
        chat_page.get_by_role("button", name="Copy details").click()
        text = "navigator.clipboard.readText()"
        chat_page.wait_for_function(f"{text}.then((text) => text.includes('provider_auth'))")
        copied = chat_page.evaluate(text)
        assert "Model: lab-1\n" in copied
        assert copied.endswith(line.inner_text().rpartition(" ")[2])

    def test_a_rate_limit_counts_down_and_goes_on_by_itself(
        self, chat_page: Page, lab: Lab
    ) -> None:
        lab.answer_with(failure(429, retry_after=6), answer(["at last"]))
        say(chat_page, "Hi")
        expect(chat_page.get_by_text(re.compile(r"Trying again in \d s"))).to_be_visible()
        expect(last_answer(chat_page)).to_contain_text("at last", timeout=15_000)

    def test_a_cut_answer_is_kept_and_marked(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["first half", "never sent"]).cut(1))
        say(chat_page, "Hi")
        expect(last_answer(chat_page)).to_contain_text("first half")
        expect(chat_page.get_by_role("button", name="Continue")).to_be_visible()
        expect(chat_page.get_by_role("button", name="Try again")).to_be_visible()

    def test_too_long_a_message_is_told_before_it_is_sent(self, chat_page: Page) -> None:
        chat_page.get_by_test_id("input-chat").fill("x" * 100_002)
        expect(chat_page.get_by_text("2 characters too many")).to_be_visible()
        expect(chat_page.get_by_test_id("button-send")).to_be_disabled()

    def test_hostile_text_stays_text(self, chat_page: Page, lab: Lab) -> None:
        hostile = (
            '<img src=x onerror="window.hit=1"><script>window.hit=1</script> [x](javascript:hit)'
        )
        lab.answer_with(answer([hostile]))
        say(chat_page, hostile)
        expect(last_answer(chat_page)).to_contain_text("<script>")
        expect(chat_page.get_by_test_id("message-user")).to_contain_text("<script>")
        assert chat_page.evaluate("window.hit") is None
        assert chat_page.locator("main a[href^=javascript]").count() == 0


class TestNothingIsLost:
    def test_a_reload_in_mid_answer_shows_the_text_and_goes_on(
        self, chat_page: Page, lab: Lab
    ) -> None:
        lab.answer_with(answer(["before ", "after"]).stalled(1))
        say(chat_page, "Hi")
        expect(last_answer(chat_page)).to_contain_text("before")
        chat_page.reload()
        expect(last_answer(chat_page)).to_contain_text("before")
        lab.go_on()
        expect(last_answer(chat_page)).to_contain_text("before after")
        expect(chat_page.get_by_test_id("message-user")).to_have_text("Hi")
        assert re.search(r"/c/[\w-]{22}$", chat_page.url)

    def test_a_second_tab_is_live(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["one ", "two"]).stalled(1), answer(["three"]))
        say(chat_page, "Hi")
        expect(last_answer(chat_page)).to_contain_text("one")
        other = chat_page.context.new_page()
        other.goto(chat_page.url)
        expect(last_answer(other)).to_contain_text("one")
        lab.go_on()
        expect(last_answer(other)).to_contain_text("one two")
        say(other, "And?")
        expect(last_answer(chat_page)).to_contain_text("three")

    def test_a_cut_loses_neither_draft_nor_answer(self, page: Page, proxy: Proxy, lab: Lab) -> None:
        lab.answer_with(answer([f"{n} " for n in range(100)], rate=25))
        page.goto(f"http://127.0.0.1:{proxy.port}")
        expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
        page.evaluate("window.notReloaded = true")
        say(page, "Count")
        expect(last_answer(page)).to_contain_text("5")
        page.get_by_test_id("input-chat").fill("my draft")
        proxy.cut()
        status = page.get_by_test_id("connection-status")
        expect(status).to_have_text(re.compile(r"Reconnecting… \(\d+\)"))
        expect(status).to_have_text("Disconnected")
        expect(page.get_by_test_id("button-send")).to_be_disabled()
        proxy.mend()
        expect(status).to_have_text("Connected", timeout=30_000)
        expect(last_answer(page)).to_contain_text("97 98 99", timeout=20_000)
        text = plain(last_answer(page).inner_text())
        assert " ".join(str(n) for n in range(100)) in text
        expect(page.get_by_test_id("input-chat")).to_have_value("my draft")
        assert page.evaluate("window.notReloaded")
        status.click()
        expect(page.get_by_test_id("metric-reconnects")).to_have_text("1")

    def test_a_draft_survives_a_reload(self, chat_page: Page) -> None:
        chat_page.get_by_test_id("input-chat").fill("half a thought")
        chat_page.reload()
        expect(chat_page.get_by_test_id("input-chat")).to_have_value("half a thought")

    def test_what_was_sent_and_not_acknowledged_is_sent_again_once(
        self, chat_page: Page, lab: Lab
    ) -> None:
        lab.answer_with(answer(["first"]), answer(["second"]))
        say(chat_page, "one")
        expect(last_answer(chat_page)).to_contain_text("first")
        before = len(lab.chats)
        conversation = chat_page.url.rpartition("/")[2]
        # as if the page had been closed before the acknowledgement arrived, twice
        item: dict[str, Any] = {"turn_id": "abc", "question": "two", "edits": None, "options": {}}
        for _ in range(2):
            chat_page.evaluate(
                "([key, value]) => localStorage.setItem(key, value)",
                [f"wireside.outbox.{conversation}", json.dumps([item])],
            )
            chat_page.reload()
            expect(last_answer(chat_page)).to_contain_text("second")
        assert len(lab.chats) == before + 1
        assert chat_page.evaluate(f"localStorage['wireside.outbox.{conversation}']") is None

    def test_an_unknown_conversation_says_so(self, page: Page, served: ServerProcess) -> None:
        page.goto(f"{served.url}/c/unknown")
        expect(page.get_by_text("This conversation is not here any more.")).to_be_visible()


class TestWaiting:
    def test_a_second_question_waits_and_can_be_taken_back(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["first"]).stalled(1))
        say(chat_page, "one")
        expect(last_answer(chat_page)).to_contain_text("first")
        say(chat_page, "two")
        expect(chat_page.get_by_test_id("waiting")).to_be_visible()
        chat_page.get_by_role("button", name="take back").click()
        expect(chat_page.get_by_test_id("input-chat")).to_have_value("two")
        expect(chat_page.get_by_test_id("message-user")).to_have_count(1)
        chat_page.get_by_test_id("input-chat").fill("")
        chat_page.get_by_test_id("button-stop").click()
        assert lab.has_closed()

    def test_what_waits_begins_by_itself(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["first"]).stalled(1), answer(["second"]))
        say(chat_page, "one")
        expect(last_answer(chat_page)).to_contain_text("first")
        say(chat_page, "two")
        expect(chat_page.get_by_test_id("waiting")).to_be_visible()
        lab.go_on()
        expect(last_answer(chat_page)).to_contain_text("second")


class TestComposer:
    def test_shift_enter_breaks_the_line(self, chat_page: Page) -> None:
        box = chat_page.get_by_test_id("input-chat")
        box.fill("a")
        box.press("Shift+Enter")
        box.press_sequentially("b")
        expect(box).to_have_value("a\nb")
        expect(chat_page.get_by_test_id("message-user")).to_have_count(0)

    def test_it_grows_to_ten_lines_and_no_further(self, chat_page: Page) -> None:
        box = chat_page.get_by_test_id("input-chat")
        heights = []
        for lines in (1, 5, 10, 30):
            box.fill("\n".join("x" * lines))
            size = box.bounding_box()
            assert size is not None
            heights.append(size["height"])
        assert heights[0] < heights[1] < heights[2]
        assert abs(heights[3] - heights[2]) < 30

    def test_arrow_up_edits_the_last_message(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["first"]), answer(["second"]))
        say(chat_page, "one")
        expect(last_answer(chat_page)).to_contain_text("first")
        chat_page.get_by_test_id("input-chat").press("ArrowUp")
        expect(chat_page.get_by_test_id("input-chat")).to_have_value("one")
        edited = chat_page.locator(".ws-turn-edited").get_by_test_id("message-user")
        expect(edited).to_have_text("one")
        chat_page.keyboard.press("Escape")
        expect(edited).to_have_count(0)
        chat_page.get_by_test_id("input-chat").press("ArrowUp")
        expect(edited).to_have_text("one")
        say(chat_page, "one, better")
        expect(last_answer(chat_page)).to_contain_text("second")
        expect(chat_page.get_by_test_id("message-user")).to_have_text("one, better")

    def test_a_question_is_nearer_to_its_answer_than_to_the_next_question(
        self, chat_page: Page, lab: Lab
    ) -> None:
        lab.answer_with(answer(["first"]), answer(["second"]))
        for question, text in (("one", "first"), ("two", "second")):
            say(chat_page, question)
            expect(last_answer(chat_page)).to_contain_text(text)
        expect(chat_page.get_by_test_id("button-send")).to_be_visible()
        boxes = chat_page.evaluate(
            """() => [...document.querySelectorAll('[data-testid^=message-]')]
                .map((el) => el.getBoundingClientRect()).map(({ top, bottom }) => [top, bottom])"""
        )
        to_answer, to_question = boxes[1][0] - boxes[0][1], boxes[2][0] - boxes[1][1]
        assert to_answer * 2 < to_question

    def test_the_models_settings_are_used(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["ok"]))
        chat_page.get_by_test_id("options").click()
        chat_page.get_by_role("textbox", name="Instructions").fill("Be brief.")
        chat_page.get_by_role("textbox", name="Temperature").fill("0.3")
        chat_page.get_by_test_id("input-chat").click()
        chat_page.get_by_test_id("model-picker").click()
        chat_page.get_by_role("option", name="lab-2").click()
        say(chat_page, "Hi")
        expect(last_answer(chat_page)).to_contain_text("ok")
        body = lab.chats[-1].body
        assert (body["model"], body["temperature"]) == ("lab-2", 0.3)
        assert body["messages"][0] == {"role": "system", "content": "Be brief."}

    def test_sending_is_off_with_nothing_to_send(self, chat_page: Page) -> None:
        chat_page.get_by_test_id("input-chat").fill("  \n ")
        expect(chat_page.get_by_test_id("button-send")).to_be_disabled()


class TestFrame:
    def test_the_theme_is_kept(self, chat_page: Page) -> None:
        chat_page.get_by_test_id("app-menu").click()
        chat_page.get_by_test_id("theme-toggle").get_by_label("Dark").check(force=True)
        expect(chat_page.locator("html.ws-dark")).to_have_count(1)
        chat_page.reload()
        expect(chat_page.locator("html.ws-dark")).to_have_count(1)

    @pytest.mark.parametrize("width", [320, 375, 820, 1440])
    def test_nothing_scrolls_sideways(self, chat_page: Page, lab: Lab, width: int) -> None:
        wide = (
            "| a | b |\n|---|---|\n| " + "wide" * 60 + " | x |\n\n```\n" + "code " * 80 + "\n```\n"
        )
        lab.answer_with(answer([wide, "word" * 100]))
        chat_page.set_viewport_size({"width": width, "height": 700})
        say(chat_page, "long" * 100)
        expect(chat_page.get_by_test_id("button-send")).to_be_visible()
        expect(last_answer(chat_page).locator("table")).to_be_visible()
        page_width = chat_page.evaluate("document.documentElement.scrollWidth")
        assert page_width <= width
        log = chat_page.get_by_role("log")
        assert log.evaluate("el => el.scrollWidth <= el.clientWidth")

    def test_shortcuts_are_shown(self, chat_page: Page) -> None:
        chat_page.get_by_test_id("connection-status").focus()
        chat_page.keyboard.press("?")
        expect(chat_page.get_by_role("dialog")).to_be_visible()
        chat_page.keyboard.press("Escape")
        expect(chat_page.get_by_role("dialog")).to_be_hidden()

    def test_it_speaks_the_browsers_language(
        self, new_context: Callable[..., BrowserContext], served: ServerProcess
    ) -> None:
        context = new_context(locale="ar")
        page = context.new_page()
        page.goto(served.url)
        expect(page.get_by_test_id("connection-status")).to_have_text("متصل")
        assert page.evaluate("[document.documentElement.dir, document.documentElement.lang]") == [
            "rtl",
            "ar",
        ]

    def test_the_page_needs_no_other_host(self, page: Page, served: ServerProcess) -> None:
        hosts: set[str] = set()
        page.on("request", lambda r: hosts.add(re.sub(r"^\w+://([^/]+).*", r"\1", r.url)))
        page.goto(served.url)
        expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
        assert hosts == {served.url.removeprefix("http://")}


def settled(page: Page) -> Page:
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    return page


def choose_model(page: Page, name: str) -> None:
    page.get_by_test_id("model-picker").click()
    page.get_by_role("option", name=name).click()


class TestChoice:
    """The request uses what the page shows; model and settings belong to the conversation."""

    def test_each_tab_sends_the_model_that_it_shows(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["one"]), answer(["two"]))
        choose_model(chat_page, "lab-1")
        other = chat_page.context.new_page()
        other.goto(chat_page.url)
        settled(other)
        choose_model(other, "lab-2")
        expect(chat_page.get_by_test_id("model-picker")).to_have_text("lab-1")
        say(chat_page, "from one")
        expect(last_answer(chat_page)).to_contain_text("one")
        assert lab.chats[-1].body["model"] == "lab-1"
        say(other, "from two")
        expect(last_answer(other)).to_contain_text("two")
        assert lab.chats[-1].body["model"] == "lab-2"

    def test_a_conversation_has_its_model_and_settings_in_any_browser(
        self, chat_page: Page, lab: Lab, new_context: Callable[..., BrowserContext]
    ) -> None:
        lab.answer_with(answer(["ahoy"]), answer(["hello"]), answer(["ahoy again"]))
        choose_model(chat_page, "lab-2")
        chat_page.get_by_test_id("options").click()
        chat_page.get_by_role("textbox", name="Instructions").fill("Answer like a pirate.")
        chat_page.get_by_role("textbox", name="Temperature").fill("0,7")
        say(chat_page, "first")
        expect(last_answer(chat_page)).to_contain_text("ahoy")
        assert lab.chats[-1].body["temperature"] == 0.7
        address = chat_page.url
        chat_page.get_by_test_id("sidebar-new").click()
        expect(chat_page.get_by_test_id("model-picker")).to_have_text("lab-2")
        choose_model(chat_page, "lab-1")
        say(chat_page, "in another chat")
        expect(last_answer(chat_page)).to_contain_text("hello")
        body = lab.chats[-1].body
        assert body["model"] == "lab-1"
        assert not [m for m in body["messages"] if m["role"] == "system"]
        elsewhere = new_context().new_page()
        elsewhere.goto(address)
        settled(elsewhere)
        expect(elsewhere.get_by_test_id("model-picker")).to_have_text("lab-2")
        elsewhere.get_by_test_id("options").click()
        expect(elsewhere.get_by_role("textbox", name="Instructions")).to_have_value(
            "Answer like a pirate."
        )
        elsewhere.keyboard.press("Escape")
        say(elsewhere, "and now?")
        expect(last_answer(elsewhere)).to_contain_text("ahoy again")
        body = lab.chats[-1].body
        assert (body["model"], body["temperature"]) == ("lab-2", 0.7)
        assert body["messages"][0]["content"] == "Answer like a pirate."

    def test_a_choice_in_an_open_conversation_is_kept_and_shown_everywhere(
        self, chat_page: Page, lab: Lab
    ) -> None:
        lab.answer_with(answer(["one"]), answer(["two"]), answer(["three"]))
        choose_model(chat_page, "lab-1")
        say(chat_page, "first")
        expect(last_answer(chat_page)).to_contain_text("one")
        other = chat_page.context.new_page()
        other.goto(chat_page.url)
        settled(other)
        choose_model(chat_page, "lab-2")
        expect(other.get_by_test_id("model-picker")).to_have_text("lab-2")
        other.reload()
        expect(other.get_by_test_id("model-picker")).to_have_text("lab-2")
        last_answer(chat_page).hover()
        expect(chat_page.get_by_test_id("answered-by").last).to_have_text("lab-1")
        chat_page.get_by_role("button", name="Ask again", exact=True).last.click()
        expect(last_answer(chat_page)).to_contain_text("two")
        assert lab.chats[-1].body["model"] == "lab-2"
        expect(chat_page.get_by_test_id("answered-by").last).to_have_text("lab-2")
        choose_model(chat_page, "lab-1")
        chat_page.get_by_test_id("input-chat").press("ArrowUp")
        expect(chat_page.get_by_test_id("input-chat")).to_have_value("first")
        say(chat_page, "first, better")
        expect(last_answer(chat_page)).to_contain_text("three")
        assert lab.chats[-1].body["model"] == "lab-1"

    def test_a_value_out_of_its_range_is_told_and_nothing_is_sent(
        self, chat_page: Page, lab: Lab
    ) -> None:
        before = len(lab.chats)
        chat_page.get_by_test_id("options").click()
        for label, wrong in (("Temperature", "9"), ("Maximum length", "-5"), ("Temperature", "x")):
            told = re.compile(label, re.IGNORECASE)
            field = chat_page.get_by_role("textbox", name=label)
            field.fill(wrong)
            expect(chat_page.get_by_test_id("invalid-setting")).to_have_text(told)
            expect(field).to_have_attribute("aria-invalid", "true")
            chat_page.get_by_test_id("input-chat").fill("Hi")
            chat_page.get_by_test_id("input-chat").press("Enter")
            expect(chat_page.get_by_test_id("button-send")).to_be_disabled()
            expect(chat_page.locator("#ws-composer-hint")).to_have_text(told)
            expect(chat_page.get_by_test_id("input-chat")).to_have_value("Hi")
            chat_page.get_by_test_id("options").click()
            chat_page.get_by_role("textbox", name=label).fill("")
        expect(chat_page.get_by_test_id("button-send")).to_be_enabled()
        assert len(lab.chats) == before

    def test_a_model_that_is_gone_is_told(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["ok"]))
        chat_page.evaluate("localStorage.setItem('wireside.model', 'old-model')")
        chat_page.reload()
        settled(chat_page)
        expect(chat_page.get_by_test_id("model-gone")).to_contain_text("old-model")
        shown = chat_page.get_by_test_id("model-picker").inner_text().strip()
        say(chat_page, "Hi")
        expect(last_answer(chat_page)).to_contain_text("ok")
        assert lab.chats[-1].body["model"] == shown
        expect(chat_page.get_by_test_id("model-gone")).to_have_count(0)

    def test_a_double_click_asks_once(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["one"]), answer(["two"]), answer(["three"]))
        say(chat_page, "Hi")
        expect(last_answer(chat_page)).to_contain_text("one")
        before = len(lab.chats)
        chat_page.get_by_role("button", name="Ask again", exact=True).dblclick()
        expect(last_answer(chat_page)).to_contain_text("two")
        expect(chat_page.get_by_test_id("versions")).to_contain_text("2 / 2")
        chat_page.wait_for_timeout(300)
        assert len(lab.chats) == before + 1


class TestDrafts:
    def test_two_new_chats_have_a_draft_each(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["ok"]))
        chat_page.get_by_test_id("input-chat").fill("of the first tab")
        other = chat_page.context.new_page()
        other.goto(chat_page.url)
        settled(other)
        expect(other.get_by_test_id("input-chat")).to_have_value("")
        other.get_by_test_id("input-chat").fill("of the second tab")
        other.reload()
        expect(other.get_by_test_id("input-chat")).to_have_value("of the second tab")
        say(other, "sent")
        expect(last_answer(other)).to_contain_text("ok")
        chat_page.reload()
        expect(chat_page.get_by_test_id("input-chat")).to_have_value("of the first tab")

    def test_what_a_closed_tab_has_left_is_in_the_next_one(self, chat_page: Page) -> None:
        address = chat_page.url
        others = [chat_page.context.new_page() for _ in range(2)]
        for number, other in enumerate(others):
            other.goto(address)
            settled(other)
            other.get_by_test_id("input-chat").fill(f"unsent {number}")
        for other in others:
            with other.expect_event("close"):
                other.close(run_before_unload=True)
        found = set()
        for _ in range(2):
            fresh = chat_page.context.new_page()
            fresh.goto(address)
            settled(fresh)
            expect(fresh.get_by_test_id("input-chat")).not_to_have_value("")
            found.add(fresh.get_by_test_id("input-chat").input_value())
        assert found == {"unsent 0", "unsent 1"}

    def test_an_edit_goes_on_after_a_reload(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["first"]), answer(["second"]))
        say(chat_page, "one")
        expect(last_answer(chat_page)).to_contain_text("first")
        box = chat_page.get_by_test_id("input-chat")
        box.press("ArrowUp")
        expect(box).to_have_value("one")
        box.fill("one, better")
        chat_page.reload()
        expect(box).to_have_value("one, better")
        expect(chat_page.locator(".ws-composer-editing")).to_be_visible()
        settled(chat_page)
        box.press("Enter")
        expect(last_answer(chat_page)).to_contain_text("second")
        expect(chat_page.get_by_test_id("message-user")).to_have_text("one, better")
        expect(box).to_have_value("")

    def test_another_edit_loses_nothing_of_the_first(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["first"]), answer(["second"]))
        for question, told in (("one", "first"), ("two", "second")):
            say(chat_page, question)
            expect(last_answer(chat_page)).to_contain_text(told)
        box = chat_page.get_by_test_id("input-chat")
        box.fill("unsent")
        edits = chat_page.get_by_role("button", name="Edit")
        edits.first.click()
        expect(box).to_have_value("one")
        box.fill("one, changed")
        edits.first.click()
        expect(box).to_have_value("one, changed")
        edits.last.click()
        expect(box).to_have_value("two")
        chat_page.keyboard.press("Escape")
        expect(box).to_have_value("unsent\none, changed")


BLOCK = """for (const name of %s)
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
"""


class TestBlockedStorage:
    @pytest.mark.parametrize("names", [["sessionStorage", "localStorage"], ["localStorage"]])
    def test_it_works_without_and_says_so(
        self, page: Page, served: ServerProcess, lab: Lab, names: list[str]
    ) -> None:
        lab.answer_with(answer(["fine"]))
        page.add_init_script(BLOCK % json.dumps(names))
        page.goto(served.url)
        settled(page)
        page.get_by_test_id("input-chat").fill("Hi")
        expect(page.locator("#ws-composer-hint")).to_contain_text("blocks site data")
        page.get_by_test_id("input-chat").press("Enter")
        expect(last_answer(page)).to_contain_text("fine")


class TestBlockedScripts:
    def test_a_page_that_can_not_start_says_so_and_keeps_the_text(
        self, page: Page, served: ServerProcess
    ) -> None:
        page.route("**/static/nicegui.js", lambda route: route.abort())
        page.goto(served.url)
        page.locator("textarea").fill("my question")
        expect(page.get_by_role("alert")).to_contain_text("The page has not started")
        page.unroute("**/static/nicegui.js")
        page.reload()
        expect(page.get_by_test_id("input-chat")).to_have_value("my question")


class TestFrames:
    def test_a_page_in_a_frame_leaves_the_focus_to_its_host(
        self, page: Page, served: ServerProcess
    ) -> None:
        frame = f'<input id="own" autofocus><iframe name="chat" src="{served.url}"></iframe>'
        page.route("**/host", lambda route: route.fulfill(body=frame, content_type="text/html"))
        page.route(
            f"{served.url}/",
            lambda route: route.fulfill(
                response=(answer := route.fetch()),
                headers={**answer.headers, "content-security-policy": "", "x-frame-options": ""},
            ),
        )
        page.goto(f"{served.url}/host")
        page.locator("#own").focus()
        box = page.frame_locator("iframe").get_by_test_id("input-chat")
        expect(box).to_be_visible()
        expect(page.locator("#own")).to_be_focused()


DROP = """(target, [kind, type]) => {
  const data = new DataTransfer();
  data.items.add(new File(["x"], "notes." + type, { type: "image/" + type }));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
  target.dispatchEvent(event);
  return event.defaultPrevented;
}"""


class TestFiles:
    @pytest.mark.parametrize("place", ["main", ".ws-composer", "header"])
    def test_a_dropped_file_is_caught_and_attached(self, chat_page: Page, place: str) -> None:
        target = chat_page.locator(place).first
        assert target.evaluate(DROP, ["dragover", "png"]), "the browser would open it"
        assert target.evaluate(DROP, ["drop", "txt"])
        expect(chat_page.get_by_test_id("attachments")).to_contain_text("notes.txt")

    def test_a_pasted_file_is_attached(self, chat_page: Page) -> None:
        box = chat_page.get_by_test_id("input-chat")
        assert box.evaluate(DROP, ["paste", "png"])
        expect(chat_page.get_by_test_id("attachments")).to_contain_text("notes.png")


class TestEnds:
    @pytest.mark.parametrize(
        ("reason", "told", "goes_on"),
        [
            ("length", "reached the maximum length", True),
            ("content_filter", "content filter ended this answer", False),
        ],
    )
    def test_an_end_says_which(
        self, chat_page: Page, lab: Lab, reason: str, told: str, goes_on: bool
    ) -> None:
        lab.answer_with(answer(["some text"], finish=reason))
        say(chat_page, "Hi")
        expect(chat_page.get_by_text(told)).to_be_visible()
        more = chat_page.get_by_role("button", name="Continue")
        expect(more).to_have_count(1 if goes_on else 0)

    def test_a_providers_cut_can_be_continued(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["first half ", "never sent"]).cut(1), answer(["second half"]))
        say(chat_page, "Hi")
        expect(chat_page.get_by_role("button", name="Try again")).to_be_visible()
        chat_page.get_by_role("button", name="Continue").click()
        expect(last_answer(chat_page)).to_contain_text("first half second half")
