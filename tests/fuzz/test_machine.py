"""Hypothesis on the state machine and on each target, which minimises the failures it finds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.fuzz import words
from tests.fuzz.connection_model import LIMITS, Model
from tests.fuzz.dice import Dice
from tests.fuzz.targets import TARGETS
from wireside.protocol import frames
from wireside.protocol.connection import Send

IDS = st.none() | st.sampled_from("abcde")


class AnyClient(RuleBasedStateMachine):
    """Model and connection agree for any client behaviour and any timing of the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    def send(self, **fields: Any) -> None:
        self.model.receive(json.dumps({k: v for k, v in fields.items() if v is not None}))

    @rule(name=IDS, message=st.sampled_from(["Hi", " ", "x" * 101, "é"]))
    def chat(self, name: str | None, message: str) -> None:
        self.send(type="chat", id=name, message=message)

    @rule(name=IDS, count=st.integers(0, 8))
    def batch(self, name: str | None, count: int) -> None:
        self.send(type="batch", id=name, messages=[f"{n}?" for n in range(count)])

    @rule(
        name=IDS, key=st.none() | st.sampled_from(["k", ""]), offsets=st.lists(st.integers(-1, 9))
    )
    def batch_of_the_server(self, name: str | None, key: str | None, offsets: list[int]) -> None:
        self.send(type="batch", id=name, messages=["a", "b"], key=key, offsets=offsets)

    @rule(name=st.sampled_from("abc"), count=st.integers(1, 8), parallel=st.integers(0, 9))
    def parallel_batch(self, name: str, count: int, parallel: int) -> None:
        messages = [f"{n}?" for n in range(count)]
        self.send(type="batch", id=name, messages=messages, parallel=parallel)

    @rule(name=st.sampled_from("abc"), index=st.integers(-1, 8))
    def cancel_one(self, name: str, index: int) -> None:
        self.send(type="cancel", id=name, index=index)

    @rule(name=IDS, count=st.integers(0, 4), conversation=st.none() | st.just("new"))
    def chat_with_context(self, name: str | None, count: int, conversation: str | None) -> None:
        turns = [{"role": "user", "content": "x" * 150}] * count
        self.send(type="chat", id=name, message="?", messages=turns, conversation=conversation)

    @rule(text=st.sampled_from(["ping", "", " \n", "pong", "heartbeat", '"ping"', "{}"]))
    def heartbeat(self, text: str) -> None:
        self.model.receive(text)

    @rule(name=IDS)
    def cancel(self, name: str | None) -> None:
        self.send(type="cancel", id=name)

    @rule(name=IDS, offset=st.integers(-1, 9))
    def resume(self, name: str | None, offset: int) -> None:
        self.send(type="resume", id=name, stream="s", offset=offset)

    @rule(t=st.none() | st.text(max_size=3) | st.integers() | st.floats(allow_nan=False))
    def ping(self, t: object) -> None:
        self.send(type="ping", t=t)

    @rule(data=st.binary(max_size=24))
    def anything(self, data: bytes) -> None:
        self.model.receive(words.frame(Dice(data)))

    @rule(which=st.integers(0, 9), refused=st.booleans())
    def an_answer_ends(self, which: int, refused: bool) -> None:
        self.model.end(which, refused=refused)

    @rule(count=st.integers(1, 31))
    def others_of_the_address_send(self, count: int) -> None:
        self.model.neighbours(count)

    @rule(seconds=st.sampled_from([0.5, 1, 20, 59.9, 60, 61]))
    def time_passes(self, seconds: float) -> None:
        self.model.later(seconds)

    def teardown(self) -> None:
        self.model.finish()


AnyClient.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestAnyClient = pytest.mark.timeout(300)(AnyClient.TestCase)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.timeout(300)
def test_any_decisions_lead_to_what_must_be(target: str) -> None:
    subject = TARGETS[target]

    @settings(max_examples=50 if target == "markdown" else 300, deadline=None, database=None)
    @given(data=st.binary(max_size=subject.max_len))
    def check(data: bytes) -> None:
        subject.check(data)

    check()


def test_the_model_reaches_every_limit() -> None:
    """The model is not vacuous: a client that only asks reaches each limit in turn."""
    model = Model()
    for number in range(LIMITS.messages_per_minute):
        model.receive(json.dumps({"type": "chat", "id": f"i{number}", "message": "?"}))
    assert len(model.running) == LIMITS.streams
    model.receive('{"type": "ping"}')
    assert model.is_closed
    model.finish()


def test_the_model_tells_a_connection_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model detects defects: an answer that never begins, a superfluous frame."""
    model = Model()
    monkeypatch.setattr(model.connection, "receive", lambda text, now: [])
    with pytest.raises(AssertionError):
        model.receive('{"type": "chat", "message": "Hi"}')
    pong = Send(frames.PongFrame())
    monkeypatch.setattr(model.connection, "receive", lambda text, now: [pong, pong])
    with pytest.raises(ValueError, match="too many"):
        model.receive('{"type": "ping"}')
