"""Tokens as search defines them, and the excerpt around a match."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.store.words import (
    MAX_INDEX_BYTES,
    MAX_INDEXED_CHARS,
    SNIPPET_CHARS,
    fold,
    index_tokens,
    query_terms,
    snippet,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Ça, «Über_3 Frames»!", ["ca", "uber", "3", "frames"]),
        ("don't stop", ["don", "t", "stop"]),
        ("ﬁne Straße", ["fine", "strasse"]),
        ("C++ and C#, F#", ["c", "and", "f", "c++", "c#", "f#"]),
        ("क़िला की", ["किला", "की"]),
        ("👍🏽 ok", ["ok", "👍🏽", "👍"]),
    ],
)
def test_words_are_folded(text: str, words: list[str]) -> None:
    assert [token for token in index_tokens(text) if not token.startswith("~")] == words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (unicodedata.normalize("NFD", "Zürich Đặng 서울 ガラス"), "zurich dang 서울 ガラス"),
        ("مُحَمَّد", "محمد"),
        ("مــرحبا", "مرحبا"),
        ("أحمد إلى مدرسة", "احمد الي مدرسه"),
        ("می‌خواهم کتاب", "ميخواهم كتاب"),
        ("שָׁלוֹם", "שלומ"),
        ("ﾊﾝﾊﾞｰｶﾞｰ", "ハンバーガー"),
        ("Ｗｉｒｅｓｉｄｅ", "wireside"),
        ("١٢٣ ४५", "123 45"),
        ("İstanbul ISPARTA ılık", "istanbul isparta ilik"),
        ("Łódź Ærø", "lodz aero"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("❤️", "❤"),
        ("हिन्दी पञ्जाब", "हिंदी पंजाब"),
        ("C♯", "c#"),
    ],
)
def test_what_people_write_in_several_ways_folds_to_one(one: str, other: str) -> None:
    assert fold(one) == other


@pytest.mark.parametrize("mark", ["ガ", "ขา่", "की", "កើ", "മീ"])
def test_vowel_signs_and_tones_stay(mark: str) -> None:
    assert fold(mark) == mark


def test_a_snippet_lies_around_the_first_match() -> None:
    text = "word " * 100 + "the wombat digs " + "word " * 100
    pieces = snippet(text, query_terms("womb dig"))
    assert pieces[1::2] == ("womb", "dig")
    assert pieces[0].startswith("…")
    assert pieces[-1].endswith("…")
    assert len("".join(pieces)) <= SNIPPET_CHARS + 2


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("die Straße da", "strasse", ("Straße",)),
        ("die Straße da", "stras", ("Straß",)),  # the whole character is marked
        ("cafe\u0301s", "café", ("cafe\u0301",)),
        ("WebSocketHandler", "handler", ("Handler",)),
        ("ein Kiosk", "io", ()),
        ("I know C++, not Clojure", "C++", ("C++",)),
        ("a 👩🏽‍💻 b", "👩‍💻", ("👩🏽‍💻",)),
        ("مُحَمَّد هنا", "محمد", ("مُحَمَّد",)),
        ("พรุ่งนี้ไปตลาด", "ตลาด", ("ตลาด",)),
        ("東京と京都", "京都", ("京都",)),
        ("मेरी हिन्दी", "हिंदी", ("हिन्दी",)),
        ("各" * 500 + "서울대학교", "대학", ("대학",)),
    ],
)
def test_what_matches_is_marked(text: str, query: str, marked: tuple[str, ...]) -> None:
    assert snippet(text, query_terms(query))[1::2] == marked


@given(st.text(max_size=400), st.sampled_from(["a", "ab", "1", "ß", "😀", "क", "abc"]))
def test_a_snippet_is_a_piece_of_the_text(text: str, query: str) -> None:
    pieces = snippet(text, query_terms(query))
    assert len(pieces) % 2 == 1
    plain = "".join(pieces)
    assert plain.removeprefix("…").removesuffix("…") in text or plain in text


@given(st.text(max_size=60))
def test_a_text_is_found_by_itself(text: str) -> None:
    tokens = index_tokens(text)
    for term in query_terms(text):
        assert any(
            all(any(token.startswith(start) for token in tokens) for start in starts)
            for starts in term.lookups
        )


def test_the_tokens_of_any_text_fit_postgresql() -> None:
    text = "".join(chr(0x4E00 + at * 7919 % 20_000) for at in range(MAX_INDEXED_CHARS))
    assert sum(len(token.encode()) for token in index_tokens(text)) <= MAX_INDEX_BYTES
