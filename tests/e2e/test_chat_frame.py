"""The page around the conversation: loading, other conversations, the connection, keys."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.e2e.conftest import Lab, Proxy
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer


def say(page: Page, text: str) -> None:
    page.get_by_test_id("input-chat").fill(text)
    page.get_by_test_id("input-chat").press("Enter")


def last_answer(page: Page) -> Locator:
    return page.get_by_test_id("message-assistant").last


def connected(page: Page) -> None:
    expect(page.get_by_test_id("connection-status")).to_have_attribute("data-state", "connected")


class TestFirstMoment:
    """The page before its scripts, which arrive when the test releases them."""

    @pytest.fixture
    def held(self, page: Page) -> Iterator[threading.Event]:
        held: list[Route] = []
        go = threading.Event()

        def hold(route: Route) -> None:
            route.continue_() if go.is_set() else held.append(route)

        page.route("**/static/nicegui.js", hold)
        go_on = go.set

        def let_go() -> None:
            go_on()
            for route in held:
                route.continue_()
            held.clear()

        go.set = let_go  # type: ignore[method-assign]
        yield go
        page.unroute_all(behavior="ignoreErrors")

    def open(self, page: Page, url: str) -> Locator:
        page.goto(url, wait_until="commit")
        box = page.locator("#ws-shell textarea")
        expect(box).to_be_visible()
        expect(page.get_by_test_id("input-chat")).to_have_count(0)
        return box

    def test_what_is_typed_before_the_scripts_goes_on(
        self, page: Page, served: ServerProcess, held: threading.Event
    ) -> None:
        box = self.open(page, served.url)
        expect(box).to_be_focused()
        page.keyboard.type("half a ")
        held.set()
        expect(page.get_by_test_id("input-chat")).to_be_focused()
        page.keyboard.type("thought")
        expect(page.get_by_test_id("input-chat")).to_have_value("half a thought")
        expect(page.locator("#ws-shell")).to_have_count(0)

    def test_what_is_sent_before_the_scripts_is_asked_once(
        self, page: Page, served: ServerProcess, held: threading.Event, lab: Lab
    ) -> None:
        lab.answer_with(answer(["early bird"]))
        before = len(lab.chats)
        box = self.open(page, served.url)
        box.press_sequentially("Hi")
        box.press("Enter")
        box.press("Enter")
        held.set()
        expect(last_answer(page)).to_contain_text("early bird")
        assert [chat.question for chat in lab.chats[before:]] == ["Hi"]

    def test_a_starter_can_be_clicked_before_the_scripts(
        self, page: Page, served: ServerProcess, held: threading.Event, lab: Lab
    ) -> None:
        lab.answer_with(answer(["Gladly."]))
        self.open(page, served.url)
        page.get_by_role("button", name="What makes a good question?", exact=True).click()
        held.set()
        expect(last_answer(page)).to_contain_text("Gladly.")

    def test_nothing_moves_when_the_scripts_come(
        self, page: Page, served: ServerProcess, held: threading.Event
    ) -> None:
        box = self.open(page, served.url)
        first = page.locator(".ws-welcome-starters button").first
        page.evaluate("document.fonts.ready.then(() => true)")
        before = (box.bounding_box(), first.bounding_box(), page.locator("h1").bounding_box())
        held.set()
        connected(page)
        box = page.get_by_test_id("input-chat")
        after = (box.bounding_box(), first.bounding_box(), page.locator("h1").bounding_box())
        assert after == before


class TestConversations:
    def test_a_new_chat_needs_no_new_page_and_back_returns(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer(["one ", "two"]).stalled(1), answer(["other"]))
        page.evaluate("window.notReloaded = true")
        say(page, "first")
        expect(last_answer(page)).to_contain_text("one")
        address = page.url
        page.get_by_test_id("input-chat").fill("draft of the first")
        page.get_by_test_id("sidebar-new").click()
        expect(page.get_by_test_id("message-user")).to_have_count(0)
        expect(page.locator(".ws-welcome-starters")).to_be_visible()
        expect(page.get_by_test_id("input-chat")).to_have_value("")
        expect(page.get_by_test_id("input-chat")).to_be_focused()
        expect(page).to_have_title("Wireside")
        say(page, "second")
        expect(last_answer(page)).to_contain_text("other")
        assert page.url != address
        page.go_back()
        expect(page.get_by_test_id("message-user")).to_have_text("first")
        lab.go_on()
        expect(last_answer(page)).to_contain_text("one two")
        expect(page.get_by_test_id("input-chat")).to_have_value("draft of the first")
        assert page.url == address
        assert page.evaluate("window.notReloaded")

    def test_a_missing_conversation_has_a_way_on(self, page: Page, served: ServerProcess) -> None:
        response = page.goto(f"{served.url}/c/unknown")
        assert response is not None
        assert response.status == 404
        connected(page)
        page.locator("main").get_by_role("button", name="New chat").click()
        expect(page.locator(".ws-welcome-starters")).to_be_visible()
        assert page.url == f"{served.url}/"

    def test_what_was_written_in_a_deleted_conversation_is_kept(
        self, chat_page: Page, served: ServerProcess, lab: Lab
    ) -> None:
        page = chat_page
        lab.answer_with(answer(["first"]), answer(["anew"]))
        say(page, "one")
        expect(last_answer(page)).to_contain_text("first")
        page.get_by_test_id("input-chat").fill("not sent yet")
        conversation = page.url.rpartition("/")[2]
        assert page.request.delete(f"{served.url}/api/conversations/{conversation}").status == 204
        expect(page.get_by_text("This conversation is not here any more.")).to_be_visible()
        expect(page.get_by_test_id("input-chat")).to_have_value("not sent yet")
        expect(page.get_by_text("What you had not sent yet is kept here.")).to_be_visible()
        page.get_by_test_id("input-chat").press("Enter")
        expect(last_answer(page)).to_contain_text("anew")
        assert page.url.rpartition("/")[2] != conversation


class TestConnection:
    def test_a_question_that_the_line_swallowed_is_asked_once(
        self, page: Page, proxy: Proxy, lab: Lab
    ) -> None:
        lab.answer_with(answer(["heard"]))
        before = len(lab.chats)
        page.goto(f"http://127.0.0.1:{proxy.port}")
        connected(page)
        page.evaluate("window.socket.io.engine.transport.ws.send = () => {}")
        say(page, "anybody there?")
        page.wait_for_timeout(300)
        assert len(lab.chats) == before
        proxy.cut()
        proxy.mend()
        expect(last_answer(page)).to_contain_text("heard", timeout=20_000)
        assert len(lab.chats) == before + 1

    def test_a_person_can_connect_without_waiting(self, page: Page, proxy: Proxy) -> None:
        page.goto(f"http://127.0.0.1:{proxy.port}")
        connected(page)
        # as after many attempts: the next one is far away
        page.evaluate("window.socket.io.reconnectionDelay(30000)")
        proxy.cut()
        status = page.get_by_test_id("connection-status")
        expect(status).to_have_text("Disconnected")
        proxy.mend()
        status.click()
        page.get_by_test_id("connect-now").click()
        expect(status).to_have_text("Connected")
        expect(page.get_by_test_id("metric-reconnects")).to_have_text("1")
        expect(page.get_by_test_id("connect-now")).to_have_count(0)

    @pytest.mark.parametrize("width", [375, 320])
    def test_on_a_phone_its_words_leave_room_for_the_model(
        self, page: Page, proxy: Proxy, width: int
    ) -> None:
        page.set_viewport_size({"width": width, "height": 700})
        page.goto(f"http://127.0.0.1:{proxy.port}")
        connected(page)
        page.evaluate("window.socket.io.reconnectionDelay(30000)")
        proxy.cut()
        status = page.get_by_test_id("connection-status")
        expect(status).to_have_text("Disconnected")
        boxes = page.locator(".ws-header").evaluate(
            """(header) => [...header.querySelectorAll('button, a')]
                .filter((el) => el.getClientRects().length)
                .map((el) => el.getBoundingClientRect())
                .sort((a, b) => a.left - b.left).map(({ left, right }) => [left, right])"""
        )
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(boxes))
        assert boxes[-1][1] <= width
        assert status.locator(".ws-status-label").evaluate("(el) => el.offsetHeight") < 30
        name = page.get_by_test_id("model-picker").locator(".ws-picker-name")
        assert name.evaluate("(el) => el.scrollWidth <= el.clientWidth")
        proxy.mend()

    def test_what_it_shows_was_measured(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer([f"{n} " for n in range(60)], rate=20))
        chat_page.get_by_test_id("connection-status").click()
        expect(chat_page.get_by_test_id("metric-latency")).to_have_text(re.compile(r"^[\d.]+ ms$"))
        expect(chat_page.get_by_test_id("metric-reconnects")).to_have_text("0")
        say(chat_page, "Hi")
        rate = chat_page.get_by_test_id("metric-rate")
        chat_page.get_by_test_id("connection-status").click()
        expect(rate).to_have_text(re.compile(r"^([5-9]|\d\d)\.\d$"))


class TestModels:
    def test_a_model_is_chosen_by_keys_and_kept(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer(["ok"]))
        picker = page.get_by_test_id("model-picker")
        picker.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("option", name="lab-1")).to_be_focused()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(picker).to_have_text("lab-2")
        expect(picker).to_be_focused()
        page.reload()
        expect(picker).to_have_text("lab-2")
        say(page, "Hi")
        expect(last_answer(page)).to_contain_text("ok")
        assert lab.chats[-1].body["model"] == "lab-2"

    def test_a_model_that_cannot_chat_is_marked(
        self, page: Page, served_with: Any, tmp_path: Path
    ) -> None:
        with FakeOpenAI(models=("nomic-embed-text", "lab-1", "whisper-1")) as lab:
            server = served_with(lab.url, tmp_path)
            try:
                page.goto(server.url)
                picker = page.get_by_test_id("model-picker")
                expect(picker).to_have_text("lab-1")
                picker.click()
                expect(page.get_by_role("option")).to_have_text(
                    ["lab-1", "nomic-embed-text (not for chat)", "whisper-1 (not for chat)"]
                )
            finally:
                server.stop()

    def test_escape_in_a_menu_stops_no_answer(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer([f"word{n} " for n in range(200)], rate=40))
        say(page, "Hi")
        expect(last_answer(page)).to_contain_text("word5")
        for opener in ("model-picker", "connection-status", "options"):
            page.get_by_test_id(opener).click()
            expect(page.locator(".ws-menu")).to_have_count(1)
            page.keyboard.press("Escape")
            expect(page.locator(".ws-menu")).to_have_count(0)
            expect(page.get_by_test_id(opener)).to_be_focused()
        expect(page.get_by_test_id("button-stop")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("note-stopped")).to_be_visible()

    def test_without_a_model_it_says_why_and_looks_again(
        self, page: Page, served_with: Any, tmp_path: Path
    ) -> None:
        server = served_with("http://127.0.0.1:9/v1", tmp_path)
        try:
            page.goto(server.url)
            picker = page.get_by_test_id("model-picker")
            expect(picker).to_have_text("No model yet", timeout=20_000)
            expect(page.locator(".ws-welcome-problem")).to_be_visible()
            picker.click()
            page.get_by_test_id("model-problem").get_by_role("button").click()
            expect(page.get_by_test_id("model-problem")).to_contain_text("Try again")
        finally:
            server.stop()


class TestEveryone:
    def test_the_keyboard_goes_through_the_page_in_order(self, chat_page: Page) -> None:
        chat_page.get_by_test_id("sidebar-toggle").focus()
        order = ["sidebar-toggle"]
        while order[-1] != "options":
            chat_page.keyboard.press("Tab")
            order.append(
                chat_page.evaluate(
                    "document.activeElement.dataset.testid || document.activeElement.className"
                )
            )
        named = [name for name in order if name and not name.startswith("ws-transcript-scroller")]
        assert named[:2] == ["sidebar-toggle", "connection-status"]
        assert named[-4:] == ["input-chat", "attach", "model-picker", "options"]
        assert order.count("") == 4  # the starters

    def test_fingers_find_every_button(
        self, new_context: Callable[..., BrowserContext], served: ServerProcess
    ) -> None:
        context = new_context(
            viewport={"width": 375, "height": 700}, has_touch=True, is_mobile=True
        )
        page = context.new_page()
        page.goto(served.url)
        connected(page)
        small = page.evaluate(
            """() => [...document.querySelectorAll('.ws-page button, .ws-page a')]
                .filter(el => el.offsetWidth && !el.disabled)
                .map(el => [el.dataset.testid || el.className, el.offsetWidth, el.offsetHeight])
                .filter(([, width, height]) => width < 44 || height < 44)"""
        )
        assert small == []

    @pytest.mark.parametrize("size", [(640, 400), (320, 480), (360, 320)])
    def test_a_small_window_loses_nothing(
        self, page: Page, served: ServerProcess, size: tuple[int, int]
    ) -> None:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.goto(served.url)
        connected(page)
        page.locator(".ws-welcome-starters button").last.scroll_into_view_if_needed()
        expect(page.locator(".ws-welcome-starters button").last).to_be_in_viewport()
        expect(page.get_by_test_id("input-chat")).to_be_in_viewport()
        expect(page.get_by_test_id("new-chat")).to_be_in_viewport(ratio=1)
        page.get_by_test_id("options").click()
        page.get_by_role("textbox", name="Temperature").fill("1")
        expect(page.get_by_role("textbox", name="Temperature")).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]

    def test_a_phones_keyboard_hides_nothing(self, page: Page, served: ServerProcess) -> None:
        page.set_viewport_size({"width": 375, "height": 700})
        page.add_init_script(
            """window.viewport = Object.assign(new EventTarget(),
                { height: innerHeight, offsetTop: 0, scale: 1 });
            Object.defineProperty(window, 'visualViewport', { get: () => window.viewport });"""
        )
        page.goto(served.url)
        connected(page)
        page.evaluate("viewport.height = 400; viewport.dispatchEvent(new Event('resize'))")
        box = page.get_by_test_id("input-chat").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 400
        page.evaluate("viewport.height = 700; viewport.dispatchEvent(new Event('resize'))")
        box = page.get_by_test_id("input-chat").bounding_box()
        assert box is not None
        assert box["y"] > 400
