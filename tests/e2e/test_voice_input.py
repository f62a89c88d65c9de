"""Voice input: recorded in a browser with a fake microphone, transcribed, inserted, never sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.test_axe import check
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, failure, json_page

OpenPage = Callable[..., Page]

NO_MICROPHONE = """
navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("", "%s");
};
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as lab:
        yield lab


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, lab: FakeOpenAI) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("voice")
    with ServerProcess(folder, lab.url, transcription_model="whisper-1", recording_s=60) as server:
        yield server


@pytest.fixture
def opened(context: BrowserContext, server: ServerProcess, lab: FakeOpenAI) -> OpenPage:
    """Open a page of the server, with a script that runs first."""
    lab.forget()
    lab.requests.clear()

    def open_page(script: str = "") -> Page:
        context.add_init_script(script)
        page = context.new_page()
        page.goto(server.url)
        expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
        return page

    return open_page


def heard(lab: FakeOpenAI) -> list[bytes]:
    """Return the recordings that the service got."""
    return [one.body["file"] for one in lab.requests if one.path.endswith("/transcriptions")]


def run_a_minute(page: Page) -> None:
    """Let the recording become as long as it may be."""
    expect(page.get_by_test_id("voice-state")).to_contain_text("Recording")
    page.evaluate("() => { const now = performance.now(); performance.now = () => now + 60_000; }")


def test_speech_is_inserted_at_the_caret_by_keyboard_and_not_sent(
    opened: OpenPage, lab: FakeOpenAI
) -> None:
    page = opened()
    lab.transcribe_with(json_page({"text": "quick <b>brown</b>"}))
    box = page.get_by_test_id("input-chat")
    box.fill("The fox")
    for _ in range(len(" fox")):
        box.press("ArrowLeft")
    page.get_by_role("button", name="Voice input").focus()
    page.keyboard.press("Enter")
    done = page.get_by_role("button", name="Insert text")
    expect(done).to_be_focused()
    expect(page.get_by_test_id("voice-state")).to_contain_text("Recording")
    check(page)
    levels = page.locator(".ws-composer-voice-levels > i")
    page.wait_for_function(  # the fake microphone beeps
        "[...document.querySelectorAll('.ws-composer-voice-levels > i')]"
        ".some((bar) => Number(bar.style.getPropertyValue('--ws-level')) > 0.1)"
    )
    expect(levels).to_have_count(32)
    page.keyboard.press("Enter")
    expect(box).to_have_value("The quick <b>brown</b> fox")
    expect(box).to_be_focused()
    assert box.evaluate("(box) => box.selectionStart") == len("The quick <b>brown</b>")
    (recording,) = heard(lab)
    assert b"webm" in recording[:64]
    assert not lab.chats
    page.keyboard.press("ControlOrMeta+z")
    expect(box).to_have_value("The fox")


def test_a_recording_survives_a_failure_and_ends_at_its_limit(
    opened: OpenPage, lab: FakeOpenAI
) -> None:
    page = opened()
    lab.transcribe_with(failure(500, "Broken"), json_page({"text": "Good morning."}))
    page.get_by_role("button", name="Voice input").click()
    run_a_minute(page)
    expect(page.get_by_test_id("voice-problem")).to_contain_text("The recording is kept")
    check(page)
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_focused()
    again.click()
    expect(page.get_by_test_id("input-chat")).to_have_value("Good morning.")
    first, second = heard(lab)
    assert first == second
    # the words are those of a recording that the limit has ended
    lab.transcribe_with(json_page({"text": ""}), json_page({"text": "Bye."}))
    for hint in ("No speech was recognised.", "The recording ended at its limit of 1:00."):
        page.get_by_role("button", name="Voice input").click()
        run_a_minute(page)
        expect(page.locator(".ws-composer-hint")).to_have_text(hint)
    expect(page.get_by_test_id("input-chat")).to_have_value("Good morning. Bye.")


def test_a_recording_can_be_thrown_away(opened: OpenPage, lab: FakeOpenAI) -> None:
    page = opened()
    ways: tuple[Callable[[], object], ...] = (
        lambda: page.keyboard.press("Escape"),
        lambda: page.get_by_role("button", name="Discard the recording").click(),
        lambda: page.get_by_test_id("sidebar-new").click(),
    )
    for leave in ways:
        page.get_by_role("button", name="Voice input").click()
        expect(page.get_by_role("button", name="Insert text")).to_be_focused()
        leave()
        expect(page.get_by_test_id("voice-bar")).to_have_count(0)
        expect(page.get_by_test_id("input-chat")).to_be_focused()
    page.keyboard.press("ControlOrMeta+k")
    page.get_by_role("combobox", name="Command palette").fill("voice")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("voice-state")).to_contain_text("Recording")
    page.keyboard.press("Escape")
    assert heard(lab) == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("NotAllowedError", "The microphone is blocked."),
        ("NotFoundError", "There is no microphone."),
        ("NotReadableError", "The microphone can't be used"),
    ],
)
def test_without_a_microphone_a_sentence_says_why(
    error: str, sentence: str, opened: OpenPage
) -> None:
    page = opened(NO_MICROPHONE % error)
    page.get_by_role("button", name="Voice input").click()
    expect(page.locator(".ws-composer-hint-shown")).to_contain_text(sentence)
    expect(page.get_by_test_id("voice-bar")).to_have_count(0)
    page.get_by_test_id("input-chat").fill("typed")
    expect(page.locator(".ws-composer-hint-shown")).to_have_count(0)


def test_where_nothing_can_be_recorded_there_is_no_button(opened: OpenPage) -> None:
    page = opened("Object.defineProperty(navigator, 'mediaDevices', { value: undefined });")
    expect(page.get_by_test_id("attach")).to_be_visible()
    expect(page.get_by_test_id("voice")).to_have_count(0)
