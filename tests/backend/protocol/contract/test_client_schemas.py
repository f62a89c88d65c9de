"""The schemas of clients' frames accept what the parser accepts, and refuse nothing else."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from tests.backend.protocol.frames.test_client import MAX_CHARS, batches, chats, frames, parse
from wireside.protocol.contract import client_schemas, schema_document
from wireside.protocol.contract.client_schemas import NOT_BLANK
from wireside.protocol.contract.examples import CLIENT
from wireside.protocol.frames import ClientFrame, Heartbeat, RefusedFrame
from wireside.protocol.frames.heartbeats import REPLIES

DOCUMENT = schema_document("Frames of clients", client_schemas(MAX_CHARS))


@cache
def validator(name: str | None = None) -> Draft202012Validator:
    """Return the validator of a frame by name, by default of any frame."""
    wanted = DOCUMENT["anyOf"] if name is None else [{"$ref": f"#/$defs/{name}"}]
    return Draft202012Validator({**DOCUMENT, "anyOf": wanted})


def test_the_document_is_json_schema_of_two_drafts() -> None:
    Draft202012Validator.check_schema(DOCUMENT)
    Draft7Validator.check_schema(DOCUMENT)


def test_every_frame_has_a_schema_and_examples() -> None:
    assert set(CLIENT) == set(DOCUMENT["$defs"]) - {"ContextMessage"}
    types = {example["type"] for examples in CLIENT.values() for example in examples}
    assert types > {"chat", "batch", "answer", "ping", "cancel", "resume"}


@pytest.mark.parametrize("name", CLIENT)
def test_examples_are_valid_and_accepted(name: str) -> None:
    for example in CLIENT[name]:
        validator(name).validate(example)
        assert not isinstance(parse(json.dumps(example)), RefusedFrame)


@given(frames)
def test_what_a_value_encodes_is_valid(frame: ClientFrame) -> None:
    text = frame.encode()
    if isinstance(frame, Heartbeat):
        assert text in REPLIES
        return
    sent = json.loads(text)
    level = "" if sent["type"] in ("ping", "answer", "resume") or "id" in sent else "Level1"
    validator(sent["type"].capitalize() + level).validate(sent)
    assert validator().is_valid(sent)


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 20, 1.5, 2**53, 1_024, 1_000_001, 2_000_000),
    *("", " ", "\u2003", "a", "new", "user", "a b", "a" * 51, "a" * 65, "a" * 201, "a" * 257),
    *([], [""], ["a"], ["a"] * 21, ["a"] * 101, [1], [None], [-1], [1.5], [0, 2], [True]),
    *({}, {"a": 1}, [{"role": "user", "content": "Hi"}], [{"role": "tool", "content": "Hi"}]),
    *([{"role": "user", "content": " "}], [{"role": "user"}], ["user"]),
    *("chat", "batch", "ping", "cancel", "resume", "pong", "answer", "HeartBeat", "keep_alive"),
    *("\u212aeepalive", "keepalives", "CHAT"),
)
KEYS = (
    *("type", "id", "message", "messages", "model", "key", "conversation", "system", "offset"),
    *("temperature", "max_tokens", "attachments", "sanitize", "offsets", "options", "unknown"),
    *("max_frame_bytes", "stream", "part", "value", "t", "parallel", "index"),
)
bases = st.one_of(
    chats.map(lambda frame: json.loads(frame.encode())),
    batches.map(lambda frame: json.loads(frame.encode())),
    st.sampled_from([example for examples in CLIENT.values() for example in examples]),
)
changes = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3)


@given(bases, changes, st.sets(st.sampled_from(KEYS), max_size=2))
def test_the_schema_and_the_parser_refuse_the_same(
    base: dict[str, Any], changed: dict[str, Any], removed: set[str]
) -> None:
    sent = {key: value for key, value in {**base, **changed}.items() if key not in removed}
    is_accepted = not isinstance(parse(json.dumps(sent)), RefusedFrame)
    assert is_accepted == (validator().is_valid(sent) and not has_too_many_offsets(sent))


def has_too_many_offsets(sent: dict[str, Any]) -> bool:
    """Whether a batch has more offsets than messages, which a schema can't express."""
    offsets, messages = sent.get("offsets") or [], sent.get("messages") or []
    is_level_2 = sent.get("type") == "batch" and sent.get("id") is not None
    return is_level_2 and len(offsets) > len(messages)


def test_blank_is_what_the_parser_calls_blank() -> None:
    is_not_blank = Draft202012Validator({"pattern": NOT_BLANK}).is_valid
    characters = map(chr, range(0x3100))
    assert all(is_not_blank(char) == bool(char.strip()) for char in characters)
    assert not any(chr(code).isspace() for code in range(0x3100, sys.maxunicode + 1))


def test_the_limit_of_a_message_is_that_of_the_server() -> None:
    schema = client_schemas(7)["Chat"]["properties"]
    assert (schema["message"]["maxLength"], schema["system"]["maxLength"]) == (7, 7)
