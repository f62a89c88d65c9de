"""Finding text within one conversation."""

from __future__ import annotations

import time

import pytest

from wireside_ui.presenters.find import contains, folded


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("cafe au lait", "A **c**afé\n au  *lait*"),
        ("two words", "Two\n\nWORDS"),
        ("see the guide", "see [the guide](https://a.example/x_(y))"),
        ("https://a.example", "see [the guide](https://a.example/x)"),
        ("**bold**", "a **bold** word"),
        ("snake_case", "`snake_case`"),
        ("snakecase", "`snake_case`"),
        ("first point second", "- first point\n- second"),
        ("heading text", "## Heading\n> text"),
        ("東京都", "私は**東京**都にいる"),
        ("ｆｕｌｌ", "full"),
        ("خوخ", "خَوخ"),
        ("straße", "STRASSE"),
        ("GRUSSE", "Viele Grüße"),
        ("ΛΟΓΟΣ", "ο λόγος"),
        ("🎉", "done 🎉"),
    ],
)
def test_text_is_found_as_it_is_written_and_as_it_is_shown(query: str, text: str) -> None:
    assert contains(folded(query), ["", text])


@pytest.mark.parametrize(("query", "text"), [("ab", "a b"), ("word", "w0rd"), ("x", "")])
def test_other_text_is_not(query: str, text: str) -> None:
    assert not contains(folded(query), [text])


@pytest.mark.parametrize("at", [0, 65_530, 65_536, 67_530, 131_060, 200_000])
def test_a_place_between_slices_is_found(at: int) -> None:
    text = "x " * (at // 2) + "**nee**dle" + " y" * 50_000
    assert contains("needle", [text])


@pytest.mark.parametrize("piece", ["[", "](", "*", "[a](", "\n- ", "[" * 50 + "]", "](" + "x" * 99])
def test_the_time_grows_with_the_text_only(piece: str) -> None:
    def seconds(chars: int) -> float:
        text = piece * (chars // len(piece))
        began = time.process_time()
        contains("nothing like it", [text])
        return time.process_time() - began

    seconds(1_000)
    assert seconds(400_000) < 40 * max(seconds(40_000), 0.01)
