"""Typed access to the fields of a client's frame, with errors that name the field."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from wireside.errors import BadMessage, TooLarge
from wireside.protocol.frames.limits import (
    CONTEXT_CHARS,
    MAX_ATTACHMENTS,
    MAX_NAME_CHARS,
    checked_frame_bytes,
)

ID: Final = re.compile(r"[A-Za-z0-9_\-.:]{1,64}", re.ASCII)

_NAMES: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


class Fields:
    """Typed access to the fields of one frame; null counts as absent.

    All methods raise ``BadMessage`` for a value that is invalid, or absent but ``required``, and
    ``TooLarge`` for a text of more than ``max_message_chars``.
    """

    def __init__(self, fields: dict[str, Any], max_message_chars: int) -> None:
        self._fields = fields
        self._max_message_chars = max_message_chars

    def get(self, name: str, kind: type | tuple[type, ...], *, required: bool = False) -> Any:
        """Return a value of a type; None if it is absent."""
        value = self._fields.get(name)
        if value is None:
            if required:
                raise BadMessage(f"{name}: is missing.")
            return None
        # bool is a subclass of int in Python, but not a number in JSON
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise BadMessage(f"{name}: expected {_kind_name(kind)}.")
        return value

    def id(self, *, required: bool = False) -> Any:
        """Return the request's id."""
        value = self.get("id", str, required=required)
        if value is not None and not ID.fullmatch(value):
            raise BadMessage("id: expected 1 to 64 characters of A-Z a-z 0-9 _ - . :")
        return value

    def key(self) -> str | None:
        """Return the request's key."""
        value: str | None = self.get("key", str)
        if value is not None and not 1 <= len(value) <= 64:
            raise BadMessage("key: expected 1 to 64 characters.")
        return value

    def name(self, name: str, *, required: bool = False) -> Any:
        """Return the name of a model, conversation or stream."""
        value = self.get(name, str, required=required)
        if value is not None and len(value) > MAX_NAME_CHARS:
            raise BadMessage(f"{name}: expected at most {MAX_NAME_CHARS} characters.")
        return value

    def message(self, name: str, text: str, *, may_be_blank: bool = False) -> str:
        """Return ``text`` if it is a message: not blank and not too long."""
        if not text.strip() and not may_be_blank:
            raise BadMessage(f"{name}: is blank.")
        return self._bounded(name, text)

    def text(self, name: str) -> str | None:
        """Return a text that is not too long."""
        value: str | None = self.get(name, str)
        return None if value is None else self._bounded(name, value)

    def _bounded(self, name: str, text: str) -> str:
        if len(text) > self._max_message_chars:
            raise TooLarge(
                f"{name}: has {len(text):,} characters; at most {self._max_message_chars:,} fit."
            )
        return text

    def strings(self, name: str, *, required: bool = False) -> tuple[str, ...]:
        """Return a list of strings; empty if it is absent."""
        values: list[Any] = self.get(name, list, required=required) or []
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise BadMessage(f"{name}[{index}]: expected a string.")
        return tuple(values)

    def attachments(self) -> tuple[str, ...]:
        """Return the ids of uploads; empty if there are none."""
        ids = self.strings("attachments")
        if len(ids) > MAX_ATTACHMENTS:
            raise BadMessage(f"attachments: at most {MAX_ATTACHMENTS} fit, got {len(ids)}.")
        for index, upload in enumerate(ids):
            if not 1 <= len(upload) <= MAX_NAME_CHARS:
                raise BadMessage(
                    f"attachments[{index}]: expected 1 to {MAX_NAME_CHARS} characters."
                )
        return ids

    def number(self, name: str, *, low: float, high: float) -> float | None:
        """Return a number from ``low`` to ``high``."""
        value: float | None = self.get(name, (int, float))
        if value is not None and not low <= value <= high:
            raise BadMessage(f"{name}: expected a number from {low} to {high}.")
        return value

    def count(self, name: str) -> int | None:
        """Return a whole number from 1 to 1,000,000."""
        return self.whole(name, low=1, high=1_000_000)

    def whole(self, name: str, *, low: int, high: int) -> int | None:
        """Return a whole number from ``low`` to ``high``."""
        value: int | None = self.get(name, int)
        if value is not None and not low <= value <= high:
            raise BadMessage(f"{name}: expected a whole number from {low} to {high}.")
        return value

    def json_object(self, name: str) -> str:
        """Return an object as JSON text, "" if it is absent or empty."""
        value: dict[str, Any] | None = self.get(name, dict)
        return self._bounded(name, json.dumps(value)) if value else ""

    def json_value(self, name: str) -> str:
        """Return a value of any type but null as JSON text."""
        value = self._fields.get(name)
        if value is None:
            raise BadMessage(f"{name}: is missing.")
        return self._bounded(name, json.dumps(value))

    def check_context(self, chars: int) -> None:
        """Check the total length of a context."""
        limit = CONTEXT_CHARS * self._max_message_chars
        if chars > limit:
            raise TooLarge(f"messages: have {chars:,} characters; at most {limit:,} fit.")

    def frame_bytes(self) -> int | None:
        """Return the requested size of frames, in bytes."""
        value: int | None = self.get("max_frame_bytes", int)
        return None if value is None else checked_frame_bytes(value)

    def offset(self, *, required: bool = False) -> int:
        """Return a position in an answer; 0 if it is absent."""
        value: int | None = self.get("offset", int, required=required)
        return _offset("offset", value) if value is not None else 0

    def offsets(self, name: str, *, at_most: int) -> tuple[int, ...]:
        """Return a list of positions; empty if it is absent."""
        values: list[Any] = self.get(name, list) or []
        if len(values) > at_most:
            raise BadMessage(f"{name}: expected at most one for each message.")
        return tuple(_offset(f"{name}[{index}]", value) for index, value in enumerate(values))


def _offset(name: str, value: object) -> int:
    # 2**53: the integers that all JavaScript clients can represent
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise BadMessage(f"{name}: expected a whole number, not negative.")
    return value


def _kind_name(kind: type | tuple[type, ...]) -> str:
    if isinstance(kind, tuple):
        return "a string or a number" if str in kind else "a number"
    return _NAMES.get(kind, "a whole number")
