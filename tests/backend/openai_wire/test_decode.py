"""Decoding of the chunks that servers send."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.messages import (
    Delta,
    Entry,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    Usage,
    parts_of,
)
from wireside.openai_wire.decode import (
    MAX_CALL_CHARS,
    MAX_CALLS,
    MAX_NAME,
    Completion,
    ErrorSent,
    Malformed,
)
from wireside.testing import answer, event
from wireside.testing.scripts import interleaved


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def read(*pieces: bytes) -> tuple[Completion, list[Delta]]:
    completion = Completion()
    deltas = [delta for piece in pieces for delta in completion.feed(piece)]
    return completion, deltas + completion.flush()


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


@given(st.lists(st.integers(0, 20_000), max_size=40), st.integers(0, 99))
def test_the_text_does_not_depend_on_the_cuts(places: list[int], seed: int) -> None:
    script = answer(30, seed=seed)
    data = b"".join(step for step in script.body if isinstance(step, bytes))
    at = [0, *sorted(place % len(data) for place in places), len(data)]
    completion, deltas = read(*(data[a:b] for a, b in zip(at, at[1:], strict=False)))
    assert text_of(deltas) == script.text
    assert (completion.reason, completion.failure) == ("stop", None)
    assert completion.usage == Usage(7, 30)


def test_what_came_together_is_one_delta() -> None:
    _, deltas = read(chunk(content="a") + chunk(content="b") + chunk(content="c"))
    assert deltas == [TextDelta("abc")]


def test_reasoning_and_text_keep_their_order() -> None:
    _, deltas = read(
        chunk(reasoning_content="hm")
        + chunk(reasoning="…")
        + chunk(content="a")
        + chunk(reasoning_content="wait")
        + chunk(reasoning_content=" so", content="b")
    )
    assert deltas == [
        ReasoningDelta("hm…"),
        TextDelta("a"),
        ReasoningDelta("wait so"),
        TextDelta("b"),
    ]


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "text"},
        {"content": [{"type": "text", "text": "te"}, {"type": "text", "text": "xt"}]},
        {"content": {"type": "text", "text": "text"}},
        {"content": ["te", "xt"]},
        {"content": None, "refusal": "text"},
        {"content": "te", "refusal": "xt"},
    ],
)
def test_text_comes_in_many_forms(delta: dict[str, Any]) -> None:
    _, deltas = read(chunk(**delta))
    assert deltas == [TextDelta("text")]


@pytest.mark.parametrize(
    "data",
    [
        event({"choices": []}),
        event({"choices": [], "prompt_filter_results": []}),
        event({"choices": None}),
        event({"choices": [{"index": 0, "delta": {}}]}),
        event({"choices": [{"index": 0, "delta": None}]}),
        event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
        event({"choices": [{"delta": {"content": None}, "finish_reason": None}]}),
        event({"choices": [{"index": 1, "delta": {"content": "another"}}]}),
        event({"type": "ping"}, "ping"),
        b": keepalive\n\n",
        b"\n\n",
    ],
)
def test_chunks_without_text_are_no_sign_of_life(data: bytes) -> None:
    completion, deltas = read(data)
    assert (deltas, completion.activity, completion.failure) == ([], 0, None)


def test_only_the_first_choice_is_taken() -> None:
    both = [
        {"index": 1, "delta": {"content": "no"}, "finish_reason": "length"},
        {"index": 0, "delta": {"content": "yes"}},
    ]
    completion, deltas = read(event({"choices": both}))
    assert (deltas, completion.reason) == ([TextDelta("yes")], None)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "stop"),
        ("function_call", "stop"),
        ("eos", "stop"),
        ("error", "interrupted"),
    ],
)
def test_finish_reasons(said: str, meant: str) -> None:
    completion, _ = read(chunk(said, content="a"))
    assert completion.reason == meant


def test_the_last_chunk_may_hold_everything() -> None:
    data = {
        "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": None},
    }
    completion, deltas = read(event(data))
    assert (deltas, completion.reason) == ([TextDelta("a")], "stop")
    assert completion.usage == Usage(3, None)


def test_a_tool_call_is_put_together() -> None:
    script = answer(
        ["a"], tool_calls=[("weather", '{"city": "Zürich"}'), ("time", "{}")], finish="tool_calls"
    )
    completion, deltas = read(*(step for step in script.body if isinstance(step, bytes)))
    assert deltas == [
        TextDelta("a"),
        ToolDelta("call_lab_0", "weather", "requested", '{"city": "Zürich"}'),
        ToolDelta("call_lab_1", "time", "requested", "{}"),
    ]
    assert completion.reason == "stop"


@pytest.mark.parametrize("after", ["\n", "\n```", "\n```py\n", "\n\ntext"])
def test_the_place_of_a_tool_call_does_not_depend_on_the_cuts(after: str) -> None:
    call = chunk(function_call={"name": "f", "arguments": "{}"})
    rest = [chunk(content=after), chunk(content="<think> <"), chunk(finish="stop")]

    def parts(*pieces: bytes) -> list[object]:
        joined: list[object] = []
        for delta in read(*pieces)[1]:
            if isinstance(delta, TextDelta) and joined and isinstance(joined[-1], str):
                joined[-1] += delta.text
            else:
                joined.append(delta.text if isinstance(delta, TextDelta) else delta)
        return joined

    whole = parts(call + b"".join(rest))
    assert whole == parts(call, *rest)
    assert whole == parts(*(bytes((byte,)) for byte in call + b"".join(rest)))


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (  # all in one chunk, without index or id
            [{"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}],
            [ToolDelta("call_1", "f", "requested", "{}")],
        ),
        (  # arguments as an object
            [{"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": {}}}]}],
            [ToolDelta("x", "f", "requested", "{}")],
        ),
        (  # two calls with the same index and different ids
            [
                {"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f"}}]},
                {"tool_calls": [{"index": 0, "id": "y", "function": {"name": "g"}}]},
            ],
            [ToolDelta("x", "f", "requested"), ToolDelta("y", "g", "requested")],
        ),
        (  # no index, pieces one after the other
            [
                {"tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{"}}]},
                {"tool_calls": [{"function": {"arguments": "}"}}]},
                {"tool_calls": [{"id": "y", "function": {"name": "g", "arguments": "1"}}]},
            ],
            [ToolDelta("x", "f", "requested", "{}"), ToolDelta("y", "g", "requested", "1")],
        ),
        (  # pieces without an id belong to the last call of their index
            [
                {"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f"}}]},
                {"tool_calls": [{"index": 0, "id": "y", "function": {"name": "g"}}]},
                {"tool_calls": [{"index": 0, "id": "", "function": {"arguments": "1"}}]},
                {"tool_calls": [{"index": 0, "id": "x", "function": {"arguments": "2"}}]},
            ],
            [ToolDelta("x", "f", "requested", "2"), ToolDelta("y", "g", "requested", "1")],
        ),
        (  # the older form
            [
                {"function_call": {"name": "f", "arguments": "{"}},
                {"function_call": {"arguments": "}"}},
            ],
            [ToolDelta("call_1", "f", "requested", "{}")],
        ),
    ],
)
def test_tool_calls_come_in_many_forms(
    deltas: list[dict[str, Any]], expected: list[ToolDelta]
) -> None:
    _, found = read(*(chunk(**delta) for delta in deltas), chunk("tool_calls"))
    assert found == expected


@pytest.mark.parametrize(
    "calls",
    [
        [{"index": n} for n in range(MAX_CALLS + 1)],
        [{"id": f"{n}"} for n in range(MAX_CALLS + 1)],
        [{"index": n, "id": f"{n}" * (MAX_CALL_CHARS // 2)} for n in range(3)],
        [{"index": 0, "function": {"arguments": "x" * 1_000}}] * (MAX_CALL_CHARS // 1_000 + 1),
    ],
)
def test_tool_calls_without_end_break_an_answer_off(calls: list[dict[str, Any]]) -> None:
    """Tool calls are shown when they end, so a user would not stop an endless one."""
    completion = Completion()
    for call in calls:
        completion.feed(chunk(tool_calls=[call]))
    assert isinstance(completion.failure, Malformed)
    assert completion.feed(chunk("tool_calls")) == []


def test_a_name_without_end_is_cut() -> None:
    names = ({"index": 0, "id": "x", "function": {"name": char * 150}} for char in "fg")
    _, deltas = read(*(chunk(tool_calls=[name]) for name in names), chunk("tool_calls"))
    assert deltas == [ToolDelta("x", ("f" * 150 + "g" * 150)[:MAX_NAME], "requested")]


def test_an_unfinished_tool_call_is_not_proposed() -> None:
    call = {"index": 0, "id": "x", "function": {"name": "rm", "arguments": '{"path": "/'}}
    completion, deltas = read(chunk(tool_calls=[call]))
    assert (deltas, completion.reason) == ([], None)
    assert completion.activity == 1


@pytest.mark.parametrize(
    "data",
    [
        event({"error": {"message": "broke", "code": 500}}),
        event({"error": "broke"}),
        event({"error": {"message": "broke"}}, "error"),
        event({"message": "broke"}, "error"),
        event("broke", "error"),
        event({"object": "error", "message": "broke", "code": 400}),
        event({"detail": "broke"}),
        event({"choices": [{"index": 0, "delta": {"content": "x"}}], "error": {"message": "b"}}),
    ],
)
def test_errors_inside_the_stream_are_seen(data: bytes) -> None:
    completion, deltas = read(chunk(content="kept") + data + chunk(content="never"))
    assert deltas == [TextDelta("kept")]
    assert isinstance(completion.failure, (ErrorSent, Malformed))


@pytest.mark.parametrize("data", ['{"choices": [{', '["x"]', "html", '"text"', "{", "[" * 100_000])
def test_what_is_no_chunk_is_malformed(data: str) -> None:
    completion, deltas = read(chunk(content="kept") + event(data) + chunk(content="never"))
    assert deltas == [TextDelta("kept")]
    assert isinstance(completion.failure, Malformed)


def test_a_stream_that_ends_inside_an_event_is_only_cut_off() -> None:
    completion, deltas = read(chunk(content="kept") + b'data: {"choices": [{"del')
    assert deltas == [TextDelta("kept")]
    assert (completion.reason, completion.failure) == (None, None)


def test_the_last_event_needs_no_blank_line() -> None:
    completion, deltas = read(chunk("stop", content="a").rstrip())
    assert (deltas, completion.reason) == ([TextDelta("a")], "stop")


def test_nothing_counts_after_done() -> None:
    completion, deltas = read(chunk("stop", content="a") + event("[DONE]") + chunk(content="b"))
    assert deltas == [TextDelta("a")]
    assert completion.is_done


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((r'"a\ud83d"', r'"\ude42b"'), "a🙂b"),  # a surrogate pair, cut between its halves
        ((r'"a\ud83d\ude42b"',), "a🙂b"),
        ((r'"a\ude42b"',), "a\ufffdb"),  # half a pair can't be encoded
    ],
)
def test_surrogates_never_leave_alone(pieces: tuple[str, ...], text: str) -> None:
    _, deltas = read(
        *(event(f'{{"choices": [{{"delta": {{"content": {piece}}}}}]}}') for piece in pieces)
    )
    assert text_of(deltas) == text


def test_no_surrogate_leaves_by_another_door() -> None:
    call = {"index": 0, "id": "x", "function": {"name": "f", "arguments": "\ud83d"}}
    rest = {"index": 0, "function": {"arguments": "\ude42\ud83d"}}
    data = [
        {"reasoning_content": "a\ude42"},
        {"refusal": "b\ude42"},
        {"tool_calls": [call]},
        {"tool_calls": [rest]},
    ]
    events = [json.dumps({"choices": [{"delta": delta}]}) for delta in data]
    _, deltas = read(*map(event, events), chunk("stop"))
    assert deltas == [
        ReasoningDelta("a\ufffd"),
        TextDelta("b\ufffd"),
        ToolDelta("x", "f", "requested", "🙂\ufffd"),
    ]


def test_no_surrogate_leaves_in_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "a\ude42"}, "b"]
    _, deltas = read(event(json.dumps({"choices": [{"delta": {"content": parts}}]})))
    assert text_of(deltas) == "a\ufffdb"


@pytest.mark.parametrize(
    "data",
    [
        '{"choices": [{"delta": {"content": ' + '{"text": ' * 990 + '"x"' + "}" * 990 + "}}]}",
        '{"choices": [{"delta": {"content": ' + "[" * 5_000 + "]" * 5_000 + "}}]}",
        "[" * 100_000,
    ],
)
def test_what_is_nested_too_deep_is_no_chunk(data: str) -> None:
    completion, deltas = read(chunk(content="kept"), event(data), chunk(content="late"))
    assert text_of(deltas) == "kept"
    assert isinstance(completion.failure, Malformed)


@pytest.mark.parametrize("tokens", [-1, 2**53, 10**30])
def test_numbers_of_tokens_that_can_not_be_are_unknown(tokens: int) -> None:
    data = {"choices": [], "usage": {"prompt_tokens": tokens, "completion_tokens": 5}}
    completion, _ = read(event(data))
    assert completion.usage == Usage(None, 5)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({}, ""),
        ({"id": None, "model": None}, ""),
        ({"id": 7, "model": ["a"]}, ""),
        ({"id": "a", "model": "a"}, "a"),
        ({"id": "a\ud800", "model": "a\ud800"}, "a\ufffd"),
        ({"id": "a" * 300, "model": "a" * 300}, "a" * 200),
    ],
)
def test_names_are_kept_and_never_make_an_answer_malformed(said: Any, kept: str) -> None:
    names = event(json.dumps({**said, "choices": []}))
    completion, deltas = read(names, chunk(content="hi"))
    assert (completion.id, completion.model) == (kept, kept)
    assert (text_of(deltas), completion.failure) == ("hi", None)


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    _, deltas = read(b'data: {"choices": [{"delta": {"content": "a\xffb"}}]}\n\n')
    assert text_of(deltas) == "a\ufffdb"


def test_a_whole_answer_is_taken_too() -> None:
    completion = Completion()
    document = {
        "choices": [
            {
                "message": {"content": "a", "reasoning": "hm", "tool_calls": []},
                "finish_reason": "length",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    deltas = completion.whole(json.dumps(document).encode())
    assert deltas == [ReasoningDelta("hm"), TextDelta("a")]
    assert (completion.reason, completion.usage) == ("length", Usage(1, 2))


# The choice whose text is used


def choice(finish: Any = None, **fields: Any) -> bytes:
    return event(json.dumps({"choices": [{"index": 0, "finish_reason": finish, **fields}]}))


WRONG: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 17, 1e300, "", "x", [], [None], [[]], ["x"], [7], {}, {"x": None}),
    *({"a": {"b": [1]}}, [{"a": 1}], "\ud83d", 10**30, "0"),
)
SIDE_FIELDS = [
    *("choices.0.index", "choices.0.finish_reason", "choices.0.logprobs", "choices.0.message"),
    *("choices.0.usage", "choices.0.text", "choices.0.native_finish_reason", "usage"),
    *("usage.prompt_tokens", "usage.completion_tokens", "id", "model", "object", "created"),
    *("system_fingerprint", "service_tier", "x_groq", "timings", "base_resp.x", "citations"),
    *("choices.0.delta.role", "choices.0.delta.tool_calls", "choices.0.delta.function_call"),
    *("choices.0.delta.reasoning_details", "choices.0.delta.annotations"),
    *("choices.0.delta.refusal.x", "choices.0.delta.audio.x", "choices.0.delta.provider_fields"),
    *("choices.0.delta.tool_calls.0.id", "choices.0.delta.tool_calls.0.index"),
    *("choices.0.delta.tool_calls.0.function", "choices.0.delta.tool_calls.0.type"),
    *("choices.0.delta.tool_calls.0.function.name", "prompt_filter_results", "usage_metadata"),
    "choices.0.delta.tool_calls.0.function.arguments",
]


def with_field(place: str, value: Any) -> bytes:
    document: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": " big"}}]}
    at: Any = document
    steps: list[Any] = [int(step) if step.isdigit() else step for step in place.split(".")]
    for step, after in pairwise(steps):
        inside: Any = [] if isinstance(after, int) else {}
        if isinstance(at, list):
            at += [inside] * (len(at) <= step)
        else:
            at.setdefault(step, inside)
        at = at[step]
    at[steps[-1]] = value
    return event(json.dumps(document))


@pytest.mark.parametrize("place", SIDE_FIELDS)
def test_no_field_beside_the_text_kills_or_cuts_it(place: str) -> None:
    for value in WRONG:
        if place == "choices.0.index" and value in (1, 17):
            continue  # another choice is another answer
        data = (chunk(content="Hello"), with_field(place, value), chunk(content=" world"))
        completion, deltas = read(*data, chunk("stop"), event("[DONE]"))
        text = text_of(deltas)
        assert text.startswith("Hello big"), value
        assert text.endswith(" world"), value
        assert (completion.reason, completion.failure) == ("stop", None), value


@pytest.mark.parametrize("value", [None, "", [], {}, 7, "x"])
@pytest.mark.parametrize("field", ["delta", "choices", "message"])
def test_a_chunk_of_wrong_types_carries_nothing_or_text(field: str, value: Any) -> None:
    document = {"choices": value} if field == "choices" else {"choices": [{field: value}]}
    completion, deltas = read(chunk(content="a"), event(json.dumps(document)), chunk(content="b"))
    assert text_of(deltas) in ("ab", "axb")
    assert completion.failure is None


@pytest.mark.parametrize(
    "data",
    [
        *("", " ", ": keep-alive", ":", "keep-alive", "ping", "[PING]", "heartbeat", "null", "7"),
        *("[]", '""', "{}", '{"choices": 7}', '{"type": "ping"}', "---"),
        *('{"code": 0, "msg": "ok"}', '{"error": {"code": 0, "message": "Success."}}'),
    ],
)
def test_heartbeats_are_nothing(data: str) -> None:
    text = f"data: {data}\n\n".encode()
    completion, deltas = read(text, chunk(content="Hello") + text, chunk("stop"))
    assert (text_of(deltas), completion.failure, completion.reason) == ("Hello", None, "stop")
    assert Completion().feed(text) == []


def test_an_id_may_be_a_number() -> None:
    call = {"index": 0, "id": 17, "function": {"name": "f", "arguments": "{}"}}
    _, deltas = read(chunk(tool_calls=[call]) * 3, chunk("stop"))
    assert deltas == [ToolDelta("17", "f", "requested", "{}")]


def test_plain_text_in_place_of_a_chunk_is_a_failure_with_its_words() -> None:
    completion, _ = read(chunk(content="kept"), event("rate limit exceeded"))
    assert isinstance(completion.failure, Malformed)
    assert completion.failure.said == "rate limit exceeded"


# How an answer ends


@pytest.mark.parametrize(
    "nothing", ["", " ", "null", "None", None, False, 0, [], {}, "unspecified"]
)
def test_an_empty_reason_is_no_end(nothing: Any) -> None:
    completion, deltas = read(choice(nothing, delta={"content": "a"}))
    assert (text_of(deltas), completion.reason) == ("a", None)


def test_more_takes_an_end_back() -> None:
    completion = Completion()
    completion.feed(choice("stop", delta={"reasoning_content": "hm"}))
    assert (completion.reason, completion.is_sure) == ("stop", False)
    completion.feed(chunk(content="a"))
    assert (completion.reason, completion.is_sure) == (None, False)
    completion.feed(chunk("length"))
    assert (completion.reason, completion.is_sure) == ("length", True)
    completion.feed(chunk(content="b"))
    assert (completion.reason, completion.is_sure) == (None, False)


def test_the_reason_that_says_more_counts() -> None:
    completion, _ = read(chunk(content="a"), chunk("stop"), chunk("length"), chunk("stop"))
    assert completion.reason == "length"


@pytest.mark.parametrize(
    "end",
    [
        *(b"data: [DONE]\n\n", b"data:[DONE]\n\n", b'data: "[DONE]"\n\n', b"data: [done] \n\n"),
        *(b"data: data: [DONE]\n\n", b"event: done\ndata: {}\n\n", b"event: end\ndata: null\n\n"),
    ],
)
def test_done_without_a_reason_is_an_end(end: bytes) -> None:
    call = {"index": 0, "id": "0", "function": {"name": "f", "arguments": "{}"}}
    completion, deltas = read(chunk(content="a"), chunk(tool_calls=[call]), end)
    assert deltas == [TextDelta("a"), ToolDelta("0", "f", "requested", "{}")]
    assert completion.reason == "stop"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        *(("MAX_TOKENS", "length"), ("max_output_tokens", "length"), ("model_length", "length")),
        *(("SAFETY", "content_filter"), ("RECITATION", "content_filter")),
        *(("sensitive", "content_filter"), ("refusal", "content_filter")),
        *(
            ("FINISH_REASON_MAX_TOKENS", "length"),
            ("maxTokens", "length"),
            ("max-tokens", "length"),
        ),
        *(("FINISH_REASON_SAFETY", "content_filter"), ("content-filter", "content_filter")),
        *(("abort", "interrupted"), ("insufficient_system_resource", "interrupted")),
        *(
            ("network_error", "interrupted"),
            ("STOP", "stop"),
            ("end_turn", "stop"),
            ("eos", "stop"),
        ),
    ],
)
def test_finish_reasons_of_other_services(said: str, meant: str) -> None:
    completion, _ = read(chunk(content="a"), chunk(said))
    assert completion.reason == meant


# Usage


@pytest.mark.parametrize(
    "data",
    [
        {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5}},
        {"choices": [], "usage": {"input_tokens": 11, "output_tokens": 5}},
        {"choices": [], "usage": {"prompt_tokens": "11", "completion_tokens": 5.0}},
        {"choices": [{"index": 0, "usage": {"prompt_tokens": 11, "completion_tokens": 5}}]},
        {"choices": [], "x_groq": {"usage": {"prompt_tokens": 11, "completion_tokens": 5}}},
        {"choices": [], "usage": {"tokens": {"input_tokens": 11, "output_tokens": 5}}},
        {"usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 5}},
        {"choices": [], "timings": {"prompt_n": 11, "predicted_n": 5}},
    ],
)
@pytest.mark.parametrize(
    "after",
    [
        {"choices": []},
        {"choices": [], "usage": None},
        {"choices": [], "usage": ""},
        {"choices": [], "usage": {"prompt_tokens": None, "completion_tokens": None}},
        {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}},
    ],
)
def test_usage_in_all_dresses(data: dict[str, Any], after: dict[str, Any]) -> None:
    completion, _ = read(
        event({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}),
        chunk(content="a"),
        chunk("stop"),
        event(data),
        event(after),
        event("[DONE]"),
    )
    assert completion.usage == Usage(11, 5)


# Reasoning


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "Secret plan"},
        {"reasoning": "Secret plan"},
        {"reasoning_text": "Secret plan"},
        {"thinking": "Secret plan"},
        {"thinking": {"content": "Secret plan"}},
        {"reasoning": {"text": "Secret plan"}},
        {"content": "", "reasoning_details": [{"type": "reasoning.text", "text": "Secret plan"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "Secret plan"}]},
        {"reasoning": "Secret plan", "reasoning_details": [{"text": "Secret plan"}]},
        {"reasoning_content": "Secret plan", "reasoning": "Secret plan"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Secret plan"}]}]},
        {"content": [{"type": "thinking", "thinking": "Secret plan"}]},
        {"content": [{"type": "reasoning", "text": "Secret plan"}]},
        {"content": "<think>Secret plan</think>"},
    ],
)
def test_reasoning_in_all_dresses(delta: dict[str, Any]) -> None:
    _, deltas = read(chunk(**delta), chunk(content="Hello"), chunk("stop"))
    assert deltas == [ReasoningDelta("Secret plan"), TextDelta("Hello")]
    message = {**delta, "content": delta.get("content") or "Hello"}
    if isinstance(message["content"], str):
        message["content"] = message["content"].removesuffix("Hello") + "Hello"
    else:
        message["content"] = [*message["content"], {"type": "text", "text": "Hello"}]
    document = {"choices": [{"message": message, "finish_reason": "stop"}]}
    whole = Completion().whole(json.dumps(document).encode())
    assert whole == [ReasoningDelta("Secret plan"), TextDelta("Hello")]


def test_encrypted_reasoning_is_a_sign_of_life() -> None:
    details = [{"type": "reasoning.encrypted", "data": "gAAAA"}]
    completion, deltas = read(chunk(content="", reasoning_details=details))
    assert (deltas, completion.activity) == ([], 1)


def test_a_closing_tag_alone_separates_an_answer_that_is_not_streamed() -> None:
    document = {"choices": [{"message": {"content": "Plan.\n</think>\n\nHi"}}]}
    completion = Completion()
    deltas = completion.whole(json.dumps(document).encode())
    assert deltas == [ReasoningDelta("Plan."), TextDelta("Hi")]
    assert completion.reason == "stop"


# Messages at the end, tools, media


@pytest.mark.parametrize("content", ["Hello big", "Hello", "Hello big world", "Other", None])
def test_a_message_at_the_end_repeats_nothing(content: str | None) -> None:
    call = {"index": 0, "id": "x", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": content, "reasoning_content": "hm", "tool_calls": [call]}
    _, deltas = read(
        chunk(reasoning_content="hm"),
        chunk(content="Hello") + chunk(content=" big") + chunk(tool_calls=[call]),
        choice("stop", message=message),
    )
    text = "Hello big world" if content == "Hello big world" else "Hello big"
    assert text_of(deltas) == text
    assert [delta for delta in deltas if not isinstance(delta, TextDelta)] == [
        ReasoningDelta("hm"),
        ToolDelta("x", "f", "requested", "{}"),
    ]


@pytest.mark.parametrize(
    "messages", [("Hello", "Hello big", "Hello big world"), ("Hello", " big world")]
)
def test_messages_in_place_of_deltas(messages: tuple[str, ...]) -> None:
    _, deltas = read(*(choice(message={"content": text}) for text in messages), chunk("stop"))
    assert text_of(deltas) == "Hello big world"


def call_of(index: Any, call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (  # the name in each chunk
            [
                call_of(0, "a", "get", ""),
                call_of(0, "a", "get", '{"x":'),
                call_of(0, "a", "get", "1}"),
            ],
            [ToolDelta("a", "get", "requested", '{"x":1}')],
        ),
        (  # the name in pieces
            [call_of(0, "a", "get_", ""), call_of(0, None, "weather", "{}")],
            [ToolDelta("a", "get_weather", "requested", "{}")],
        ),
        (  # name and arguments grow
            [call_of(0, "a", "ge", '{"x"'), call_of(0, "a", "get", '{"x":1}')],
            [ToolDelta("a", "get", "requested", '{"x":1}')],
        ),
        (  # two calls without ids under one index
            [
                call_of(0, "", "f", '{"a":1}'),
                call_of(0, "", "g", "{}"),
                call_of(0, "", "g", '{"b":2}'),
            ],
            [
                ToolDelta("call_1", "f", "requested", '{"a":1}'),
                ToolDelta("call_2", "g", "requested", "{}"),
                ToolDelta("call_3", "g", "requested", '{"b":2}'),
            ],
        ),
        (
            [{"name": "f", "arguments": {"a": 1}}],
            [ToolDelta("call_1", "f", "requested", '{"a": 1}')],
        ),
        (
            [{"type": "custom", "id": "c", "custom": {"name": "f", "input": "x"}}],
            [ToolDelta("c", "f", "requested", "x")],
        ),
        (
            [call_of("0", 5, "f", None), call_of("0", 5, None, "{}")],
            [ToolDelta("5", "f", "requested", "{}")],
        ),
    ],
)
def test_tool_calls_of_other_services(calls: list[Any], expected: list[ToolDelta]) -> None:
    _, found = read(*(chunk(tool_calls=[call]) for call in calls), chunk("tool_calls"))
    assert found == expected


def test_tool_calls_may_be_one_object() -> None:
    _, found = read(chunk(tool_calls=call_of(0, "a", "f", "{}")), chunk("tool_calls"))
    assert found == [ToolDelta("a", "f", "requested", "{}")]


DATA_URI = "data:image/png;base64," + "iVBORw0KGgo+" * 200_000


@pytest.mark.parametrize(
    ("delta", "mark"),
    [
        ({"images": [{"type": "image_url", "image_url": {"url": DATA_URI}}]}, "[image]"),
        ({"images": [{"image_url": {"url": "data:image/png;base64,AAAA"}}] * 2}, "[image]"),
        ({"images": ["https://x.example/a (1).png"]}, "![](https://x.example/a%20%281%29.png)"),
        ({"content": [{"type": "image_url", "image_url": DATA_URI}]}, "[image]"),
        ({"content": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}, "[image]"),
        ({"content": [{"type": "output_image", "image_url": "javascript:alert(1)"}]}, "[image]"),
        ({"audio": {"id": "a", "data": "AAAA"}}, "[audio]"),
        ({"audio": {"id": "a", "transcript": "spoken"}}, "spoken"),
    ],
)
def test_media_leave_a_mark_and_break_nothing(delta: dict[str, Any], mark: str) -> None:
    completion, deltas = read(chunk(**delta), chunk("stop"))
    assert (deltas, completion.reason) == ([TextDelta(mark)], "stop")
    _, deltas = read(chunk(content="Here:"), chunk(**delta), chunk(content="Done."), chunk("stop"))
    assert text_of(deltas).split() == ["Here:", *mark.split(), "Done."] or mark == "spoken"
    document = json.dumps({"choices": [{"message": delta, "finish_reason": "stop"}]}).encode()
    assert Completion().whole(document) == [TextDelta(mark)]


@pytest.mark.parametrize(
    "data",
    [
        {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}},
        {"success": False, "errors": [{"code": 7009, "message": "no"}], "result": None},
        {"choices": [{"index": 0, "error": {"code": 502, "message": "no"}}]},
        {"error": {"code": 500, "message": "no"}},
        {"code": 500, "msg": "no"},
        [{"error": {"code": 400, "message": "API key not valid"}}],
    ],
)
def test_errors_in_other_dresses(data: Any) -> None:
    streamed, _ = read(chunk(content="a"), event(json.dumps(data)))
    whole = Completion()
    whole.whole(json.dumps(data).encode())
    assert isinstance(streamed.failure, ErrorSent)
    assert isinstance(whole.failure, ErrorSent)


@pytest.mark.parametrize(
    "data",
    [
        {"error": None},
        {"error": {}},
        {"error": {"code": None, "message": ""}},
        {"error": {"code": 0, "message": "success"}},
        {"base_resp": {"status_code": 0, "status_msg": ""}},
    ],
)
def test_an_empty_error_is_none(data: dict[str, Any]) -> None:
    completion, deltas = read(event({"choices": [{"delta": {"content": "a"}}], **data}))
    assert (text_of(deltas), completion.failure) == ("a", None)


def test_events_may_be_separated_by_single_line_ends() -> None:
    lines = (chunk(content="Hello") + chunk(content=" big")).replace(b"\n\n", b"\n")
    completion = Completion()
    assert completion.feed(lines) == [TextDelta("Hello")]
    last = (chunk("stop") + event("[DONE]")).replace(b"\n\n", b"\n")
    assert completion.feed(last) == [TextDelta(" big")]
    assert completion.flush() == []
    assert completion.reason == "stop"


def test_events_may_be_wrapped_into_events() -> None:
    wrapped = [b"data: " + chunk(content=text) for text in ("Hello", " big")]
    completion, deltas = read(*wrapped, b"data: " + chunk("stop"))
    assert (text_of(deltas), completion.reason) == ("Hello big", "stop")


def test_numbers_in_place_of_text_are_text() -> None:
    completion, deltas = read(chunk(content=4), chunk(content=2.5), chunk(content=True))
    assert (text_of(deltas), completion.failure) == ("42.5", None)


def test_a_whole_answer_may_be_an_array_of_chunks() -> None:
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": "Hello"}}]},
        {"choices": [{"index": 0, "delta": {"content": " big"}, "finish_reason": "length"}]},
    ]
    completion = Completion()
    assert text_of(completion.whole(json.dumps(chunks).encode())) == "Hello big"
    assert completion.reason == "length"


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_document_of_several_lines_may_be_sent_as_a_stream(size: int) -> None:
    def fed(document: Any) -> tuple[Completion, list[Delta]]:
        data = ("\n\n" + json.dumps(document, indent=2)).encode()
        return read(*(data[at : at + size] for at in range(0, len(data), size)))

    completion, deltas = fed({"choices": [{"message": {"content": "Hello"}}]})
    assert (text_of(deltas + completion.flush()), completion.failure) == ("Hello", None)
    completion, _ = fed({"error": {"message": "the context is too long"}})
    completion.flush()
    assert isinstance(completion.failure, ErrorSent)
    completion, deltas = fed({"status": "busy"})
    assert (deltas + completion.flush(), completion.failure) == ([], None)


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize("rest", ["\n\n", "\n\ndata: \n\n"])
def test_a_stream_of_bare_documents_is_read_once(rest: str, size: int) -> None:
    line = json.dumps({"choices": [{"delta": {"content": "Hello <thi"}}]})
    data = f"{line}{rest}".encode()
    _, deltas = read(*(data[at : at + size] for at in range(0, len(data), size)))
    assert text_of(deltas) == "Hello <thi"


def test_parts_keep_the_order_in_which_they_came() -> None:
    data = b"".join(step for step in interleaved().body if isinstance(step, bytes))
    deltas: list[Entry] = [
        TextDelta("Let me look outside."),
        ToolDelta("call_lab_0", "weather", "requested", '{"city": "Zürich"}'),
        TextDelta("The sky is grey."),
        ReasoningDelta("Grey, so: "),
        TextDelta("It will rain."),
    ]
    for size in (1, 7, len(data)):
        completion = Completion()
        found = [
            delta
            for at in range(0, len(data), size)
            for delta in completion.feed(data[at : at + size])
        ]
        parts = parts_of(entry for entry in found if not isinstance(entry, Finished))
        assert parts == parts_of(deltas)
        assert [type(part) for part in parts] == [type(part) for part in parts_of(deltas)]


def test_arguments_that_come_after_text_complete_the_call() -> None:
    completion = Completion()
    call = {"index": 0, "id": "x", "function": {"name": "f", "arguments": '{"a"'}}
    rest = {"index": 0, "function": {"arguments": ": 1}"}}
    deltas = [
        delta
        for part in ({"tool_calls": [call]}, {"content": "So"}, {"tool_calls": [rest]})
        for delta in completion.feed(event({"choices": [{"delta": part}]}))
    ]
    deltas += completion.feed(event({"choices": [{"delta": {}, "finish_reason": "stop"}]}))
    deltas += completion.feed(b"data: [DONE]\n\n")
    assert deltas == [
        ToolDelta("x", "f", "requested", '{"a"'),
        TextDelta("So"),
        ToolDelta("x", "f", "requested", '{"a": 1}'),
    ]
