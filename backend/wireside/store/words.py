"""Tokenizes text and queries for the full-text search, identically for every database. Pure.

Text and query are folded in the same way: NFKC, without case, accents and points, and with one form
of letters that have several spellings. The index contains these tokens:

* each word, a run of letters, digits and their marks; queries match it by prefix;
* inner grams: ``~`` and up to ``GRAM_CHARS`` characters from each later position in a word, so that
  terms of ``MIN_INNER_CHARS`` or more characters also match inside words;
* for Chinese, Japanese and Korean each pair of characters, for scripts without spaces (Thai,
  Khmer …) ``UNSPACED_CHARS`` characters from each letter, so that a term matches anywhere;
* words with signs: ``c++``, ``c#``, ``r&d``, ``tcp/ip``, ``.net``, ``#tag``, ``@name``;
* emoji as single tokens, with and without their skin tones.

SQLite's table ``document_words`` (migration 0007) lists the ASCII signs that tokens may contain.

A term that is longer than a gram is looked up by several grams, which may also match texts without
the whole term; ``Term.is_contained_in`` checks the text itself.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

MAX_WORD_CHARS = 64

MAX_INDEXED_CHARS = 200_000
"""Maximum length of the indexed part of a text; the rest is not searchable."""

MAX_INDEX_BYTES = 900_000
"""Maximum size of all tokens of a text. PostgreSQL limits a ``tsvector`` to 1 MiB."""

MIN_INNER_CHARS = 3
"""Minimum length of a term that matches inside words; shorter ones match by prefix only."""

GRAM_CHARS = 5
"""Maximum length of an inner gram, without ``INNER``."""

UNSPACED_CHARS = 3
"""Length of grams in scripts without spaces. Longer ones multiply the size of the index."""

INNER = "~"
"""Prefix of an inner gram."""

MAX_GRAMS_PER_TERM = 12

SNIPPET_CHARS = 160

LEAD_CHARS = 40
"""Number of characters of a snippet before the first match."""

_PIECE_CLUSTERS = 200
_ZWJ = "\u200d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A part of a query, which a text must contain."""

    text: str
    """The folded term."""
    pattern: str
    """Regular expression that matches the term in folded text."""
    lookups: tuple[tuple[str, ...], ...]
    """Alternative index lookups; each lists token prefixes, all of which a text must have."""
    is_exact: bool
    """Whether every text that ``lookups`` select contains the term, so that no check is needed."""

    def is_contained_in(self, folded: str) -> bool:
        """Return whether folded text contains the term."""
        return self.is_exact or re.search(self.pattern, folded) is not None


def prepare_tables() -> None:
    """Compute the tables that the other functions need, which takes a tenth of a second."""
    _script_classes()


def index_tokens(text: str) -> list[str]:
    """Return the distinct tokens of ``text``, words first.

    >>> index_tokens("Ça, «Über_3 C#»!")
    ['ca', 'uber', '3', 'c', 'c#', '~ber']
    """
    folded = fold(text[:MAX_INDEXED_CHARS])
    found = _script_classes()
    tokens = dict.fromkeys(word[:MAX_WORD_CHARS] for word in found.word.findall(folded))
    words = list(tokens)
    for signed in (*found.joined.findall(folded), *found.led.findall(folded)):
        tokens[signed[:MAX_WORD_CHARS]] = None
    if not folded.isascii():
        for emoji in found.emoji.findall(folded):
            tokens[emoji[:MAX_WORD_CHARS]] = None
            tokens[found.tones.sub("", emoji)[:MAX_WORD_CHARS]] = None
        for run in found.pairs.findall(folded):
            tokens.update(dict.fromkeys(run[at : at + 2] for at in range(len(run))))
        for run in found.unspaced.findall(folded):
            tokens.update(
                dict.fromkeys(
                    run[at : at + UNSPACED_CHARS] for at in _letter_positions(run, found.marks)
                )
            )
    for word in words:
        if len(word) > MIN_INNER_CHARS:
            last = len(word) - MIN_INNER_CHARS
            tokens.update(
                dict.fromkeys(INNER + word[at : at + GRAM_CHARS] for at in range(1, last + 1))
            )
    return list(_within_index_limit(tokens))


def query_terms(query: str) -> list[Term]:
    """Return the distinct terms of a query, in order."""
    found = _script_classes()
    terms: dict[str, Term] = {}
    for match in found.query.finditer(fold(query)):
        kind, part = match.lastgroup, match.group()
        if kind == "emoji":
            made = [_emoji_term(part[:MAX_WORD_CHARS])]
        elif kind == "pairs":
            made = [_pairs_term(part[:MAX_WORD_CHARS])]
        elif kind == "unspaced":
            made = (
                [_unspaced_term(part[:MAX_WORD_CHARS])]
                if _letter_positions(part, found.marks)
                else []
            )
        else:
            made = list(_word_terms(part))
        terms.update((term.text, term) for term in made)
    return list(terms.values())


def fold(text: str) -> str:
    """Return ``text`` without case, accents and points, and with one form of each letter."""
    if text.isascii():
        return text.lower()
    found = _script_classes()
    plain = unicodedata.normalize("NFKD", text).translate(found.folds)
    if _DEVANAGARI_VIRAMA in plain:
        plain = _NASAL.sub("\u0902", plain)
    if _ZWJ in plain:  # kept between emoji, which it joins; elsewhere it only shapes letters
        plain = found.loose_zwj.sub("", plain)
    return unicodedata.normalize("NFC", plain.casefold())


def snippet(text: str, terms: Sequence[Term]) -> tuple[str, ...]:
    """Return the text around the first match, in pieces.

    The pieces at odd indices are matches of ``terms``; the others are the text between them.
    """
    # longer terms first: of two matches at the same position, the longer one is marked
    patterns = sorted((term.pattern for term in terms), key=len, reverse=True)
    pattern = re.compile("|".join(patterns) or r"(?!)")
    first = _first_match(text, pattern)
    start = _word_start(text, max(0, first - LEAD_CHARS))
    end = min(len(text), start + SNIPPET_CHARS)
    pieces: list[str] = ["…" if start else ""]
    at = start
    for begin, stop in _match_spans(text[start:end], pattern):
        begin, stop = max(start + begin, at), start + stop
        if stop <= at:
            continue
        if begin == at and len(pieces) > 1:  # adjacent matches are joined
            pieces[-2] += text[begin:stop]
        else:
            pieces[-1] += text[at:begin]
            pieces += [text[begin:stop], ""]
        at = stop
    pieces[-1] += text[at:end] + ("…" if end < len(text) else "")
    return tuple(pieces)


# ---- terms -------------------------------------------------------------------------------------


def _word_terms(part: str) -> Iterator[Term]:
    """Yield the terms of words joined by signs: ``asp/.net`` has two."""
    found = _script_classes()
    if part[0] in ".#@$":
        led = found.led.match(part)
        if led is not None:
            yield _signed_term(led.group()[:MAX_WORD_CHARS])
        part = part[1:]
        if found.word.fullmatch(part):
            return
    joined = found.joined.findall(part)
    for pair in joined:
        yield _signed_term(pair[:MAX_WORD_CHARS])
    if not joined:
        yield _word_term(part[:MAX_WORD_CHARS])


def _word_term(word: str) -> Term:
    if len(word) < MIN_INNER_CHARS:
        return Term(text=word, pattern=_at_word_start(word), lookups=((word,),), is_exact=True)
    grams = tuple(INNER + gram for gram in _grams_at(word, range(len(word)), GRAM_CHARS))
    is_exact = len(word) <= GRAM_CHARS
    return Term(text=word, pattern=re.escape(word), lookups=((word,), grams), is_exact=is_exact)


def _signed_term(word: str) -> Term:
    pattern = re.escape(word) if word[0] in ".#@$" else _at_word_start(word)
    return Term(text=word, pattern=pattern, lookups=((word,),), is_exact=True)


def _pairs_term(run: str) -> Term:
    pairs = tuple(dict.fromkeys(run[at : at + 2] for at in range(max(1, len(run) - 1))))
    return Term(
        text=run,
        pattern=re.escape(run),
        lookups=(pairs[:MAX_GRAMS_PER_TERM],),
        is_exact=len(run) <= 2,
    )


def _unspaced_term(run: str) -> Term:
    starts = _letter_positions(run, _script_classes().marks)
    run = run[starts[0] :]
    grams = _grams_at(run, [at - starts[0] for at in starts], UNSPACED_CHARS)
    return Term(
        text=run, pattern=re.escape(run), lookups=(grams,), is_exact=len(run) <= UNSPACED_CHARS
    )


def _emoji_term(emoji: str) -> Term:
    tones = _TONES if not re.search(_TONES, emoji) else ""
    pattern = "".join(re.escape(char) + (f"{tones}?" if tones else "") for char in emoji)
    return Term(text=emoji, pattern=f"(?<!{_ZWJ}){pattern}", lookups=((emoji,),), is_exact=True)


def _at_word_start(word: str) -> str:
    return f"(?<![{_script_classes().letters}]){re.escape(word)}"


def _grams_at(word: str, starts: Iterable[int], size: int) -> tuple[str, ...]:
    """Return the grams of ``size`` characters at ``starts`` that lie within ``word``."""
    if len(word) <= size:
        return (word,)
    grams = [word[at : at + size] for at in starts if at + size <= len(word)]
    return tuple(dict.fromkeys(grams))[:MAX_GRAMS_PER_TERM]


def _letter_positions(run: str, marks: re.Pattern[str]) -> list[int]:
    """Return the positions in ``run`` of characters other than marks."""
    return [at for at, char in enumerate(run) if not marks.match(char)]


def _within_index_limit(tokens: Iterable[str]) -> Iterator[str]:
    room = MAX_INDEX_BYTES
    for token in tokens:
        room -= len(token.encode())
        if room < 0:
            return
        yield token


# ---- positions of matches ----------------------------------------------------------------------


def _first_match(text: str, pattern: re.Pattern[str]) -> int:
    """Return the position of the first match, 0 if there is none."""
    if text.isascii():
        match = pattern.search(text.lower())
        return match.start() if match else 0
    pieces = list(_script_classes().piece.finditer(text))
    folded = [fold(piece.group()) for piece in pieces]
    match = pattern.search("".join(folded))
    if match is None:
        return 0
    ends: list[int] = []
    for one in folded:
        ends.append((ends[-1] if ends else 0) + len(one))
    at = bisect_right(ends, match.start())
    before = ends[at - 1] if at else 0
    _, origins = _fold_with_origins(pieces[at].group())
    inside = min(match.start() - before, len(origins) - 1)
    return pieces[at].start() + (origins[inside][0] if origins else 0)


def _match_spans(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Yield the start and the end of each match in ``text``."""
    folded, origins = _fold_with_origins(text)
    for match in pattern.finditer(folded):
        if match.end() > match.start():
            yield origins[match.start()][0], origins[match.end() - 1][1]


def _fold_with_origins(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the folded text, and for each of its characters the span that it comes from."""
    if text.isascii():
        return text.lower(), [(at, at + 1) for at in range(len(text))]
    folded: list[str] = []
    origins: list[tuple[int, int]] = []
    for cluster in _script_classes().cluster.finditer(text):
        one = fold(cluster.group())
        folded.append(one)
        origins += [cluster.span()] * len(one)
    return "".join(folded), origins


def _word_start(text: str, at: int) -> int:
    """Return the start of the word at ``at``, so that a snippet does not begin inside a word."""
    lowest = max(0, at - MAX_WORD_CHARS)
    start = at
    while start > 0 and not text[start - 1].isspace() and text[start - 1 : start + 1].isalnum():
        start -= 1
        if start < lowest:  # a script without spaces
            return at
    return start


# ---- characters --------------------------------------------------------------------------------

_PAIRS = (
    (0x1100, 0x11FF),  # jamo
    (0x3005, 0x3007),
    (0x3041, 0x312F),  # kana, bopomofo
    (0x31A0, 0x31BF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA000, 0xA48C),  # Yi
    (0xAC00, 0xD7FF),  # Hangul
    (0xF900, 0xFAFF),
    (0x1B000, 0x1B16F),
    (0x20000, 0x3FFFF),
)
"""Scripts whose characters are nearly words."""

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0xA980, 0xA9FF),  # Javanese, Burmese
    (0xAA60, 0xAADF),  # Burmese, Tai Viet
)
"""Alphabetic scripts without spaces between words."""

_DROPPED = (
    (0x00AD, 0x00AD),
    (0x0300, 0x036F),
    (0x0483, 0x0489),
    (0x0591, 0x05BD),  # Hebrew points
    (0x05BF, 0x05BF),
    (0x05C1, 0x05C2),
    (0x05C4, 0x05C5),
    (0x05C7, 0x05C7),
    (0x0610, 0x061A),  # Arabic marks
    (0x061C, 0x061C),
    (0x0640, 0x0640),  # tatweel
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x06D6, 0x06DC),
    (0x06DF, 0x06E4),
    (0x06E7, 0x06E8),
    (0x06EA, 0x06ED),
    (0x0711, 0x0711),  # Syriac
    (0x0730, 0x074A),
    (0x07EB, 0x07F3),
    (0x0898, 0x089F),
    (0x08CA, 0x08E1),
    (0x08E3, 0x08FF),
    (0x180B, 0x180F),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x200B, 0x200C),  # invisible, like those below
    (0x200E, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x20D0, 0x20E2),
    (0x20E4, 0x20FF),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFE20, 0xFE2F),
    (0xFEFF, 0xFEFF),
    (0xE0100, 0xE01EF),
)
"""Marks that are optional in writing, and invisible characters, but no vowel signs."""

_NUKTAS = "\u093c\u09bc\u0a3c\u0abc\u0b3c\u0cbc\U000110ba\U00011173\U000111ca\U000112e9\U000114c3"

_ONE_FORM = {
    # alef, ya, kaf, ha
    "\u0671": "\u0627",
    "\u0649": "\u064a",
    "\u06cc": "\u064a",
    "\u06d2": "\u064a",
    "\u06a9": "\u0643",
    "\u0629": "\u0647",
    "\u06be": "\u0647",
    "\u06c1": "\u0647",
    "\u06c3": "\u0647",
    "\u06d5": "\u0647",
    # final forms of Hebrew
    "ך": "כ",
    "ם": "מ",
    "ן": "נ",
    "ף": "פ",
    "ץ": "צ",
    # Latin letters with a stroke have no decomposition
    **dict(zip("øØđĐðÐłŁħĦŧŦıƀɨ", "ooddddllhhttibi", strict=True)),
    "æ": "ae",
    "Æ": "ae",
    "œ": "oe",
    "Œ": "oe",
    "\u0901": "\u0902",  # chandrabindu, anusvara
    "♯": "#",
}

_PLANE_END = 0x10000  # of the Basic Multilingual Plane
_LETTERS_BEYOND = "\U00010000-\U0001afff\U0001b170-\U0001bcff\U0001d000-\U0001efff"
_MARKS_BEYOND = "\U00011000-\U00011002\U0001d165-\U0001d169\U000e0100-\U000e01ef"
"""Marks of U+10000 and above, approximated by whole blocks."""

_DEVANAGARI_VIRAMA = "\u094d"
_NASAL = re.compile("ङ्(?=[क-घ])|ञ्(?=[च-झ])|ण्(?=[ट-ढ])|न्(?=[त-ध])|म्(?=[प-भ])")
"""A nasal before a consonant of its class, which may be written as a dot: हिन्दी, हिंदी."""

_FLAGS = "[\U0001f1e6-\U0001f1ff]"
_TONES = "[\U0001f3fb-\U0001f3ff]"
_TAGS = "\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\u20e3"
_SYMBOLS = (
    "\u20a0-\u20c0\u2190-\u22ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d"
    "\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scripts:
    folds: dict[int, str | None]
    letters: str
    marks: re.Pattern[str]
    word: re.Pattern[str]
    joined: re.Pattern[str]
    led: re.Pattern[str]
    emoji: re.Pattern[str]
    tones: re.Pattern[str]
    pairs: re.Pattern[str]
    unspaced: re.Pattern[str]
    query: re.Pattern[str]
    loose_zwj: re.Pattern[str]
    cluster: re.Pattern[str]
    piece: re.Pattern[str]


@cache
def _script_classes() -> _Scripts:
    """Return the character classes, computed once from Python's Unicode data."""
    mark_class = _character_class(_codes_of("M")) + _MARKS_BEYOND
    is_unspaced = bytearray(_PLANE_END)
    for first, last in (*_PAIRS, *_UNSPACED):
        if last < _PLANE_END:
            is_unspaced[first : last + 1] = b"\1" * (last + 1 - first)
    pairs_class = _character_class(_letters_of(_PAIRS))
    unspaced_class = _character_class(_letters_of(_UNSPACED))
    folds: dict[int, str | None] = {
        code: str(decimal)
        for code in _codes_of("N")
        if (decimal := unicodedata.decimal(chr(code), None)) is not None
    }
    folds |= {ord(char): plain for char, plain in _ONE_FORM.items()}
    folds |= {code: None for first, last in _DROPPED for code in range(first, last + 1)}
    folds |= {ord(char): None for char in _NUKTAS}

    plain = "0-9a-z"
    plain += _character_class(code for code in range(0x80, 0x300) if chr(code).isalnum())
    # ``re`` uses a lookup table except for ranges above U+FFFF, which must therefore be few
    plain += _character_class(code for code in _codes_of("LNM") if not is_unspaced[code])
    plain += _LETTERS_BEYOND
    letter = f"[{plain}]"
    joins = f"[+#]+{letter}*|[/&]{letter}+"
    leads = f"(?:#|[.@$](?=[^\\W\\d_])){letter}+"
    emoji = (
        f"(?:{_FLAGS}{{2}}|[{_SYMBOLS}]|[#*](?=\u20e3))[{_TAGS}]*(?:{_ZWJ}[{_SYMBOLS}][{_TAGS}]*)*"
    )
    extended = f"[{mark_class}\u1160-\u11ff\u200b\u200c\uff9e\uff9f{_TAGS}]*"
    joined = f"(?:{_ZWJ}|(?<={_DEVANAGARI_VIRAMA})(?=[क-ह]))"
    cluster = f"(?s:{_FLAGS}{{2}}|.){extended}(?s:{joined}.{extended})*"
    return _Scripts(
        folds=folds,
        letters=plain,
        marks=re.compile(f"[{mark_class}]"),
        word=re.compile(f"{letter}+"),
        joined=re.compile(f"(?<!{letter})(?=({letter}+(?:{joins})))"),
        led=re.compile(leads),
        emoji=re.compile(emoji),
        tones=re.compile(_TONES),
        pairs=re.compile(f"[{pairs_class}]+"),
        unspaced=re.compile(f"[{unspaced_class}]+"),
        query=re.compile(
            f"(?P<emoji>{emoji})|(?P<pairs>[{pairs_class}]+)|(?P<unspaced>[{unspaced_class}]+)"
            f"|(?P<word>(?:#|[.@$](?=[^\\W\\d_]))?{letter}+(?:{joins})*)"
        ),
        loose_zwj=re.compile(f"(?<![{_SYMBOLS}{_TAGS}]){_ZWJ}|{_ZWJ}(?![{_SYMBOLS}])"),
        cluster=re.compile(cluster),
        piece=re.compile(f"(?:{cluster}){{1,{_PIECE_CLUSTERS}}}"),
    )


def _codes_of(categories: str) -> Iterator[int]:
    """Yield the codes from U+0300 to U+FFFF of these Unicode categories.

    A table of all categories would be quicker to read, and take 7 MB.
    """
    for code in range(0x300, _PLANE_END):
        if unicodedata.category(chr(code))[0] in categories:
            yield code


def _letters_of(blocks: Iterable[tuple[int, int]]) -> Iterator[int]:
    for first, last in blocks:
        if first >= 0x20000:
            yield from range(first, last + 1)
        else:
            for code in range(first, last + 1):
                if unicodedata.category(chr(code))[0] in "LNM":
                    yield code


def _character_class(codes: Iterable[int]) -> str:
    """Return the inside of a regular expression's ``[…]`` for these characters."""
    ranges: list[list[int]] = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
