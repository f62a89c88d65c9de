"""The values everybody speaks of: what is asked, what a model sends, what is said about it.

All are frozen; a wrong state cannot be built. Identity (ids, times) belongs to their owners.
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
    """One message of the context that a model is given."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; None where the model does not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a provider is asked for: a context and how to continue it.

    ``messages`` is not empty. ``temperature`` and ``max_tokens`` are the model's own defaults
    where they are None.
    """

    model: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the visible answer. A model may cut anywhere, even inside a word."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning, shown folded and never sent to level 1 clients."""

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
"""What an answer is made of. Its length counts as the protocol's offset does: each code point of a
text counts one, each state of a tool call counts one.
"""


@dataclass(frozen=True, slots=True)
class End:
    """How an answer ended: with a reason, or (``reason`` is None) with an error."""

    reason: FinishReason | None
    error: WiresideError | None = None
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Options:
    """How a question is to be answered; None leaves it to the server's or the model's default."""

    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    sanitize: bool = False
    """Whether every reader gets the text without ``<script`` (protocol, "Sanitising")."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a provider offers, as the model picker and ``/api/models`` show it."""

    id: str
    name: str
    owner: str | None = None
    context_tokens: int | None = None
    can_chat: bool = True
    """False for models that say, or whose names say, that they are for something else."""
