"""The lab sends what its habits define, byte for byte."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from wireside.testing import FakeOpenAI
from wireside.testing.habits import HABITS
from wireside.testing.magic import HELP


@pytest.fixture
def lab() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(count=3) as lab:
        yield lab


def ask(lab: FakeOpenAI, question: str, **body: Any) -> tuple[int, str]:
    """Return the status and the body of a response, as far as it is sent."""
    parts = urlsplit(lab.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    messages = [{"role": "user", "content": question}]
    body = {"model": "lab-1", "stream": True, "messages": messages, **body}
    connection.request("POST", f"{parts.path}/chat/completions", json.dumps(body))
    response = connection.getresponse()
    try:
        data = response.read()
    except http.client.IncompleteRead as cut:
        data = cut.partial
    connection.close()
    return response.status, data.decode()


def test_the_help_names_every_habit() -> None:
    for name, habit in HABITS.items():
        assert f"- `/lab {name}`: {habit.about}" in HELP


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("finish-empty", '"finish_reason": ""'),
        ("finish-null", '"finish_reason": "null"'),
        (
            "finish-early",
            '{"reasoning_content": "Secret plan"}, "logprobs": null, "finish_reason": "stop"',
        ),
        ("finish-empty-error", '"CUDA out of memory"'),
        ("finish-empty-cut", '"content": " big"'),
        ("finish-empty-length", '"finish_reason": "length"'),
        ("finish-upper", '"MAX_TOKENS"'),
        ("finish-safety", '"SAFETY"'),
        ("finish-abort", '"abort"'),
        ("done-only", "data: [DONE]"),
        ("done-only-tool", '"tool_calls"'),
        ("load", '"Hello"'),
        ("queue", ": OPENROUTER PROCESSING\n\n"),
        ("queue-chunks", '"content": ""'),
        ("queue-newlines", "\ndata: "),
        ("data-empty", "data: \n\n"),
        ("data-comment", "data: : keep-alive\n\n"),
        ("error-field", "error: {"),
        ("error-field-mid", "error: {"),
        ("base-resp", '"base_resp"'),
        ("think-tags", "<think>"),
        ("think-close", "</think>"),
        ("think-channel", "<|channel|>analysis"),
        ("think-parts", '[{"type": "thinking"'),
        ("reasoning-details", '"reasoning_details"'),
        ("reasoning-text", '"reasoning_text"'),
        ("thinking", '"thinking": "Secret plan"'),
        ("tool-id-number", '"id": 17'),
        ("tool-calls-object", '"tool_calls": {}'),
        ("tool-name-repeated", '"get_weather"'),
        ("usage-text", '"usage": ""'),
        ("delta-text", '"delta": ""'),
        ("usage-null-last", '"prompt_tokens": null'),
        ("usage-input-tokens", '"input_tokens": 5'),
        ("usage-in-choice", '"finish_reason": "stop", "usage"'),
        ("message-after-deltas", '"message": {"role": "assistant"'),
        ("single-newlines", "}\ndata: "),
        ("empty", '"finish_reason": "stop"'),
        ("images", '"images": ['),
        ("audio", '"audio": {'),
        ("wrong-path", "Unexpected endpoint"),
    ],
)
def test_what_is_sent(lab: FakeOpenAI, name: str, sent: str) -> None:
    status, text = ask(lab, f"/lab {name} 0.05")
    assert status == 200
    assert sent in text
    assert lab.text(3) not in text


def test_single_newlines_are_single(lab: FakeOpenAI) -> None:
    assert "\n\n" not in ask(lab, "/lab single-newlines")[1]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("cloudflare", 400),
        ("shield", 403),
        ("gemini-key", 400),
        ("gemini-quota", 429),
        ("quota", 400),
        ("billing", 402),
        ("region", 400),
        ("memory", 500),
        ("no-chat", 400),
        ("redirect", 301),
    ],
)
def test_refusals_have_their_status(lab: FakeOpenAI, name: str, status: int) -> None:
    assert ask(lab, f"/lab {name}")[0] == status


@pytest.mark.parametrize(
    ("name", "refused", "taken"),
    [
        ("stream-refused", {}, {"stream": False}),
        ("stream-options-refused", {"stream_options": {"include_usage": True}}, {}),
        ("temperature-refused", {"temperature": 0.3}, {}),
        ("max-tokens-refused", {"max_tokens": 9}, {"max_completion_tokens": 9}),
        (
            "system-refused",
            {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "{q}"}]},
            {},
        ),
        (
            "roles-alternate",
            {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "{q}"}]},
            {},
        ),
    ],
)
def test_a_request_is_refused_until_it_looks_different(
    lab: FakeOpenAI, name: str, refused: dict[str, Any], taken: dict[str, Any]
) -> None:
    question = f"/lab {name}"
    if "messages" in refused:
        first, last = refused["messages"]
        refused = {"messages": [first, {**last, "content": question}]}
    assert ask(lab, question, **refused)[0] in (400, 500)
    status, text = ask(lab, question, **taken)
    assert status == 200
    assert "Hello" in text


def test_an_answer_as_the_last_message_is_refused(lab: FakeOpenAI) -> None:
    messages = [
        {"role": "user", "content": "/lab continue-refused"},
        {"role": "assistant", "content": "Hel"},
    ]
    assert ask(lab, "", messages=messages)[0] == 400
    assert ask(lab, "", messages=[*messages, messages[0]])[0] == 200


def test_loading_ends(lab: FakeOpenAI) -> None:
    assert [ask(lab, "/lab loading 2")[0] for _ in range(4)] == [503, 503, 200, 200]


def test_a_habit_with_words_behind_it_is_help(lab: FakeOpenAI) -> None:
    assert "Write one of these" in ask(lab, "/lab finish-empty please")[1]
