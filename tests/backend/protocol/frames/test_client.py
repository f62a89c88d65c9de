"""Frames of clients: each encoded frame is parsed as the same value."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.messages import Message
from wireside.protocol.frames import (
    BatchFrame,
    CancelFrame,
    ChatFrame,
    ClientFrame,
    Heartbeat,
    PingFrame,
    RefusedFrame,
    ResumeFrame,
    parse_client_frame,
)
from wireside.protocol.frames.heartbeats import REPLIES

PROTOCOL = Path(__file__).parents[4] / "docs" / "protocol.md"

MAX_CHARS = 50

ids = st.text("aZ09_-.:", min_size=1, max_size=64)
names = st.text(max_size=20)
messages = st.text(min_size=1, max_size=MAX_CHARS).filter(str.strip)
offsets = st.integers(0, 2**53 - 1)
sizes = st.none() | st.integers(1_024, 1_048_576)
turns = st.builds(Message.of_text, st.sampled_from(["system", "user", "assistant"]), messages)
keys = st.text(min_size=1, max_size=64)

options = {
    "id": ids,
    "model": st.none() | names,
    "system": st.none() | st.text(max_size=MAX_CHARS),
    "temperature": st.none() | st.floats(0, 2) | st.integers(0, 2),
    "max_tokens": st.none() | st.integers(1, 1_000_000),
    "sanitize": st.booleans(),
    "max_frame_bytes": sizes,
}
chats = st.one_of(
    st.builds(ChatFrame, message=messages, model=st.none() | names),  # level 1
    st.builds(
        ChatFrame,
        message=messages,
        conversation=st.none() | names,
        attachments=st.lists(names.filter(bool), max_size=3).map(tuple),
        key=keys,
        offset=offsets,
        **options,
    ),
    st.builds(
        ChatFrame, message=messages, messages=st.lists(turns, max_size=5).map(tuple), **options
    ),
)
questions = st.lists(messages, min_size=1, max_size=20).map(tuple)
batches = st.one_of(
    st.builds(BatchFrame, messages=questions, model=st.none() | names),
    st.builds(
        BatchFrame,
        messages=st.lists(messages, min_size=3, max_size=20).map(tuple),
        conversation=st.none() | names,
        key=keys,
        offsets=st.lists(offsets, max_size=3).map(tuple),
        **options,
    ),
    st.builds(BatchFrame, messages=questions, parallel=st.integers(1, 8), **options),
)
echoes = st.one_of(
    st.none(),
    st.text(max_size=256),
    st.integers(-(10**255), 10**255),
    st.floats(allow_nan=False, allow_infinity=False),
)
frames = st.one_of(
    chats,
    batches,
    st.builds(PingFrame, t=echoes),
    st.builds(CancelFrame, id=st.none() | ids),
    st.builds(CancelFrame, id=ids, index=st.integers(0, 19)),
    st.builds(ResumeFrame, id=ids, stream=names, offset=offsets, max_frame_bytes=sizes),
    st.builds(Heartbeat, reply=st.sampled_from(list(REPLIES.values()))),
)


def parse(text: str) -> ClientFrame | RefusedFrame:
    return parse_client_frame(text, max_message_chars=MAX_CHARS)


@given(frames)
def test_an_encoded_frame_is_parsed_as_the_same_value(frame: ClientFrame) -> None:
    assert parse(frame.encode()) == frame


@given(frames)
def test_unknown_keys_and_nulls_change_nothing(frame: ClientFrame) -> None:
    if isinstance(frame, Heartbeat):
        return
    fields = json.loads(frame.encode())
    absent = dict.fromkeys({"model", "key", "t"} - set(fields))
    assert parse(json.dumps(fields | absent | {"new": [1]})) == frame


def test_defaults_are_not_sent() -> None:
    assert ChatFrame(message="Hi").encode() == '{"type":"chat","message":"Hi"}'
    assert PingFrame(t=0).encode() == '{"type":"ping","t":0}'
    assert ResumeFrame(id="r", stream="s", offset=0).encode() == (
        '{"type":"resume","id":"r","stream":"s","offset":0}'
    )


def test_the_documented_keys_are_those_of_the_values() -> None:
    """The table "Client to server" of docs/protocol.md names every frame and every key."""
    table = PROTOCOL.read_text("utf-8").partition("## Client to server")[2].partition("\n\n`model`")
    rows = [row.split("|")[1:] for row in table[0].splitlines() if row.startswith("| `")]
    documented = {row[0].strip(" `"): {*_keys(row[1]), *_keys(row[2])} for row in rows[1:]}
    written = {
        frame.type: {field.name for field in dataclasses.fields(frame)}
        for frame in (ChatFrame, BatchFrame, PingFrame, CancelFrame, ResumeFrame)
    }
    written["chat"] -= {"part", "answer"}  # a frame of its own, which is a kind of `ChatFrame`
    written["answer"] = {"id", "conversation", "part", "value", "max_frame_bytes"}
    assert documented == written


def _keys(cell: str) -> set[str]:
    """Return the keys of a table's cell, without the words that explain them."""
    return set(re.findall(r"`(\w+)`", re.sub(r"\([^()]*\)|Equivalent.*|echoed.*", "", cell)))


@pytest.mark.parametrize("text", list(REPLIES))
def test_every_keepalive_has_its_reply(text: str) -> None:
    assert parse(text) == Heartbeat(reply=REPLIES[text])
