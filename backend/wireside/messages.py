"""Shared values: requests to a model, its deltas, and how answers end.

All are frozen; an invalid state can't be constructed. Identity (ids, times) belongs to the objects
that own them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from wireside.errors import WiresideError
from wireside.parts import (
    Attachment,
    DataPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolState,
    chars_of,
    text_of,
    text_parts,
)

Role = Literal["system", "user", "assistant"]

FinishReason = Literal["stop", "length", "cancelled", "content_filter", "interrupted", "asking"]
"""Why an answer ended; ``asking``: it goes on once the user has answered its question."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the context that is sent to a model.

    An assistant's tool calls are parts of it, each with its result.
    """

    role: Role
    parts: tuple[Part, ...]

    @classmethod
    def of_text(cls, role: Role, text: str) -> Message:
        """Return a message that consists of one text."""
        return cls(role, text_parts(text))

    @property
    def text(self) -> str:
        """The text of its text parts."""
        return text_of(self.parts)

    @property
    def chars(self) -> int:
        """The number of characters that it adds to a context."""
        return sum(map(chars_of, self.parts))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; None if the model does not report them."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of an answer by the prices of the time at which it ended.

    ``currency`` is the symbol or code that the price is configured with.
    """

    amount: float
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one answer took, in seconds; None if unknown.

    ``first_s`` and ``total_s`` are the times from the question to the first content and to the end.
    ``reasoning_s`` is the part of it in which the model reasoned.
    """

    first_s: float | None = None
    reasoning_s: float | None = None
    total_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """What a provider in this process may know of a request, besides its messages.

    ``conversation`` and ``turn`` are ids, None if the answer is not stored. ``options`` is a JSON
    object of the handler's own options. ``states`` are those that the turns before this one left.
    ``answered_parts`` are the parts of this answer so far, if it is continued, and ``answer`` is
    the JSON text of the user's answer to its open question. ``answered_files`` are the files with
    which questions of this answer were answered, by their ids, with what the provider can read.
    """

    user_id: str = ""
    user_name: str = ""
    user_groups: tuple[str, ...] = ()
    conversation: str | None = None
    turn: str | None = None
    options: str = ""
    states: tuple[DataPart, ...] = ()
    answered_parts: tuple[Part, ...] = ()
    answer: str | None = None
    answered_files: Mapping[str, Part] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool that a model may request. ``parameters`` is a JSON Schema, as JSON text."""

    name: str
    description: str
    parameters: str
    strict: bool | None = None
    """Whether the arguments must match the schema exactly; None for the model service's default."""


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
    tools: tuple[ToolSpec, ...] = ()
    """The tools that the client runs."""
    parameters: str = ""
    """The JSON text of an object with further fields of OpenAI's chat completions, "" for none."""
    allows_tools: bool = True
    """Whether the server may add its own tools; not for titles."""
    client_state: str = ""
    """The JSON text of the state that an AG-UI client has sent, "" for none."""
    context: RequestContext = RequestContext()


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
    """A state of one tool call, identified by ``call``; see ``ToolCallPart``."""

    call: str
    name: str
    state: ToolState
    arguments: str = ""
    result: str | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        """What identifies a call over the streams of an answer: services reuse ids."""
        return (self.call, self.name, self.arguments)


@dataclass(frozen=True, slots=True)
class PartDelta:
    """A part that is written whole: an image, a file or data.

    Data with an id replaces the earlier state with that id, in its place.
    """

    part: Attachment

    @property
    def id(self) -> str:
        """The id of the part, "" if it has none."""
        return self.part.id if isinstance(self.part, DataPart) else ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer, always the last delta."""

    reason: FinishReason
    usage: Usage = Usage()
    cached_tokens: int | None = None
    """How many of the input tokens the service had cached; None if it does not report it."""
    cost: Cost | None = None
    """None if no price is configured, or the model reports no tokens."""


Delta = TextDelta | ReasoningDelta | ToolDelta | PartDelta | Finished

Entry = TextDelta | ReasoningDelta | ToolDelta | PartDelta
"""An element of an answer.

Its length is counted like the protocol's offset: each code point of a text counts one, each state
of a tool call or of another part counts one.
"""


def parts_of(*streams: Iterable[Entry]) -> tuple[Part, ...]:
    """Return the parts of an answer, which consists of one stream or several consecutive ones.

    Neighbouring texts are joined, also those of two streams. A tool call, or data with an id, is at
    the place of its first state, in its last one. Each stream has tool calls of its own, except for
    those that a stream before it has left running or requested, as when the user was asked for
    approval, or the client has run its tool.
    """
    parts: list[ToolCallPart | Attachment | _Text] = []
    data_places: dict[str, int] = {}
    running: dict[tuple[str, str, str], int] = {}
    for entries in streams:
        places: dict[str, int] = {}
        states: dict[str, ToolDelta] = {}
        for entry in entries:
            if isinstance(entry, ToolDelta):
                if entry.call not in places:
                    places[entry.call] = running.pop(entry.identity, len(parts))
                place = places[entry.call]
                parts[place : place + 1] = [_tool_call(entry)]
                states[entry.call] = entry
            elif isinstance(entry, PartDelta):
                place = len(parts)
                if entry.id:
                    place = data_places.setdefault(entry.id, place)
                parts[place : place + 1] = [entry.part]
            elif entry.text:
                kind = TextPart if isinstance(entry, TextDelta) else ReasoningPart
                last = parts[-1] if parts else None
                if isinstance(last, _Text) and last.kind is kind:
                    last.texts.append(entry.text)
                else:
                    parts.append(_Text(kind, [entry.text]))
        running |= {
            state.identity: places[call]
            for call, state in states.items()
            if state.state in ("running", "requested")
        }
    return tuple(part.joined() if isinstance(part, _Text) else part for part in parts)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that is joined once: a file may contain it in a million pieces."""

    kind: type[TextPart] | type[ReasoningPart]
    texts: list[str]

    def joined(self) -> TextPart | ReasoningPart:
        return self.kind("".join(self.texts))


def _tool_call(delta: ToolDelta) -> ToolCallPart:
    return ToolCallPart(
        call=delta.call,
        name=delta.name,
        state=delta.state,
        arguments=delta.arguments,
        result=delta.result,
    )


@dataclass(frozen=True, slots=True)
class End:
    """How an answer ended: with a reason, or with an error (then ``reason`` is None)."""

    reason: FinishReason | None
    error: WiresideError | None = None
    usage: Usage = Usage()
    timing: Timing = field(default=Timing(), compare=False)
    cost: Cost | None = None


CLIENT_STATE = "wireside.state"
"""The field of ``Options.parameters`` with a state for a handler: no service gets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a question; None selects the server's or the model's default."""

    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    values: str = ""
    """The JSON text of an object with the options of the model's own, "" for none."""
    parameters: str = ""
    """The JSON text of an object with further fields of OpenAI's chat completions, "" for none.

    ``tools`` are those that the client runs, ``CLIENT_STATE`` is the state that it has sent.
    """
    sanitize: bool = False
    """Whether all readers get the text without ``<script`` (protocol.md, "Sanitising")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model of a provider, as shown in the model picker and by ``/api/models``."""

    id: str
    name: str
    owner: str | None = None
    provider: str = ""
    """Name of the provider among several ones that has it; "" if there is one."""
    context_tokens: int | None = None
    can_see: bool | None = None
    """Whether it accepts images; None if that is unknown."""
    can_chat: bool = True
    """False if the model's metadata or name indicates another purpose."""
    description: str = ""
    icon: str = ""
    """Name of an icon, an emoji or short text, or an image as a ``data:`` URL."""
    starters: tuple[str, ...] = ()
    """Questions offered in an empty chat while this model is chosen; none for the server's."""
    options: str = ""
    """The JSON Schema of the model's own options, as JSON text; "" for none."""
    shares_state: bool = False
    """Whether clients of AG-UI see the state of the handler and may change it."""
