"""Rules for frames, without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wireside.conformance.address import Address, InvalidServerAddress
from wireside.conformance.frames import (
    RETRYABLE,
    Frame,
    check_answer,
    check_error,
    check_level_1,
    check_level_2,
    check_offsets,
)
from wireside.conformance.results import Violation
from wireside.errors import WiresideError


def frame(**fields: Any) -> Frame:
    return Frame.parse(json.dumps(fields))


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"type": 1}', "[" * 100_000])
def test_what_is_no_frame_is_refused(text: str) -> None:
    with pytest.raises(Violation):
        Frame.parse(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "start"},
        {"type": "chunk"},
        {"type": "chunk", "content": 1},
        {"type": "chunk", "content": "a", "offset": 1},
        {"type": "done", "reason": "stop"},
        {"type": "error", "message": "a", "code": "internal"},
    ],
)
def test_level_1_has_its_fields_and_no_others(fields: dict[str, Any]) -> None:
    check_level_1(frame(type="chunk", content="a"))
    check_level_1(frame(type="done"))
    with pytest.raises(Violation):
        check_level_1(frame(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "start", "id": "a", "stream": "s"},
        {"type": "chunk", "id": "a", "content": "x"},
        {"type": "chunk", "id": "a", "content": "x", "offset": "1"},
        {"type": "done", "id": "a", "offset": 1, "reason": "stop", "usage": {}},
        {"type": "resumed", "id": "a", "stream": "s", "head": 1},
    ],
)
def test_level_2_has_its_fields(fields: dict[str, Any]) -> None:
    check_level_2(frame(type="new in a later version"))
    with pytest.raises(Violation):
        check_level_2(frame(**fields))


def test_an_answer_has_one_last_frame() -> None:
    chunk, done = frame(type="chunk", content="a"), frame(type="done")
    check_answer([chunk, done], None)
    for wrong in ([chunk], [done, chunk], [done, done], []):
        with pytest.raises(Violation):
            check_answer(wrong, None)
    with pytest.raises(Violation):
        check_answer([chunk, done], "a")


def test_offsets_count_code_points_and_do_not_overlap() -> None:
    first = frame(type="chunk", content="🌊a", offset=2)
    check_offsets([first, frame(type="tool", offset=3), frame(type="done", offset=3)])
    check_offsets([first, frame(type="done", offset=4)])  # a record of the server
    with pytest.raises(Violation):
        check_offsets([first, frame(type="chunk", content="b", offset=2)])
    with pytest.raises(Violation):
        check_offsets([first], 1)


def test_the_table_of_codes_is_that_of_the_server() -> None:
    def classes(kind: type[WiresideError]) -> list[type[WiresideError]]:
        return [kind, *(one for below in kind.__subclasses__() for one in classes(below))]

    ours = [kind for kind in classes(WiresideError) if kind.__module__ == "wireside.errors"]
    assert {kind.code: kind.retryable for kind in ours} == RETRYABLE


def test_an_error_is_checked_by_its_code() -> None:
    good = {"type": "error", "message": "Expired.", "code": "expired", "retryable": False}
    check_error(frame(**good))
    for wrong in (
        {"retryable": True},
        {"message": ""},
        {"message": "x" * 502},
        {"code": "rate_limited", "retryable": True},
    ):
        with pytest.raises(Violation):
            check_error(frame(**(good | wrong)))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("127.0.0.1:8080", "ws://127.0.0.1:8080/ws/ai-chat"),
        ("https://example.org/tools/chat/", "wss://example.org/tools/chat/ws/ai-chat"),
        ("http://[::1]:80/ws/ai-chat/", "ws://[::1]/ws/ai-chat"),
    ],
)
def test_an_address_is_that_of_a_server_or_of_its_socket(url: str, expected: str) -> None:
    assert Address.parse(url).url == expected


@pytest.mark.parametrize("url", ["", "ftp://x", "ws://a:0", "ws://a:x", "ws://u:p@a", "ws://"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(InvalidServerAddress):
        Address.parse(url)
