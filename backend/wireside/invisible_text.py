"""Removes invisible characters that change the meaning of a text or hide another text in it.

Direction overrides make text read as something else; tag characters, and variation selectors that
select nothing, can spell out text that only a machine reads. Characters that only hide are removed;
those that can carry data are replaced by U+FFFD, so that a reader sees that there was something.
"""

from __future__ import annotations

import re

_DIRECTION = "\u202a-\u202e\u2066-\u2069"
_MACHINES = "\u206a-\u206f\ufff9-\ufffb"
_WIDTHLESS = "\u00ad\u180e\u200b\u2060-\u2064\ufeff"
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TAGS = "\U000e0000-\U000e007f"
_FLAGS = "|".join(
    "".join(chr(0xE0000 + ord(letter)) for letter in region)
    for region in ("gbeng", "gbsct", "gbwls")
)
_IDEOGRAPHS = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"

_UNSEEN = re.compile(
    rf"(?P<flag>\U0001f3f4(?:{_FLAGS})\U000e007f)"
    rf"|(?P<gone>[{_DIRECTION}{_MACHINES}]+|(?<=[{_WIDTHLESS}])[{_WIDTHLESS}]+)"
    rf"|[{_TAGS}]|(?<=[{_SELECTORS}])[{_SELECTORS}]|(?<![{_IDEOGRAPHS}])[\U000e0100-\U000e01ef]"
)
_SUSPECT = re.compile(f"[{_DIRECTION}{_MACHINES}{_WIDTHLESS}{_SELECTORS}{_TAGS}]")
_OPEN_FLAG = re.compile(f"\U0001f3f4[{_TAGS}]{{0,6}}$")


def seen(text: str) -> str:
    """Return ``text`` without deceptive invisible characters.

    The three flags that are made of tag characters are kept, and so are the variation selectors of
    ideographs and emoji.
    """
    return _UNSEEN.sub(_shown, text) if not text.isascii() and _SUSPECT.search(text) else text


class SeenStream:
    """An incremental ``seen``: the result does not depend on how the text is split."""

    def __init__(self) -> None:
        self._before = ""
        self._held = ""

    def take(self, text: str, *, is_last: bool) -> str:
        """Return the text that is final so far; an incomplete flag is held back."""
        text = self._held + text
        self._held = ""
        if not is_last and (flag := _OPEN_FLAG.search(text)):
            text, self._held = text[: flag.start()], text[flag.start() :]
        if not text:
            return ""
        shown = seen(self._before + text)[len(seen(self._before)) :]
        self._before = text[-1]
        return shown


def _shown(found: re.Match[str]) -> str:
    if found["flag"]:
        return found[0]
    return "" if found["gone"] else "\ufffd"
