"""Log lines: their form, and what they must not contain."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import structlog

from wireside.telemetry.logs import configure_logging


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


@pytest.mark.parametrize("name", ["nicegui", "socketio", "socketio.server", "engineio.server"])
def test_libraries_that_quote_addresses_and_frames_say_where_they_are(name: str) -> None:
    stream = logged("text")
    logging.getLogger(name).error("http://host/s/canary not found")
    logging.getLogger(name).error("Invalid session %s", "canary")
    assert "canary" not in stream.getvalue()
    assert f"ERROR   {name}: said at test_logs.test_libraries" in stream.getvalue()


def test_no_library_writes_beside_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    import nicegui  # noqa: F401  # the libraries of its sockets add log handlers

    logged("text")
    logging.getLogger("engineio.server").error("canary")
    assert "canary" not in "".join(capfd.readouterr())


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


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_errors_that_quote_values_say_only_where(log_format: Literal["text", "json"]) -> None:
    """The message of an unexpected error may quote a question; its place in the code is enough."""
    stream = logged(log_format)
    log = structlog.get_logger("test")
    hostile: list[Exception] = [
        KeyError("canary"),
        ValueError("bad: canary"),
        UnicodeEncodeError("ascii", "canary", 0, 1, "no"),
        json.JSONDecodeError("canary", "canary", 0),
        ExceptionGroup("canary", [ValueError("canary")]),
    ]
    for error in hostile:
        try:
            try:
                raise error
            except Exception as cause:
                raise RuntimeError("the reason of a programmer") from cause
        except RuntimeError as failure:
            log.exception("failed")
            logging.getLogger("a library").error(str(error), exc_info=failure)
            logging.getLogger("a library").error("said: %s", error, exc_info=error)
    said = stream.getvalue()
    assert "canary" not in said
    assert "the reason of a programmer" in said
    assert "KeyError" in said
    assert "test_errors_that_quote_values_say_only_where" in said


def test_the_system_s_words_stay(tmp_path: Path) -> None:
    stream = logged("text")
    try:
        (tmp_path / "gone").read_text()
    except OSError:
        structlog.get_logger("test").exception("failed")
    assert "No such file" in stream.getvalue()


def test_an_error_that_is_its_own_cause_is_told_once() -> None:
    stream = logged("text")
    first, second = RuntimeError("one"), RuntimeError("two")
    first.__cause__, second.__cause__ = second, first
    structlog.get_logger("test").error("failed", exc_info=first)
    assert stream.getvalue().count("RuntimeError") == 2
