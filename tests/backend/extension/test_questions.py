"""Questions of a handler: their data, and which answers fit."""

from __future__ import annotations

from typing import Any

import pytest

from wireside.errors import BadMessage
from wireside.extension.questions import (
    Approve,
    AskText,
    Choose,
    Field,
    Form,
    Question,
    answered,
    open_question,
    question_part,
)
from wireside.parts import DataPart, TextPart, data_of, label_of

CHOICE = Choose("Which?", {"a": "Apples", "b": "Pears"})
FORM = Form(
    "Where to?",
    [
        Field(name="city"),
        Field(name="nights", type="number", required=False),
        Field(name="class", type="choice", options=["one", "two"]),
        Field(name="late", type="switch"),
    ],
)


def part(question: Question) -> DataPart:
    found = question_part(question, part_id="1").part
    assert isinstance(found, DataPart)
    return found


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        (Approve("Send?"), True, True),
        (Approve("Send?"), False, False),
        (CHOICE, "a", "a"),
        (CHOICE, ["b"], "b"),
        (Choose("Which?", ["x", "y"], multiple=True), ["y", "x"], ["x", "y"]),
        (AskText("Name?"), "Ada", "Ada"),
        (
            FORM,
            {"city": "Zürich", "class": "two", "late": True, "unknown": 1},
            {"city": "Zürich", "nights": None, "class": "two", "late": True},
        ),
    ],
)
def test_an_answer_that_fits(question: Question, answer: Any, expected: Any) -> None:
    found = answered(part(question), answer).part
    assert isinstance(found, DataPart)
    assert question.parse((data_of(found) or {})["answer"]) == expected
    assert open_question([found]) is None


@pytest.mark.parametrize(
    ("question", "answer", "sentence"),
    [
        (Approve("Send?"), "true", "true or false"),
        (Approve("Send?"), 1, "true or false"),
        (CHOICE, "c", "options"),
        (CHOICE, ["a", "b"], "one of"),
        (CHOICE, [], "one of"),
        (CHOICE, [{"a": 1}], "options"),
        (AskText("Name?"), " ", "missing"),
        (AskText("Name?"), {"a": 1}, "missing"),
        (AskText("Name?"), "x" * 100_001, "at most"),
        (FORM, [], "object"),
        (FORM, {"class": "one"}, "answer.city"),
        (FORM, {"city": "x", "class": "three"}, "answer.class"),
        (FORM, {"city": "x", "class": "one", "nights": "2"}, "answer.nights"),
        (FORM, {"city": "x", "class": "one", "nights": 10**400}, "answer.nights"),
        (FORM, {"city": "x", "class": "one", "nights": float("nan")}, "answer.nights"),
        (FORM, {"city": "x", "class": "one", "nights": True}, "answer.nights"),
        (FORM, {"city": "x", "class": "one", "late": 1}, "answer.late"),
    ],
)
def test_an_answer_that_does_not_fit_names_the_field(
    question: Question, answer: Any, sentence: str
) -> None:
    with pytest.raises(BadMessage, match=sentence):
        answered(part(question), answer)


def test_the_text_of_a_question_has_its_answer() -> None:
    assert label_of(part(Approve("Send?"))) == "Send?"
    assert label_of(answered(part(Approve("Send?", yes="Do")), True).part) == "Send?\n\n→ Do"
    assert label_of(answered(part(CHOICE), "a").part) == "Which?\n\n→ a"


def test_only_the_last_question_can_be_open() -> None:
    first = part(Approve("Send?"))
    assert open_question([first, TextPart("later")]) is first
    assert open_question([first, part(AskText("Name?"))]) is not first
    assert open_question([TextPart("none")]) is None
    assert open_question([DataPart(kind="question", data="not JSON")]) is None


@pytest.mark.parametrize(
    "data",
    [
        "[]",
        '{"type": "approve"}',
        '{"prompt": "?", "type": "choose", "options": [1, {}]}',
        '{"prompt": "?", "type": "form", "fields": {"a": 1}}',
        '{"prompt": "?", "type": "of a newer version"}',
    ],
)
def test_a_malformed_question_of_a_file_is_refused_or_answered(data: str) -> None:
    found = DataPart(kind="question", data=data, id="1")
    try:
        answered(found, {"a": 1})
    except BadMessage:
        return
    assert "form" in data
