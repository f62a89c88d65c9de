"""The words of a text as search sees them, the same for every database. Pure.

A word is a run of letters and digits, without case and diacritics. Chinese and Japanese are written
without spaces, so there each character is a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

MAX_WORD_CHARS = 64

MAX_INDEXED_CHARS = 200_000
"""Of one text; what is beyond is not found."""

SNIPPET_CHARS = 160

LEAD_CHARS = 40
"""Of a snippet, before the first match."""

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# signs that Python counts among the letters, and SQLite's tokenizer does not
_SIGNS = "\u19b0-\u19c0\u19c8\u19c9\u1cf2\u1cf3"
_WORD = re.compile(f"[{_CJK}]|[^\\W_{_CJK}{_SIGNS}]+")


def words_of(text: str) -> list[str]:
    """Return the words of ``text``, in order, as they are indexed.

    >>> words_of("Ça, «Über_3 Frames»!")
    ['ca', 'uber', '3', 'frames']
    """
    return [word for match in _words(text[:MAX_INDEXED_CHARS]) for word in _folded(match.group())]


def snippet(text: str, terms: list[str]) -> tuple[str, ...]:
    """Return the text around the first match, in pieces; every second one, from the second on,
    begins a word that one of ``terms`` is the beginning of.
    """
    first = next((m.start() for m in _words(text) if _match(m.group(), terms)), 0)
    start = _word_start(text, max(0, first - LEAD_CHARS))
    end = min(len(text), start + SNIPPET_CHARS)
    pieces: list[str] = ["…" if start else ""]
    at = start
    for match in _words(text[start:end]):
        length = _match(match.group(), terms)
        if length:
            begin = start + match.start()
            if begin == at and len(pieces) > 1:  # characters that follow each other are one match
                pieces[-2] += text[begin : begin + length]
            else:
                pieces[-1] += text[at:begin]
                pieces += [text[begin : begin + length], ""]
            at = begin + length
    pieces[-1] += text[at:end] + ("…" if end < len(text) else "")
    return tuple(pieces)


def _words(text: str) -> Iterator[re.Match[str]]:
    return _WORD.finditer(text)


def _folded(word: str) -> list[str]:
    """Return a word without case and diacritics; a few characters are several words: "½"."""
    if word.isascii():
        return [word.lower()[:MAX_WORD_CHARS]]
    plain = unicodedata.normalize("NFKD", word)
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return [part[:MAX_WORD_CHARS] for part in _WORD.findall(bare.casefold())]


def _match(word: str, terms: list[str]) -> int:
    """Return how many characters of ``word`` match, 0 for none."""
    folded = _folded(word)
    length = max(
        (len(term) for term in terms for part in folded if part.startswith(term)), default=0
    )
    # folding may change a word's length: then all of it is marked
    return length if len("".join(folded)) == len(word) else len(word) * bool(length)


def _word_start(text: str, at: int) -> int:
    """Return where the word that ``at`` lies in begins, so that a snippet cuts none."""
    while at > 0 and not text[at - 1].isspace() and text[at - 1 : at + 1].isalnum():
        at -= 1
    return at
