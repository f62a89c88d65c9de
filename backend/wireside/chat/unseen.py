"""Characters that nobody sees but that change what a text says, or carry another one.

Direction overrides make text read as something else; characters of the tag block, and variation
selectors that select nothing, spell out text that only a machine reads. What only hides is taken
out; what carries something becomes U+FFFD, so that a reader sees that it was there.
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
    """Return ``text`` as a reader can judge it. Three flags, which are made of tags, stay, and the
    selectors of ideographs and emoji.
    """
    return _UNSEEN.sub(_shown, text) if not text.isascii() and _SUSPECT.search(text) else text


class SeenStream:
    """``seen`` for text that comes in pieces: the same, however it was cut."""

    def __init__(self) -> None:
        self._before = ""
        self._held = ""

    def take(self, text: str, *, is_last: bool) -> str:
        """Return what is certain so far; what may be half a flag waits."""
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
