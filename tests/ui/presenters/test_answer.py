"""The presentation of a turn on a page."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.conftest import HandStream
from wireside.chat.conversation import ConversationTurn
from wireside.errors import ProviderRateLimited, ProviderUnavailable
from wireside.generation.log import AnswerLog
from wireside.generation.reader import Reader, Signal
from wireside.generation.runner import Stream
from wireside.messages import (
    Cost,
    End,
    Options,
    PartDelta,
    ReasoningDelta,
    TextDelta,
    Timing,
    ToolDelta,
    Usage,
)
from wireside.parts import DataPart, ImagePart, TextPart, text_parts
from wireside.records import Feedback
from wireside_ui.markdown.dialect import Markup
from wireside_ui.presenters.answer import (
    MORE,
    READ_CHARS,
    Follower,
    details_of,
    retry_after,
    row_of,
    state_of,
)

MARKUP = Markup(frozenset())


def turn_with(*streams: Any, waiting: bool = False) -> ConversationTurn:
    return ConversationTurn(
        id="t",
        question_parts=text_parts("why?"),
        options=Options(),
        branch=0,
        depth=0,
        created_at=0.0,
        waiting=waiting,
        feedback=None,
        segments=list(streams),
    )


class TestStates:
    def test_a_turn_waits_then_thinks_then_streams_then_is_done(self, stream: HandStream) -> None:
        assert state_of(turn_with(waiting=True)) == "waiting"
        assert state_of(turn_with()) == "thinking"
        turn = turn_with(stream)
        assert state_of(turn) == "thinking"
        stream.say("a")
        assert state_of(turn) == "streaming"
        stream.close()
        assert state_of(turn) == "done"

    @pytest.mark.parametrize(
        ("reason", "state"),
        [("stop", "done"), ("cancelled", "stopped"), ("interrupted", "interrupted"),
         ("length", "length_reached"), ("content_filter", "filtered")],
    )  # fmt: skip
    def test_an_end_has_its_state(self, stream: HandStream, reason: Any, state: str) -> None:
        stream.say("a")
        assert state_of(turn_with(stream.close(reason))) == state

    def test_an_answer_of_nothing_is_empty(self, stream: HandStream) -> None:
        stream.log.append_entry(ReasoningDelta("hm"))
        stream.say(" \n")
        assert state_of(turn_with(stream.close())) == "empty"

    def test_an_answer_of_tool_calls_is_not_empty(self, stream: HandStream) -> None:
        stream.log.append_entry(ToolDelta("1", "f", "done"))
        assert state_of(turn_with(stream.close())) == "done"

    def test_the_last_segment_decides(self, new_stream: Callable[[], HandStream]) -> None:
        first, second = new_stream(), new_stream()
        first.say("kept")
        first.close("cancelled")
        turn = turn_with(first, second)
        assert state_of(turn) == "streaming"
        second.close()
        assert state_of(turn) == "done"


class TestErrors:
    def test_an_error_is_told_in_the_readers_language(self, stream: HandStream) -> None:
        turn = turn_with(stream.close(error=ProviderUnavailable()))
        assert row_of(turn, MARKUP, "en").error == str(ProviderUnavailable())
        assert row_of(turn, MARKUP, "de").error.startswith("Der Modelldienst")

    def test_only_a_rate_limit_before_the_first_word_is_tried_again_by_itself(
        self, new_stream: Callable[[], HandStream]
    ) -> None:
        limit = ProviderRateLimited(retry_after=7.0)
        silent, begun, other = new_stream(), new_stream(), new_stream()
        begun.say("half")
        assert retry_after(turn_with(silent.close(error=limit))) == 7.0
        assert retry_after(turn_with(begun.close(error=limit))) is None
        assert retry_after(turn_with(other.close(error=ProviderUnavailable()))) is None
        assert retry_after(turn_with()) is None


class TestRows:
    def test_a_finished_answer_comes_whole(self, new_stream: Callable[[], HandStream]) -> None:
        first, second = new_stream(), new_stream()
        first.log.append_entry(ReasoningDelta("hm"))
        first.log.append_entry(ToolDelta("c", "clock", "running", "{}", None))
        first.log.append_entry(ToolDelta("c", "clock", "done", "{}", "noon"))
        first.say("**it is ")
        first.close("cancelled")
        second.say("noon**")
        second.close()
        row = row_of(turn_with(first, second), MARKUP, "en")
        reasoning, tool, text = row.parts
        assert reasoning == {"kind": "reasoning", "text": "hm", "seconds": None}
        assert tool["kind"] == "tool"
        assert (tool["state"], tool["result"]) == ("done", "noon")
        assert text["kind"] == "text"
        assert "<strong>it is noon</strong>" in text["html"]

    def test_other_parts_are_rows_of_data_and_hidden_ones_are_not_shown(
        self, new_stream: Callable[[], HandStream]
    ) -> None:
        first, second = new_stream(), new_stream()
        for stream, step_state in ((first, "running"), (second, "done")):
            data = f'{{"state": "{step_state}", "name": "\u202ea"}}'
            stream.log.append_entry(
                PartDelta(DataPart(kind="step", data=data, id="1", text="step"))
            )
            stream.log.append_entry(PartDelta(DataPart(kind=".state", data="{}", id="2")))
            stream.close()
        expected = {
            "kind": "data",
            "id": "1",
            "type": "step",
            "text": "step",
            "data": {
                "name": "a",
                "state": "done",
                "input": "",
                "output": "",
                "parent": "",
                "seconds": None,
            },
        }
        assert row_of(turn_with(first, second), MARKUP, "en").parts == (expected,)
        follower = Follower(turn_with(first, second), MARKUP, lambda: None)
        ops, has_ended = follower.tick()
        assert [op[0] for op in ops] == ["d", "d"]
        assert ops[-1] == ["d", expected]
        assert has_ended

    def test_parts_are_in_the_order_in_which_they_came(self, stream: HandStream) -> None:
        interleave(stream)
        row = row_of(turn_with(stream.close()), MARKUP, "en")
        kinds = [part["kind"] for part in row.parts]
        assert kinds == ["text", "tool", "text", "reasoning", "text"]
        (first, *_, last) = [part["html"] for part in row.parts if part["kind"] == "text"]
        assert (first, last) == ("<p>Look.</p>", "<p>Rain.</p>")

    def test_the_beginning_ends_within_the_part_that_is_too_long(self, stream: HandStream) -> None:
        interleave(stream)
        stream.close()
        row = row_of(turn_with(stream), MARKUP, "en", chars=8)
        kinds = [part["kind"] for part in row.parts]
        assert kinds == ["text", "tool", "text"]
        assert MORE in str(row.parts[-1])

    def test_a_question_names_what_is_not_text(self, stream: HandStream) -> None:
        turn = turn_with(stream.close())
        turn.question_parts = (TextPart("What is it?"), ImagePart(url="x", name="a.png"))
        assert row_of(turn, MARKUP, "en").question == "What is it?\n\n[image: a.png]"

    def test_a_turn_says_its_place_and_what_was_thought_of_it(self, stream: HandStream) -> None:
        turn = turn_with(stream.close())
        turn.feedback = Feedback("up", "nice")
        row = row_of(turn, MARKUP, "en", place=(1, 3))
        assert (row.sibling, row.siblings, row.feedback) == (1, 3, "up")

    def test_what_nobody_sees_is_taken_out_or_shown(
        self, new_stream: Callable[[], HandStream]
    ) -> None:
        stream = new_stream()
        stream.log.append_entry(ReasoningDelta("\u202et\U000e0041"))
        stream.log.append_entry(ToolDelta("1", "\u202en", "done", "\u202ea", "\u202er"))
        turn = turn_with(stream.close())
        turn.question_parts = text_parts("\u202eq\U000e0041")
        row = row_of(turn, MARKUP, "en")
        reasoning, tool = row.parts
        assert row.question == "q\ufffd"
        assert reasoning == {"kind": "reasoning", "text": "t\ufffd", "seconds": None}
        assert tool["kind"] == "tool"
        assert (tool["name"], tool["arguments"], tool["result"]) == ("n", "a", "r")

    def test_of_texts_that_no_browser_could_show_there_is_the_beginning(
        self, stream: HandStream
    ) -> None:
        stream.log.append_entry(ReasoningDelta("r" * 3_500))
        stream.log.append_entry(ToolDelta("c", "n", "done", "a" * 3_500, "r" * 3_500))
        stream.say("x" * 3_500)
        turn = turn_with(stream.close())
        turn.question_parts = text_parts("q" * 3_500)
        row = row_of(turn, MARKUP, "en", max_shown_chars=1_000)
        reasoning, tool, html = row.parts
        assert reasoning["kind"] == "reasoning"
        assert tool["kind"] == "tool"
        assert html["kind"] == "text"
        for text in (row.question, reasoning["text"], html["html"]):
            assert 1_000 < len(text) < 1_200
            assert "2,500 more characters" in text
        assert len(tool["arguments"]) == len(tool["result"]) == 1_000

    def test_a_growing_answer_is_left_to_its_follower(self, stream: HandStream) -> None:
        stream.say("text")
        assert row_of(turn_with(stream), MARKUP, "en").parts == ()


def follow(streams: list[Any], wake: Callable[[], None] = lambda: None, **how: bool) -> Follower:
    return Follower(turn_with(*streams), MARKUP, wake, **how)


def html_of(ops: list[Any]) -> str:
    return "".join(str(part) for op in ops for part in op[1:])


def reasoning_in(ops: list[Any]) -> str:
    return "".join(op[1] for op in ops if op[0] == "g")


def interleave(stream: HandStream) -> None:
    stream.say("Look.")
    stream.log.append_entry(ToolDelta("c", "weather", "running"))
    stream.say("\n")
    stream.log.append_entry(ToolDelta("c", "weather", "done", "", "grey"))
    stream.say("The sky is grey.")
    stream.log.append_entry(ReasoningDelta("hm"))
    stream.say("Rain.")


class TestFollower:
    @pytest.mark.parametrize("is_at_once", [True, False])
    def test_parts_come_in_their_order(self, stream: HandStream, is_at_once: bool) -> None:
        follower = follow([stream])
        ops: list[Any] = []
        if is_at_once:
            interleave(stream)
        else:
            stream.say("Look.")
            ops += follower.tick()[0]
            for state in ("running", "done"):
                stream.log.append_entry(ToolDelta("c", "weather", state))
                ops += follower.tick()[0]
            stream.say("The sky is grey.")
            ops += follower.tick()[0]
            stream.log.append_entry(ReasoningDelta("hm"))
            ops += follower.tick()[0]
            stream.say("Rain.")
        stream.close()
        ops += follower.tick()[0]
        kinds = [
            kind for kind, _ in groupby("ug"[op[0] == "g"] if op[0] in "ug" else "t" for op in ops)
        ]
        assert kinds == ["t", "u", "t", "g", "t"]
        assert {op[1]["call"] for op in ops if op[0] == "u"} == {"0:c"}
        text = html_of([op for op in ops if op[0] not in "ug"])
        assert text.index("Look.") < text.index("The sky is grey.") < text.index("Rain.")

    def test_a_state_of_an_earlier_call_does_not_divide_a_text(self, stream: HandStream) -> None:
        follower = follow([stream])
        stream.log.append_entry(ToolDelta("c", "f", "running"))
        stream.say("**so ")
        ops = follower.tick()[0]
        stream.log.append_entry(ToolDelta("c", "f", "done"))
        stream.say("it is**")
        stream.close()
        ops += follower.tick()[0]
        texts = [op for op in ops if op[0] != "u"]
        assert texts == [["t", 0, "<p><strong>so</strong></p>"], ["f", 13, " it is</strong></p>"]]

    def test_two_segments_have_calls_of_their_own(
        self, new_stream: Callable[[], HandStream]
    ) -> None:
        streams = [new_stream(), new_stream()]
        for one in streams:
            one.log.append_entry(ToolDelta("call_1", "f", "requested"))
            one.close("cancelled")
        calls = [op[1]["call"] for op in follow(streams).tick()[0]]
        assert calls == ["0:call_1", "1:call_1"]

    def test_a_call_that_waited_for_approval_has_one_row(
        self, new_stream: Callable[[], HandStream]
    ) -> None:
        streams = [new_stream(), new_stream()]
        for one, call_state in zip(streams, ("running", "done"), strict=True):
            one.log.append_entry(ToolDelta("call_1", "f", cast("Any", call_state), "{}"))
            one.close("asking")
        calls = [op[1]["call"] for op in follow(streams).tick()[0]]
        assert calls == ["0:call_1", "0:call_1"]

    def test_it_gives_what_is_new_and_ends_with_the_answer(self, stream: HandStream) -> None:
        woken: list[None] = []
        follower = follow([stream], lambda: woken.append(None))
        follower.tick()
        stream.say("Hello ")
        assert woken
        ops, has_ended = follower.tick()
        assert "Hello" in html_of(ops)
        assert not has_ended
        assert follower.tick()[0] == []
        stream.say("you")
        stream.close()
        ops, has_ended = follower.tick()
        assert "you" in html_of(ops)
        assert has_ended

    def test_an_end_is_told_after_all_text(self, stream: HandStream) -> None:
        stream.say("x" * (READ_CHARS + 10))
        stream.close()
        follower = follow([stream])
        assert follower.tick()[1] is False
        assert follower.has_more
        assert follower.tick()[1] is True

    def test_a_new_segment_is_followed_too(self, new_stream: Callable[[], HandStream]) -> None:
        first, second = new_stream(), new_stream()
        turn = turn_with(first)
        follower = Follower(turn, MARKUP, lambda: None)
        first.say("one ")
        follower.tick()
        first.close("cancelled")
        turn.segments.append(cast("Any", second))
        assert follower.has_more
        second.say("two")
        second.close()
        ops, has_ended = follower.tick()
        assert "two" in html_of(ops)
        assert has_ended

    def test_what_nobody_sees_of_a_thought_is_shown_however_it_is_cut(
        self, stream: HandStream
    ) -> None:
        follower = follow([stream])
        shown = ""
        for piece in ("a\U0001f3f4", "\U000e0067", "\U000e0041", "\u202eb"):
            stream.log.append_entry(ReasoningDelta(piece))
            shown += reasoning_in(follower.tick()[0])
        stream.close()
        assert shown + reasoning_in(follower.tick()[0]) == "a\U0001f3f4\ufffd\ufffdb"

    def test_what_goes_on_replaces_what_is_shown_in_one_message(self, stream: HandStream) -> None:
        stream.say("text")
        follower = follow([stream], goes_on=True)
        ops = follower.tick()[0]
        assert ops[0] == ["x"]
        stream.say(" more")
        assert ["x"] not in follower.tick()[0]

    def test_once_closed_it_is_woken_no_more(self, stream: HandStream) -> None:
        woken: list[None] = []
        follower = follow([stream], lambda: woken.append(None))
        follower.tick()
        follower.close()
        stream.say("x")
        assert not woken


@given(st.lists(st.sampled_from(["a ", "**b", "** ", "\n\n", "- x\n", "```\n", "😀"]), max_size=30))
def test_reasoning_and_text_come_whole_however_they_are_cut(pieces: list[str]) -> None:
    log, bell = AnswerLog(), Signal()

    class Stream:
        def __init__(self) -> None:
            self.log = log

        def new_reader(self, offset: int, wake: Callable[[], None]) -> Reader:
            return Reader(log, bell, offset, wake)

    follower = follow([Stream()])
    reasoning = ""
    for piece in pieces:
        log.append_entry(ReasoningDelta(piece))
        log.append_entry(TextDelta(piece))
        reasoning += reasoning_in(follower.tick()[0])
    log.close_with(End("stop"))
    assert reasoning + reasoning_in(follower.tick()[0]) == "".join(pieces)


def test_a_countdown_is_the_only_time_that_a_row_tells(
    new_stream: Callable[[], HandStream],
) -> None:
    error = ProviderRateLimited("The model service is busy; try again in 8 s.", retry_after=8.0)
    row = row_of(turn_with(new_stream().close(error=error)), MARKUP, "en")
    assert (row.error, row.retry_after) == ("The model service is busy.", 8.0)


def test_each_model_that_answered_is_named_once(new_stream: Callable[[], HandStream]) -> None:
    streams = [new_stream() for _ in range(3)]
    streams[1].model = "vendor/other"
    turn = turn_with(*(stream.close() for stream in streams))
    assert row_of(turn, MARKUP, "en", names={"model-a": "Model A"}).model == "Model A, vendor/other"


def test_details_are_what_is_known() -> None:
    stream = Stream("s", "m")
    stream.created_at = 100.0
    assert details_of(turn_with(stream)) is None  # it is still growing
    stream.log.append_entry(TextDelta("so"))
    cost = Cost(0.25, "$")
    usage, timing = Usage(input_tokens=7, output_tokens=40), Timing(first_s=0.5, total_s=2.5)
    stream.log.close_with(End("stop", usage=usage, timing=timing, cost=cost))
    assert details_of(turn_with(stream)) == {
        "code": "",
        "stream": "s",
        "at": 100.0,
        "input_tokens": 7,
        "output_tokens": 40,
        "costs": [(0.25, "$")],
        "first_token_s": 0.5,
        "tokens_per_s": 20.0,
    }
    stored = Stream("t", "m")  # as read from the store: without times and tokens
    stored.created_at = 200.0
    stored.log.close_with(End(None, ProviderUnavailable()))
    details = details_of(turn_with(stream, stored))
    assert details is not None
    assert (details["code"], details["stream"]) == ("provider_unavailable", "t")
    assert (details["output_tokens"], details["tokens_per_s"]) == (40, None)
