"""Error texts of a model's server that repeat the question are kept out of the log."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.providers.hiding import RUN, STRIDE, WITHHELD, without_content

QUESTION = "My landlord, Mr. Żółć of Nußdorf, wants the flat back by Friday: may he?"


@pytest.mark.parametrize(
    "words",
    [
        f"Invalid prompt: {QUESTION}",
        f"Invalid prompt: {json.dumps(QUESTION)}",
        f"Invalid prompt: {QUESTION.upper()!r}",
        f"... {QUESTION[9:29]} ...",
        "wants-the-flat-back-by-Friday",
    ],
)
def test_repetitions_are_withheld(words: str) -> None:
    assert without_content(words, ["Be brief.", QUESTION]) == WITHHELD


@pytest.mark.parametrize(
    "words", ["", "The model `gpt-5` does not exist.", "You exceeded your current quota.", "Friday"]
)
def test_other_words_stay(words: str) -> None:
    assert without_content(words, ["Be brief.", QUESTION, "Hi", ""]) == words


def test_a_short_question_is_known_as_a_whole() -> None:
    assert without_content("Refused: 'tell secret'", ["tell secret"]) == WITHHELD


WORDS = st.text("abcdefgh ", max_size=60)


@given(before=WORDS, part=st.text("abcdefgh", min_size=RUN + STRIDE - 1), after=WORDS)
def test_a_long_repetition_is_found_wherever_it_is(before: str, part: str, after: str) -> None:
    """A run of ``RUN + STRIDE - 1`` letters cannot fall between two strides."""
    assert without_content(f"no: {part}!", [f"{before}{part}{after}"]) == WITHHELD
