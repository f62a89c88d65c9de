"""The main paths of the chat page in Debian's Firefox, if it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import firefox
from tests.e2e.conftest import Lab
from tests.e2e.firefox import FirefoxPage
from tests.server_process import ServerProcess
from wireside.testing import answer

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(firefox.find() is None, reason="There is no Firefox (firefox-esr)."),
]

BOX = '[data-testid="input-chat"]'
ANSWER = '[data-testid="message-assistant"]'
QUESTION = '[data-testid="message-user"]'
ENDED = f"document.querySelectorAll('{ANSWER}[aria-busy=true]').length === 0"


@pytest.fixture(scope="module")
def browser_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirefoxPage]:
    path = firefox.find()
    assert path is not None
    with firefox.opened(path, tmp_path_factory.mktemp("firefox")) as page:
        yield page


@pytest.fixture
def chat(browser_page: FirefoxPage, served: ServerProcess) -> Iterator[FirefoxPage]:
    """An empty chat. Errors in the console fail the test."""
    page = browser_page
    page.resize(1280, 800)
    page.complaints.clear()
    page.goto(served.url)
    page.see('[data-testid="connection-status"][data-state="connected"]')
    yield page
    assert page.complaints == []


def ask(page: FirefoxPage, text: str) -> None:
    page.click(BOX)
    page.type(text)
    page.press("Enter")
    page.see(QUESTION, text)


def test_a_question_is_answered_edited_and_found_in_the_list(chat: FirefoxPage, lab: Lab) -> None:
    lab.answer_with(answer(["In **burrows**", " of Australia."], rate=20))
    ask(chat, "Where do wombats live?")
    chat.see(ANSWER, "In burrows of Australia.")
    chat.see(".ws-prose strong", "burrows")
    chat.wait_for(ENDED)
    lab.answer_with(answer(["In trees."]))
    chat.click('.ws-turn [data-action="edit"]')
    chat.see(".ws-composer-editing")
    chat.press("Control", "a")
    chat.type("Where do koalas live?")
    chat.press("Enter")
    chat.see(QUESTION, "Where do koalas live?")
    chat.see(ANSWER, "In trees.")
    chat.see('[data-testid="versions"]', "2 / 2")
    path = chat.evaluate("location.pathname")
    chat.click('[data-testid="sidebar-new"]')
    chat.wait_for(f"!document.querySelector('{QUESTION}')")
    chat.click(f'.ws-sidebar-item a[href="{path}"]')
    chat.see(ANSWER, "In trees.")


def test_an_answer_is_stopped(chat: FirefoxPage, lab: Lab) -> None:
    lab.answer_with(answer(["Some words", " never end"]).stalled(1))
    ask(chat, "Begin")
    chat.see(ANSWER, "Some words")
    chat.click('[data-testid="button-stop"]')
    chat.see('[data-testid="note-stopped"]')
    assert lab.has_closed()


def test_a_reload_in_the_middle_loses_and_repeats_nothing(chat: FirefoxPage, lab: Lab) -> None:
    words = [f"word{n} " for n in range(60)]
    lab.answer_with(answer(words, rate=30))
    ask(chat, "Count")
    chat.see(ANSWER, "word5 ")
    chat.reload()
    chat.see(ANSWER, "word59")
    chat.wait_for(ENDED)
    assert chat.text(ANSWER).split() == "".join(words).split()


def test_a_file_is_attached_on_a_narrow_page(chat: FirefoxPage, lab: Lab, tmp_path: Path) -> None:
    chat.resize(375, 700)
    file = tmp_path / "numbers.csv"
    file.write_text("a,b\n1,2\n")
    lab.answer_with(answer(["Two columns."]))
    chat.choose(".ws-composer input[type=file]", file)
    chat.see(".ws-composer-chip", "numbers.csv")
    chat.wait_for("!document.querySelector('.ws-composer-chip progress')")
    ask(chat, "Which columns are in it?")
    chat.see('[data-testid="question-files"]', "numbers.csv")
    chat.see(ANSWER, "Two columns.")
    assert chat.evaluate("document.documentElement.scrollWidth") == 375
    chat.click('[data-testid="sidebar-toggle"]')
    chat.see('[data-testid="search"]')
    chat.press("Escape")
    chat.wait_for(f"document.querySelector('{BOX}').checkVisibility()")
