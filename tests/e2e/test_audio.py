"""Audio files in the page: shown by name, transcribed for the model, refused without a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer, json_page

MEMO: FilePayload = {
    "name": "memo.wav",
    "mimeType": "audio/wav",
    "buffer": b"RIFF\x24\0\0\0WAVEfmt " + bytes(2_000),
}


@pytest.mark.parametrize("has_model", [True, False])
def test_an_audio_file_is_attached_and_read_by_the_model(
    has_model: bool, page: Page, tmp_path: Path
) -> None:
    model = {"transcription_model": "whisper-1"} if has_model else {}
    with FakeOpenAI() as lab, ServerProcess(tmp_path, lab.url, **model) as server:
        lab.answer_with(answer(["At nine."]))
        lab.transcribe_with(json_page({"text": "The meeting is at nine."}))
        page.goto(server.url)
        expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
        page.get_by_test_id("input-files").set_input_files([MEMO])
        chips = page.get_by_test_id("attachments").get_by_role("listitem")
        if not has_model:
            expect(page.locator(".ws-composer-hint")).to_contain_text("transcribes none")
            expect(chips).to_have_count(0)
            return
        expect(chips).to_have_text(["memo.wav"])
        expect(page.locator(".ws-composer-chip progress")).to_have_count(0)
        page.get_by_test_id("input-chat").fill("When is it?")
        page.get_by_test_id("button-send").click()
        expect(page.get_by_test_id("message-assistant")).to_contain_text("At nine.")
        link = page.get_by_test_id("question-files").get_by_role("link", name="memo.wav")
        expect(link).to_have_attribute("download", "memo.wav")
        (request,) = lab.chats
        assert "The meeting is at nine." in request.question
        with page.expect_download() as download:
            link.click()
        assert Path(download.value.path()).read_bytes() == MEMO["buffer"]
