"""The guide's sanitising does not depend on how a model cuts its text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from wireside.protocol.sanitize import ScriptEscaper

NEAR_MISSES = st.sampled_from(
    ["<script", "<SCRIPT>", "<ScRiPt src=", "<<scr", "<scr", "ipt", "<ſcript", "<scrıpt", "<SCRİPT"]
    + ["<s", "<", "a < b", "</script>", "&lt;script", "<\x00script", "text ", "😀", "<scriptscript"]
)
TEXTS = st.lists(NEAR_MISSES, max_size=12).map("".join)


def escape(pieces: list[str]) -> str:
    escaper = ScriptEscaper()
    return "".join([*map(escaper.feed, pieces), escaper.flush()])


def split(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@given(TEXTS, st.lists(st.integers(0, 200)))
def test_cuts_do_not_change_the_output(text: str, cuts: list[int]) -> None:
    assert escape(split(text, cuts)) == escape([text])


@given(TEXTS)
def test_one_character_at_a_time(text: str) -> None:
    assert escape(list(text)) == escape([text])


@given(TEXTS)
def test_it_is_the_guides_replacement(text: str) -> None:
    expected = re.sub("<(script)", r"&lt;\1", text, flags=re.IGNORECASE | re.ASCII)
    assert escape([text]) == expected


@given(TEXTS, st.lists(st.integers(0, 200)))
def test_what_is_held_back_is_short_and_counted(text: str, cuts: list[int]) -> None:
    escaper = ScriptEscaper()
    fed = given_out = 0
    for piece in split(text, cuts):
        fed += len(piece)
        given_out += len(escaper.feed(piece).replace("&lt;", "<" if "&lt;" not in text else "&lt;"))
        assert escaper.held <= 6
        if "&lt;" not in text:
            assert given_out == fed - escaper.held


def test_letters_outside_ascii_are_no_tag() -> None:
    assert escape(["<ſcript>"]) == "<ſcript>"
