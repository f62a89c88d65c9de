"""Names of uploaded files, which are shown and offered for downloads, but never used as paths."""

from __future__ import annotations

import re
import unicodedata

from wireside.invisible_text import seen

MAX_NAME_CHARS = 120


def clean_name(name: str) -> str:
    r"""Return the last component of a path, without characters that are invisible or special.

    >>> clean_name("..\\..\\etc/passwd")
    'passwd'
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    plain = "".join(
        " " if char.isspace() else char for char in seen(last) if _is_visible_char(char)
    )
    plain = " ".join(re.sub(r'[:*?"<>|]+', " ", plain).split()).lstrip(". ")
    stem, dot, extension = plain.rpartition(".")
    if not dot or len(extension) > 16:
        return plain[:MAX_NAME_CHARS] or "file"
    return f"{stem[: MAX_NAME_CHARS - 1 - len(extension)]}.{extension}"


def _is_visible_char(char: str) -> bool:
    # "C": control and format characters, surrogates, private use, unassigned
    return char.isspace() or char in "\u200c\u200d" or unicodedata.category(char)[0] != "C"
