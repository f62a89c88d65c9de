"""The messages that a browser may send, and how the composer parses them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.messages import Options
from wireside_ui.components.composer.composer import _sending
from wireside_ui.presenters.views import Sending

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
KEYS = ("turn_id", "question", "edits", "attachments", "options")
OPTIONS = ("model", "system", "temperature", "max_tokens")


@given(
    JSON
    | st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(KEYS[:4], JSON),
            "options": JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(OPTIONS, JSON)),
        },
    )
)
def test_whatever_comes_is_a_question_or_nothing(args: Any) -> None:
    sending = _sending(args)
    if sending is None:
        return
    assert isinstance(sending.question, str)
    assert 0 < len(sending.turn_id) <= 64
    options = sending.options
    assert options.temperature is None or 0 <= options.temperature <= 2
    assert options.max_tokens is None or options.max_tokens > 0
    assert options.system is None or options.system.strip()


def test_a_question_comes_with_its_options() -> None:
    sent = {
        "turn_id": "a",
        "question": "why?",
        "edits": "b",
        "options": {"model": "m", "system": "Be brief.", "temperature": 0.5, "max_tokens": 9},
    }
    assert _sending(sent) == Sending(
        turn_id="a",
        question="why?",
        options=Options(model="m", system="Be brief.", temperature=0.5, max_tokens=9),
        edits="b",
    )


@pytest.mark.parametrize(
    ("options", "invalid"),
    [
        ({"temperature": 7}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": 10**400}, "temperature"),
        ({"temperature": "0.5"}, "temperature"),
        ({"temperature": True, "max_tokens": True}, "temperature"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 1_000_001, "model": "m"}, "max_tokens"),
        ({"system": "x" * 20_001}, "system"),
        ({"model": 7}, "model"),
        ({"system": "  ", "model": "", "temperature": 0, "max_tokens": None}, ""),
        ([], ""),
    ],
)
def test_an_option_out_of_its_range_is_named(options: Any, invalid: str) -> None:
    """An invalid value is never replaced by another one."""
    sending = _sending({"turn_id": "a", "question": "q", "options": options})
    assert sending is not None
    assert sending.invalid == invalid
    assert sending.options.temperature in (None, 0.0)
    assert sending.options.max_tokens is None


def test_attachments_are_ids() -> None:
    sent = {"turn_id": "t", "question": "", "options": {}}
    found = _sending({**sent, "attachments": ["a", "b"]})
    assert found is not None
    assert found.attachments == ("a", "b")
    for wrong in ("a", [1], ["x" * 65], {"a": 1}):
        assert _sending({**sent, "attachments": wrong}) is None
