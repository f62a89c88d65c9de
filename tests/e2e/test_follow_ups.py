"""Suggested questions in a real browser, on a server whose setting is on."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from playwright.sync_api import Page, expect

from tests.e2e.test_axe import check
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer


def test_a_suggested_question_is_asked_by_keyboard(
    page: Page, tmp_path: Path, corpus: ModuleType
) -> None:
    hostile = next(one.text for one in corpus.payloads() if "<img" in one.text)
    with (
        FakeOpenAI() as lab,
        ServerProcess(tmp_path, lab.url, follow_ups=True, title_model="off") as server,
    ):
        lab.answer_with(
            answer(["The tide follows the moon."]),
            answer([f"1. Why twice a day?\n2. {hostile[:80]}\n3. And the sun?"]),
        )
        page.goto(server.url)
        expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
        page.get_by_test_id("input-chat").fill("What makes the tide?")
        page.get_by_test_id("input-chat").press("Enter")
        group = page.get_by_role("group", name="Questions to ask next")
        first = group.get_by_role("button", name="Why twice a day?")
        expect(first).to_be_visible()
        assert group.locator("img, script").count() == 0
        check(page)
        lab.answer_with(answer(["Because the earth turns."]), answer(["No idea:"]))
        first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("message-user").last).to_have_text("Why twice a day?")
        expect(page.get_by_test_id("message-assistant").last).to_contain_text("the earth turns")
        expect(group).to_have_count(0)
