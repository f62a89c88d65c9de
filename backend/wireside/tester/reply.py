"""What a tester returns for an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wireside.parts import Part
from wireside_ui.presenters.rows import RowPart


class NoQuestion(RuntimeError):
    """There is no open question to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, or the part of it up to the next question.

    ``parts`` are those that a reader sees. ``question`` is the data of the open question, None if
    there is none. ``error`` is the sentence of a failed answer, None otherwise.
    """

    text: str
    parts: tuple[Part, ...] = ()
    reason: str | None = None
    error: str | None = None
    question: Mapping[str, Any] | None = None
    frames: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """The frames of the answer, through the door ``socket``."""
    page_parts: tuple[RowPart, ...] = field(default=(), repr=False)
    """The parts as the page shows them, with the HTML of texts, through the door ``page``."""
