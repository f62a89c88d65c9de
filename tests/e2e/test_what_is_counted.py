"""Metrics and log of a real server count requests on the page, the socket and REST."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import ClientConnection, connect

from tests.e2e.conftest import Lab
from wireside.testing import answer, failure


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def server(lab: Lab, served_with: Any, tmp_path: Path, log: Path) -> Iterator[Any]:
    settings = {"WIRESIDE_LOG_FORMAT": "json", "WIRESIDE_LOG_INTERVAL_S": "0.3"}
    running = served_with(lab.url, tmp_path, **settings)
    yield running
    running.stop()


def status(url: str, **headers: str) -> int:
    try:
        with urlopen(Request(url, headers=headers)) as response:
            return int(response.status)
    except HTTPError as error:
        error.close()
        return error.code


def ask(client: ClientConnection, **more: str) -> dict[str, Any]:
    client.send(json.dumps({"type": "chat", "id": "q", "message": "Hello", **more}))
    while True:
        frame: dict[str, Any] = json.loads(client.recv(timeout=20))
        if frame["type"] in ("done", "error"):
            return frame


def metrics(server: Any) -> dict[tuple[str, ...], float]:
    """Return the values by name and labels, in the order of the labels' names."""
    with urlopen(f"{server.url}/metrics") as response:
        families = text_string_to_metric_families(response.read().decode())
    return {
        (sample.name.removeprefix("wireside_"), *(v for _, v in sorted(sample.labels.items()))): (
            sample.value
        )
        for family in families
        for sample in family.samples
    }


def test_every_door_is_counted(server: Any, lab: Lab, page: Page, log: Path) -> None:
    page.goto(server.url)
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    lab.answer_with(answer(5), failure(500, "no"), failure(500, "no"), failure(500, "no"))
    for number in (1, 2):
        page.get_by_test_id("input-chat").fill(f"Question {number}")
        page.get_by_test_id("input-chat").press("Enter")
        expect(page.get_by_test_id("message-assistant")).to_have_count(number)
        expect(page.get_by_test_id("button-send")).to_be_visible()
    expect(page.get_by_text("Try again").first).to_be_visible(timeout=20_000)
    assert status(f"{server.url}/api/conversations/nope") == 404
    assert status(f"{server.url}/", Host="evil.example") == 400
    with connect(server.url.replace("http", "ws") + "/ws/ai-chat") as client:
        client.send("no JSON")
        assert json.loads(client.recv(timeout=20))["type"] == "error"
        client.send('{"type": "ping"}')
        assert json.loads(client.recv(timeout=20))["type"] == "pong"
        lab.answer_with(answer(3), answer(100).stalled(2))
        assert ask(client)["type"] == "done"
        assert ask(client, model="no-such-model")["code"] == "unknown_model"
        client.send('{"type": "chat", "id": "r", "message": "Hello"}')
        while json.loads(client.recv(timeout=20))["type"] != "chunk":
            pass
        seen = metrics(server)
        line = last_line(log)

    expected = {
        ("connections", "page"): 1,
        ("connections", "raw"): 1,
        ("raw_connections_total",): 1,
        ("refused_requests_total",): 1,
        ("frames_total", "in", "chat"): 3,
        ("frames_total", "in", "ping"): 1,
        ("frames_total", "in", "refused"): 1,
        ("frames_total", "out", "pong"): 1,
        ("frames_total", "out", "error"): 2,
        ("frames_total", "out", "start"): 2,
        ("frames_total", "out", "done"): 1,
        ("messages_total", "turn"): 2,
        ("messages_total", "ask"): 3,
        ("errors_total", "bad_json", "raw"): 1,
        ("errors_total", "unknown_model", "raw"): 1,
        ("errors_total", "not_found", "http"): 1,
        ("open_streams",): 1,
        ("readers",): 1,
        ("streams_total", "lab-1", "stop"): 2,
        ("streams_total", "lab-1", "error"): 1,
        ("stream_errors_total", "provider_unavailable"): 1,
        ("provider_errors_total", "provider_unavailable"): 3,
        ("provider_retries_total", "provider_unavailable"): 2,
        ("time_to_first_token_seconds_count", "lab-1"): 3,
        ("stream_duration_seconds_count", "lab-1"): 3,
        ("draining",): 0,
    }
    assert {name: seen.get(name) for name in expected} == expected
    assert seen["commit_duration_seconds_count",] >= 1
    assert seen["event_loop_lag_seconds_count",] >= 1
    assert seen["chunk_characters_count",] >= 2
    assert line["active_connections"] == 2
    assert (line["open_pages"], line["open_streams"]) == (1, 1)
    assert line["messages_total"] == 5
    assert line["errors_total"] == 4


def last_line(log: Path) -> dict[str, Any]:
    """Return the next line of metrics in the log."""
    begin = log.stat().st_size
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for line in log.read_text()[begin:].splitlines()[:-1]:
            if '"server_metrics"' in line:
                return dict(json.loads(line))
        time.sleep(0.05)
    raise TimeoutError
