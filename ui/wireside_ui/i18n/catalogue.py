"""The interface's words in the languages that there are, chosen from what a browser asks for."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from wireside.errors import WiresideError
from wireside_ui.i18n import ar, de, en, es, fr, ja, zh

LANGUAGES: Mapping[str, ModuleType] = {
    "en": en, "de": de, "es": es, "fr": fr, "zh": zh, "ja": ja, "ar": ar,
}  # fmt: skip

RIGHT_TO_LEFT = frozenset({"ar"})

MAX_HEADER = 500
"""Characters of an ``Accept-Language`` header that are read."""


def language_of(accept: str) -> str:
    """Return the language that an ``Accept-Language`` header wants most, of those we have.

    >>> language_of("pt-BR,de-AT;q=0.8,en;q=0.9")
    'en'
    """
    wanted: list[tuple[float, int, str]] = []
    for place, item in enumerate(accept[:MAX_HEADER].split(",")):
        name, *parameters = item.split(";")
        language = name.strip().lower().partition("-")[0]
        quality = _quality(parameters)
        if language in LANGUAGES and quality > 0:
            wanted.append((-quality, place, language))
    return min(wanted)[2] if wanted else "en"


def words_in(language: str) -> dict[str, str]:
    """Return all words; what a language lacks, it borrows from English."""
    return {**en.WORDS, **LANGUAGES[language].WORDS}


def sentence_in(language: str, error: WiresideError) -> str:
    """Return what happened: in the error's own words where the catalogue has none."""
    errors: Mapping[str, str] = LANGUAGES[language].ERRORS
    return errors.get(error.code) or str(error)


def starters_in(language: str) -> tuple[str, ...]:
    """Return four questions to begin with."""
    starters: tuple[str, ...] = LANGUAGES[language].STARTERS
    return starters


def direction_of(language: str) -> str:
    """Return ``ltr`` or ``rtl``."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


def _quality(parameters: list[str]) -> float:
    """Return the ``q`` of a header's item, 1 without one, 0 for what is none."""
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
