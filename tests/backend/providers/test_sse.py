"""Server-sent events, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.providers.sse import MAX_EVENT_BYTES, Event, EventTooLong, SseDecoder

LINES = st.sampled_from(
    [
        "data: a",
        "data:a",
        "data:  two spaces",
        "data",
        "data:",
        'data: {"x": "é🙂\u2028"}',
        "data: [DONE]",
        "event: error",
        "event:",
        ": keepalive",
        ":",
        "",
        "",
        "id: 7",
        "retry: 10",
        "nonsense",
        "datax: 1",
        " data: indented",
    ]
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def decode(pieces: list[bytes]) -> list[Event]:
    decoder = SseDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.flush()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in zip(at, at[1:], strict=False)]


@given(
    lines=st.lists(st.tuples(LINES, ENDS), max_size=12),
    bom=st.booleans(),
    places=st.lists(st.integers(0, 400), max_size=30),
)
def test_cuts_do_not_change_the_events(
    lines: list[tuple[str, str]], bom: bool, places: list[int]
) -> None:
    """The events are those of a reading of the whole text, line by line, as the standard has it."""
    text = "".join(line + end for line, end in lines)
    # "\r" and "\n" that meet by chance are one line end, for both
    data = ("\ufeff" * bom + text).encode()
    assert decode(cut(data, places)) == by_the_book(text)
    assert decode([data[at : at + 1] for at in range(len(data))]) == by_the_book(text)


def by_the_book(text: str) -> list[Event]:
    """Another way to the events: whole lines instead of blocks."""
    events: list[Event] = []
    data: list[str] = []
    name = ""
    for line in [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                events.append(Event("\n".join(data).encode(), name.encode()))
            data, name = [], ""
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
    return events


def test_an_event_is_given_as_soon_as_its_blank_line_is_there() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [Event(b"a")]
    assert decoder.feed(b"\ndata: b\r\n\r\n") == [Event(b"b")]
    assert decoder.feed(b"data: c\n\n") == [Event(b"c")]


def test_a_long_event_is_taken_up_to_the_limit() -> None:
    data = b"x" * (MAX_EVENT_BYTES - 6)
    assert decode([b"data: ", data, b"\n\n"]) == [Event(data)]


@pytest.mark.parametrize("end", [b"", b"\n\n"])
def test_an_event_over_the_limit_is_refused(end: bytes) -> None:
    with pytest.raises(EventTooLong):
        SseDecoder().feed(b"data: " + b"x" * MAX_EVENT_BYTES + end)


def test_an_event_that_grows_over_the_limit_is_refused() -> None:
    decoder = SseDecoder()
    with pytest.raises(EventTooLong):
        for _ in range(20):
            decoder.feed(b"x" * (MAX_EVENT_BYTES // 16))


def test_a_long_event_in_tiny_pieces_is_looked_at_once() -> None:
    """The time limit of all tests tells: with each piece, it took minutes."""
    data = b"x" * (MAX_EVENT_BYTES - 8)
    at = range(0, len(data), 8)
    pieces = [b"data: ", *(data[start : start + 8] for start in at), b"\n", b"\n"]
    assert decode(pieces) == [Event(data)]


def test_many_events_at_once_may_be_longer_than_the_limit() -> None:
    event = b"data: " + b"x" * 1000 + b"\n\n"
    assert len(decode([event * 2000])) == 2000
