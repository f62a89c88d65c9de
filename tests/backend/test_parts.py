"""Parts of messages: their order, their text, and their JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wireside.messages import Entry, PartDelta, ReasoningDelta, TextDelta, ToolDelta, parts_of
from wireside.parts import (
    DataPart,
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolState,
    label_of,
    part_from_object,
    part_to_object,
    searched_text,
    text_of,
    with_text,
)

IMAGE = ImagePart(url="https://a.example/a.png", media_type="image/png", name="a.png")
FILE = FilePart(url="/files/1", media_type="text/csv", name="b.csv", size_bytes=3)
DATA = DataPart(kind="chart", data='{"x": [1, 2]}')
EVERY_KIND: list[Part] = [
    TextPart("a\0b"),
    ReasoningPart("hm"),
    ToolCallPart(call="1", name="f", state="requested", arguments="{}"),
    ToolCallPart(call="2", name="f", state="failed", arguments="", result=""),
    IMAGE,
    FILE,
    FilePart(url="/files/2"),
    DATA,
    DataPart(kind="step", data="{}", id="1", text="step"),
]


def test_an_answer_keeps_the_order_in_which_it_came() -> None:
    entries: list[Entry] = [
        TextDelta("Let me "),
        TextDelta("look."),
        ToolDelta("1", "search", "running", "{}"),
        TextDelta("Meanwhile"),
        ToolDelta("1", "search", "done", "{}", "found"),
        TextDelta(" this."),
        ReasoningDelta("hm"),
        TextDelta("So."),
    ]
    assert parts_of(entries) == (
        TextPart("Let me look."),
        ToolCallPart(call="1", name="search", state="done", arguments="{}", result="found"),
        TextPart("Meanwhile this."),
        ReasoningPart("hm"),
        TextPart("So."),
    )


def test_data_is_in_the_place_of_its_first_state_even_across_streams() -> None:
    def step(part_id: str, data: str) -> PartDelta:
        return PartDelta(DataPart(kind="step", data=data, id=part_id))

    first: list[Entry] = [step("1", "running"), step("", "a"), TextDelta("then"), step("", "b")]
    second: list[Entry] = [step("1", "done"), TextDelta(" more")]
    found = parts_of(first, second)
    data = [part.data if isinstance(part, DataPart) else part for part in found]
    assert data == ["done", "a", TextPart("then"), "b", TextPart(" more")]


def test_a_continued_answer_goes_on_within_a_word_and_has_calls_of_its_own() -> None:
    first: list[Entry] = [ToolDelta("call_1", "f", "requested"), TextDelta("wo")]
    second: list[Entry] = [TextDelta("rd"), ToolDelta("call_1", "g", "requested")]
    kinds = [
        part.name if isinstance(part, ToolCallPart) else part for part in parts_of(first, second)
    ]
    assert kinds == ["f", TextPart("word"), "g"]
    assert parts_of() == parts_of([TextDelta("")]) == ()


def test_a_call_that_waited_for_approval_is_one_part() -> None:
    def call(state: ToolState, arguments: str = "{}") -> ToolDelta:
        return ToolDelta("call_1", "f", state, arguments)

    asked: list[Entry] = [call("running"), TextDelta("May I?")]
    found = parts_of(asked, [call("done")])
    assert [part.state for part in found if isinstance(part, ToolCallPart)] == ["done"]
    found = parts_of(asked, [call("running"), call("done", '{"another": "call"}')])
    assert len(found) == 2
    found = parts_of(asked, [call("done", '{"another": "call"}')])
    assert len(found) == 3
    found = parts_of([call("running", ""), call("running"), call("done")], [call("running", "")])
    assert len(found) == 2


def test_the_text_of_parts_is_separated_where_something_is_between() -> None:
    call = ToolCallPart(call="1", name="f", state="done")
    assert text_of([TextPart("\n one \n")]) == "\n one \n"
    assert text_of([TextPart("one\n"), call, TextPart("\n"), call, TextPart("\n\ntwo")]) == (
        "one\n\ntwo"
    )
    assert text_of([call]) == ""


def test_an_edited_question_keeps_its_files() -> None:
    assert with_text([TextPart("a"), IMAGE, FILE], "b") == (TextPart("b"), IMAGE, FILE)
    assert [label_of(part) for part in (IMAGE, FILE, DATA, ImagePart(url="x"))] == [
        "[image: a.png]",
        "[file: b.csv]",
        "[data: chart]",
        "[image]",
    ]


@pytest.mark.parametrize("part", EVERY_KIND)
def test_json_restores_a_part(part: Part) -> None:
    assert part_from_object(json.loads(json.dumps(part_to_object(part)))) == part


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ({}, None),
        ({"type": []}, None),
        ({"type": "text", "text": 1}, None),
        ({"type": "reasoning"}, None),
        ({"type": "tool", "state": ["done"]}, ToolCallPart(call="", name="", state="failed")),
        ({"type": "image", "url": None}, ImagePart(url="")),
        ({"type": "file", "size_bytes": True}, FilePart(url="")),
        ({"type": "file", "size_bytes": -1}, FilePart(url="")),
    ],
)
def test_malformed_json_is_no_error(value: dict[str, Any], part: Part | None) -> None:
    assert part_from_object(value) == part


def test_a_message_is_found_by_what_was_said_not_by_what_was_read() -> None:
    parts = (
        TextPart("Sums."),
        DataPart(kind="source", data='{"title": "Warehouse", "text": "excerpt"}'),
        DataPart(kind="source", data='{"title": ["x"]}'),
        DataPart(kind="source", data="[" * 100_000),
        DataPart(kind="step", data='{"output": "rows"}', text="(sql — done: rows)"),
        DataPart(kind="question", data="{}", text="Send it?\n\n→ Yes"),
        ImagePart(url="data:x", name="chart.png"),
        FilePart(url="data:x", name="sums.csv"),
    )
    assert searched_text(parts) == (
        "Sums.\n\nWarehouse\n\nSend it?\n\n→ Yes\n\nchart.png\n\nsums.csv"
    )
