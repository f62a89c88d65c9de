"""Words as search sees them, and what is shown around a match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.store.words import SNIPPET_CHARS, snippet, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Ça, «Über_3 Frames»!", ["ca", "uber", "3", "frames"]),
        ("don't stop", ["don", "t", "stop"]),
        ("东京 tower", ["东", "京", "tower"]),
        ("ﬁne Straße", ["fine", "strasse"]),
        ("한국어 русский", None),
    ],
)
def test_words_are_folded(text: str, words: list[str] | None) -> None:
    assert words_of(text) == words if words is not None else len(words_of(text)) == 2


def test_a_snippet_lies_around_the_first_match() -> None:
    pieces = snippet("word " * 100 + "the wombat digs " + "word " * 100, ["womb", "dig"])
    assert pieces[1::2] == ("womb", "dig")
    assert pieces[0].startswith("…")
    assert pieces[-1].endswith("…")
    assert len("".join(pieces)) <= SNIPPET_CHARS + 2


def test_a_word_that_folding_makes_longer_is_marked_whole() -> None:
    assert snippet("die Straße da", ["stras"]) == ("die ", "Straße", " da")


@given(st.text(max_size=400), st.lists(st.sampled_from(["a", "ab", "1", "ß"]), max_size=3))
def test_a_snippet_is_a_piece_of_the_text(text: str, terms: list[str]) -> None:
    pieces = snippet(text, terms)
    assert len(pieces) % 2 == 1
    plain = "".join(pieces)
    assert plain.removeprefix("…").removesuffix("…") in text or plain in text
