"""Normalises the characters of streamed text before it is parsed."""

import re

from wireside.invisible_text import SeenStream

_MAX_BLANK_LINES = 100


class Normalizer:
    """Normalises text before it is parsed, regardless of how it was split.

    It replaces control characters and lone surrogates, removes or replaces invisible characters
    (which can disguise code and links), normalises line ends and limits runs of blank lines.
    """

    _BAD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
    _BLANK_LINES = re.compile(rf"\n{{{_MAX_BLANK_LINES + 1},}}")

    def __init__(self) -> None:
        self._held = ""
        self._newlines = 0
        self._seen = SeenStream()

    def take(self, text: str, *, is_last: bool) -> str:
        """Return the next piece of normalised text; ``is_last`` ends the text."""
        text = self._held + text
        self._held = ""
        if text.endswith("\r") and not is_last:
            text, self._held = text[:-1], "\r"
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        text = self._seen.take(self._BAD.sub("\ufffd", text), is_last=is_last)
        if not text:
            return ""
        text = self._BLANK_LINES.sub("\n" * _MAX_BLANK_LINES, "\n" * self._newlines + text)
        before = self._newlines
        self._newlines = len(text) - len(text.rstrip("\n"))
        return text[before:]
