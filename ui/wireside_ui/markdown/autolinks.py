"""Bare links as in GFM: web addresses, ``www.`` names and mail addresses.

Unlike in GFM, an address ends at non-ASCII punctuation and, after its host, at letters of scripts
without spaces, because the sentence continues there (``https://example.com/x了解更多``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from wireside_ui.markdown.emphasis import is_unspaced

MAX_BARE_CHARS = 2_000
"""Maximum length of a bare address without its scheme."""

MAX_TRIMMED_CHARS = 8
"""Characters after an address that are searched for the closing mark of emphasis."""

_START = re.compile(r"https?://|www\.|mailto:|@", re.IGNORECASE)
_ADDRESS = re.compile(rf"[^\s<>\"“”„‘’«»\\^`{{|}}]{{1,{MAX_BARE_CHARS}}}")
_DOMAIN = re.compile(r"(?:[a-z0-9_-]{1,63}\.){1,8}[a-z0-9_-]{1,63}", re.IGNORECASE)
_LOCAL_CHARS = re.compile(r"[a-z0-9._+-]{1,64}\Z", re.IGNORECASE)
_IS_PATH = re.compile(r":[^\s:]{0,200}/")
_ENTITY = re.compile(r"&[a-z0-9]{1,31};\Z", re.IGNORECASE)
_TRAILING = ".,:;!?'\"*_~"
_PAIRS = {")": "(", "]": "["}


_MARKS_BEFORE = re.compile(r"(?:\*+|_+|~+)\Z")
_STRONG_END = re.compile(r"(?<![/*])\*\*")


@dataclass(frozen=True, slots=True)
class BareLink:
    """An address from offset ``start`` to ``end`` of a text; ``url`` includes the scheme."""

    start: int
    end: int
    url: str


def bare_links(text: str) -> Iterator[BareLink]:
    """Yield the addresses in ``text`` from left to right, in linear time."""
    at = 0
    while found := _START.search(text, at):
        link = _web(text, found) if found[0] != "@" else _mail(text, found.start(), at)
        if link is None:
            at = found.end()
            continue
        yield link
        at = link.end


def address_spans(source: str) -> list[tuple[int, int]]:
    """Return the (start, end) offsets of web addresses in Markdown source before inline parsing.

    ``*`` and ``_`` within a span belong to the address (``https://example.com/a/__init__.py``).
    An address ends at the emphasis mark that also precedes it, and at the end of a link's text.
    """
    spans = []
    for link in bare_links(source):
        if link.url.startswith("mailto:"):
            continue
        ends = [link.end, source.find("](", link.start, link.end)]
        before = _MARKS_BEFORE.search(source, max(0, link.start - 3), link.start)
        if before and before[0] not in source[link.end : link.end + MAX_TRIMMED_CHARS]:
            ends.append(source.find(before[0], link.start, link.end))
        if strong := _STRONG_END.search(source, link.start, link.end):
            ends.append(strong.start())
        spans.append((link.start, min(end for end in ends if end >= 0)))
    return spans


def _web(text: str, found: re.Match[str]) -> BareLink | None:
    start, prefix = found.start(), found[0].lower()
    if prefix == "mailto:":
        mail = _mail(text, text.find("@", found.end(), found.end() + 65), found.end())
        is_whole = mail is not None and mail.start == found.end()
        return BareLink(start, mail.end, mail.url) if mail and is_whole else None
    before = text[start - 1] if start else ""
    if prefix == "www." and before and not _may_precede(before):
        return None
    host = found.end() if prefix != "www." else start
    address = _ADDRESS.match(text, host)
    if address is None:
        return None
    end = _trimmed_end(text, host, _text_goes_on(text, host, address.end()))
    if end - host < (4 if prefix != "www." else 5):
        return None
    url = text[start:end]
    return BareLink(start, end, url if prefix != "www." else f"http://{url}")


def _may_precede(char: str) -> bool:
    return char.isspace() or char in "*_~([{\"'" or not char.isascii()


def _text_goes_on(text: str, host: int, end: int) -> int:
    """Return where non-ASCII punctuation or a script without spaces ends the address."""
    if text[host:end].isascii():
        return end
    label = host  # start of the current host label, in which such letters are allowed
    is_host = True
    for at in range(host, end):
        char = text[at]
        if is_host and char in "/?#":
            is_host = False
        elif is_host and char in ".:@":
            label = at + 1
        if char.isascii():
            continue
        if not _is_address_char(char):
            return at
        if is_unspaced(char) and not (is_host and not _is_plain_end(text[label:at])):
            return at
    return end


@lru_cache(maxsize=4_096)
def _is_address_char(char: str) -> bool:
    return unicodedata.category(char)[0] in "LMN"


def _is_plain_end(label: str) -> bool:
    """Return whether the label before a letter of another script ends a host (``com了解``)."""
    return bool(label) and label.isascii()


def _trimmed_end(text: str, start: int, end: int) -> int:
    """Return the end of the address without trailing punctuation, trimmed as in GFM."""
    address = text[start:end]
    surplus = {mark: address.count(mark) - address.count(_PAIRS[mark]) for mark in _PAIRS}
    while end > start:
        last = text[end - 1]
        if last in _PAIRS and surplus[last] > 0:
            surplus[last] -= 1
        elif last == ";" and (entity := _ENTITY.search(text, max(start, end - 34), end)):
            end = entity.start() + 1
        elif last not in _TRAILING:
            break
        end -= 1
    return end


def _mail(text: str, at: int, first: int) -> BareLink | None:
    """Return the mail address around the ``@`` at ``at``, starting at ``first`` or later."""
    if at < 0:
        return None
    start = at
    while start > first and at - start < 64 and _LOCAL_CHARS.match(text[start - 1]):
        start -= 1
    domain = _DOMAIN.match(text, at + 1)
    if start == at or domain is None:
        return None
    name = domain[0]
    if not name[-1].isalpha() or "_" in name.rpartition(".")[2]:
        return None  # react@18.2.0
    if _IS_PATH.match(text, domain.end()):
        return None  # git@example.com:group/name.git
    while start < at and text[start] in ".+-_":
        start += 1
    if start == at:
        return None
    end = at + 1 + len(name)
    return BareLink(start, end, f"mailto:{text[start:end]}")
