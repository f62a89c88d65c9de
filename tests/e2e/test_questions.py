"""Questions of a handler in the page of a served chat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.server_process import SERVE, ServerProcess

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ServerProcess(
        tmp_path_factory.mktemp("asking"),
        command=[*SERVE, "tests.e2e.asking_chat:chat"],
        PYTHONPATH=str(ROOT),
    ) as process:
        yield process.url


def test_a_file_answers_a_question_which_the_list_and_the_title_show(page: Page, url: str) -> None:
    page.goto(url)
    box = page.get_by_test_id("input-chat")
    box.fill("Read it")
    box.press("Enter")
    mark = page.get_by_role("img", name="Your answer is needed.")
    expect(mark).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\(1\) Read it"))
    page.reload()
    expect(mark).to_be_visible()
    field = page.get_by_test_id("question-file")
    expect(field).to_have_attribute("accept", "text/csv")

    field.set_input_files({"name": "empty.csv", "mimeType": "text/csv", "buffer": b""})
    expect(page.get_by_role("alert").filter(has_text="empty")).to_be_visible()
    field.set_input_files({"name": "sums.csv", "mimeType": "text/csv", "buffer": b"month,sum\n"})
    expect(page.get_by_test_id("question-answer")).to_have_text("sums.csv")
    expect(page.get_by_test_id("message-assistant")).to_contain_text("sums.csv begins with month.")
    expect(mark).to_have_count(0)
    expect(page).to_have_title(re.compile(r"^Read it"))
