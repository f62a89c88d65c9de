"""Server-sent events, with any cuts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wireside.openai_wire.sse import MAX_EVENT_BYTES, Event, EventTooLong, SseDecoder

LINES = st.sampled_from(
    [
        "data: a",
        "data:a",
        "data:  two spaces",
        "data",
        "data:",
        'data: {"x": "é🙂\u2028"',
        "data: }",
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
    """The events are those of the whole text parsed line by line, as the standard defines."""
    text = "".join(line + end for line, end in lines)
    # a "\r" and a "\n" that happen to be adjacent are one line end, for both
    data = ("\ufeff" * bom + text).encode()
    assert decode(cut(data, places)) == by_the_book(text)
    assert decode([data[at : at + 1] for at in range(len(data))]) == by_the_book(text)


def by_the_book(text: str) -> list[Event]:
    """Return the events by another algorithm: whole lines instead of blocks."""
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
    """The tests' time limit is the check: a search after every piece took minutes."""
    data = b"x" * (MAX_EVENT_BYTES - 8)
    at = range(0, len(data), 8)
    pieces = [b"data: ", *(data[start : start + 8] for start in at), b"\n", b"\n"]
    assert decode(pieces) == [Event(data)]


def test_many_events_at_once_may_be_longer_than_the_limit() -> None:
    event = b"data: " + b"x" * 1000 + b"\n\n"
    assert len(decode([event * 2000])) == 2000


JSON_LINES = st.sampled_from(
    [
        *('data: {"a": 1}', 'data:{"b": "é"}', '{"c": 2}', 'error: {"code": 500}', "data: [DONE]"),
        *("event: error", "event: x", ": keep-alive", "data:", "", "id: 1", "data: {", "data: }"),
    ]
)


@settings(deadline=None)
@given(
    lines=st.lists(st.tuples(JSON_LINES, ENDS), max_size=12),
    places=st.lists(st.integers(0, 400), max_size=30),
)
def test_cuts_do_not_change_events_without_blank_lines(
    lines: list[tuple[str, str]], places: list[int]
) -> None:
    data = "".join(line + end for line, end in lines).encode()
    whole = decode([data])
    assert decode(cut(data, places)) == whole
    assert decode([data[at : at + 1] for at in range(len(data))]) == whole


def test_events_need_no_blank_lines() -> None:
    decoder = SseDecoder()
    found = [decoder.feed(line) for line in (b'data: {"a": 1}\n', b'data: {"b": 2}\n')]
    found.append(decoder.feed(b"data: [DONE]\n"))
    assert found == [[], [Event(b'{"a": 1}')], [Event(b'{"b": 2}')]]
    assert decoder.flush() == [Event(b"[DONE]")]


def test_a_name_between_events_without_blank_lines_belongs_to_the_second() -> None:
    data = b'data: {"a": 1}\nevent: error\ndata: {"b": 2}\n'
    assert decode([data]) == [Event(b'{"a": 1}'), Event(b'{"b": 2}', b"error")]


def test_a_json_object_may_have_several_lines() -> None:
    assert decode([b'data: {\ndata: "a": {}\ndata: }\n\n']) == [Event(b'{\n"a": {}\n}')]


@pytest.mark.parametrize("separator", [b"\n", b"\n\n"])
def test_a_field_named_error_is_an_error_event(separator: bytes) -> None:
    data = b'data: {"a": 1}' + separator + b'error: {"code": 400}' + separator + b"data: [DONE]\n\n"
    assert decode([data]) == [
        Event(b'{"a": 1}'),
        Event(b'{"code": 400}', b"error"),
        Event(b"[DONE]"),
    ]


@pytest.mark.parametrize("piece_bytes", [4_096, 100_000, 10_000_000])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"text": "kept *bold*", "url": "data:image/png;base64,', b'", "also": "kept"}'),
        (b'{"b64_json":"', b'"}'),
        (b'{"audio": {"data": "', b'"}}'),
    ],
)
def test_media_do_not_count_as_the_length_of_an_event(
    before: bytes, after: bytes, piece_bytes: int
) -> None:
    data = b"data: " + before + b"iVBORw0KGgo+" * 120_000 + after + b"\n\ndata: next\n\n"
    pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
    assert decode(pieces) == [Event(before + b"\x7f" + after), Event(b"next")]


def test_events_before_one_that_is_too_long_are_kept() -> None:
    with pytest.raises(EventTooLong) as caught:
        SseDecoder().feed(b"data: a\n\ndata: " + b"x" * (MAX_EVENT_BYTES + 1))
    assert caught.value.events == [Event(b"a")]
