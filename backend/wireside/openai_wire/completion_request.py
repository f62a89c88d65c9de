"""Parses the request of a chat completion: JSON in, values out. No I/O.

What changes the answer is used, passed on to the model service (``parameters``), or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from wireside.messages import Message, Role
from wireside.openai_wire.fields import (
    BadField,
    WireFields,
    json_of,
    read_content,
    read_metadata,
    read_stop,
    read_tools,
)
from wireside.openai_wire.message_list import MessageList
from wireside.parts import Part, TextPart, ToolCallPart, text_of

HANDLED: Final = frozenset(
    ("model", "messages", "stream", "stream_options", "temperature", "max_tokens", "tools")
    + ("max_completion_tokens", "metadata", "store", "user", "safety_identifier", "n")
    + ("modalities", "audio", "logprobs", "top_logprobs", "functions", "function_call")
)
"""Fields that are used, refused, or do not change the answer; all others are passed on."""

REFUSED: Final = {
    "audio": "sound is not supported",
    "logprobs": "log probabilities are not supported",
    "top_logprobs": "log probabilities are not supported",
    "functions": "use `tools` instead",
    "function_call": "use `tool_choice` instead",
}

MAX_PARAMETERS_CHARS: Final = 1024 * 1024
"""Maximum length of what is passed on, the tools included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """A chat completion that a client requests.

    Attributes:
        model: the name of the model, None for the server's default.
        messages: the context; results of tool calls are parts of the answers that requested them.
        is_streamed: whether the answer is sent as it is written.
        wants_usage: whether the last chunk of a stream has the usage.
        temperature: None for the model's default.
        max_tokens: None for the model's default.
        parameters: JSON text of what is passed on to the model service, as in ``Options``.
        metadata: strings by name.
    """

    model: str | None
    messages: tuple[Message, ...]
    is_streamed: bool = False
    wants_usage: bool = False
    temperature: float | None = None
    max_tokens: int | None = None
    parameters: str = ""
    metadata: dict[str, str]


def read_completion_request(body: object) -> CompletionRequest:
    """Return the request of a JSON body. Raises ``BadField``."""
    fields = WireFields(body)
    fields.refuse(REFUSED)
    if fields.has("n") and fields.get("n") != 1:
        raise BadField("n", "one answer at a time is supported")
    if any(kind != "text" for kind in fields.items("modalities")):
        raise BadField("modalities", "answers are text")
    options = fields.object("stream_options")
    return CompletionRequest(
        model=fields.text("model") or None,
        messages=_messages(fields.objects("messages")),
        is_streamed=fields.flag("stream"),
        wants_usage=options is not None and options.flag("include_usage"),
        temperature=fields.number("temperature", low=0, high=2),
        max_tokens=fields.whole_number("max_completion_tokens")
        or fields.whole_number("max_tokens"),
        parameters=passed_on(fields, HANDLED, read_tools(fields.objects("tools"), nested=True)),
        metadata=read_metadata(fields),
    )


def passed_on(fields: WireFields, handled: frozenset[str], tools: Sequence[dict[str, Any]]) -> str:
    """Return what is passed on to the model service, as JSON text. Raises ``BadField``."""
    fields.number("top_p", low=0, high=1)
    for name in ("presence_penalty", "frequency_penalty"):
        fields.number(name, low=-2, high=2)
    if fields.has("seed") and type(fields.get("seed")) is not int:
        raise BadField("seed", "expected a whole number")
    read_stop(fields)
    fields.object("response_format")
    fields.object("logit_bias")
    given = {name: fields.get(name) for name in fields.names() if name not in handled}
    if tools:
        given["tools"] = list(tools)
    text = json_of(given) if given else ""
    if len(text) > MAX_PARAMETERS_CHARS:
        raise BadField("", "the tools and parameters of the request are too long")
    return text


def _messages(given: Sequence[WireFields]) -> tuple[Message, ...]:
    if not given:
        raise BadField("messages", "is missing")
    found = MessageList("messages")
    for message in given:
        role = message.needed_text("role")
        if role == "tool":
            _add_result(found, message)
            continue
        if role not in ("system", "developer", "user", "assistant"):
            raise BadField(message.param("role"), f"{role[:40]!r} is not supported")
        known = "system" if role == "developer" else role
        parts = _named(read_content(message, "content"), message.text("name"))
        parts += tuple(map(_call, message.objects("tool_calls")))
        if not parts and role != "assistant":
            raise BadField(message.param("content"), "is missing")
        if parts:
            found.add_message(cast("Role", known), parts)
    messages = found.messages()
    if not messages:
        raise BadField("messages", "are empty")
    return messages


def _named(parts: tuple[Part, ...], name: str | None) -> tuple[Part, ...]:
    """Return the content with the name of the participant that wrote it."""
    return (TextPart(f"{name}:"), *parts) if name and parts else parts


def _call(call: WireFields) -> ToolCallPart:
    function = call.object("function")
    if function is None:
        raise BadField(call.param("function"), "is missing")
    return ToolCallPart(
        call=call.needed_text("id"),
        name=function.needed_text("name"),
        state="requested",
        arguments=function.text("arguments") or "",
    )


def _add_result(found: MessageList, message: WireFields) -> None:
    call = message.needed_text("tool_call_id")
    result = text_of(read_content(message, "content"))
    if not found.add_result(call, result):
        raise BadField(
            message.param("tool_call_id"), "no message before this one requests a tool by that id"
        )
