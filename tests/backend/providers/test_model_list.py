"""Lists of models as real servers send them."""

from __future__ import annotations

import json

import pytest

from wireside.messages import ModelInfo
from wireside.providers.model_list import MAX_MODELS, models_in


def ids(document: object) -> list[str]:
    return [model.id for model in models_in(json.dumps(document).encode())]


def test_a_list_has_an_end() -> None:
    """The server sends the whole list as every page."""
    assert len(ids([str(n) for n in range(MAX_MODELS + 1)])) == MAX_MODELS
    assert ids(["x" * 201, "a"]) == ["a"]
    (model,) = models_in(json.dumps([{"id": "a", "name": "x" * 201}]).encode())
    assert model.name == "x" * 200


@pytest.mark.parametrize(
    "document",
    [
        {"object": "list", "data": [{"id": "b"}, {"id": "a"}]},
        {"data": ["b", "a"]},
        {"models": [{"name": "b"}, {"model": "a"}]},
        ["b", "a"],
        [{"id": "b"}, {"id": None}, 7, None, {}, {"id": "a"}, {"id": "b"}],
    ],
)
def test_the_servers_order_is_kept(document: object) -> None:
    assert ids(document) == ["b", "a"]


def test_names_are_such_that_a_frame_can_carry_them() -> None:
    document = [{"id": "a\ude42", "name": "\ud83d", "owned_by": "\ud83d"}, {"id": " "}]
    body = json.dumps(document).encode()
    assert models_in(body) == (ModelInfo(id="a\ufffd", name="\ufffd", owner="\ufffd"),)


@pytest.mark.parametrize("number", ["1" * 400, "1e999", "-1e999", "NaN", "9007199254740992"])
def test_numbers_that_can_not_be_are_passed_over(number: str) -> None:
    entries = (
        f'{{"id": "a", "owned_by": "openai", "created": {number}, "context_length": {number}}}'
    )
    assert models_in(f"[{entries}]".encode()) == (ModelInfo(id="a", name="a", owner="openai"),)


def test_what_is_said_about_a_model_is_kept() -> None:
    body = {
        "data": [
            {"id": "a", "owned_by": "me", "max_model_len": 4096},
            {"id": "b", "name": "Bee", "context_length": 8},
            {"id": "c", "meta": {"n_ctx_train": 16}, "context_length": None},
            {"id": "d", "owned_by": None, "context_length": "many", "name": 7},
        ]
    }
    assert models_in(json.dumps(body).encode()) == (
        ModelInfo(id="a", name="a", owner="me", context_tokens=4096),
        ModelInfo(id="b", name="Bee", owner=None, context_tokens=8),
        ModelInfo(id="c", name="c", owner=None, context_tokens=16),
        ModelInfo(id="d", name="d", owner=None, context_tokens=None),
    )


def test_openais_own_list_comes_newest_first_without_what_cannot_chat() -> None:
    offered = [
        ("gpt-3.5-turbo", 1),
        ("text-embedding-3-small", 5),
        ("gpt-4o", 2),
        ("whisper-1", 6),
        ("tts-1", 6),
        ("dall-e-3", 6),
        ("omni-moderation-latest", 6),
        ("gpt-5", 4),
    ]
    data = [{"id": name, "created": age, "owned_by": "openai"} for name, age in offered]
    data.append({"id": "ft:gpt-4o:me", "created": 3, "owned_by": "me"})
    assert ids({"data": data}) == ["gpt-4o", "gpt-5", "ft:gpt-4o:me", "gpt-3.5-turbo"]


def test_others_may_name_their_chat_model_as_they_like() -> None:
    assert ids({"data": [{"id": "chat-with-embeddings", "owned_by": "me"}]}) == [
        "chat-with-embeddings"
    ]


@pytest.mark.parametrize("body", [b"", b"<html>", b"7", b'"a"', b'{"data": 7}', b"{}", b"null"])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        models_in(body)
