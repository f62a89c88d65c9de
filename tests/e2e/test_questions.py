"""Questions of a handler in the page of a served chat."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

OTHERS = ("WIRESIDE_", "OPENAI_", "PYTEST", "NICEGUI")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(OTHERS)}
    environment |= {
        "WIRESIDE_PORT": str(port),
        "WIRESIDE_DATA_DIR": str(tmp_path_factory.mktemp("data")),
    }
    command = [sys.executable, "-m", "wireside", "serve", "asking_chat:chat"]
    process = psutil.Popen(command, cwd=Path(__file__).parent, env=environment)
    url = f"http://127.0.0.1:{port}"
    while not answers(f"{url}/api/health/live"):
        assert process.poll() is None
        time.sleep(0.05)
    yield url
    process.terminate()
    process.wait()


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
