"""Hand-written streams in the shapes that real services and servers send.

Each ``streams/NAME.sse`` is the output of a service, and ``streams/NAME.json`` the expected result.
Each is read with several cuts, and the result must not depend on them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wireside.messages import ReasoningDelta, TextDelta, ToolDelta
from wireside.openai_wire.decode import Completion

STREAMS = Path(__file__).parent / "streams"
NAMES = sorted(path.stem for path in STREAMS.glob("*.sse"))


def by_bytes(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def by_events(data: bytes) -> Iterator[bytes]:
    return iter(re.findall(rb".+?(?:\n\n|\Z)", data, re.DOTALL))


def by_lines(data: bytes) -> Iterator[bytes]:
    return iter(data.splitlines(keepends=True))


def at_random(data: bytes) -> Iterator[bytes]:
    dice = random.Random(len(data))
    places = sorted(dice.randrange(len(data)) for _ in range(len(data) // 40))
    pairs = zip([0, *places], [*places, len(data)], strict=True)
    return (data[begin:end] for begin, end in pairs)


def inside_characters(data: bytes) -> Iterator[bytes]:
    """Cut inside of characters of several bytes."""
    places = [at for at, byte in enumerate(data) if 0x80 <= byte < 0xC0] or [1]
    pairs = zip([0, *places], [*places, len(data)], strict=True)
    return (data[begin:end] for begin, end in pairs)


def with_crlf(data: bytes) -> Iterator[bytes]:
    return by_bytes(data.replace(b"\n", b"\r\n"))


def with_cr(data: bytes) -> Iterator[bytes]:
    return iter([data.replace(b"\n", b"\r")])


CUTS = (
    lambda data: iter([data]),
    by_bytes,
    by_events,
    by_lines,
    at_random,
    inside_characters,
    with_crlf,
    with_cr,
)


def read(pieces: Iterator[bytes]) -> dict[str, Any]:
    completion = Completion()
    deltas = [delta for piece in pieces for delta in completion.feed(piece)]
    deltas += completion.flush()
    found: dict[str, Any] = {"text": "", "reasoning": "", "tools": []}
    for delta in deltas:
        match delta:
            case TextDelta(text):
                found["text"] += text
            case ReasoningDelta(text):
                found["reasoning"] += text
            case ToolDelta():
                found["tools"].append([delta.call, delta.name, delta.arguments])
    found["reason"] = completion.reason
    found["usage"] = [completion.usage.input_tokens, completion.usage.output_tokens]
    if completion.failure is not None:
        found["error"] = type(completion.failure).__name__
    return found


def expected_of(name: str) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((STREAMS / f"{name}.json").read_text("utf-8"))
    assert expected.pop("about")
    return expected


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.__name__.strip("<>"))
@pytest.mark.parametrize("name", NAMES)
def test_a_stream_means_the_same_however_it_is_cut(
    name: str, cut: Callable[[bytes], Iterator[bytes]]
) -> None:
    assert read(cut((STREAMS / f"{name}.sse").read_bytes())) == expected_of(name)


def test_there_are_enough_of_them() -> None:
    assert len(NAMES) >= 30
    assert {path.stem for path in STREAMS.glob("*.json")} == set(NAMES)
