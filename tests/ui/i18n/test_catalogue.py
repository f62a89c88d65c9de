"""The catalogue: complete, and selected by the browser's accepted languages."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wireside_ui
from wireside.errors import NotConfigured, ProviderTimeout, ProviderUnavailable, WiresideError
from wireside.openai_wire import errors
from wireside_ui.i18n import catalogue
from wireside_ui.i18n.catalogue import LANGUAGES, direction_of, language_of, sentence_in, words_in

SOURCES = Path(wireside_ui.__file__).parent


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def codes(error: type[WiresideError]) -> set[str]:
    return {error.code}.union(*(codes(child) for child in error.__subclasses__()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_word(language: str) -> None:
    english = LANGUAGES["en"].WORDS
    own = LANGUAGES[language].WORDS
    assert own.keys() == english.keys()
    assert all(text.strip() for text in own.values())
    assert {key: fields(own[key]) for key in own} == {key: fields(english[key]) for key in own}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_four_starters(language: str) -> None:
    assert len(set(catalogue.starters_in(language))) == 4


@pytest.mark.parametrize("script", sorted(SOURCES.glob("components/**/*.js")), ids=lambda p: p.stem)
def test_every_word_of_a_script_is_in_the_catalogue(script: Path) -> None:
    used = set(re.findall(r"\b(?:w|this\.words)\.(\w+)", script.read_text(encoding="utf-8")))
    assert used <= words_in("en").keys()


def test_every_translated_error_exists() -> None:
    texts = {errors.FAILED, errors.BROKE_OFF, errors.LOADING}
    for name, language in LANGUAGES.items():
        by_text = {key for key in language.ERRORS if " " in key}
        assert language.ERRORS.keys() - by_text <= codes(WiresideError)
        assert by_text == (texts if name != "en" else set())


def test_an_answer_that_was_cut_is_not_called_unreachable() -> None:
    for language in LANGUAGES:
        said = {
            sentence_in(language, ProviderUnavailable(text))
            for text in (
                errors.FAILED,
                errors.BROKE_OFF,
                errors.LOADING,
                ProviderUnavailable.sentence,
            )
        }
        assert len(said) == 4


def test_an_error_that_names_a_setting_speaks_itself() -> None:
    assert sentence_in("de", NotConfigured("Set X.")) == "Set X."
    assert sentence_in("de", ProviderTimeout()) != str(ProviderTimeout())
    assert sentence_in("en", ProviderTimeout("It took 9 s.")) == "It took 9 s."


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", "en"),
        ("de-AT,en;q=0.9", "de"),
        ("pt-BR,de-AT;q=0.8,en;q=0.9", "en"),
        ("en;q=0.5, ja", "ja"),
        ("fr;q=0, es;q=0.1", "es"),
        ("zh-Hans-CN", "zh"),
        ("de; q=0.2, fr; q=0.3", "fr"),
        ("xx,*;q=0.5", "en"),
        ("de;q=nan,fr;q=none", "en"),
    ],
)
def test_the_browsers_wish_is_heard(accept: str, language: str) -> None:
    assert language_of(accept) == language


@given(st.text())
def test_no_header_breaks_it(accept: str) -> None:
    assert language_of(accept) in LANGUAGES


def test_arabic_runs_from_right_to_left() -> None:
    assert [direction_of(language) for language in ("ar", "en")] == ["rtl", "ltr"]
