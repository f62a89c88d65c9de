"""The messages of a request: results belong to the latest open call with their id."""

from __future__ import annotations

from dataclasses import replace

from wireside.messages import Message
from wireside.openai_wire.message_list import MessageList
from wireside.parts import TextPart, ToolCallPart


def call(call_id: str, name: str = "f", *, result: str | None = None) -> ToolCallPart:
    part = ToolCallPart(call=call_id, name=name, state="requested", arguments="")
    return part if result is None else replace(part, state="done", result=result)


def results(messages: tuple[Message, ...]) -> list[list[str | None]]:
    return [
        [part.result for part in message.parts if isinstance(part, ToolCallPart)]
        for message in messages
    ]


def test_results_fill_the_latest_message_first_and_its_calls_in_order() -> None:
    found = MessageList("messages")
    found.add_message("assistant", (call("a"), call("b")))
    found.add_message("assistant", (TextPart("x"), call("a"), call("a")))
    given = [found.add_result("a", str(number)) for number in range(4)]
    assert given == [True, True, True, False]
    assert not found.add_result("c", "none")
    assert results(found.messages()) == [["2", None], ["0", "1"]]
    assert found.messages()[1].parts[1] == call("a", result="0")


def test_a_call_joins_the_answer_before_it_until_that_has_results() -> None:
    found = MessageList("input")
    found.add_message("user", (TextPart("Hi"),))
    found.add_call(call("a"))
    found.add_call(call("b"))
    found.add_result("a", "1")
    found.add_call(call("c", result="2"))
    found.add_call(call("d"))
    assert [one.role for one in found.messages()] == ["user", *["assistant"] * 3]
    assert results(found.messages()) == [[], ["1", None], ["2"], [None]]
