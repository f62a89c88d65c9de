"""Counters, and the log line that lists them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from collections.abc import Iterator

import pytest
import structlog

from tests.hand_clock import HandClock
from wireside.errors import InternalError
from wireside.messages import End, Usage
from wireside.telemetry.counts import MODELS, OTHER, Histogram, Telemetry, error_codes
from wireside.telemetry.logs import configure_logging


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_the_line_has_the_figures_of_its_interval_of_all_doors() -> None:
    telemetry = Telemetry(clock=HandClock(100.0), open_streams=lambda: 1, open_pages=lambda: 2)
    telemetry.connected()
    telemetry.connected()
    telemetry.disconnected()
    for _ in range(60):
        telemetry.record_question("turn")
    telemetry.count_answer("m", End(None, InternalError()), 0, 1.0)
    for _ in range(2):
        telemetry.count_error("internal", is_of_answer=True)  # one error, delivered to two readers
    telemetry.count_error("bad_json")
    telemetry.count_problem("not_found")
    first = telemetry.figures_since_last(130.0)
    assert (first["active_connections"], first["open_pages"]) == (3, 2)
    assert first["messages_per_second"] == 2.0
    assert first["error_rate"] == 0.05
    assert first["errors"] == {"internal": 1, "bad_json": 1, "not_found": 1}
    assert first["open_streams"] == 1

    telemetry.record_question("ask")
    telemetry.count_refusal()
    second = telemetry.figures_since_last(140.0)
    assert second["messages_per_second"] == 0.1
    assert second["error_rate"] == 0.0
    assert second["errors"] == {}
    assert (second["messages_total"], second["errors_total"]) == (61, 3)
    assert second["refused"] == 1


def test_a_quiet_interval_divides_by_nothing() -> None:
    telemetry = Telemetry(clock=HandClock())
    assert telemetry.figures_since_last(100.0)["error_rate"] == 0.0
    telemetry.count_error("internal")
    telemetry.count_error("internal")
    assert telemetry.figures_since_last(100.0)["error_rate"] == 1.0


async def test_the_line_is_logged_at_each_interval() -> None:
    configure_logging("json", stream=(stream := io.StringIO()))
    running = asyncio.create_task(Telemetry(interval_s=0.01).write_log_lines())
    while stream.getvalue().count("server_metrics") < 2:
        await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.wait([running])
    line = json.loads(stream.getvalue().splitlines()[0])
    assert line["active_connections"] == 0


def test_a_bucket_holds_its_upper_end() -> None:
    histogram = Histogram((1, 2))
    for value in (0, 1, 1.5, 2, 2.1):
        histogram.record_value(value)
    assert histogram.counts == [2, 2, 1]
    assert histogram.total == pytest.approx(6.6)


def test_an_answer_is_timed_from_its_start(clock: HandClock) -> None:
    telemetry = Telemetry(clock=clock)
    watch = telemetry.record_answer("s", "m", None)
    clock.now += 0.25
    watch.first_delta_received()
    clock.now += 2
    watch.answer_ended(End("stop", usage=Usage(7, 101)), 300, str)
    assert telemetry.first_token_s.items["m"].total == 0.25
    assert telemetry.stream_s.items["m"].total == 2.25
    assert telemetry.speed.items["m"].total == 50  # the first token starts the clock
    assert telemetry.streams == {("m", "stop"): 1}
    assert telemetry.tokens == {("m", "input"): 7, ("m", "output"): 101}
    assert telemetry.stream_length.total == 300


def test_an_answer_without_a_word_has_no_first_token(clock: HandClock) -> None:
    telemetry = Telemetry(clock=clock)
    telemetry.record_answer("s", "m", None).answer_ended(End(None, InternalError()), 0, str)
    assert telemetry.first_token_s.items == {}
    assert telemetry.speed.items == {}
    assert telemetry.streams == {(OTHER, "error"): 1}
    assert telemetry.stream_errors == {"internal": 1}


def test_names_of_models_are_bounded() -> None:
    """Clients may ask for any name; only models that answer get a label, up to a limit."""
    telemetry = Telemetry()
    for number in range(1000):
        telemetry.record_answer("s", f"made-up-{number}", None).answer_ended(
            End(None, InternalError()), 0, str
        )
    for number in range(1000):
        watch = telemetry.record_answer("s", f"real-{number}", None)
        watch.first_delta_received()
        watch.answer_ended(End("stop"), 1, str)
    names = {model for model, _ in telemetry.streams}
    assert len(names) == MODELS + 1
    assert not [name for name in names if name.startswith("made-up")]
    assert telemetry.streams[OTHER, "error"] == 1000
    assert telemetry.streams[OTHER, "stop"] == 1000 - MODELS
    assert set(telemetry.first_token_s.items) == names


def test_the_codes_are_those_of_the_tree() -> None:
    assert {"internal", "bad_json", "provider_timeout", "context_too_long"} < set(error_codes())
    assert len(error_codes()) == len(set(error_codes()))


async def test_a_loop_that_is_held_up_is_seen() -> None:
    telemetry = Telemetry()
    running = asyncio.create_task(telemetry.watch_loop())
    await asyncio.sleep(0.4)
    time.sleep(0.4)  # noqa: ASYNC251  # blocks the event loop, as application code must not
    while not sum(telemetry.loop_lag_s.counts):
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert telemetry.loop_lag_s.total > 0.2


async def test_what_waited_is_logged_under_the_ids_of_who_asked() -> None:
    telemetry = Telemetry()
    structlog.contextvars.bind_contextvars(connection="theirs", user="they")
    question = telemetry.record_question("turn")
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(connection="mine", request="r")
    with question.being_asked():
        assert structlog.contextvars.get_contextvars() == {"connection": "theirs", "user": "they"}
    assert structlog.contextvars.get_contextvars() == {"connection": "mine", "request": "r"}
