"""Verdicts about clients, without sockets and clock: each fault of a client has its sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wireside.conformance.results import Result
from wireside.conformance.scenarios.catalogue import SCENARIOS, selected
from wireside.conformance.scenarios.judge import judge_back_off, judge_text
from wireside.conformance.scenarios.page import render_page, render_rows
from wireside.conformance.scenarios.stage import Cancel, Stage, StagedAnswer, StagedReply
from wireside.conformance.scenarios.visits import (
    CloseSocket,
    CutStep,
    GoSilent,
    Pause,
    PingSocket,
    RefuseStep,
    SendHalf,
    SendStep,
)

ROOT = Path(__file__).parents[3]


class Client:
    """Plays one scenario by hand. It is a good client as long as the test does not differ."""

    def __init__(self, name: str) -> None:
        (self.scenario,) = selected(only=(name,))
        self.stage = Stage([self.scenario], patience_s=60, settle_s=2)
        self.now = 100.0
        self.number = -1
        self.ids = 0
        self.stream = ""
        self.offset = 0
        self.received: list[dict[str, Any]] = []

    def connect(self, after_s: float = 0.4) -> None:
        """Connect; failed handshakes are repeated with back-off."""
        limit = 1.0
        while True:
            self.now += after_s
            self.number, plan = self.stage.connect(self.now)
            if plan is None:
                return
            limit *= 2
            after_s = limit * [0.9, 0.3, 0.6, 0.5][self.number % 4]

    def ask(self, message: str = "Hi", **fields: Any) -> None:
        frame = {"type": "chat", "id": self.new_id(), "key": "k", "message": message, **fields}
        self.send({name: value for name, value in frame.items() if value is not None})

    def resume(self, offset: int | None = None) -> None:
        offset = self.offset if offset is None else offset
        frame = {"type": "resume", "id": self.new_id(), "stream": self.stream, "offset": offset}
        self.send(frame)

    def new_id(self) -> str:
        self.ids += 1
        return f"r{self.ids}"

    def send(self, frame: dict[str, Any] | str) -> None:
        text = frame if isinstance(frame, str) else json.dumps(frame)
        for command in self.stage.receive(self.number, text, self.now):
            match command:
                case StagedReply():
                    self.received.append(json.loads(command.text))
                case StagedAnswer():
                    self.play(command)
                case Cancel():
                    pass

    def play(self, answer: StagedAnswer) -> None:
        for action in answer.actions:
            match action:
                case SendStep() if action.text.startswith('{"type": '):
                    frame = json.loads(action.text)
                    self.received.append(frame)
                    if frame.get("id") == answer.id:
                        self.stream = frame.get("stream", self.stream)
                        self.offset = max(self.offset, frame.get("offset", 0) or 0)
                case Pause():
                    self.now += action.seconds
                case CutStep():
                    self.stage.drop(self.number, "cut", self.now)
                case CloseSocket():
                    self.stage.drop(self.number, "close", self.now, action.code)
                case GoSilent():
                    self.stage.drop(self.number, "silent", self.now)
                case SendStep() | SendHalf() | PingSocket():
                    pass
            self.stage.note(answer, action, self.now)
            if isinstance(action, CutStep | CloseSocket | GoSilent):
                return

    def leave(self, code: int | None = 1000) -> None:
        self.stage.disconnect(self.number, self.now, code=code, by_client=True)

    def verdict(self) -> str:
        """Return the faults, "" for none."""
        self.now += 200
        self.stage.tick(self.now)
        return str(", ".join(map(str, self.stage.results[self.scenario.name].faults)))


def good(client: Client) -> None:
    client.connect()
    client.ask()
    for _ in range(8):
        last = client.received[-1] if client.received else {"type": ""}
        if last["type"] in ("done", "error") and last.get("id"):
            return
        if client.scenario.name.startswith("close-100") and client.scenario.name[-1] in "0379":
            return
        client.connect(2.5 if client.scenario.name == "close-1008" else 0.4)
        client.resume() if client.stream else client.ask()


@pytest.mark.parametrize("name", [one.name for one in SCENARIOS if one.name != "quiet"])
def test_a_good_client_passes(name: str) -> None:
    client = Client(name)
    good(client)
    assert client.verdict() == ""


@pytest.mark.parametrize("name", [one.name for one in SCENARIOS if one.level == 1])
def test_a_good_client_of_level_1_passes(name: str) -> None:
    client = Client(name)
    client.connect()
    client.ask(id=None, key=None)
    assert {frame["type"] for frame in client.received} <= {"chunk", "done", "pong"}
    assert all("id" not in frame for frame in client.received)
    assert client.verdict() == ""


def again_without_key(client: Client) -> None:
    client.ask(key=None)
    client.connect()
    client.ask(key=None)


def again_with_another_key(client: Client) -> None:
    client.ask()
    client.connect()
    client.ask(key="other")


def resumed_at(change: int) -> Callable[[Client], None]:
    def act(client: Client) -> None:
        client.ask()
        client.connect()
        client.resume(client.offset + change)

    return act


def never_back(client: Client) -> None:
    client.ask()


def level_1(client: Client) -> None:
    client.ask(id=None, key=None)


def resumed_again(client: Client) -> None:
    good(client)
    client.now += 0.1
    client.resume()


def asked_again(client: Client) -> None:
    good(client)
    client.now += 0.1
    client.ask()


def comes_back(client: Client) -> None:
    client.ask()
    client.connect()
    client.resume()


def hammers(client: Client) -> None:
    client.ask()
    for _ in range(9):
        client.now += 0.01
        client.number, plan = client.stage.connect(client.now)
        if plan is None:
            return client.resume()


def waits_one_second(client: Client) -> None:
    client.ask()
    while True:
        client.now += 1.0
        client.number, plan = client.stage.connect(client.now)
        if plan is None:
            return client.resume()


def waits_long(client: Client) -> None:
    client.ask()
    client.connect(50)
    client.resume()


def sends_rubbish(client: Client) -> None:
    client.ask(temperature=7)
    client.ask()
    client.send("{")


def leaves(client: Client) -> None:
    client.stage.receive(client.number, json.dumps({"type": "chat", "id": "a", "message": "Hi"}), 1)
    client.leave()


def other_question(client: Client) -> None:
    client.ask()
    client.connect()
    client.send({"type": "chat", "id": "x", "key": "k", "message": "Hi", "model": "other"})


def wrong_offset_with_key(client: Client) -> None:
    client.ask()
    client.connect()
    client.ask(offset=3)


FAULTY: list[tuple[str, Callable[[Client], None], str]] = [
    ("cut-before-start", again_without_key, "without `key`: it would be answered twice"),
    ("cut-before-start", again_with_another_key, "another `key`: it would be answered twice"),
    ("cut-before-start", never_back, "nothing after the connection was cut"),
    ("cut-after-chunk", again_without_key, "expected a new connection, and `resume` with the"),
    ("cut-after-chunk", resumed_at(1), "text is lost"),
    ("cut-after-chunk", resumed_at(-1), "received text comes again"),
    ("cut-in-characters", resumed_at(3), "text is lost"),
    ("cut-after-chunk", level_1, "its answer can't be resumed"),
    ("cut-after-chunk", never_back, "nothing after the connection was cut"),
    ("cut-after-chunk", other_question, "the same question under the same `key`"),
    ("cut-after-chunk", wrong_offset_with_key, "or 0 to begin again"),
    ("cut-after-done", resumed_again, "nothing more about the answer after `done`"),
    ("plain", asked_again, "another `chat`"),
    ("plain", sends_rubbish, "expected a valid frame"),
    ("delays", leaves, "the client ended it"),
    ("refused", asked_again, "nothing more about the answer after `error`"),
    ("overloaded", asked_again, "after `retry_after`, 2 s, at the earliest"),
    ("fails-within", resumed_again, "another `resume`"),
    ("resume-expired", resumed_again, "another `resume`"),
    ("resume-not-found", asked_again, "another `chat`"),
    ("resumed-interrupted", resumed_again, "another `resume`"),
    ("close-1008", comes_back, "after `retry_after`, 2 s, at the earliest"),
    ("close-1003", comes_back, "the connection was closed with 1003; came another `resume`"),
    ("close-1000", comes_back, "closed with 1000"),
    ("close-1012", waits_long, "after at most 1 s"),
    ("black-hole", waits_long, ""),
    ("closed-at-once", hammers, "waits that grow"),
    ("closed-at-once", waits_one_second, "waits with jitter"),
    ("handshake-refused", hammers, "waits that grow"),
]


@pytest.mark.parametrize(("name", "act", "sentence"), FAULTY)
def test_a_faulty_client_gets_the_sentence(
    name: str, act: Callable[[Client], None], sentence: str
) -> None:
    client = Client(name)
    client.connect()
    act(client)
    assert sentence in client.verdict()


def test_a_client_that_does_not_notice_a_dead_connection_fails() -> None:
    client = Client("black-hole")
    client.connect()
    client.ask()
    client.connect(120)
    client.resume()
    assert "within 50 s of silence" in client.verdict()


@pytest.mark.parametrize(("pings", "is_good"), [(0, False), (1, False), (2, True)])
def test_pings_are_counted_while_the_model_is_silent(pings: int, is_good: bool) -> None:
    client = Client("quiet")
    client.connect()
    times = [client.now + 30 * number for number in range(1, pings + 1)]
    client.stage.attempts[0].pings.extend(times)
    client.ask()
    assert (client.verdict() == "") is is_good


def test_a_client_that_still_tries_is_waited_for() -> None:
    client = Client("handshake-refused")
    client.connect()
    client.ask()
    for _ in range(2):
        client.now += 50
        client.stage.connect(client.now)
        client.stage.tick(client.now)
        assert not client.stage.results
    client.stage.tick(client.now + 61)
    assert client.stage.results["handshake-refused"].state == "failed"


def test_the_end_of_the_last_connection_is_judged() -> None:
    for code, state in ((1000, "passed"), (None, "failed")):
        client = Client("plain")
        good(client)
        client.verdict()
        client.leave(code)
        client.stage.finish(client.now)
        assert client.stage.results["closes-cleanly"].state == state


def test_what_was_not_asked_for_is_skipped() -> None:
    stage = Stage(selected(only=("cut-*",)))
    stage.finish(1.0)
    assert {one.state for one in stage.take_results()} == {"skipped"}


def test_questions_play_the_scenarios_in_turn_or_by_name() -> None:
    stage = Stage(selected(only=("plain", "refused", "delays")))
    stage.connect(0)

    def played(message: str, name: str) -> str:
        frame = {"type": "chat", "id": name, "key": name, "message": message}
        (answer,) = stage.receive(0, json.dumps(frame), 0)
        assert isinstance(answer, StagedAnswer)
        return "" if answer.play is None else answer.play.scenario.name

    assert played("/scenario delays", "a") == "delays"
    assert [played("Hi", name) for name in "bcd"] == ["plain", "refused", ""]


def test_a_text_is_compared_character_by_character() -> None:
    assert judge_text("abc", "abc") == []
    (fault,) = judge_text("abcabc", "abcbc")
    assert fault.expected.startswith("6 characters; from 3: abc")
    client = Client("plain")
    good(client)
    for text, words in ((client.scenario.text, "The text is right."), ("x", "from 0")):
        client.ask(f"/check plain\n{text}", key=text[:9])
        assert words in client.received[-2]["content"]
    assert client.stage.results["plain/text"].state == "failed"


@pytest.mark.parametrize(
    ("waits", "is_good"),
    [
        ([0.5], True),
        ([0.0, 0.0], True),
        ([0.3, 1.9, 0.2, 7.0, 12.0], True),
        ([0.9, 1.8, 3.5, 2.0], True),
        ([2.5], False),
        ([0.5, 1.0, 5.5], False),
        ([0.001, 0.002, 0.001, 0.002], False),
        ([1.0, 1.01, 1.0, 1.0], False),
        ([1.0, 2.0, 4.01, 8.0], False),
    ],
)
def test_waits_are_judged_by_the_rule_of_full_jitter(waits: list[float], is_good: bool) -> None:
    assert (list(judge_back_off(waits)) == []) is is_good


def test_a_batch_and_a_cancel_are_answered() -> None:
    client = Client("plain")
    client.connect()
    client.send({"type": "batch", "id": "b", "messages": ["Hi", "Ho"]})
    ends = [frame["index"] for frame in client.received if frame["type"] == "done"]
    assert ends == [0, 1]
    client.send({"type": "batch", "id": "c", "messages": ["Hi", "Ho"], "parallel": 2})
    assert client.received[-1] == {
        "type": "batch_done",
        "id": "c",
        "done": 2,
        "failed": 0,
        "cancelled": 0,
    }
    chunks = [frame for frame in client.received if frame["type"] == "chunk"]
    assert [frame["index"] for frame in chunks if frame["id"] == "c"] == [0, 1]
    assert client.stage.receive(client.number, '{"type":"cancel","id":"b"}', 0) == [Cancel("b")]


def test_the_page_shows_scenarios_and_escapes_what_a_client_sent() -> None:
    client = Client("plain")
    client.connect()
    client.ask()
    client.send("<script>")
    client.verdict()
    rows = render_rows(client.stage.scenarios, client.stage.results)
    assert "<script>" not in rows
    assert "&lt;script&gt;" in rows
    assert rows in render_page(client.stage.scenarios, client.stage.results)


def test_names_are_unique_and_sections_are_those_of_the_protocol() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text("utf-8")
    names = [one.name for one in SCENARIOS]
    assert len(names) == len(set(names))
    assert not [one.section for one in SCENARIOS if one.section not in text]


def test_no_frame_of_a_scenario_is_larger_than_the_protocol_permits() -> None:
    client = Client("huge-chunks")
    good(client)
    sizes = [len(json.dumps(frame, ensure_ascii=False).encode()) for frame in client.received]
    assert 7_500 < max(sizes) <= 8_000


def test_refused_handshakes_have_a_status() -> None:
    client = Client("handshake-refused")
    client.connect()
    client.ask()
    assert client.stage.connect(client.now)[1] == RefuseStep(503)


def test_all_results_are_values_of_the_kit() -> None:
    client = Client("plain")
    good(client)
    client.verdict()
    (result,) = client.stage.take_results()
    assert isinstance(result, Result)
    assert result.transcript
