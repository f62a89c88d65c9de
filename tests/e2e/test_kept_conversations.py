"""Conversations persist over kills, tabs, the page and the socket, and branches."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from websockets.sync.client import connect

from tests.e2e.conftest import Lab, Proxy
from tests.server_process import ServerProcess
from wireside.testing import answer


def say(page: Page, text: str) -> None:
    page.get_by_test_id("input-chat").fill(text)
    page.get_by_test_id("input-chat").press("Enter")


def last_answer(page: Page) -> Locator:
    return page.get_by_test_id("message-assistant").last


def questions(page: Page) -> Locator:
    return page.get_by_test_id("message-user")


@pytest.fixture
def own(served_with: Any, lab: Lab, tmp_path: Path) -> Iterator[list[Any]]:
    """Servers of this test alone, with one data folder; the last one is stopped."""
    servers = [served_with(lab.url, tmp_path)]
    yield servers
    servers[-1].stop()


class TestKills:
    def test_a_killed_server_loses_nothing_that_was_shown(
        self,
        page: Page,
        proxy: Proxy,
        own: list[Any],
        served_with: Any,
        lab: Lab,
        tmp_path: Path,
    ) -> None:
        server = own[0]
        proxy._target = server.port
        lab.answer_with(answer([f"{n} " for n in range(400)], rate=40), answer(["and the rest"]))
        page.goto(f"http://127.0.0.1:{proxy.port}")
        page.evaluate("window.notReloaded = true")
        say(page, "Count")
        expect(last_answer(page)).to_contain_text("20 ")
        page.get_by_test_id("input-chat").fill("my draft")
        proxy.cut()
        shown = last_answer(page).inner_text().split()
        server.kill()
        own.append(served_with(lab.url, tmp_path))
        proxy._target = own[-1].port
        proxy.mend()
        expect(page.get_by_text("This answer was interrupted.")).to_be_visible(timeout=30_000)
        kept = last_answer(page).inner_text().split()
        assert kept[: len(shown)] == shown
        expect(page.get_by_test_id("input-chat")).to_have_value("my draft")
        page.get_by_role("button", name="Continue").click()
        expect(last_answer(page)).to_contain_text(f"{len(kept) - 1} and the rest")
        expect(page.get_by_test_id("message-assistant")).to_have_count(1)

    def test_the_list_and_the_text_are_there_after_a_restart(
        self, page: Page, own: list[Any], served_with: Any, lab: Lab, tmp_path: Path
    ) -> None:
        lab.answer_with(answer(["**kept**"]))
        page.goto(own[0].url)
        say(page, "Remember this")
        expect(last_answer(page)).to_contain_text("kept")
        conversation = page.url.rpartition("/")[2]
        own[0].stop()
        own.append(served_with(lab.url, tmp_path))
        page.goto(own[-1].url)
        page.get_by_test_id("conversation-item").filter(has_text="Remember this").click()
        expect(last_answer(page).locator("strong")).to_have_text("kept")
        assert page.url.endswith(conversation)


class TestDoors:
    def test_a_question_on_the_socket_appears_in_the_page(
        self, chat_page: Page, served: ServerProcess, lab: Lab
    ) -> None:
        lab.answer_with(answer(["first"]), answer(["live ", "text"]).stalled(1))
        say(chat_page, "one")
        expect(last_answer(chat_page)).to_contain_text("first")
        conversation = chat_page.url.rpartition("/")[2]
        with connect(f"ws://127.0.0.1:{served.port}/ws/ai-chat") as socket:
            frame = {"type": "chat", "id": "1", "message": "two", "conversation": conversation}
            socket.send(json.dumps(frame))
            expect(questions(chat_page).last).to_have_text("two")
            expect(last_answer(chat_page)).to_contain_text("live")
            expect(chat_page.get_by_test_id("button-stop")).to_be_visible()
            lab.go_on()
            expect(last_answer(chat_page)).to_contain_text("live text")

    def test_a_question_in_the_page_can_be_followed_on_the_socket(
        self, chat_page: Page, served: ServerProcess, lab: Lab
    ) -> None:
        lab.answer_with(answer(["live ", "text"]).stalled(1))
        say(chat_page, "one")
        expect(last_answer(chat_page)).to_contain_text("live")
        conversation = chat_page.url.rpartition("/")[2]
        found = chat_page.request.get(f"{served.url}/api/conversations/{conversation}").json()
        stream = found["turns"][0]["answer"][0]
        assert stream["state"] == "live"
        text = ""
        with connect(f"ws://127.0.0.1:{served.port}/ws/ai-chat") as socket:
            frame = {"type": "resume", "id": "1", "stream": stream["stream"], "offset": 0}
            socket.send(json.dumps(frame))
            lab.go_on()
            for message in socket:
                frame = json.loads(message)
                text += frame.get("content", "")
                if frame["type"] == "done":
                    break
        assert text == "live text"

    def test_stop_works_from_another_tab(self, chat_page: Page, lab: Lab) -> None:
        lab.answer_with(answer([f"{n} " for n in range(2000)], rate=50))
        say(chat_page, "Count")
        expect(last_answer(chat_page)).to_contain_text("5 ")
        other = chat_page.context.new_page()
        other.goto(chat_page.url)
        expect(last_answer(other)).to_contain_text("5 ")
        other.get_by_test_id("button-stop").click()
        expect(chat_page.get_by_test_id("note-stopped")).to_be_visible()
        assert lab.has_closed()


class TestBranches:
    def test_an_edited_question_keeps_what_was_before_it(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer(["one"]), answer(["two"]), answer(["three"]))
        say(page, "first")
        expect(last_answer(page)).to_contain_text("one")
        say(page, "second")
        expect(last_answer(page)).to_contain_text("two")
        questions(page).first.hover()
        page.locator('[data-action="edit"]').first.click()
        expect(page.get_by_test_id("input-chat")).to_have_value("first")
        say(page, "first, better")
        expect(last_answer(page)).to_contain_text("three")
        expect(questions(page)).to_have_text(["first, better"])
        expect(page.get_by_text("2 / 2")).to_be_visible()
        page.locator('[data-action="previous"]').click()
        expect(questions(page)).to_have_text(["first", "second"])
        expect(page.get_by_text("1 / 2")).to_be_visible()
        page.reload()
        expect(questions(page)).to_have_text(["first", "second"])

    def test_asking_again_keeps_the_first_answer(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer(["one"]), answer(["another"]))
        say(page, "Hi")
        expect(last_answer(page)).to_contain_text("one")
        page.get_by_test_id("message-assistant").hover()
        page.locator('[data-action="retry"]').click()
        expect(last_answer(page)).to_contain_text("another")
        page.locator('[data-action="previous"]').click()
        expect(last_answer(page)).to_have_text(re.compile("one"))

    def test_feedback_is_kept(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer(["one"]))
        say(page, "Hi")
        expect(last_answer(page)).to_contain_text("one")
        page.get_by_test_id("message-assistant").hover()
        page.locator('[data-action="up"]').click()
        expect(page.locator('[data-action="up"]')).to_have_attribute("aria-pressed", "true")
        page.reload()
        page.get_by_test_id("message-assistant").hover()
        expect(page.locator('[data-action="up"]')).to_have_attribute("aria-pressed", "true")


class TestTheList:
    def test_search_jumps_to_the_turn(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        lab.answer_with(answer(["The **wombat** digs"]), answer(["nothing else"]))
        say(page, "Which animal?")
        expect(last_answer(page)).to_contain_text("wombat")
        page.get_by_test_id("sidebar-new").click()
        say(page, "something else")
        expect(last_answer(page)).to_contain_text("nothing else")
        page.get_by_test_id("search").fill("womb")
        page.locator("mark", has_text=re.compile("^womb", re.IGNORECASE)).first.click()
        expect(last_answer(page)).to_contain_text("wombat")
        expect(questions(page)).to_have_text(["Which animal?"])

    def test_deleting_can_be_undone(self, chat_page: Page, lab: Lab) -> None:
        page = chat_page
        title = f"Delete me {time.monotonic_ns()}"
        lab.answer_with(answer(["ok"]))
        say(page, title)
        expect(last_answer(page)).to_contain_text("ok")
        item = page.get_by_test_id("conversation-item").filter(has_text=title)
        item.focus()
        page.keyboard.press("Delete")
        expect(item).to_have_count(0)
        expect(page.get_by_role("list", name="Questions to begin with")).to_be_visible()
        assert page.url.endswith("/")
        expect(page.get_by_test_id("message-user")).to_have_count(0)
        page.get_by_test_id("undo-delete").click()
        expect(item).to_have_count(1)
        expect(page.get_by_test_id("message-user")).to_have_text(title)
        expect(item).to_have_attribute("aria-current", "page")

    def test_undo_brings_another_tab_back_too(self, chat_page: Page, lab: Lab) -> None:
        title = f"Delete me {time.monotonic_ns()}"
        lab.answer_with(answer(["ok"]))
        say(chat_page, title)
        expect(last_answer(chat_page)).to_contain_text("ok")
        other = chat_page.context.new_page()
        other.goto(chat_page.url)
        expect(last_answer(other)).to_contain_text("ok")
        other.get_by_test_id("input-chat").fill("unsent")
        chat_page.get_by_test_id("conversation-item").filter(has_text=title).focus()
        chat_page.keyboard.press("Delete")
        expect(other.get_by_text("This conversation is not here any more.")).to_be_visible()
        expect(other.get_by_test_id("input-chat")).to_have_value("unsent")
        chat_page.get_by_test_id("undo-delete").click()
        expect(last_answer(other)).to_contain_text("ok")

    def test_a_file_that_was_exported_can_be_imported(
        self, chat_page: Page, served: ServerProcess, lab: Lab
    ) -> None:
        page = chat_page
        lab.answer_with(answer(["# Title\n\ntext"]))
        say(page, "Export me")
        expect(last_answer(page)).to_contain_text("text")
        base = f"{served.url}/api/conversations/{page.url.rpartition('/')[2]}/export"
        markdown = page.request.get(f"{base}?format=markdown")
        assert "attachment" in markdown.headers["content-disposition"]
        assert "# Title" in markdown.text()
        html = page.request.get(f"{base}?format=html").text()
        assert "<script" not in html
        assert "Export me" in html
        data = page.request.get(f"{base}?format=json").body()
        page.request.delete(base.removesuffix("/export"))  # or it would be skipped as a duplicate
        result = page.request.post(f"{served.url}/api/conversations/import", data=data).json()
        assert result["imported"] == 1
        page.goto(f"{served.url}/c/{result['conversations'][0]}")
        expect(questions(page)).to_have_text(["Export me"])
        expect(last_answer(page)).to_contain_text("text")

    def test_a_title_comes_from_the_model(
        self, page: Page, served_with: Any, lab: Lab, tmp_path: Path
    ) -> None:
        server = served_with(lab.url, tmp_path, WIRESIDE_TITLE_MODEL="")
        try:
            lab.answer_with(answer(["Mist in the valley"]), answer(['"Morning mist."']))
            page.goto(server.url)
            say(page, "What do you see out there?")
            expect(page.get_by_test_id("conversation-item")).to_contain_text("Morning mist")
            expect(page).to_have_title("Morning mist · Wireside")
        finally:
            server.stop()
