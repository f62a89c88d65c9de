"""Catalogue of the interface's texts; the language is negotiated by ``Accept-Language``."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from wireside.errors import WiresideError
from wireside_ui.i18n import ar, de, en, es, fr, ja, zh

LANGUAGES: Mapping[str, ModuleType] = {
    "en": en, "de": de, "es": es, "fr": fr, "zh": zh, "ja": ja, "ar": ar,
}  # fmt: skip

NAMES: Mapping[str, str] = {
    "en": "English", "de": "Deutsch", "es": "Español", "fr": "Français", "zh": "中文",
    "ja": "日本語", "ar": "العربية",
}  # fmt: skip
"""The name of each language, in itself."""

RIGHT_TO_LEFT = frozenset({"ar"})

MAX_HEADER = 500
"""Maximum number of characters of an ``Accept-Language`` header that are parsed."""


def language_of(accept: str) -> str:
    """Return the available language that an ``Accept-Language`` header prefers; "en" if none.

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
    """Return all texts of a language; missing ones are in English."""
    return {**en.WORDS, **LANGUAGES[language].WORDS}


def sentence_in(language: str, error: WiresideError) -> str:
    """Return the message for an error; the error's own text if the catalogue has none.

    ``ERRORS`` has messages by the error's own English text, where one code means several things,
    and by its code.
    """
    errors: Mapping[str, str] = LANGUAGES[language].ERRORS
    return errors.get(str(error)) or errors.get(error.code) or str(error)


def starters_in(language: str) -> tuple[str, ...]:
    """Return the four starter questions."""
    starters: tuple[str, ...] = LANGUAGES[language].STARTERS
    return starters


def direction_of(language: str) -> str:
    """Return the writing direction of a language: ``ltr`` or ``rtl``."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


def _quality(parameters: list[str]) -> float:
    """Return the ``q`` value of a header's item, 1 if it is missing and 0 if it is invalid."""
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
