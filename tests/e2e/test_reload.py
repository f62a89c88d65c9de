"""``wireside serve app:chat --reload``: open pages come back by themselves after each save."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.server_process import SERVE, ServerProcess

pytestmark = pytest.mark.timeout(240)

APP = """
from wireside import Chat

chat = Chat("Team", footer="{number}")

@chat.on_message(title="Answerer")
async def answer(turn):
    yield "{number}: " + turn.text
"""

LONG_MS = 60_000
"""Time in which a server restarts on any machine."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    save(tmp_path, "One")
    with ServerProcess(tmp_path, command=[*SERVE, "app:chat", "--reload"]) as process:
        yield process


def save(folder: Path, number: str) -> None:
    (folder / "app.py").write_text(APP.format(number=number))


def comes_back(page: Page, number: str) -> None:
    """The page is that of the saved file, and connected."""
    footer = page.locator(".ws-composer-hint")
    expect(footer).to_have_text(number, timeout=LONG_MS)
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected", timeout=LONG_MS)


def test_an_open_page_comes_back_with_its_conversation_and_draft(
    server: ServerProcess, page: Page
) -> None:
    page.goto(server.url)
    box = page.get_by_test_id("input-chat")
    box.fill("first")
    page.keyboard.press("Enter")
    answers = page.get_by_test_id("message-assistant")
    expect(answers).to_have_text(["One: first"])
    address = page.url
    box.fill("a draft")
    file: FilePayload = {"name": "a.csv", "mimeType": "text/csv", "buffer": b"1;2"}
    page.get_by_test_id("input-files").set_input_files([file])
    expect(page.locator(".ws-composer-chip progress")).to_have_count(0)
    box.evaluate("box => box.setSelectionRange(2, 7)")
    (server.folder / "app.py").write_text("def broken(:")  # saved in the middle of a change
    expect(page.get_by_test_id("connection-status")).not_to_have_text("Connected", timeout=LONG_MS)
    box.press_sequentially("new ")  # typed meanwhile
    save(server.folder, "Two")
    comes_back(page, "Two")
    assert page.url == address
    expect(answers).to_have_text(["One: first"])
    expect(box).to_have_value("a new ")
    expect(page.locator(".ws-composer-chip-name")).to_have_text(["a.csv"])
    page.get_by_test_id("button-send").click()
    expect(answers).to_have_text(["One: first", "Two: a new"])


def test_an_edit_of_a_question_and_an_empty_chat_come_back(
    server: ServerProcess, page: Page
) -> None:
    page.goto(server.url)
    box = page.get_by_test_id("input-chat")
    box.fill("draft of a new chat")
    save(server.folder, "Two")
    comes_back(page, "Two")
    expect(box).to_have_value("draft of a new chat")
    page.keyboard.press("Enter")
    answers = page.get_by_test_id("message-assistant")
    expect(answers).to_have_text(["Two: draft of a new chat"])
    page.get_by_role("button", name="Edit", exact=True).click()
    box.fill("edited")
    save(server.folder, "Three")
    comes_back(page, "Three")
    expect(page.locator(".ws-composer-editing")).to_be_visible()
    page.get_by_test_id("button-send").click()
    expect(answers).to_have_text(["Three: edited"])
