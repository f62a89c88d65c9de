"""Counters and log lines."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from wireside.telemetry import Telemetry, configure_logging


class HandClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def logged(
    log_format: Literal["text", "json"], level: Literal["debug", "info"] = "info"
) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(log_format, level, stream=stream)
    return stream


def test_the_line_has_the_figures_of_its_interval() -> None:
    telemetry = Telemetry(clock=HandClock(), open_streams=lambda: 1)
    telemetry.connected()
    telemetry.connected()
    telemetry.disconnected()
    for _ in range(60):
        telemetry.message()
    for _ in range(3):
        telemetry.error("bad_json")
    first = telemetry.line(130.0)
    assert first["active_connections"] == 1
    assert first["messages_per_second"] == 2.0
    assert first["error_rate"] == 0.05
    assert first["errors"] == {"bad_json": 3}
    assert first["open_streams"] == 1

    telemetry.message()
    telemetry.refuse()
    second = telemetry.line(140.0)
    assert second["messages_per_second"] == 0.1
    assert second["error_rate"] == 0.0
    assert second["errors"] == {}
    assert (second["messages_total"], second["errors_total"]) == (61, 3)
    assert second["refused"] == 1


def test_a_quiet_interval_divides_by_nothing() -> None:
    telemetry = Telemetry(clock=HandClock())
    telemetry.error("internal")
    assert telemetry.line(100.0)["error_rate"] == 1.0


async def test_the_line_is_logged_at_each_interval() -> None:
    stream = logged("json")
    running = asyncio.create_task(Telemetry(interval_s=0.01).run())
    while stream.getvalue().count("server_metrics") < 2:
        await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.wait([running])
    line = json.loads(stream.getvalue().splitlines()[0])
    assert line["active_connections"] == 0


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_value_begins_a_line_of_its_own(log_format: Literal["text", "json"]) -> None:
    stream = logged(log_format)
    hostile = "a\n2026-01-01 ERROR forged\r\x1b[31m\x00\u2028\u202eb"
    structlog.get_logger("test").info("said\nforged", path=hostile, **{"k\ney": 1})
    logging.getLogger("uvicorn.error").warning("from stdlib: %s", hostile)
    lines = stream.getvalue().split("\n")
    assert len(lines) == 3  # two, and the end of the last
    assert lines[2] == ""
    assert not any(char in stream.getvalue() for char in "\r\x1b\x00\u2028\u202e")


def test_a_value_cannot_end_its_quotes() -> None:
    stream = logged("text")
    structlog.get_logger("test").info("said", path='a" level=forged b="')
    assert stream.getvalue().endswith('test: said path="a\\" level=forged b=\\""\n')


def test_a_traceback_stays_below_its_line() -> None:
    stream = logged("text")
    try:
        raise RuntimeError("first\nERROR forged")
    except RuntimeError:
        structlog.get_logger("test").exception("failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("test: failed")
    assert "RuntimeError: first" in stream.getvalue()
    assert all(line.startswith("    | ") for line in rest)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_secrets_are_masked(log_format: Literal["text", "json"]) -> None:
    stream = logged(log_format)
    log = structlog.get_logger("test")
    log.info(
        "asked with sk-abcdefgh12345678",
        authorization="x-canary",
        headers={"Cookie": "session=canary", "accept": "a"},
        offered=["ai-chat", "ticket.canary"],
        error=ValueError("401 for Bearer canary123"),
    )
    try:
        raise RuntimeError("key sk-canary-12345678 refused")
    except RuntimeError:
        log.exception("failed")
    logging.getLogger("x").error("Authorization: Bearer %s", "canary123")
    assert "canary" not in stream.getvalue()
    assert "abcdefgh12345678" not in stream.getvalue()
    assert "ai-chat" in stream.getvalue()


def test_json_lines_are_objects_with_time_level_and_logger() -> None:
    stream = logged("json")
    structlog.get_logger("wireside.test").warning("happened", count=3)
    line = json.loads(stream.getvalue())
    assert line["event"] == "happened"
    assert (line["level"], line["logger"], line["count"]) == (
        "warning",
        "wireside.test",
        3,
    )
    assert "timestamp" in line


def test_the_level_holds() -> None:
    stream = logged("text", "info")
    structlog.get_logger("test").debug("hidden")
    assert stream.getvalue() == ""
    stream = logged("text", "debug")
    structlog.get_logger("test").debug("shown")
    assert "shown" in stream.getvalue()
