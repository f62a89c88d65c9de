"""Invisible characters are removed or made visible, independent of how the text is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.invisible_text import SeenStream, seen

FLAG = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
NEAR_MISSES = st.sampled_from(
    [
        *FLAG,
        FLAG,
        "a",
        "漢",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
        "\u200d",
        "\ufe0f",
        "\U000e0101",
    ]
)


@pytest.mark.parametrize(
    "text", ["\u202eabc", "a\u2066bc\u2069", "ab\u202dc", "abc\u206a", "ab\ufff9c"]
)
def test_what_turns_text_round_is_taken_out(text: str) -> None:
    assert seen(text) == "abc"


def test_a_hidden_message_in_tags_becomes_visible() -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "ignore all")
    assert seen(f"Hi{hidden}!") == f"Hi{'�' * 10}!"


def test_a_hidden_message_in_selectors_becomes_visible() -> None:
    assert seen("😀\U000e0158\U000e0159") == "😀��"
    assert seen("😀\ufe00\ufe01") == "😀\ufe00�"


def test_a_hidden_message_in_characters_without_width_is_broken() -> None:
    assert seen("a" + "\u200b\ufeff\u2060" * 50 + "b") == "a\u200bb"


@pytest.mark.parametrize(
    "text",
    [
        FLAG,
        "❤️",
        "葛\U000e0100",
        "👩‍🚀",
        "می‌خواهم",
        "co\u00adoperate",
        "a\u200bb",
        "שלום\u200f",
        "plain",
    ],
)
def test_what_writing_needs_stays(text: str) -> None:
    assert seen(text) == text


@given(pieces=st.lists(st.lists(NEAR_MISSES, max_size=4).map("".join), max_size=8))
def test_cuts_do_not_change_the_result(pieces: list[str]) -> None:
    stream = SeenStream()
    shown = [stream.take(p, is_last=n == len(pieces) - 1) for n, p in enumerate(pieces)]
    assert "".join(shown) == seen("".join(pieces))
