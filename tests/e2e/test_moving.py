"""A page moves to another server when its own one stops: with its draft, place and answer."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.two_workers import two_workers
from tests.postgresql import PostgresServer
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

pytestmark = pytest.mark.timeout(240)

LONG_MS = 60_000


@pytest.fixture
def workers(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    database = PostgresServer(lambda: tmp_path_factory.mktemp("pg"))
    address = database.address(database.template())
    with (
        FakeOpenAI(count=900, rate=30) as lab,
        two_workers(tmp_path, lab.url, database=address, drain_s=60, drain_notice_s=0.2) as server,
    ):
        yield server
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGTERM)
    database.stop()


def worker_of(context: BrowserContext) -> str:
    return next(one["value"] for one in context.cookies() if one["name"] == "wireside_replica")


def stop_worker(server: ServerProcess, name: str) -> None:
    for child in server.process.children():
        if child.environ().get("WIRESIDE_REPLICA_NAME") == name:
            child.send_signal(signal.SIGTERM)


def test_a_page_moves_with_its_draft_its_place_and_the_answer(
    page: Page, workers: ServerProcess
) -> None:
    loads: list[str] = []
    page.on("load", lambda _: loads.append(page.url))
    page.goto(workers.url)
    box = page.get_by_test_id("input-chat")
    box.fill("Tell a long story")
    box.press("Enter")
    answer = page.get_by_test_id("message-assistant").last
    expect(answer).to_contain_text(re.compile(r"\w+ \w+"), timeout=LONG_MS)
    expect(page).to_have_url(re.compile("/c/"), timeout=LONG_MS)
    first = worker_of(page.context)
    address = page.url
    box.press_sequentially("half a ")
    loads.clear()
    stop_worker(workers, first)
    for _ in range(6):  # typing keeps the page here
        box.press_sequentially("x", delay=50)
        assert not loads
        page.wait_for_timeout(200)
    with page.expect_event("load", timeout=LONG_MS):
        pass
    expect(page.get_by_test_id("connection-status")).to_have_attribute(
        "data-state", "connected", timeout=LONG_MS
    )
    assert page.url == address
    assert worker_of(page.context) != first
    expect(page.get_by_test_id("input-chat")).to_have_value("half a xxxxxx")
    shown = page.get_by_test_id("message-assistant").last
    expect(shown).to_contain_text(re.compile(r"\w+ \w+"))
    grown = len(shown.inner_text()) + 100  # the other server follows the running answer
    page.wait_for_function(
        "size => [...document.querySelectorAll('[data-testid=message-assistant]')]"
        ".at(-1).innerText.length > size",
        arg=grown,
        timeout=LONG_MS,
    )
    assert len(loads) == 1
    assert psutil.pid_exists(workers.process.pid)
