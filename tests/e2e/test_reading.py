"""Reading a conversation by keyboard, on paper, in a small window and in forced colours.

The tests use the real page, with the fault lab as the model.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.e2e.conftest import Lab
from tests.server_process import ServerProcess
from wireside.testing import answer

TURNS = 60

NewContext = Callable[..., BrowserContext]


def connected(page: Page) -> None:
    expect(page.get_by_test_id("connection-status")).to_have_attribute("data-state", "connected")


def say(page: Page, text: str) -> None:
    page.get_by_test_id("input-chat").fill(text)
    page.get_by_test_id("button-send").click()


def conversation_file(count: int) -> bytes:
    """Return a file that imports as one conversation; each turn contains a unique word."""
    when = "2026-01-01T00:00:00Z"
    turns: list[dict[str, Any]] = [
        {
            "id": f"t{n}",
            "parent": f"t{n - 1}" if n else None,
            "question": f"Question about q{n}q?",
            "created_at": when,
            "options": {},
            "feedback": None,
            "answer": [
                {
                    "model": "lab-1",
                    "created_at": when,
                    "reason": "stop",
                    "error": None,
                    "usage": {"input_tokens": None, "output_tokens": None},
                    "parts": [
                        {"type": "text", "text": f"Reply **a{n}**a. " + "Some words more. " * 150}
                    ],
                }
            ],
        }
        for n in range(count)
    ]
    one = {
        "id": "c",
        "title": "A long talk",
        "title_source": "user",
        "created_at": when,
        "updated_at": when,
        "pinned": False,
        "archived": False,
        "tags": [],
        "turns": turns,
        "shown_turn": f"t{count - 1}",
    }
    return json.dumps({"format": "wireside", "version": 1, "conversations": [one]}).encode()


@pytest.fixture(scope="session")  # as the server: a second import adds nothing
def long_talk(served: ServerProcess) -> str:
    """The address of a conversation of 60 turns, of which a page loads the last 20."""
    request = urllib.request.Request(
        f"{served.url}/api/conversations/import",
        data=conversation_file(TURNS),
        headers={"Content-Type": "application/json", "Origin": served.url},
    )
    with urllib.request.urlopen(request) as response:
        name = json.load(response)["conversations"][0]
    return f"{served.url}/c/{name}"


@pytest.fixture
def talk(page: Page, long_talk: str) -> Page:
    page.goto(long_talk)
    connected(page)
    expect(page.get_by_text(f"q{TURNS - 1}q")).to_be_visible()
    return page


def all_words(text: str) -> bool:
    return all(f"q{n}q" in text and f"a{n}a" in text for n in range(TURNS))


# The distance of the view from the conversation's end. `scrollTop` also changes without scrolling:
# a turn that is mounted above the view gets its real height instead of the estimated one.
PLACE = """(() => {
  const view = document.querySelector('.ws-transcript-scroller');
  return view.scrollHeight - view.scrollTop;
})()"""


AT_END = """() => {
  const view = document.querySelector('.ws-transcript-scroller');
  return view.scrollHeight - view.scrollTop - view.clientHeight < 2;
}"""


def place_at_rest(page: Page) -> float:
    """Return ``PLACE`` after the end of smooth scrolling, which moves a pixel or more a frame."""
    place: float = page.evaluate(
        f"""async () => {{
          const frame = () => new Promise(requestAnimationFrame);
          for (let before; before !== {PLACE}; await frame(), await frame()) before = {PLACE};
          return {PLACE};
        }}"""
    )
    return place


def open_preferences(page: Page) -> None:
    page.get_by_test_id("app-menu").click()
    page.get_by_test_id("open-preferences").click()


class TestKeys:
    def test_page_keys_in_the_empty_box_scroll_the_conversation(self, talk: Page) -> None:
        box = talk.get_by_test_id("input-chat")
        box.focus()
        before = place_at_rest(talk)
        talk.keyboard.press("PageUp")
        talk.wait_for_function(f"(before) => {PLACE} > before + 200", arg=before)
        expect(box).to_be_focused()
        box.fill("two\nlines")
        before = place_at_rest(talk)
        talk.keyboard.press("PageUp")
        talk.wait_for_function(f"(before) => {PLACE} > before + 200", arg=before)
        box.fill("\n".join("many lines" for _ in range(60)))
        box.evaluate("(el) => {el.selectionStart = el.value.length; el.scrollTop = 1e6}")
        before, within = place_at_rest(talk), box.evaluate("(el) => el.scrollTop")
        for _ in range(3):  # the first one moves the caret within the visible part
            talk.keyboard.press("PageUp")
        talk.wait_for_function("(top) => document.activeElement.scrollTop < top", arg=within)
        assert place_at_rest(talk) == before

    def test_a_question_is_asked_stopped_and_continued_by_keys(
        self, chat_page: Page, lab: Lab
    ) -> None:
        page = chat_page
        lab.answer_with(answer(["half "]).stalled(1), answer(["and whole"]))
        page.keyboard.press("/")
        expect(page.get_by_test_id("input-chat")).to_be_focused()
        page.keyboard.type("By keys")
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("message-assistant")).to_contain_text("half")
        page.keyboard.press("Escape")
        button = page.get_by_role("button", name="Continue")
        expect(button).to_be_visible()
        for _ in range(40):
            if button.evaluate("(el) => el === document.activeElement"):
                break
            page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("message-assistant")).to_contain_text("half and whole")
        expect(page.get_by_test_id("button-send")).to_be_visible()
        assert page.evaluate("document.activeElement.closest('.ws-turn') !== null")

    def test_a_hit_of_the_search_takes_the_focus_to_its_turn(self, talk: Page) -> None:
        page = talk
        page.get_by_test_id("search").focus()
        page.keyboard.type("q7q")
        hit = page.locator(".ws-sidebar-hit").first
        expect(hit).to_be_visible()
        page.keyboard.press("ArrowDown")
        expect(hit).to_be_focused()
        page.keyboard.press("Enter")
        turn = page.locator(".ws-turn", has_text="q7q")
        expect(turn).to_be_focused()
        expect(turn).to_be_in_viewport()
        expect(page.get_by_test_id("find-place")).to_have_text("Message 1 of 1")
        assert page.evaluate("[...CSS.highlights.get('ws-find')].map(String)") == ["q7q"]
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("find")).to_have_count(0)
        expect(turn).to_be_focused()

    def test_hiding_the_list_leaves_the_focus_in_the_page(self, talk: Page) -> None:
        page = talk
        page.get_by_test_id("search").focus()
        expect(page.get_by_test_id("search")).to_be_focused()
        page.keyboard.press("Control+Shift+s")
        expect(page.get_by_test_id("sidebar-toggle")).to_be_focused()
        page.keyboard.press("Control+Shift+s")

    def test_words_of_all_turns_are_found(self, talk: Page) -> None:
        talk.keyboard.press("Control+Shift+f")
        field = talk.get_by_role("searchbox", name="Find in this conversation")
        field.fill("reply A3a")  # **a3**a in the answer's Markdown
        expect(talk.get_by_test_id("find-place")).to_have_text("Message 1 of 1")
        expect(talk.get_by_text("q3q")).to_be_visible()
        talk.wait_for_function("() => CSS.highlights.get('ws-find-here')?.size === 1")
        field.press("Escape")
        assert talk.evaluate("document.activeElement.textContent").startswith("Question about q3q")

    def test_all_turns_are_copied(self, talk: Page) -> None:
        talk.context.grant_permissions(["clipboard-read", "clipboard-write"])
        talk.locator(".ws-transcript-scroller").focus()
        talk.keyboard.press("Control+a")
        expect(talk.get_by_test_id("notice")).to_contain_text("All 60 messages are selected")
        talk.keyboard.press("Control+c")
        expect(talk.get_by_test_id("notice")).to_have_text("Copied")
        copied = talk.evaluate("navigator.clipboard.readText()")
        assert all_words(copied.replace("*", ""))
        talk.get_by_test_id("input-chat").fill("only this")
        talk.get_by_test_id("input-chat").press("Control+a")
        talk.keyboard.press("Control+c")
        assert talk.evaluate("navigator.clipboard.readText()") == "only this"


class TestFolds:
    def test_a_fold_of_an_answer_shows_that_it_opens(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["<details><summary>More</summary>\n\nHidden.\n\n</details>\n"]))
        say(chat_page, "fold")
        summary = chat_page.locator("main summary", has_text="More")
        expect(summary).to_have_css("display", "list-item")
        expect(summary).to_have_css("list-style-type", "disclosure-closed")
        summary.click()
        expect(summary).to_have_css("list-style-type", "disclosure-open")
        expect(chat_page.get_by_test_id("message-assistant").get_by_text("Hidden.")).to_be_visible()


class TestEnd:
    def test_a_reader_at_the_end_stays_there_while_the_message_box_grows(self, talk: Page) -> None:
        talk.wait_for_function(AT_END)
        scroller = talk.locator(".ws-transcript-scroller")
        before = scroller.evaluate("(el) => el.scrollHeight")
        box = talk.get_by_test_id("input-chat")
        box.fill("line\n" * 8)
        talk.wait_for_function(
            "(before) => document.querySelector('.ws-transcript-scroller').scrollHeight > before",
            arg=before,
        )
        talk.wait_for_function(AT_END)
        box.fill("")
        talk.wait_for_function(
            "(before) => document.querySelector('.ws-transcript-scroller').scrollHeight === before",
            arg=before,
        )
        talk.wait_for_function(AT_END)


def ended(page: Page) -> Locator:
    """Return the end of the last answer; an announcement contains the same text."""
    return page.get_by_test_id("message-assistant").last.get_by_text("The end.")


class TestPaper:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_all_turns_are_printed_black_on_white(self, talk: Page, scheme: Any) -> None:
        page = talk
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(AT_END)
        pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf(format="A4")))
        assert pages > 25  # of 60 turns; a page has less than three
        page.wait_for_function(AT_END)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")  # before the layout for paper
        page.emulate_media(media="print", color_scheme=scheme)
        paper = page.locator(".ws-main")
        assert all_words(paper.inner_text())
        dark = page.evaluate(
            """() => {
              const light = (css) => (css.match(/[\\d.]+/g) ?? []).slice(0, 3)
                .reduce((a, b) => a + Number(b), 0) / 3;
              const shown = [...document.querySelectorAll('main p, main .ws-turn-bubble')]
                .filter((el) => el.getClientRects().length);
              const background = getComputedStyle(document.body).backgroundColor;
              return [shown.length > 100,
                Math.max(...shown.map((el) => light(getComputedStyle(el).color))),
                /, 0\\)$/.test(background) ? 255 : light(background)];
            }"""
        )
        assert dark[0]
        assert dark[1] < 60
        assert dark[2] == 255
        for hidden in (".ws-header", ".ws-sidebar-frame", ".ws-composer", ".ws-turn-actions"):
            assert page.locator(hidden).evaluate_all(
                "(all) => all.every((el) => !el.getClientRects().length)"
            )
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.wait_for_function(AT_END)
        expect(page.get_by_text(f"q{TURNS - 1}q")).to_be_visible()
        assert page.locator(".ws-turn").count() < 30

    def test_without_the_server_it_says_what_is_missing(self, talk: Page) -> None:
        talk.route("**/export?**", lambda route: route.abort())
        talk.evaluate("dispatchEvent(new Event('beforeprint'))")  # before the layout for paper
        talk.emulate_media(media="print")
        text = talk.locator(".ws-main").inner_text()
        assert "40 messages could not be loaded and are missing here." in text
        assert "q40q" in text
        assert "q59q" in text
        talk.evaluate("dispatchEvent(new Event('afterprint'))")

    def test_a_fold_that_is_closed_is_printed_open(self, chat_page: Page, lab: Lab) -> None:
        text = "<details><summary>More</summary>\n\nHidden.\n\n</details>\n\nThe end."
        lab.answer_with(answer([text]))
        say(chat_page, "fold")
        message = chat_page.get_by_test_id("message-assistant").last
        expect(ended(chat_page)).to_be_visible()
        expect(message.get_by_text("Hidden.")).to_be_hidden()
        chat_page.emulate_media(media="print")
        expect(message.get_by_text("Hidden.")).to_be_visible()

    def test_a_narrow_table_has_a_frame_of_its_own_width(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer(["| a | b |\n|---|---|\n| 1 | 2 |\n\nThe end."]))
        say(page, "narrow")
        expect(ended(page)).to_be_visible()
        page.emulate_media(media="print")
        frame = page.locator("main .ws-table")
        assert frame.evaluate("(el) => el.offsetWidth - el.firstElementChild.offsetWidth") < 8

    def test_wide_things_end_at_the_paper(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        table = "| " + " | ".join(f"column{n}" for n in range(9)) + " |\n" + "|---" * 9 + "|\n"
        code = "```\n" + "word " * 80 + "\n```\n"
        lab.answer_with(answer([f"{table}\n\n{code}\n\nThe end."]))
        say(page, "wide")
        expect(ended(page)).to_be_visible()
        page.set_viewport_size({"width": 794, "height": 1123})
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("document.documentElement.scrollWidth") <= 794
        boxes = "main pre, main .ws-table"
        assert page.locator(boxes).evaluate_all(
            "(all) => all.every((el) => el.scrollWidth <= el.clientWidth + 1)"
        )
        page.evaluate("dispatchEvent(new Event('afterprint'))")


class TestPhone:
    @pytest.fixture
    def phone(self, new_context: NewContext, served: ServerProcess) -> Page:
        context = new_context(
            viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
        )
        page = context.new_page()
        page.goto(served.url)
        connected(page)
        return page

    def test_enter_breaks_the_line(self, phone: Page, lab: Lab) -> None:
        lab.answer_with(answer(["ok"]), answer(["again"]))
        box = phone.get_by_test_id("input-chat")
        box.focus()
        phone.keyboard.type("one")
        phone.keyboard.press("Enter")
        phone.keyboard.type("two")
        expect(box).to_have_value("one\ntwo")
        expect(box).to_have_attribute("enterkeyhint", "enter")
        phone.get_by_test_id("button-send").click()
        expect(phone.get_by_test_id("message-assistant")).to_contain_text("ok")
        assert lab.chats[-1].question == "one\ntwo"

    def test_enter_is_a_choice_that_is_kept(self, phone: Page, lab: Lab) -> None:
        lab.answer_with(answer(["ok"]))
        phone.get_by_test_id("sidebar-toggle").click()
        open_preferences(phone)
        phone.get_by_label("Enter sends the message").check()
        phone.reload()
        connected(phone)
        box = phone.get_by_test_id("input-chat")
        expect(box).to_have_attribute("enterkeyhint", "send")
        box.fill("sent")
        box.press("Enter")
        expect(phone.get_by_test_id("message-assistant")).to_contain_text("ok")

    def test_enter_can_break_the_line_at_a_desk_too(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer(["ok"]))
        open_preferences(chat_page)
        chat_page.get_by_label("Enter sends the message").uncheck()
        chat_page.keyboard.press("Escape")
        box = chat_page.get_by_test_id("input-chat")
        box.fill("a")
        box.press("Enter")
        box.press_sequentially("b")
        expect(box).to_have_value("a\nb")
        box.press("Control+Enter")
        expect(chat_page.get_by_test_id("message-assistant")).to_contain_text("ok")

    def test_no_field_makes_a_phone_zoom_in(self, phone: Page, served: ServerProcess) -> None:
        small = """() => [...document.querySelectorAll('input, textarea, select')]
            .filter((el) => !['checkbox', 'radio', 'file', 'hidden'].includes(el.type))
            .filter((el) => parseFloat(getComputedStyle(el).fontSize) < 16)
            .map((el) => el.outerHTML.slice(0, 120))"""
        phone.get_by_test_id("options").click()
        assert phone.evaluate(small) == []
        phone.keyboard.press("Escape")
        phone.get_by_test_id("sidebar-toggle").click()
        expect(phone.get_by_test_id("search")).to_be_visible()
        phone.locator(".ws-sidebar-item-more").first.click()
        phone.get_by_role("menuitem", name="Rename").click()
        expect(phone.locator(".ws-sidebar-item-rename")).to_be_visible()
        assert phone.evaluate(small) == []
        for path in ("/doctor", "/dashboard"):
            phone.goto(served.url + path)
            phone.wait_for_load_state("networkidle")
            assert phone.evaluate(small) == []


class TestSmallWindows:
    """Widths and heights of small windows.

    A phone upright, with its keyboard, on its side, on its side with its keyboard; 1280 × 1024 at
    200 % and at 400 %; the narrowest width required.
    """

    @pytest.mark.parametrize(
        ("width", "height", "room"),
        [
            (390, 844, 400),
            (390, 420, 120),
            (844, 390, 110),
            (844, 200, 60),
            (640, 512, 180),
            (320, 256, 90),
            (320, 640, 250),
        ],
    )
    def test_ten_lines_leave_room_for_the_conversation(
        self, chat_page: Page, lab: Lab, width: int, height: int, room: int
    ) -> None:
        page = chat_page
        lab.answer_with(answer(["Some words. " * 400]))
        say(page, "long")
        expect(page.get_by_test_id("button-send")).to_be_visible()
        page.set_viewport_size({"width": width, "height": height})
        page.get_by_test_id("input-chat").fill("\n".join(f"line {n}" for n in range(10)))
        page.wait_for_function("() => document.activeElement.scrollHeight > 0")
        header = page.get_by_role("banner").bounding_box()
        box = page.locator(".ws-composer-box").bounding_box()
        field = page.get_by_test_id("input-chat").bounding_box()
        assert header is not None
        assert box is not None
        assert field is not None
        assert box["y"] - header["y"] - header["height"] >= room
        assert field["height"] >= 36
        for name in ("button-send", "options", "input-chat", "sidebar-toggle"):
            expect(page.get_by_test_id(name)).to_be_in_viewport(ratio=0.99)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_test_id("options").click()
        page.get_by_role("textbox", name="Maximum length").scroll_into_view_if_needed()
        expect(page.get_by_role("textbox", name="Maximum length")).to_be_in_viewport()

    def test_an_edit_fits_in_too(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer(["ok"]))
        say(page, "to edit")
        expect(page.get_by_test_id("message-assistant")).to_contain_text("ok")
        page.set_viewport_size({"width": 320, "height": 256})
        page.get_by_test_id("input-chat").press("ArrowUp")
        expect(page.get_by_test_id("input-chat")).to_have_value("to edit")
        for name in ("button-send", "input-chat"):
            expect(page.get_by_test_id(name)).to_be_in_viewport(ratio=0.99)


class TestOwnColours:
    def test_nothing_is_told_by_a_background_alone(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        page.emulate_media(forced_colors="active")
        lab.answer_with(answer(["- [x] done\n- [ ] open\n\n---\n\n`code`\n\n" + "word " * 600]))
        say(page, "tasks")
        expect(page.get_by_test_id("button-send")).to_be_visible()
        done, is_open = (page.locator(".ws-check").nth(n) for n in (0, 1))
        assert done.screenshot() != is_open.screenshot()
        tick = done.evaluate("(el) => getComputedStyle(el, '::after').borderBottomWidth")
        assert float(tick.removesuffix("px")) > 1
        border = "(el) => getComputedStyle(el).borderTopWidth"
        assert page.locator(".ws-turn-bubble").evaluate(border) == "1px"
        assert page.locator(".ws-prose hr").evaluate(border) == "1px"
        behind = page.locator(".ws-composer").evaluate(
            "(el) => [getComputedStyle(el).backgroundColor, getComputedStyle(el).backgroundImage]"
        )
        assert behind == ["rgb(255, 255, 255)", "none"]  # what lies under the box is not readable

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_what_is_off_can_be_read(self, chat_page: Page, scheme: Any) -> None:
        chat_page.emulate_media(color_scheme=scheme)
        off = chat_page.locator(".ws-page button:disabled")
        expect(off.first).to_be_visible()
        chat_page.evaluate(
            "document.querySelector('[data-testid=model-picker]').setAttribute('disabled', '')"
        )
        for opacity in off.evaluate_all("(all) => all.map((el) => getComputedStyle(el).opacity)"):
            assert opacity == "1"
