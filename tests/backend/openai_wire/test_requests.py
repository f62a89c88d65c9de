"""Messages as a service gets them: complete pairs of calls and results, images, valid names."""

from __future__ import annotations

import json

import pytest

from wireside.messages import Message
from wireside.openai_wire.requests import NOT_RUN, encode_messages, text_only
from wireside.parts import (
    DataPart,
    FilePart,
    ImagePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolState,
)


def call(
    name: str = "weather", arguments: str = "{}", result: str | None = "rain", key: str = "x"
) -> ToolCallPart:
    state: ToolState = "requested" if result is None else "done"
    return ToolCallPart(call=key, name=name, state=state, arguments=arguments, result=result)


def test_text_stays_text() -> None:
    messages = [
        Message.of_text("system", "Be brief."),
        Message.of_text("user", " Hi\n"),
        Message("assistant", (ReasoningPart("hm"), TextPart("Hello"))),
    ]
    assert encode_messages(messages) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " Hi\n"},
        {"role": "assistant", "content": "Hello"},
    ]


def test_calls_and_results_are_pairs_in_their_order() -> None:
    answer = Message(
        "assistant",
        (TextPart("Let me look."), call(), call("time", result=None), TextPart("Rain."), call()),
    )
    first, rain, time, second, more = encode_messages([answer])
    assert first["content"] == "Let me look."
    assert [one["id"] for one in first["tool_calls"]] == ["call00001", "call00002"]
    assert first["tool_calls"][0]["function"] == {"name": "weather", "arguments": "{}"}
    assert rain == {"role": "tool", "tool_call_id": "call00001", "content": "rain"}
    assert time == {"role": "tool", "tool_call_id": "call00002", "content": NOT_RUN}
    assert second["content"] == "Rain."
    assert second["tool_calls"][0]["id"] == more["tool_call_id"] == "call00003"


def test_a_call_without_text_has_no_content_and_ids_are_unique_over_all_messages() -> None:
    first, _, second, _ = encode_messages([Message("assistant", (call(),))] * 2)
    assert first["content"] is None
    assert first["tool_calls"][0]["id"] != second["tool_calls"][0]["id"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("", {}),
        ("  ", {}),
        ('{"a": 1}', {"a": 1}),
        ("[1]", {"input": "[1]"}),
        ('{"a": ', {"input": '{"a": '}),
        ("[" * 100_000, {"input": "[" * 100_000}),
    ],
)
def test_arguments_are_a_json_object(given: str, sent: object) -> None:
    asked, _ = encode_messages([Message("assistant", (call(arguments=given),))])
    assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == sent


def test_names_are_valid() -> None:
    names = ["web.search", "", "é" * 99]
    asked = encode_messages([Message("assistant", tuple(map(call, names)))])[0]
    sent = [one["function"]["name"] for one in asked["tool_calls"]]
    assert sent == ["web_search", "tool", "_" * 64]


def test_images_are_sent_with_their_question_where_a_service_can_load_them() -> None:
    question = (
        TextPart("What is it?"),
        ImagePart(url="data:image/png;base64,AA==", name="a.png"),
        ImagePart(url="/files/1", name="b.png"),
        FilePart(url="/files/2", name="c.pdf"),
        DataPart(kind="form", data="{}"),
    )
    (sent,) = encode_messages([Message("user", question)])
    assert sent["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "text", "text": "[image: b.png]"},
        {"type": "text", "text": "[file: c.pdf]"},
        {"type": "text", "text": "[data: form]"},
    ]
    assert encode_messages([Message("user", question[2:4])])[0]["content"] == (
        "[image: b.png]\n\n[file: c.pdf]"
    )


def test_everything_as_text_for_a_model_without_tools() -> None:
    answer = Message("assistant", (TextPart("Look."), call(), call("time", "", None)))
    plain = text_only(answer)
    assert plain.parts == (TextPart(plain.text),)
    assert plain.text == (
        "Look.\n\n(The tool weather was called with {}. Its result: rain)\n\n"
        f"(The tool time was called with {{}}. {NOT_RUN})"
    )
    assert encode_messages([plain]) == [{"role": "assistant", "content": plain.text}]


def test_a_file_is_sent_as_its_text() -> None:
    file = FilePart(url="upload:x", name="a.csv", text="1;2")
    sent = encode_messages([Message("user", (TextPart("Sum?"), file))])
    text = 'Sum?\n\nThe file "a.csv":\n\n1;2\n\n(End of "a.csv")'
    assert sent == [{"role": "user", "content": text}]
    assert text_only(Message("user", (file,))).text in text
