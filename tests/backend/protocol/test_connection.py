"""One connection, on both levels: the effects of a client's frames."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.limits.windows import SlidingWindow
from wireside.protocol import frames
from wireside.protocol.connection import (
    Attach,
    Close,
    Connection,
    ConnectionLimits,
    Event,
    OpenRequest,
    Send,
    StartAnswer,
    Stop,
)


def connect(limits: ConnectionLimits | None = None, address: int = 10_000) -> Connection:
    return Connection(limits or ConnectionLimits(), SlidingWindow(address))


def receive(connection: Connection, **fields: object) -> list[Event]:
    """Receive a frame with these fields, at the time ``now``, which is no field."""
    now = fields.pop("now", 0.0)
    assert isinstance(now, float | int)
    return connection.receive(json.dumps(fields), now)


def sent(events: list[Event]) -> list[dict[str, object]]:
    return [json.loads(event.frame.encode()) for event in events if isinstance(event, Send)]


def answered(events: list[Event]) -> list[OpenRequest]:
    return [event.request for event in events if isinstance(event, StartAnswer)]


class TestLevel1:
    def test_a_chat_is_answered(self) -> None:
        (request,) = answered(receive(connect(), type="chat", message="Hi", model="m"))
        assert (request.level, request.chat.message, request.chat.model) == (1, "Hi", "m")

    def test_questions_wait_their_turn_in_order(self) -> None:
        connection = connect()
        (first,) = answered(receive(connection, type="chat", message="1"))
        assert receive(connection, type="chat", message="2") == []
        assert receive(connection, type="batch", messages=["3", "4"]) == []
        order = [first]
        while events := connection.ended(order[-1]):
            order += answered(events)
        assert [request.chat.message for request in order] == ["1", "2", "3", "4"]

    def test_more_than_may_wait_is_refused_at_once(self) -> None:
        connection = connect(ConnectionLimits(waiting=2))
        receive(connection, type="chat", message="running")
        assert receive(connection, type="batch", messages=["a", "b"]) == []
        (error,) = sent(receive(connection, type="chat", message="c"))
        assert error == {"type": "error", "message": "2 messages are waiting already."}

    def test_cancel_stops_the_running_one_and_drops_what_waits(self) -> None:
        connection = connect()
        (first,) = answered(receive(connection, type="chat", message="1"))
        receive(connection, type="chat", message="2")
        assert receive(connection, type="cancel") == [Stop(None)]
        (second,) = answered(connection.ended(first))
        assert second.cancelled  # it still gets exactly one `done`
        assert connection.ended(second) == []
        (third,) = answered(receive(connection, type="chat", message="3"))
        assert not third.cancelled

    def test_cancel_without_a_stream_is_no_error(self) -> None:
        assert receive(connect(), type="cancel") == []

    def test_errors_have_the_guides_two_keys(self) -> None:
        for fields in ({"type": "chat"}, {"type": "chat", "message": " "}, {"type": "x"}, {}):
            (error,) = sent(connect().receive(json.dumps(fields), 0))
            assert set(error) == {"type", "message"}

    def test_errors_name_the_field(self) -> None:
        (error,) = sent(receive(connect(), type="chat", message=7))
        assert error["message"] == "message: expected a string."

    def test_options_of_level_2_are_ignored(self) -> None:
        (request,) = answered(receive(connect(), type="chat", message="Hi", temperature="hot"))
        assert request.chat.temperature is None

    def test_ping(self) -> None:
        assert sent(receive(connect(), type="ping")) == [{"type": "pong"}]


class TestLevel2:
    def test_requests_run_side_by_side_up_to_the_limit(self) -> None:
        connection = connect(ConnectionLimits(streams=2))
        requests = [
            request
            for name in ("a", "b")
            for request in answered(receive(connection, type="chat", id=name, message="?"))
        ]
        assert len(requests) == 2
        (error,) = sent(receive(connection, type="chat", id="c", message="?"))
        assert (error["id"], error["code"], error["retryable"]) == ("c", "too_many", True)
        connection.ended(requests[0])
        assert answered(receive(connection, type="chat", id="c", message="?"))

    def test_each_message_of_a_batch_that_is_refused_gets_its_error(self) -> None:
        connection = connect(ConnectionLimits(streams=1))
        receive(connection, type="chat", id="a", message="?")
        errors = sent(receive(connection, type="batch", id="b", messages=["1", "2", "3"]))
        assert [(error["id"], error["code"]) for error in errors] == [("b", "too_many")] * 3

    def test_an_id_in_use_is_refused_without_ending_its_request(self) -> None:
        connection = connect()
        receive(connection, type="chat", id="a", message="?")
        for frame in (
            {"type": "chat", "id": "a", "message": "?"},
            {"type": "chat", "id": "a"},
            {"type": "resume", "id": "a", "stream": "s", "offset": 0},
        ):
            (error,) = sent(connection.receive(json.dumps(frame), 0))
            assert error["code"] == "bad_message"
            assert "id" not in error

    def test_a_batch_is_answered_one_after_another_with_its_index(self) -> None:
        connection = connect()
        (first,) = answered(receive(connection, type="batch", id="b", messages=["x", "y"]))
        (second,) = answered(connection.ended(first))
        assert (first.index, second.index) == (0, 1)
        assert connection.ended(second) == []
        assert answered(receive(connection, type="chat", id="b", message="again"))

    def test_resume(self) -> None:
        connection = connect()
        (event,) = receive(connection, type="resume", id="r", stream="s", offset=3)
        assert isinstance(event, Attach)
        assert receive(connection, type="cancel", id="r") == [Stop("r")]
        connection.resume_ended(event.resume)
        assert receive(connection, type="cancel", id="r") == []

    def test_bad_values_name_the_field_and_the_request(self) -> None:
        for fields, field in (
            ({"message": "?", "temperature": 3}, "temperature"),
            ({"message": "?", "temperature": True}, "temperature"),
            ({"message": "?", "max_tokens": 0}, "max_tokens"),
            ({"message": "?", "sanitize": 1}, "sanitize"),
            ({"message": "?", "offset": -1}, "offset"),
            ({"message": "?", "key": ""}, "key"),
            ({"message": "?", "attachments": ["a", 1]}, "attachments[1]"),
        ):
            (error,) = sent(receive(connect(), type="chat", id="a", **fields))
            assert (error["id"], error["code"]) == ("a", "bad_message")
            assert str(error["message"]).startswith(f"{field}:")

    def test_what_names_something_is_short(self) -> None:
        """Twenty queued requests could otherwise hold an id of a megabyte each."""
        for kind, fields in (
            ("chat", {"id": "a", "message": "?", "model": "x" * 201}),
            ("chat", {"id": "a", "message": "?", "conversation": "x" * 201}),
            ("batch", {"id": "a", "messages": ["?"], "model": "x" * 201}),
            ("resume", {"id": "a", "stream": "x" * 201, "offset": 0}),
        ):
            (error,) = sent(receive(connect(), type=kind, **fields))
            assert (error["id"], error["code"]) == ("a", "bad_message")
            assert str(error["message"]).endswith(": expected at most 200 characters.")
        assert answered(receive(connect(), type="chat", message="?", model="😀" * 200))
        assert sent(receive(connect(), type="chat", message="?", model="x" * 201))

    def test_a_bad_id_is_named_and_not_echoed(self) -> None:
        for bad in ("", "x" * 65, "a b", "ä", 7, True):
            (error,) = sent(receive(connect(), type="chat", id=bad, message="?"))
            assert str(error["message"]).startswith("id:")
            assert "id" not in error

    def test_no_id_and_a_null_are_the_same(self) -> None:
        for fields in ({}, {"id": None}):
            (error,) = sent(receive(connect(), type="chat", message=" ", **fields))
            assert set(error) == {"type", "message"}

    def test_a_long_message_is_too_large(self) -> None:
        limits = ConnectionLimits(max_message_chars=10)
        assert answered(receive(connect(limits), type="chat", id="a", message="😀" * 10))
        (error,) = sent(receive(connect(limits), type="chat", id="a", message="😀" * 11))
        assert error["code"] == "too_large"

    def test_pong_echoes_t(self) -> None:
        for t in ("x", "😀" * 256, 7, 1.5, 1e300, -(10**255)):
            assert sent(receive(connect(), type="ping", t=t)) == [{"type": "pong", "t": t}]

    def test_a_long_t_is_not_echoed(self) -> None:
        for t in ("x" * 257, 10**256, -(10**256)):
            (error,) = sent(receive(connect(), type="ping", id="p", t=t))
            assert (error["code"], "id" in error) == ("bad_message", True)
            assert error["message"] == "t: it must have at most 256 characters."

    @pytest.mark.parametrize("text", ["not JSON", '{"type": "?"}', '{"type": "ping", "t": []}'])
    def test_a_refused_frame_holds_nothing_of_its_text(self, text: str) -> None:
        refused = frames.parse_client_frame(text, max_message_chars=10)
        assert isinstance(refused, frames.RefusedFrame)
        error = refused.error
        assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)


class TestLimits:
    def test_message_100_passes_and_101_closes(self) -> None:
        connection = connect()
        for i in range(100):
            assert sent(receive(connection, type="ping", now=i * 0.5)) == [{"type": "pong"}]
        *frames, close = receive(connection, type="ping", now=50.0)
        assert sent(frames) == [{"type": "error", "message": "Rate limit exceeded"}]
        assert close == Close(1008, "Rate limit exceeded")
        assert receive(connection, type="ping", now=500.0) == []  # nothing after the close

    def test_level_2_is_told_when_to_come_back(self) -> None:
        connection = connect(ConnectionLimits(messages_per_minute=1))
        receive(connection, type="chat", id="a", message="?", now=10)
        (error,) = sent(receive(connection, type="chat", id="b", message="?", now=20))
        assert (error["code"], error["id"], error["retry_after"]) == ("rate_limited", "b", 50)

    def test_a_batch_counts_as_many_as_it_holds_even_when_it_is_refused(self) -> None:
        connection = connect(ConnectionLimits(messages_per_minute=10))
        receive(connection, type="batch", messages=[1] * 9)
        receive(connection, type="ping")
        assert isinstance(receive(connection, type="ping")[-1], Close)

    def test_the_address_is_limited_without_closing(self) -> None:
        window = SlidingWindow(1)
        one, other = Connection(ConnectionLimits(), window), Connection(ConnectionLimits(), window)
        receive(one, type="ping")
        (event,) = receive(other, type="chat", id="a", message="?", now=1)
        assert sent([event])[0]["code"] == "rate_limited"
        assert answered(receive(other, type="chat", id="a", message="?", now=61))

    def test_binary_closes(self) -> None:
        (close,) = connect().receive_binary()
        assert isinstance(close, Close)
        assert close.code == 1003


FRAMES = st.one_of(
    st.text(max_size=30),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["chat", "batch", "ping", "cancel", "resume", "?", 1])},
        optional={
            "id": st.sampled_from(["a", "b", "", "ä", 1]),
            "message": st.sampled_from(["?", " ", 1, "x" * 200]),
            "messages": st.lists(st.sampled_from(["?", "", 1]), max_size=25),
            "stream": st.just("s"),
            "offset": st.sampled_from([0, -1, 1.5]),
        },
    ).map(json.dumps),
)


@given(st.lists(st.tuples(FRAMES, st.booleans()), max_size=40))
def test_every_request_that_opens_can_end_and_frames_stay_well_formed(
    steps: list[tuple[str, bool]],
) -> None:
    """Any input: no exception, at most the limit of open requests, one at a time on level 1."""
    connection = connect(
        ConnectionLimits(messages_per_minute=200, streams=2, waiting=3, max_message_chars=99)
    )
    running: list[OpenRequest] = []
    resumed = []
    for text, ends_one in steps:
        events = connection.receive(text, 0)
        for event in events:
            if isinstance(event, Attach):
                resumed.append(event.resume)
        running += answered(events)
        sent(events)
        assert sum(request.level == 1 for request in running) <= 1
        assert sum(request.level == 2 for request in running) + len(resumed) <= 2
        if ends_one and running:
            running += answered(connection.ended(running.pop(0)))
        elif ends_one and resumed:
            connection.resume_ended(resumed.pop())
    for request in running:
        while events := connection.ended(request):
            (request,) = answered(events)


class TestContext:
    """``messages`` of a level 2 ``chat``: the turns before its question."""

    TURNS = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1", "name": "ignored"},
    )

    def test_it_is_read(self) -> None:
        fields = {"type": "chat", "id": "q", "message": "Two?", "messages": self.TURNS}
        (request,) = answered(receive(connect(), **fields))
        context = [(m.role, m.text) for m in request.chat.messages]
        assert context == [("system", "Be brief."), ("user", "One?"), ("assistant", "1")]

    def test_level_1_ignores_it_as_any_unknown_key(self) -> None:
        (request,) = answered(receive(connect(), type="chat", message="Hi", messages=[1]))
        assert request.chat.messages == ()

    @pytest.mark.parametrize(
        ("messages", "named"),
        [
            ("x", "messages: expected a list"),
            (["x"], "messages[0]: expected an object"),
            ([{"role": "tool", "content": "x"}], "messages[0].role"),
            ([{"role": "user"}], "messages[0].content: expected a string"),
            ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content"),
            ([*TURNS, {"role": "assistant", "content": " "}], "messages[3].content: is blank"),
            ([TURNS[1]] * 201, "messages: at most 200"),
            ([{"role": "user", "content": "x" * 60}], "messages: have 60 characters; at most 50"),
        ],
    )
    def test_what_is_wrong_is_named(self, messages: object, named: str) -> None:
        connection = connect(ConnectionLimits(max_message_chars=10))
        if isinstance(messages, list) and len(messages) > 1:
            connection = connect()
        (error,) = sent(receive(connection, type="chat", id="q", message="?", messages=messages))
        assert str(error["message"]).startswith(named)
        assert error["id"] == "q"
        assert error["code"] in ("bad_message", "too_large")

    def test_a_stored_conversation_is_a_context_already(self) -> None:
        fields = {"type": "chat", "id": "q", "message": "?", "conversation": "new"}
        (error,) = sent(receive(connect(), **fields, messages=self.TURNS))
        assert "conversation" in str(error["message"])
        assert answered(receive(connect(), **fields, messages=[]))

    def test_a_refused_one_counts_as_one_message(self) -> None:
        connection = connect(ConnectionLimits(messages_per_minute=5))
        for _ in range(5):
            receive(connection, type="chat", id="q", messages=["x"] * 50)
        assert "Rate limit exceeded" in str(sent(receive(connection, type="ping")))


class TestBatches:
    def test_level_2_carries_what_a_chat_does(self) -> None:
        connection = connect()
        fields = {"key": "k", "conversation": "new", "system": "s", "temperature": 1.5}
        fields |= {"max_tokens": 9, "sanitize": True, "offsets": [0, 7], "max_frame_bytes": 2000}
        (first,) = answered(
            receive(connection, type="batch", id="b", messages=["1", "2"], **fields)
        )
        assert first.batch is not None
        assert first.batch.key == "k"
        (second,) = answered(connection.ended(first))
        chat = second.chat
        assert (chat.conversation, chat.system, chat.temperature) == ("new", "s", 1.5)
        assert (chat.max_tokens, chat.sanitize, chat.offset) == (9, True, 7)
        assert (second.index, chat.max_frame_bytes) == (1, 2000)

    def test_level_1_ignores_what_is_of_level_2(self) -> None:
        fields = {"key": 3, "conversation": "new", "offsets": "x"}
        (first,) = answered(receive(connect(), type="batch", messages=["1"], **fields))
        assert (first.batch, first.chat.conversation) == (None, None)

    def test_an_offset_without_a_key_is_none(self) -> None:
        batch = {"type": "batch", "id": "b", "messages": ["1"], "offsets": [4]}
        (first,) = answered(receive(connect(), **batch))
        assert first.chat.offset == 0

    @pytest.mark.parametrize(
        ("offsets", "named"),
        [
            ([0, 0], "offsets: "),
            ([-1], "offsets[0]: "),
            ([True], "offsets[0]: "),
            ("x", "offsets: "),
        ],
    )
    def test_wrong_offsets_are_named(self, offsets: object, named: str) -> None:
        batch = {"type": "batch", "id": "b", "messages": ["1"], "key": "k", "offsets": offsets}
        (error,) = sent(receive(connect(), **batch))
        assert str(error["message"]).startswith(named)

    def test_each_message_that_is_refused_is_named_by_its_index(self) -> None:
        connection = connect(ConnectionLimits(streams=1))
        receive(connection, type="chat", id="q", message="Hi")
        errors = sent(receive(connection, type="batch", id="b", messages=["1", "2"]))
        assert [(e["id"], e["index"], e["code"]) for e in errors] == [
            ("b", 0, "too_many"),
            ("b", 1, "too_many"),
        ]


class TestParallelBatches:
    def begin(self, connection: Connection, count: int, parallel: object) -> list[OpenRequest]:
        messages = [str(number) for number in range(count)]
        return answered(
            receive(connection, type="batch", id="b", messages=messages, parallel=parallel)
        )

    def test_as_many_as_requested_begin_at_once_and_the_next_when_one_ends(self) -> None:
        connection = connect()
        begun = self.begin(connection, 5, 3)
        assert [request.index for request in begun] == [0, 1, 2]
        (fourth,) = answered(connection.ended(begun[1]))
        (fifth,) = answered(connection.ended(fourth))
        assert (fourth.index, fifth.index) == (3, 4)
        assert connection.ended(begun[0]) == []

    def test_a_summary_counts_the_ends(self) -> None:
        connection = connect()
        begun = self.begin(connection, 4, 8)
        for request, outcome in zip(begun[:3], ("done", "failed", "cancelled"), strict=True):
            assert connection.ended(request, outcome) == []  # type: ignore[arg-type]
        assert sent(connection.ended(begun[3])) == [
            {"type": "batch_done", "id": "b", "done": 2, "failed": 1, "cancelled": 1}
        ]
        assert self.begin(connection, 1, 1)  # the id is free

    def test_one_at_a_time_has_a_summary_only_where_it_is_requested(self) -> None:
        connection = connect()
        (only,) = self.begin(connection, 1, 1)
        assert [frame["type"] for frame in sent(connection.ended(only))] == ["batch_done"]
        (only,) = self.begin(connection, 1, None)
        assert connection.ended(only) == []

    def test_it_counts_as_its_open_messages_on_the_connection(self) -> None:
        connection = connect(ConnectionLimits(streams=4))
        begun = self.begin(connection, 4, 3)
        assert answered(receive(connection, type="chat", id="a", message="Hi"))
        (refused,) = sent(receive(connection, type="chat", id="c", message="Hi"))
        assert refused["code"] == "too_many"
        connection.ended(begun[0])
        connection.ended(begun[1])
        assert answered(receive(connection, type="chat", id="c", message="Hi"))

    def test_fewer_begin_where_the_connection_has_fewer_free(self) -> None:
        connection = connect(ConnectionLimits(streams=2))
        receive(connection, type="chat", id="a", message="Hi")
        begun = self.begin(connection, 3, 8)
        assert [request.index for request in begun] == [0]

    def test_a_batch_that_is_refused_gets_one_error_without_index(self) -> None:
        connection = connect(ConnectionLimits(streams=1), address=5)
        receive(connection, type="chat", id="a", message="Hi")
        for code in ("too_many", "rate_limited"):
            (error,) = sent(
                receive(connection, type="batch", id="b", messages=["1"] * 3, parallel=2)
            )
            assert (error["id"], error["code"], "index" in error) == ("b", code, False)

    def test_one_message_is_cancelled(self) -> None:
        connection = connect()
        first, second = self.begin(connection, 4, 2)
        assert receive(connection, type="cancel", id="b", index=1) == [Stop("b", 1)]
        assert (first.cancelled, second.cancelled) == (False, True)
        stop, *begun = receive(connection, type="cancel", id="b", index=3)
        assert stop == Stop("b", 3)
        (fourth,) = answered(begun)  # it ends before those in front of it
        assert (fourth.index, fourth.cancelled) == (3, True)
        assert connection.ended(fourth, "cancelled") == []
        assert receive(connection, type="cancel", id="b", index=3) == []
        assert receive(connection, type="cancel", id="b", index=9) == []
        (third,) = answered(connection.ended(second, "cancelled"))
        assert (third.index, third.cancelled) == (2, False)

    def test_all_of_it_is_cancelled(self) -> None:
        connection = connect()
        first, _ = self.begin(connection, 3, 2)
        assert receive(connection, type="cancel", id="b") == [Stop("b")]
        (third,) = answered(connection.ended(first, "cancelled"))
        assert third.cancelled

    @pytest.mark.parametrize("parallel", [0, 9, -1, 1.5, "2", True, [2]])
    def test_a_wrong_number_is_named(self, parallel: object) -> None:
        connection = connect()
        (error,) = sent(
            receive(connection, type="batch", id="b", messages=["1"], parallel=parallel)
        )
        assert (error["code"], error["id"]) == ("bad_message", "b")
        assert str(error["message"]).startswith("parallel: expected a whole number")

    def test_a_wrong_index_is_named(self) -> None:
        for index in (-1, 20, "0", True):
            (error,) = sent(receive(connect(), type="cancel", id="b", index=index))
            assert str(error["message"]).startswith("index: expected a whole number")
        assert receive(connect(), type="cancel", index="x") == []  # level 1 has no index

    def test_a_conversation_has_no_parallel_questions(self) -> None:
        batch = {"type": "batch", "id": "b", "messages": ["1", "2"], "conversation": "new"}
        (error,) = sent(receive(connect(), **batch, parallel=2))
        assert str(error["message"]).startswith("parallel: not together with conversation")
        assert answered(receive(connect(), **batch, parallel=1))

    def test_level_1_ignores_it(self) -> None:
        (first,) = answered(receive(connect(), type="batch", messages=["1", "2"], parallel="x"))
        assert first.index == 0


class TestHeartbeats:
    """The keep-alive messages of client libraries are not treated as malformed frames."""

    @pytest.mark.parametrize(
        ("text", "reply"),
        [
            ("ping", "pong"),
            ("PING", "PONG"),
            ("ping\n", "pong"),
            ('"ping"', '"pong"'),
            ("__ping__", "__pong__"),
            ("heartbeat", '{"type":"pong"}'),
            ('"keepalive"', '{"type":"pong"}'),
            ('{"type":"heartbeat"}', '{"type":"pong"}'),
            ('{"type":"keepalive"}', '{"type":"pong"}'),
        ],
    )
    def test_a_sign_of_life_gets_one(self, text: str, reply: str) -> None:
        (event,) = connect().receive(text, 0.0)
        assert isinstance(event, Send)
        assert event.frame.encode() == reply

    @pytest.mark.parametrize("text", ["", " ", "\n", "\r\n", "pong", "PONG", '{"type":"pong"}'])
    def test_what_asks_for_nothing_gets_nothing(self, text: str) -> None:
        assert connect().receive(text, 0.0) == []

    @pytest.mark.parametrize("text", ["pingx", "hello", "[]", "2", '{"type":"nope"}'])
    def test_all_else_is_told_to_be_wrong(self, text: str) -> None:
        assert sent(connect().receive(text, 0.0))[0]["type"] == "error"

    def test_they_count_against_the_rate_limit(self) -> None:
        connection = connect(ConnectionLimits(messages_per_minute=3))
        for text in ("", "ping", "pong"):
            connection.receive(text, 0.0)
        error, close = connection.receive("", 0.0)
        assert isinstance(error, Send)
        assert isinstance(close, Close)


class TestFrameSizes:
    @pytest.mark.parametrize("value", [0, 1_023, 1_048_577, "8000", True, 1e4])
    def test_a_bound_out_of_reason_is_refused(self, value: object) -> None:
        for fields in ({"type": "chat", "message": "?"}, {"type": "resume", "stream": "s"}):
            (error,) = sent(receive(connect(), id="q", offset=0, **fields, max_frame_bytes=value))
            assert str(error["message"]).startswith("max_frame_bytes: ")
