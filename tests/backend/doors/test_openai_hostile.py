"""Random and near-right bodies get a clear error from the door, never a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from wireside.errors import WiresideError
from wireside.openai_wire import message_list
from wireside.openai_wire.completion_request import read_completion_request
from wireside.openai_wire.fields import BadField
from wireside.openai_wire.response_request import read_response_request

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)

PARTS = st.sampled_from(
    [
        {"type": "text", "text": "a"},
        {"type": "input_text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}},
        {"type": "image_url", "image_url": "x"},
        {"type": "input_image", "image_url": "http://example.org/a.png"},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,YQ=="}},
        {"type": "input_file", "file_id": "x"},
        {"type": "input_audio"},
        {"type": 5},
    ]
)

NAMES = (
    *(
        "model",
        "messages",
        "input",
        "stream",
        "stream_options",
        "temperature",
        "max_tokens",
        "tools",
    ),
    *("tool_choice", "n", "metadata", "store", "stop", "top_p", "seed", "response_format", "text"),
    *("previous_response_id", "conversation", "background", "include", "reasoning", "logit_bias"),
    *("instructions", "modalities", "max_completion_tokens", "max_output_tokens", "functions"),
)

MESSAGES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["user", "system", "developer", "assistant", "tool", "x"])
            | JSON,
            "content": JSON | st.lists(PARTS | JSON, max_size=3),
            "name": JSON,
            "type": st.sampled_from(
                ["message", "function_call", "function_call_output", "mcp_call", "reasoning", "x"]
            ),
            "call_id": st.sampled_from(["a", "b"]),
            "id": JSON,
            "output": JSON,
            "arguments": JSON,
            "tool_call_id": st.sampled_from(["a", "b"]) | JSON,
            "tool_calls": JSON
            | st.lists(
                st.fixed_dictionaries(
                    {
                        "id": st.sampled_from(["a", "b"]),
                        "function": st.fixed_dictionaries({"name": st.text(max_size=3)}),
                    }
                ),
                max_size=2,
            ),
        },
    ),
    max_size=4,
)

BODIES = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4) | st.fixed_dictionaries(
    {"messages": MESSAGES, "input": MESSAGES},
    optional={name: JSON for name in NAMES if name not in ("messages", "input")},
)


@settings(max_examples=examples(600))
@given(BODIES)
def test_a_body_is_read_or_refused_with_a_sentence(body: dict[str, Any]) -> None:
    for read in (read_completion_request, read_response_request):
        try:
            request = read(body)
        except WiresideError as error:
            assert str(error).endswith(".")
        else:
            assert not request.parameters or isinstance(json.loads(request.parameters), dict)


@pytest.mark.parametrize("body", [None, [], "x", 5])
def test_a_body_is_an_object(body: object) -> None:
    for read in (read_completion_request, read_response_request):
        with pytest.raises(BadField):
            read(body)


@pytest.mark.parametrize("number", [10**400, -(10**400), float("inf"), float("nan"), True, "1"])
@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_a_number_out_of_its_bounds_is_refused(name: str, number: object) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    for read in (read_completion_request, read_response_request):
        with pytest.raises(BadField) as refused:
            read({"messages": messages, "input": messages, name: number})
        assert refused.value.param == name


def test_the_parts_of_all_messages_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_list, "MAX_PARTS", 10)
    message = {"role": "user", "content": [{"type": "text", "text": "a"}] * 4}
    body = {"messages": [message] * 2, "input": [message] * 2}
    longer = {"messages": [message] * 3, "input": [message] * 3}
    for read, name in ((read_completion_request, "messages"), (read_response_request, "input")):
        assert sum(len(one.parts) for one in read(body).messages) == 8
        with pytest.raises(BadField) as refused:
            read(longer)
        assert refused.value.param == name
