"""What servers send, and what we make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.messages import Delta, ReasoningDelta, TextDelta, ToolDelta, Usage
from wireside.providers.completions import (
    MAX_CALL_CHARS,
    MAX_CALLS,
    MAX_NAME,
    Completion,
    ErrorSent,
    Malformed,
)
from wireside.testing import answer, event


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
        ToolDelta("call_lab_0", "weather", "done", '{"city": "Zürich"}'),
        ToolDelta("call_lab_1", "time", "done", "{}"),
    ]
    assert completion.reason == "stop"


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (  # all in one chunk, without index or id
            [{"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}],
            [ToolDelta("call_1", "f", "done", "{}")],
        ),
        (  # arguments as an object
            [{"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": {}}}]}],
            [ToolDelta("x", "f", "done", "{}")],
        ),
        (  # two calls with the same index and different ids
            [
                {"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f"}}]},
                {"tool_calls": [{"index": 0, "id": "y", "function": {"name": "g"}}]},
            ],
            [ToolDelta("x", "f", "done"), ToolDelta("y", "g", "done")],
        ),
        (  # no index, pieces one after the other
            [
                {"tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{"}}]},
                {"tool_calls": [{"function": {"arguments": "}"}}]},
                {"tool_calls": [{"id": "y", "function": {"name": "g", "arguments": "1"}}]},
            ],
            [ToolDelta("x", "f", "done", "{}"), ToolDelta("y", "g", "done", "1")],
        ),
        (  # pieces without an id belong to the last one of their index
            [
                {"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f"}}]},
                {"tool_calls": [{"index": 0, "id": "y", "function": {"name": "g"}}]},
                {"tool_calls": [{"index": 0, "id": "", "function": {"arguments": "1"}}]},
                {"tool_calls": [{"index": 0, "id": "x", "function": {"arguments": "2"}}]},
            ],
            [ToolDelta("x", "f", "done", "2"), ToolDelta("y", "g", "done", "1")],
        ),
        (  # the older form
            [
                {"function_call": {"name": "f", "arguments": "{"}},
                {"function_call": {"arguments": "}"}},
            ],
            [ToolDelta("call_1", "f", "done", "{}")],
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
    """Nobody sees them before it ends, so nobody would stop it."""
    completion = Completion()
    for call in calls:
        completion.feed(chunk(tool_calls=[call]))
    assert isinstance(completion.failure, Malformed)
    assert completion.feed(chunk("tool_calls")) == []


def test_a_name_without_end_is_cut() -> None:
    name = {"index": 0, "id": "x", "function": {"name": "f" * 150}}
    _, deltas = read(chunk(tool_calls=[name]) * 2, chunk("tool_calls"))
    assert deltas == [ToolDelta("x", "f" * MAX_NAME, "done")]


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


@pytest.mark.parametrize(
    "data", ['{"choices": [{', "[]", "null", "7", "html", '{"choices": 7}', "[" * 100_000]
)
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
        ((r'"a\ud83d"', r'"\ude42b"'), "a🙂b"),  # a pair, cut between its halves
        ((r'"a\ud83d\ude42b"',), "a🙂b"),
        ((r'"a\ude42b"',), "a\ufffdb"),  # a half alone can't be sent to anybody
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
        ToolDelta("x", "f", "done", "🙂\ufffd"),
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
