"""The state machine of the client: cuts anywhere change neither the texts nor what is asked."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.backend.client.memory_server import MemoryServer
from tests.examples import examples
from wireside.client.core import ClientCore, StateChanged
from wireside.client.errors import ClientClosed, ConnectionLost
from wireside.client.requests import (
    AnswerRequest,
    AnswerState,
    BatchRequest,
    ConversationState,
    Ended,
    Received,
    Request,
    StreamNeeded,
)
from wireside.errors import Overloaded, RateLimited, TooLarge, Unauthorized
from wireside.protocol.frames import BatchFrame, ChatFrame, ChunkFrame


def text_of(question: str) -> str:
    return "".join(f"{question}{number} " for number in range(12))


class Wire:
    """A client and a server in memory; each step moves some frames, and any may be lost."""

    def __init__(self) -> None:
        self.now = 0.0
        self.server = MemoryServer(text_of)
        self.core = ClientCore(now=0.0, dice=lambda: 0.5)
        self.texts: defaultdict[AnswerState, str] = defaultdict(str)
        self.ended: list[AnswerState] = []
        self.questions: dict[AnswerState, str] = {}
        self.requests: list[Request] = []
        self.stopped: set[AnswerState] = set()
        self.is_connected = False
        self._up: list[str] = []
        self._down: list[str] = []

    def submit(self, request: Request, *questions: str) -> None:
        self.requests.append(request)
        self.questions |= dict(zip(request.answers, questions, strict=True))
        self.core.submit(request, self.now)
        self.read()

    def connect(self) -> None:
        if not self.is_connected and self.core.state != "closed":
            assert self.core.connect_at is not None
            self.now = max(self.now, self.core.connect_at)
            self.core.connecting()
            self.core.connected(self.now)
            self.is_connected = True
            self.read()

    def cut(self, code: int) -> None:
        if self.is_connected:
            self.is_connected = False
            self.server.drop()
            self._up.clear()
            self._down.clear()
            self.core.disconnected(code, "", self.now)
            self.read()

    def upload(self, count: int) -> None:
        self._up += self.core.take_frames()
        for text in self._up[:count]:
            self.server.receive(text)
        del self._up[:count]

    def download(self, count: int) -> None:
        if not self.is_connected:
            return
        self._down += self.server.send()
        for text in self._down[:count]:
            self.core.receive(text, self.now)
        del self._down[:count]
        self.read()

    def write(self, count: int) -> None:
        for log in self.server.logs.values():
            log.write(count)

    def later(self, seconds: float) -> None:
        self.now += seconds
        if self.is_connected and self.core.tick(self.now) is not None:
            self.cut(1006)
        self.read()

    def read(self) -> None:
        for event in self.core.take_events():
            match event:
                case Received(answer, ChunkFrame() as chunk):
                    assert answer not in self.ended
                    self.texts[answer] += chunk.content
                case Ended(answer):
                    assert answer not in self.ended
                    self.ended.append(answer)

    def finish(self) -> None:
        """Let all answers end on a connection that lasts."""
        for _ in range(200):
            if not self.core.open_requests:
                return
            self.connect()
            self.upload(1_000)
            self.write(5)
            self.download(1_000)
            self.later(1)
        raise AssertionError("no end")


class AnyWire(RuleBasedStateMachine):
    """Whatever is cut and lost, each question is asked once, and its text is whole."""

    def __init__(self) -> None:
        super().__init__()
        self.wire = Wire()
        self.count = 0

    def question(self) -> str:
        self.count += 1
        return f"q{self.count}."

    @rule()
    def ask(self) -> None:
        question = self.question()
        self.wire.submit(AnswerRequest(AnswerState(), ChatFrame(message=question)), question)

    @rule(count=st.integers(1, 9), parallel=st.none() | st.integers(1, 8))
    def batch(self, count: int, parallel: int | None) -> None:
        questions = tuple(self.question() for _ in range(count))
        self.wire.submit(
            BatchRequest(BatchFrame(messages=questions, parallel=parallel)), *questions
        )

    @rule(which=st.integers(0, 20), index=st.none() | st.integers(0, 8))
    def stop(self, which: int, index: int | None) -> None:
        if self.wire.requests:
            request = self.wire.requests[which % len(self.wire.requests)]
            is_batch = isinstance(request, BatchRequest)
            if is_batch and index is not None and index >= len(request.answers):
                return
            stopped = request.answers if index is None or not is_batch else [request.answers[index]]
            self.wire.stopped.update(stopped)
            self.wire.core.stop(request, index if is_batch else None)
            self.wire.read()

    @rule()
    def connect(self) -> None:
        self.wire.connect()

    @rule(code=st.sampled_from([1006, 1001, 1011, 1012, 1013, 1008]))
    def cut(self, code: int) -> None:
        self.wire.cut(code)

    @rule(count=st.integers(1, 30))
    def upload(self, count: int) -> None:
        if self.wire.is_connected:
            self.wire.upload(count)

    @rule(count=st.integers(1, 30))
    def download(self, count: int) -> None:
        self.wire.download(count)

    @rule(count=st.integers(1, 9))
    def write(self, count: int) -> None:
        self.wire.write(count)

    @rule(seconds=st.sampled_from([0.1, 3.0, 19.0, 21.0, 31.0, 3600.0]))
    def later(self, seconds: float) -> None:
        self.wire.later(seconds)

    def teardown(self) -> None:
        wire = self.wire
        wire.finish()
        assert set(wire.server.asked.values()) <= {1}
        assert len(wire.ended) == len(wire.questions)
        for answer, question in wire.questions.items():
            assert answer.error is None
            assert answer.reason in (("stop", "cancelled") if answer in wire.stopped else ("stop",))
            if answer.reason == "stop":
                assert wire.texts[answer] == text_of(question)
            else:
                assert text_of(question).startswith(wire.texts[answer])


AnyWire.TestCase.settings = settings(
    max_examples=examples(80), stateful_step_count=40, deadline=None
)
TestAnyWire = pytest.mark.timeout(120)(AnyWire.TestCase)


@pytest.fixture
def wire() -> Wire:
    return Wire()


def ask(wire: Wire, question: str = "q", **fields: Any) -> AnswerState:
    answer = AnswerState()
    wire.submit(AnswerRequest(answer, ChatFrame(message=question, **fields)), question)
    return answer


def sent(wire: Wire) -> list[dict[str, Any]]:
    return [json.loads(text) for text in wire.core.take_frames()]


def receive(wire: Wire, **frame: Any) -> None:
    wire.core.receive(json.dumps(frame), wire.now)
    wire.read()


def test_questions_are_queued_without_a_connection_and_eight_run_at_once(wire: Wire) -> None:
    for _ in range(10):
        ask(wire)
    assert sent(wire) == []
    wire.connect()
    frames = sent(wire)
    assert [frame["type"] for frame in frames] == ["chat"] * 8 + ["ping"]
    receive(wire, type="done", id=frames[0]["id"], offset=0, reason="stop")
    assert [frame["type"] for frame in sent(wire)] == ["chat"]


def test_a_question_is_sent_again_under_its_key_and_an_answer_resumed(wire: Wire) -> None:
    ask(wire)
    wire.connect()
    first = sent(wire)[0]
    wire.cut(1006)
    wire.connect()
    again = sent(wire)[0]
    assert (again["type"], again["key"]) == ("chat", first["key"])
    receive(wire, type="start", id=again["id"], stream="s", model="m")
    receive(wire, type="chunk", id=again["id"], content="abc", offset=3)
    wire.cut(1006)
    wire.connect()
    frame = sent(wire)[0]
    assert (frame["type"], frame["stream"], frame["offset"]) == ("resume", "s", 3)


def test_the_back_off_has_full_jitter_and_is_reset_by_a_frame(wire: Wire) -> None:
    waits = []
    for _ in range(7):
        wire.connect()
        wire.cut(1006)
        waits.append((wire.core.connect_at or 0) - wire.now)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    wire.connect()
    receive(wire, type="pong")
    wire.cut(1006)
    assert (wire.core.connect_at or 0) - wire.now == 0.5


def test_a_rate_limit_is_waited_for(wire: Wire) -> None:
    wire.connect()
    receive(wire, type="error", message="Rate limit exceeded", code="rate_limited", retry_after=7)
    wire.cut(1008)
    assert (wire.core.connect_at or 0) - wire.now == 7.5


def test_a_restarting_server_is_reconnected_to_at_once(wire: Wire) -> None:
    wire.connect()
    wire.later(2)
    receive(wire, type="pong")
    wire.cut(1012)
    assert wire.core.connect_at == wire.now


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1009])
def test_a_fault_of_the_client_ends_it(wire: Wire, code: int) -> None:
    answer = ask(wire)
    wire.connect()
    wire.cut(code)
    assert (wire.core.state, type(answer.error)) == ("closed", ConnectionLost)
    assert isinstance(ask(wire).error, ConnectionLost)


def test_only_the_question_that_was_too_large_fails(wire: Wire) -> None:
    small, large = ask(wire), ask(wire, "x" * 70_000)
    wire.connect()
    wire.cut(1009)
    assert isinstance(large.error, TooLarge)
    assert (small.error, wire.core.state) == (None, "waiting")


def test_a_refused_handshake_ends_a_client_that_was_never_connected(wire: Wire) -> None:
    answer = ask(wire)
    wire.core.connecting()
    wire.core.refused(Unauthorized(), wire.now, status=401)
    wire.read()
    assert isinstance(answer.error, Unauthorized)
    assert wire.core.state == "closed"


def test_one_that_was_connected_tries_three_times(wire: Wire) -> None:
    wire.connect()
    wire.cut(1006)
    for expected in ("waiting", "waiting", "closed"):
        wire.core.refused(Unauthorized(), wire.now, status=401)
        assert wire.core.state == expected


@pytest.mark.parametrize("status", [0, 429, 500, 502, 503, 504])
def test_a_server_that_is_not_ready_is_waited_for(wire: Wire, status: int) -> None:
    for _ in range(20):
        wire.core.refused(ConnectionLost(), wire.now, status=status)
    assert wire.core.state == "waiting"
    wire.core.refused(ConnectionLost(), wire.now, status=status, retry_after_s=12)
    assert wire.core.connect_at == wire.now + 12


def test_a_silent_connection_is_dropped_but_not_after_a_suspension(wire: Wire) -> None:
    wire.connect()
    assert wire.core.deadline == 20.0
    assert isinstance(wire.core.tick(20.5), ConnectionLost)
    wire.connect()
    sent(wire)
    assert wire.core.tick(4_000.0) is None  # the machine slept
    assert [frame["type"] for frame in sent(wire)] == ["ping"]
    receive(wire, type="pong")
    assert wire.core.deadline == 4_030.0


def test_a_busy_server_refuses_a_new_question_and_is_waited_for_by_a_known_one(wire: Wire) -> None:
    answer = ask(wire)
    wire.connect()
    receive(wire, type="error", id=sent(wire)[0]["id"], message="Busy.", code="overloaded")
    assert isinstance(answer.error, Overloaded)
    known = ask(wire)
    request = sent(wire)[-1]["id"]
    receive(wire, type="start", id=request, stream="s", model="m")
    wire.cut(1006)
    wire.connect()
    receive(
        wire, type="error", id=sent(wire)[0]["id"], message="B", code="overloaded", retry_after=3
    )
    assert known.error is None
    assert sent(wire) == []
    wire.later(3)
    assert [frame["type"] for frame in sent(wire)] == ["resume"]


def refuse_again(wire: Wire, retry_after: float) -> None:
    """Cut the connection, and refuse the request that is sent again."""
    wire.cut(1006)
    wire.connect()
    busy = {"message": "Busy.", "code": "rate_limited", "retry_after": retry_after}
    receive(wire, type="error", id=sent(wire)[0]["id"], **busy)


def test_a_held_question_can_be_stopped_at_once(wire: Wire) -> None:
    answer = ask(wire)
    wire.connect()
    refuse_again(wire, 30)
    wire.core.stop(wire.requests[0])
    wire.read()
    assert (answer.reason, wire.core.open_requests) == ("cancelled", 0)
    wire.later(30)
    assert "chat" not in [frame["type"] for frame in sent(wire)]


def test_a_held_answer_that_is_stopped_is_cancelled_once_the_server_hears_it(wire: Wire) -> None:
    answer = ask(wire)
    wire.connect()
    receive(wire, type="start", id=sent(wire)[0]["id"], stream="s", model="m")
    refuse_again(wire, 3)
    wire.core.stop(wire.requests[0])
    wire.read()
    assert answer.reason == "cancelled"
    wire.later(3)
    assert [frame["type"] for frame in sent(wire)] == ["resume", "cancel"]


def test_one_answer_of_a_held_batch_can_be_stopped_at_once(wire: Wire) -> None:
    request = BatchRequest(BatchFrame(messages=("a", "b")))
    wire.submit(request, "a", "b")
    wire.connect()
    refuse_again(wire, 3)
    wire.core.stop(request, 1)
    wire.read()
    assert [answer.reason for answer in request.answers] == [None, "cancelled"]
    wire.later(3)
    assert [frame["type"] for frame in sent(wire)] == ["batch", "cancel"]


def test_a_question_is_not_held_for_long(wire: Wire) -> None:
    answer = ask(wire)
    wire.connect()
    refuse_again(wire, 86_400)
    assert isinstance(answer.error, RateLimited)
    assert answer.error.retry_after == 86_400


def test_the_limit_of_a_busy_server_is_tried_again_after_an_answer(wire: Wire) -> None:
    for _ in range(4):
        ask(wire)
    wire.connect()
    first, _, third, fourth = [frame["id"] for frame in sent(wire) if "message" in frame]
    for refused in (fourth, third):
        receive(wire, type="error", id=refused, message="Too many.", code="too_many")
    assert sent(wire) == []
    receive(wire, type="done", id=first, offset=0, reason="stop")
    assert [frame["type"] for frame in sent(wire)] == ["chat", "chat"]


@pytest.mark.parametrize("status", [200, 204, 301, 404])
def test_a_server_without_a_websocket_ends_the_client(wire: Wire, status: int) -> None:
    answer = ask(wire)
    wire.core.connecting()
    wire.core.refused(ConnectionLost(), wire.now, status=status)
    wire.read()
    assert (wire.core.state, answer.is_over) == ("closed", True)


def test_the_first_question_opens_the_conversation_of_the_next(wire: Wire) -> None:
    conversation = ConversationState()
    for _ in range(2):
        wire.submit(AnswerRequest(AnswerState(), ChatFrame(message="q"), conversation), "q")
    wire.connect()
    first = sent(wire)[0]
    assert first["conversation"] == "new"
    receive(wire, type="start", id=first["id"], stream="s", model="m", conversation="c")
    (second,) = sent(wire)
    assert (second["conversation"], conversation.id) == ("c", "c")


def test_a_batch_goes_on_at_its_offsets(wire: Wire) -> None:
    request = BatchRequest(BatchFrame(messages=("a", "b", "c"), parallel=2))
    wire.submit(request, "a", "b", "c")
    wire.connect()
    first = sent(wire)[0]
    about = {"id": first["id"]}
    receive(wire, type="start", stream="s0", model="m", index=0, **about)
    receive(wire, type="start", stream="s1", model="m", index=1, **about)
    receive(wire, type="chunk", content="xy", offset=2, index=1, **about)
    receive(wire, type="done", offset=0, reason="stop", index=0, **about)
    wire.cut(1006)
    wire.connect()
    again = sent(wire)[0]
    assert again == first | {"id": again["id"], "offsets": [0, 2, 0]}
    receive(wire, type="batch_done", id=again["id"], done=1, failed=2, cancelled=0)
    assert wire.core.open_requests == 0


def test_a_restarted_server_does_not_answer_the_ended_questions_of_a_batch_again(
    wire: Wire,
) -> None:
    request = BatchRequest(BatchFrame(messages=("a", "b")))
    wire.submit(request, "a", "b")
    wire.connect()
    about = {"id": sent(wire)[0]["id"]}
    receive(wire, type="start", stream="s0", model="m", index=0, **about)
    receive(wire, type="done", offset=0, reason="stop", index=0, **about)
    receive(wire, type="start", stream="s1", model="m", index=1, **about)
    wire.cut(1006)
    wire.connect()
    about = {"id": sent(wire)[0]["id"]}
    receive(wire, type="start", stream="t0", model="m", index=0, **about)
    receive(wire, type="start", stream="t1", model="m", index=1, **about)
    cancels = [frame for frame in sent(wire) if frame["type"] == "cancel"]
    assert [cancel["index"] for cancel in cancels] == [0, 1]
    assert type(request.answers[1].error).__name__ == "Expired"  # its text would not be whole
    receive(wire, type="start", stream="t2", model="m", index=2, **about)  # no question of it
    assert sent(wire) == []


def test_a_reply_that_was_accepted_before_a_cut_is_found(wire: Wire) -> None:
    answer = ask(wire, "", conversation="c", part="p", answer="true")
    wire.connect()
    sent(wire)
    wire.cut(1006)
    wire.connect()
    again = sent(wire)[0]
    wire.core.receive(
        json.dumps(
            {"type": "error", "id": again["id"], "message": "-", "code": "already_answered"}
        ),
        wire.now,
    )
    assert wire.core.take_events() == [StreamNeeded(answer, "c")]
    wire.core.resolve(answer, "s", wire.now)
    assert [(frame["type"], frame["stream"]) for frame in sent(wire)] == [("resume", "s")]


def test_a_reply_that_another_client_gave_first_is_an_error(wire: Wire) -> None:
    answer = ask(wire, "", conversation="c", part="p", answer="true")
    wire.connect()
    request = sent(wire)[0]["id"]
    receive(wire, type="error", id=request, message="-", code="already_answered")
    assert type(answer.error).__name__ == "AlreadyAnswered"


def test_closing_ends_the_answers_here(wire: Wire) -> None:
    answer = ask(wire)
    wire.core.close()
    assert isinstance(answer.error, ClientClosed)
    assert wire.core.take_events()[-1] == StateChanged("closed")


def test_frames_that_are_unknown_or_broken_are_ignored(wire: Wire) -> None:
    wire.connect()
    for text in ("", "x", "[]", '{"type":"chunk"}', '{"type":"new","id":"r1"}', "pong"):
        wire.core.receive(text, wire.now)
    assert wire.core.state == "connected"


def test_the_metrics(wire: Wire) -> None:
    ask(wire)
    wire.connect()
    request = sent(wire)[0]["id"]
    wire.later(2)
    receive(wire, type="start", id=request, stream="s", model="m")
    receive(wire, type="chunk", id=request, content="a", offset=1)
    wire.cut(1006)
    wire.connect()
    metrics = wire.core.metrics(wire.now)
    assert (metrics.average_latency_s, metrics.reconnect_count) == (2.0, 1)
    assert metrics.messages_per_second == 0.2
    assert (metrics.messages_sent, metrics.messages_received) == (4, 2)
