"""All 17 faults of a model service, at each position in the answer.

Each must have an error code, keep the text received before it, and never appear as success. The
tests use the whole server, with the real client package, a real socket and the store.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.house import House, Kept, Told
from tests.server_process import LONG_S, TRACE
from wireside.testing import (
    FakeOpenAI,
    Request,
    Script,
    Wait,
    answer,
    error_event,
    event,
    failure,
)

pytestmark = pytest.mark.timeout(240)  # some wait for seconds, longer on a busy machine

COUNT = 12
HERE = answer(COUNT)
FIRST, MIDDLE, LAST = 0, 5, COUNT
"""Before the first token; between two words; after all words, before the end of the stream."""
PLACES = {"first": FIRST, "middle": MIDDLE, "last": LAST}
TRIES = 3


def failed(status: int, code: str = "", **more: object) -> Callable[[int], Script]:
    """A refusal: an HTTP status before the answer, an event within it.

    Gateways pass on an upstream's error as an event once they have begun to answer.
    """

    def at(token: int) -> Script:
        if token == FIRST:
            return failure(status, code=code or None, **more)  # type: ignore[arg-type]
        return HERE.up_to(token, error_event(code=code or status, status=status), Wait())

    return at


@dataclass(frozen=True)
class Fault:
    """A fault of the service, and the expected error code or ``done`` reason."""

    name: str
    at: Callable[[int], Script]
    ends: str
    places: tuple[str, ...] = ("first", "middle", "last")
    why_not_all: str = ""
    by_place: dict[str, str] = field(default_factory=dict)
    """Positions with a different expected outcome."""
    is_tried_again: bool = False
    """Retried before the first word only: later the answer would be paid and shown twice."""


FAULTS = (
    Fault(
        "400, the context is too long", failed(400, "context_length_exceeded"), "context_too_long"
    ),
    Fault("401", failed(401, "invalid_api_key"), "provider_auth"),
    Fault("404, no such model", failed(404, "model_not_found"), "unknown_model"),
    Fault("429", failed(429, "rate_limit_exceeded"), "provider_rate_limited", is_tried_again=True),
    Fault("500", failed(500), "provider_unavailable", is_tried_again=True),
    Fault(
        "reset before the head",
        lambda _: HERE.unanswered("rst"),
        "provider_unavailable",
        places=("first",),
        why_not_all="later it is the reset below",
        is_tried_again=True,
    ),
    Fault(
        "no head",
        lambda _: HERE.slow_head(None),
        "provider_timeout",
        places=("first",),
        why_not_all="later it is the silence below",
    ),
    Fault("silence", lambda at: HERE.stalled(at), "provider_timeout"),
    Fault("only keep-alives", lambda at: HERE.only_keepalives(at, 0.05), "provider_timeout"),
    Fault("reset", lambda at: HERE.cut(at, "rst"), "provider_unavailable", is_tried_again=True),
    Fault("closed", lambda at: HERE.cut(at), "provider_unavailable", is_tried_again=True),
    Fault(
        "a clean end without a finish reason",
        lambda at: HERE.up_to(at),
        "interrupted",
        by_place={"first": "provider_unavailable"},  # no text was received, so there is no answer
        is_tried_again=True,
    ),
    Fault(
        "data: {error}",
        lambda at: HERE.up_to(at, error_event(code=500)),
        "provider_unavailable",
        is_tried_again=True,
    ),
    Fault(
        "event: error without an error",
        lambda at: HERE.insert(at, event({"message": "broke"}, "error"), Wait()),
        "provider_unavailable",
        is_tried_again=True,
    ),
    Fault(
        "broken JSON",
        lambda at: HERE.insert(at, b'data: {"choices": [{\n\n'),
        "provider_unavailable",
        is_tried_again=True,
    ),
    Fault(
        "ends for its length",
        lambda at: answer(list(HERE.tokens[:at]), finish="length"),
        "length",
    ),
    Fault(
        "ends by the filter",
        lambda at: answer(list(HERE.tokens[:at]), finish="content_filter"),
        "content_filter",
    ),
    Fault(
        "no connection is free",
        lambda _: HERE,
        "overloaded",
        places=("first",),
        why_not_all="an answer that has begun has its connection",
    ),
)
"""The client package's table has 17 rows; its two other finish reasons share a row."""

SILENCE_S = 5
"""Timeouts of the server that is asked for silences; the text before one is sent at once."""


def test_every_row_is_there_and_says_where_it_can_come() -> None:
    assert len({fault.name for fault in FAULTS}) == 18
    assert all(fault.why_not_all for fault in FAULTS if len(fault.places) < 3)


CASES = [(fault, place) for fault in FAULTS[:-1] for place in fault.places]


class Lab(FakeOpenAI):
    """Selects the script by the name in the question, for any number of concurrent questions."""

    def __init__(self, scripts: dict[str, Script]) -> None:
        super().__init__(count=COUNT)
        self._scripts = scripts

    def _next(self, request: Request) -> Script:
        return self._scripts[request.question]


@dataclass
class Day:
    """Outcome of all questions: received and stored answers, and the number of attempts."""

    told: dict[str, Told]
    kept: dict[str, Kept]
    tries: Counter[str]
    refused: Told
    log: str


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return asyncio.run(a_bad_day(tmp_path_factory.mktemp("house")))


async def a_bad_day(folder: Path) -> Day:
    """Ask for each fault at each position, all at once.

    Two servers share the work, so that no result depends on the machine's speed: one with a timeout
    of a minute, and one with a short timeout, for the faults that are silences.
    """
    questions = {f"{f.name}, {place}": f.at(PLACES[place]) for f, place in CASES}
    silences = {f"{f.name}, {place}" for f, place in CASES if f.ends == "provider_timeout"}
    lab = Lab({**questions, "stay": HERE.stalled(MIDDLE), "well": HERE})
    most = len(questions) - len(silences)
    limits = {"silence_s": SILENCE_S, "first_token_s": SILENCE_S}
    async with (
        lab,
        House(folder / "patient", lab.url, streams=most) as patient,
        House(folder / "hasty", lab.url, **limits) as hasty,
    ):
        await patient.until_ready()
        await hasty.until_ready()
        told = [Told(question) for question in questions]
        houses = [hasty if one.question in silences else patient for one in told]
        pairs = list(zip(houses, told, strict=True))
        await asyncio.gather(*(house.listen(one) for house, one in pairs))
        kept = await asyncio.gather(*(house.kept(one) for house, one in pairs))
        await lab.wait_closed(LONG_S)

        async def is_idle() -> bool:
            _, said = await patient.get("/api/health/ready")
            return bool(said["streams"] == 0)

        await patient.until(is_idle, "all places for answers are free again")
        staying = [asyncio.create_task(patient.ask("stay")) for _ in range(most)]
        await lab.wait_open(most, LONG_S)
        refused = await patient.ask("well")  # no connection is free
        lab.go_on()
        assert {one.reason for one in await asyncio.gather(*staying)} == {"stop"}
        for house in (patient, hasty):
            assert (await house.ask("well")).reason == "stop"
            await house.until_ready()
            assert await asyncio.to_thread(house.stop) == 0
        return Day(
            {one.question: one for one in told},
            {one.question: its for one, its in zip(told, kept, strict=True)},
            Counter(request.question for request in lab.chats),
            refused,
            patient.log + hasty.log,
        )


@pytest.mark.parametrize(
    ("fault", "place"), [pytest.param(f, p, id=f"{f.name}, {p}") for f, p in CASES]
)
def test_a_fault_has_a_name_and_what_was_said_is_kept(day: Day, fault: Fault, place: str) -> None:
    question = f"{fault.name}, {place}"
    told, kept = day.told[question], day.kept[question]
    said = "".join(HERE.tokens[: PLACES[place]])
    assert told.text == said
    assert told.reason != "stop"
    assert fault.by_place.get(place, fault.ends) in (told.reason, told.code)
    assert told.code is None or told.end["message"]
    assert (kept.text, kept.code, kept.reason) == (said, told.code, told.reason)
    assert day.tries[question] == (TRIES if fault.is_tried_again and place == "first" else 1)


def test_no_connection_is_free(day: Day) -> None:
    assert (day.refused.text, day.refused.code) == ("", "overloaded")


def test_the_server_has_not_failed_itself(day: Day) -> None:
    assert TRACE not in day.log
