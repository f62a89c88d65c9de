"""Shared values: questions, the deltas of a model, and how answers end.

All are frozen; an invalid state can't be constructed. Identity (ids, times) belongs to the objects
that own them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wireside.errors import WiresideError

Role = Literal["system", "user", "assistant"]

FinishReason = Literal["stop", "length", "cancelled", "content_filter", "interrupted"]

ToolState = Literal["running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the context that is sent to a model."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; None if the model does not report them."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A request to a provider: a context and how to continue it.

    ``messages`` is not empty. With None, ``temperature`` and ``max_tokens`` are the model's
    defaults.
    """

    model: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the visible answer. A model may split anywhere, even within a word."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning; shown collapsed, and never sent to level 1 clients."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolDelta:
    """A state of one tool call. ``arguments`` and ``result`` are JSON or plain text."""

    call: str
    name: str
    state: ToolState
    arguments: str = ""
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer, always the last delta."""

    reason: FinishReason
    usage: Usage = Usage()


Delta = TextDelta | ReasoningDelta | ToolDelta | Finished

Entry = TextDelta | ReasoningDelta | ToolDelta
"""An element of an answer.

Its length is counted like the protocol's offset: each code point of a text counts one, each state
of a tool call counts one.
"""


@dataclass(frozen=True, slots=True)
class End:
    """How an answer ended: with a reason, or with an error (then ``reason`` is None)."""

    reason: FinishReason | None
    error: WiresideError | None = None
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a question; None selects the server's or the model's default."""

    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    sanitize: bool = False
    """Whether all readers get the text without ``<script`` (protocol.md, "Sanitising")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model of a provider, as shown in the model picker and by ``/api/models``."""

    id: str
    name: str
    owner: str | None = None
    context_tokens: int | None = None
    can_chat: bool = True
    """False if the model's metadata or name indicates another purpose."""
