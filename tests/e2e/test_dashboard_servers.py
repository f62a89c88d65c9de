"""The dashboard and the metrics of several servers: each one, and the sum."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, expect
from websockets.sync.client import connect

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
        FakeOpenAI(count=4000, rate=20) as lab,
        two_workers(tmp_path, lab.url, database=address, drain_s=5, drain_notice_s=20) as server,
    ):
        yield server
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGTERM)
    database.stop()


def metrics_of(server: ServerProcess, worker: str) -> str:
    answer = httpx2.get(f"{server.url}/metrics", headers={"Cookie": f"wireside_replica={worker}"})
    assert 'wireside_replica_info{id="' in answer.text
    assert f'replica="{worker}"' in answer.text
    return answer.text


def test_each_server_is_listed_with_the_sum_of_all(page: Page, workers: ServerProcess) -> None:
    page.goto(f"{workers.url}/dashboard")
    table = page.get_by_test_id("dashboard-servers")
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(2, timeout=LONG_MS)
    expect(rows.locator(".ws-dashboard-server").and_(page.get_by_text("here-w1"))).to_be_visible()
    with ExitStack() as stack:
        address = workers.url.replace("http", "ws") + "/ws/ai-chat"
        sockets = [stack.enter_context(connect(address)) for _ in range(5)]
        sockets[0].send(json.dumps({"type": "chat", "id": "1", "message": "?"}))
        assert json.loads(sockets[0].recv(timeout=20))["type"] == "start"
        total = table.locator("tfoot td")
        expect(total.nth(0)).to_have_text("1", timeout=LONG_MS)
        expect(total.nth(1)).to_have_text("5", timeout=LONG_MS)
        expect(total.nth(2)).to_have_text("1", timeout=LONG_MS)
        tile = page.locator("[data-figure=dash_streams] dd").first
        expect(tile).to_have_text("1", timeout=LONG_MS)
        expect(rows.first.locator("td").nth(6)).to_have_text(re.compile(r"^\d+ MiB$"))
        expect(rows.first.locator("td").nth(7)).to_have_text(re.compile(r"^[+-]?0\.\d s$"))

        for worker in ("here-w1", "here-w2"):
            found = metrics_of(workers, worker)
            assert "wireside_fleet_open_streams 1.0" in found
            assert 'wireside_fleet_connections{kind="raw"} 5.0' in found

        # the other one than that of the page leaves; it has the cookie
        own = rows.filter(has_text="this one").locator(".ws-dashboard-server").inner_text()
        for child in workers.process.children():
            if child.environ().get("WIRESIDE_REPLICA_NAME") not in (own, None):
                child.send_signal(signal.SIGTERM)
        expect(rows.filter(has_text="leaving")).to_have_count(1, timeout=LONG_MS)

    page.set_viewport_size({"width": 375, "height": 800})
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert page.evaluate(wide) is False
    expect(rows.first.locator("td").first).to_be_visible()
