"""Files in the page: attached by button, drop and paste, sent, shown, and read by the model."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, FilePayload, Page, expect

from tests.backend.files.samples import png
from tests.e2e.conftest import Lab
from tests.server_process import ServerProcess
from wireside.testing import answer

IMAGE: FilePayload = {"name": "sky.png", "mimeType": "image/png", "buffer": png(64, 48)}
TABLE: FilePayload = {"name": "sums.csv", "mimeType": "text/csv", "buffer": b"name;sum\na;7\n"}
BROKEN: FilePayload = {"name": "broken.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"}

PASTE = """(box, bytes) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }));
  box.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
}"""


def attach(page: Page, *files: FilePayload) -> None:
    page.get_by_test_id("input-files").set_input_files(list(files))


def is_shown(page: Page) -> None:
    """The question of the transcript shows the image, loaded, and the table as a link."""
    files = page.get_by_test_id("question-files")
    image = files.locator("img")
    expect(image).to_have_attribute("alt", "sky.png")
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") == 64
    expect(files.get_by_role("link", name="sums.csv")).to_have_attribute("download", "sums.csv")


def test_files_are_attached_sent_and_shown(
    chat_page: Page, lab: Lab, new_context: Callable[..., BrowserContext]
) -> None:
    page = chat_page
    lab.answer_with(answer(["Seven."]))
    attach(page, IMAGE, TABLE)
    chips = page.get_by_test_id("attachments").get_by_role("listitem")
    expect(chips).to_have_count(2)
    expect(page.locator(".ws-composer-chip progress")).to_have_count(0)
    page.reload()  # uploaded files are part of the draft
    expect(chips).to_have_count(2)
    page.get_by_test_id("input-chat").fill("How large is the sum?")
    page.get_by_test_id("button-send").click()
    expect(page.get_by_test_id("message-assistant")).to_contain_text("Seven.")
    expect(chips).to_have_count(0)
    is_shown(page)
    page.reload()
    is_shown(page)
    other = page.context.new_page()
    other.goto(page.url)
    is_shown(other)
    with other.expect_download() as download:
        other.get_by_role("link", name="sums.csv").click()
    assert Path(download.value.path()).read_bytes() == TABLE["buffer"]
    contents = [request.body["messages"][-1]["content"] for request in lab.chats]
    content = next(content for content in contents if isinstance(content, list))
    assert content[0] == {"type": "text", "text": "How large is the sum?"}
    assert content[1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert "name;sum\na;7" in content[2]["text"]


def test_an_edit_keeps_removes_and_adds_files(chat_page: Page, lab: Lab) -> None:
    page = chat_page
    lab.answer_with(answer(["Seven."]))
    attach(page, IMAGE, TABLE)
    page.get_by_test_id("input-chat").fill("How large is the sum?")
    page.get_by_test_id("button-send").click()
    expect(page.get_by_test_id("message-assistant")).to_contain_text("Seven.")
    chips = page.get_by_test_id("attachments").get_by_role("listitem")
    draft: FilePayload = {**TABLE, "name": "draft.csv"}
    attach(page, draft)  # of the next question
    expect(page.locator(".ws-composer-chip progress")).to_have_count(0)
    page.get_by_role("button", name="Edit", exact=True).click()
    expect(chips).to_have_count(2)
    page.get_by_role("button", name="Remove sky.png").click()
    attach(page, {**TABLE, "name": "more.csv"})
    expect(page.locator(".ws-composer-chip progress")).to_have_count(0)
    page.reload()  # the edit goes on
    expect(page.locator(".ws-composer-chip-name")).to_have_text(["sums.csv", "more.csv"])
    page.get_by_test_id("button-send").click()
    links = page.get_by_test_id("question-files").get_by_role("link")
    expect(links).to_have_text(["sums.csv", "more.csv"])
    expect(page.locator(".ws-composer-chip-name")).to_have_text(["draft.csv"])
    page.get_by_role("button", name="Edit", exact=True).click()
    expect(chips).to_have_count(2)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".ws-composer-chip-name")).to_have_text(["draft.csv"])
    page.get_by_role("button", name="Previous version").click()
    is_shown(page)  # the earlier question has its files


def test_a_pasted_image_may_be_the_whole_question(chat_page: Page, lab: Lab) -> None:
    page = chat_page
    lab.answer_with(answer(["A picture."]))
    expect(page.get_by_test_id("button-send")).to_be_disabled()
    page.get_by_test_id("input-chat").evaluate(PASTE, list(png()))
    expect(page.get_by_test_id("button-send")).to_be_enabled()
    page.get_by_test_id("button-send").click()
    expect(page.get_by_test_id("message-assistant")).to_contain_text("A picture.")
    expect(page.get_by_test_id("question-files").locator("img")).to_be_visible()


def test_a_refused_file_leaves_a_sentence(page: Page, served: ServerProcess) -> None:
    page.goto(served.url)
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    attach(page, BROKEN)
    expect(page.locator("#ws-composer-hint")).to_contain_text("broken.pdf is damaged")
    expect(page.get_by_test_id("attachments")).to_have_count(0)


def test_a_file_is_removed_and_too_many_are_refused(chat_page: Page) -> None:
    page = chat_page
    tables = [
        FilePayload(name=f"{number}.csv", mimeType="text/csv", buffer=b"1;2")
        for number in range(12)
    ]
    attach(page, *tables)
    expect(page.locator("#ws-composer-hint")).to_contain_text("At most 10 files fit in a message.")
    chips = page.get_by_test_id("attachments").get_by_role("listitem")
    expect(chips).to_have_count(10)
    expect(page.locator(".ws-composer-chip progress")).to_have_count(0)
    with page.expect_response(re.compile("/api/files/")) as response:
        page.get_by_role("button", name="Remove 3.csv").click()
    assert response.value.status == 204
    expect(chips).to_have_count(9)
