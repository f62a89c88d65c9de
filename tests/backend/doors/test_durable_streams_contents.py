"""Any answer, read from any offsets and in any pieces, is the same text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.doors.drawn_answers import TEXTS, ends, entries
from wireside.doors.durable_streams.app import _data_event, next_cursor, parse_query
from wireside.doors.durable_streams.contents import Contents, format_offset, parse_offset
from wireside.errors import BadMessage, BadOffset
from wireside.generation.runner import Stream
from wireside.messages import End, Entry, TextDelta
from wireside.protocol.sanitize import ScriptEscaper

ANSWERS = st.lists(entries(), max_size=20)
SCRIPTS = st.lists(st.builds(TextDelta, st.sampled_from(["<scr", "ipt>", "<", "<script", "a"])))


def read(stream: Stream, max_chars: int, *, is_json: bool) -> list[str]:
    """Read a stream by requests that each take little, and follow each other by their offsets."""
    found: list[str] = []
    offset = "-1"
    while True:
        position = parse_offset(offset, stream, is_json=is_json)
        contents = Contents(stream, position, is_json=is_json)
        found.append(contents.take(max_chars))
        assert contents.position >= position
        offset = format_offset(contents.position)
        if contents.is_closed:
            return [content for content in found if content]
        assert contents.position > position or not contents.is_up_to_date


def stream_of(answer: list[Entry], end: End, *, sanitize: bool = False) -> Stream:
    stream = Stream("s", "m", sanitize=sanitize)
    for entry in answer:
        stream.log.append_entry(entry)
    stream.log.close_with(end)
    return stream


@given(answer=ANSWERS | SCRIPTS, end=ends, cut=st.integers(1, 40), sanitize=st.booleans())
def test_the_text_is_the_same(answer: list[Entry], end: End, cut: int, sanitize: bool) -> None:
    whole = "".join(entry.text for entry in answer if isinstance(entry, TextDelta))
    if sanitize and all(isinstance(entry, TextDelta) for entry in answer):
        escaper = ScriptEscaper()
        whole = escaper.feed(whole) + escaper.flush()
    elif sanitize:
        return
    stream = stream_of(answer, end, sanitize=sanitize)
    assert "".join(read(stream, cut, is_json=False)) == whole


@given(answer=ANSWERS, end=ends, cut=st.integers(1, 40))
def test_the_values_are_the_same(answer: list[Entry], end: End, cut: int) -> None:
    def values(size: int) -> list[Any]:
        found = [one for text in read(stream, size, is_json=True) for one in json.loads(text)]
        joined: list[Any] = []
        for value in found:
            is_text = value["type"] in ("text", "reasoning")
            if joined and is_text and joined[-1]["type"] == value["type"]:
                value = {**value, "text": joined.pop()["text"] + value["text"]}
            joined.append(value)
        return joined

    stream = stream_of(answer, end)
    assert values(cut) == values(10_000)
    assert values(cut)[-1]["type"] == "end"


@given(words=st.lists(TEXTS, min_size=1))
def test_an_event_carries_any_text(words: list[str]) -> None:
    """Spaces at the beginning of a line, blank lines and texts that resemble events."""
    text = "".join(words)
    event = _data_event(text)
    head, *lines = event.removesuffix("\n\n").split("\n")
    assert head == "event: data"
    assert all(line.startswith("data:") for line in lines)
    read = "\n".join(line[5:].removeprefix(" ") for line in lines)
    assert read == text.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("offset", ["", "0,1", "0 1", "-2", "abc", "1" * 17, "٣"])
def test_a_malformed_offset_is_refused(offset: str) -> None:
    with pytest.raises(BadMessage):
        parse_offset(offset, Stream("s", "m"), is_json=False)


def test_an_offset_past_the_end_is_refused() -> None:
    stream = stream_of([TextDelta("abc")], End("stop"))
    assert parse_offset("3", stream, is_json=False) == 3
    assert parse_offset("4", stream, is_json=True) == 4
    with pytest.raises(BadOffset):
        parse_offset("4", stream, is_json=False)


@pytest.mark.parametrize(
    "query", [b"offset=1&offset=2", b"live=sse", b"live=what&offset=-1", b"format=xml"]
)
def test_a_malformed_query_is_refused(query: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_query(query)


def test_a_cursor_follows_the_clients() -> None:
    assert next_cursor(None, 1_000.0) == "50"
    assert next_cursor("50", 1_000.0) == "51"
    assert next_cursor("x", 1_000.0) == "50"
    assert next_cursor("9" * 40, 1_000.0) == "50"
