"""Parses the request of a response (``/v1/responses``): JSON in, values out. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from wireside.messages import Message, Role
from wireside.openai_wire.completion_request import passed_on
from wireside.openai_wire.fields import (
    BadField,
    WireFields,
    read_content,
    read_metadata,
    read_tools,
)
from wireside.openai_wire.message_list import MessageList
from wireside.parts import ToolCallPart, text_of, text_parts

HANDLED: Final = frozenset(
    ("model", "input", "instructions", "stream", "stream_options", "background", "store")
    + ("previous_response_id", "conversation", "metadata", "max_output_tokens", "temperature")
    + ("tools", "tool_choice", "text", "reasoning", "include", "truncation", "user")
    + ("safety_identifier", "prompt", "top_logprobs", "max_tool_calls")
)

REFUSED: Final = {
    "prompt": "stored prompts are not supported",
    "top_logprobs": "log probabilities are not supported",
    "max_tool_calls": "the number of tool calls can't be limited by a request",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRequest:
    """A response that a client requests.

    Attributes:
        model: the name of the model, None for the server's default.
        messages: the input; empty if it consists of results.
        results: results of tools that an earlier response has requested, by the ids of the calls.
        instructions: the system text, None for the server's.
        is_streamed: whether the answer is sent as it is written.
        is_background: whether the request ends before the answer does.
        is_stored: whether the answer belongs to a conversation.
        previous: the id of the response that this one follows.
        conversation: the id or name of its conversation.
        temperature: None for the model's default.
        max_tokens: None for the model's default.
        parameters: JSON text of what is passed on to the model service, as in ``Options``.
        metadata: strings by name.
        shown: fields of the request that the response repeats.
    """

    model: str | None
    messages: tuple[Message, ...]
    results: dict[str, str]
    instructions: str | None
    is_streamed: bool
    is_background: bool
    is_stored: bool
    previous: str | None
    conversation: str | None
    temperature: float | None
    max_tokens: int | None
    parameters: str
    metadata: dict[str, str]
    shown: Mapping[str, Any] = field(default_factory=dict)


def read_response_request(body: object) -> ResponseRequest:
    """Return the request of a JSON body. Raises ``BadField``."""
    fields = WireFields(body)
    fields.refuse(REFUSED)
    messages, results = _input(fields)
    conversation = fields.get("conversation")
    if isinstance(conversation, dict):
        conversation = WireFields(conversation, "conversation").needed_text("id")
    elif conversation is not None and not isinstance(conversation, str):
        raise BadField("conversation", "expected a string or an object")
    request = ResponseRequest(
        model=fields.text("model") or None,
        messages=messages,
        results=results,
        instructions=fields.text("instructions"),
        is_streamed=fields.flag("stream"),
        is_background=fields.flag("background"),
        is_stored=fields.flag("store") if fields.has("store") else True,
        previous=fields.text("previous_response_id"),
        conversation=conversation or None,
        temperature=fields.number("temperature", low=0, high=2),
        max_tokens=fields.whole_number("max_output_tokens"),
        parameters=_parameters(fields),
        metadata=read_metadata(fields),
        shown=_shown(fields),
    )
    _check_storing(request)
    return request


def _check_storing(request: ResponseRequest) -> None:
    if request.previous and request.conversation:
        raise BadField("conversation", "give this or `previous_response_id`, not both")
    if not request.is_stored and (request.previous or request.conversation):
        raise BadField("store", "an answer in a conversation is stored")
    if not request.is_stored and request.is_background:
        raise BadField("store", "an answer in the background is stored")
    if any(one != "reasoning.encrypted_content" for one in request.shown["include"]):
        raise BadField("include", "only the usual fields of a response are supported")


SHOWN: Final = (
    *("instructions", "max_output_tokens", "previous_response_id", "temperature", "top_p"),
    *("tool_choice", "tools", "truncation", "user", "text", "reasoning", "parallel_tool_calls"),
)


def _shown(fields: WireFields) -> dict[str, Any]:
    """Return what the response repeats of its request."""
    fields.object("reasoning")
    shown = {name: fields.get(name) for name in SHOWN if fields.has(name)}
    return {**shown, "include": fields.items("include")}


def _parameters(fields: WireFields) -> str:
    """Return what is passed on to the model service, in the names of chat completions."""
    tools = read_tools(fields.objects("tools"), nested=False)
    given: dict[str, Any] = {
        name: fields.get(name) for name in fields.names() if name not in HANDLED
    }
    choice = fields.get("tool_choice")
    if isinstance(choice, dict):
        function = WireFields(choice, "tool_choice")
        if function.text("type") != "function":
            raise BadField("tool_choice", "only functions can be chosen")
        choice = {"type": "function", "function": {"name": function.needed_text("name")}}
    if choice is not None:
        given["tool_choice"] = choice
    if (reasoning := fields.object("reasoning")) and reasoning.has("effort"):
        given["reasoning_effort"] = reasoning.get("effort")
    if text := fields.object("text"):
        given |= _text_format(text)
    return passed_on(WireFields(given), frozenset(), tools)


def _text_format(text: WireFields) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if text.has("verbosity"):
        found["verbosity"] = text.get("verbosity")
    if (shape := text.object("format")) is None:
        return found
    match kind := shape.needed_text("type"):
        case "text":
            return found
        case "json_object":
            return {**found, "response_format": {"type": kind}}
        case "json_schema":
            names = ("name", "schema", "strict", "description")
            schema = {name: shape.get(name) for name in names if shape.has(name)}
            return {**found, "response_format": {"type": kind, "json_schema": schema}}
        case _:
            raise BadField(shape.param("type"), f"{kind[:40]!r} is not supported")


# ---- the input -----------------------------------------------------------------------------------


def _input(fields: WireFields) -> tuple[tuple[Message, ...], dict[str, str]]:
    given = fields.get("input")
    if given is None or given in ("", []):
        raise BadField("input", "is missing")
    if isinstance(given, str):
        return (Message("user", text_parts(given)),), {}
    found = MessageList("input")
    results: dict[str, str] = {}
    for item in fields.objects("input"):
        _add_item(found, results, item)
    messages = found.messages()
    if not messages and not results:
        raise BadField("input", "is empty")
    return messages, results


def _add_item(found: MessageList, results: dict[str, str], item: WireFields) -> None:
    kind = item.text("type") or "message"
    match kind:
        case "message":
            _add_message(found, item)
        case "function_call":
            found.add_call(_call(item, result=None))
        case "mcp_call":
            found.add_call(_call(item, result=item.text("output") or ""))
        case "function_call_output":
            call = item.needed_text("call_id")
            result = text_of(read_content(item, "output"))
            if not found.add_result(call, result):
                results[call] = result
        case "reasoning":
            pass  # never sent back to a model
        case _:
            raise BadField(item.param("type"), f"{kind[:40]!r} is not supported")


def _add_message(found: MessageList, item: WireFields) -> None:
    role = item.needed_text("role")
    if role not in ("system", "developer", "user", "assistant"):
        raise BadField(item.param("role"), f"{role[:40]!r} is not supported")
    if parts := read_content(item, "content"):
        known = "system" if role == "developer" else role
        found.add_message(cast("Role", known), parts)
    elif role != "assistant":
        raise BadField(item.param("content"), "is missing")


def _call(item: WireFields, *, result: str | None) -> ToolCallPart:
    return ToolCallPart(
        call=item.text("call_id") or item.text("id") or "",
        name=item.needed_text("name"),
        state="requested" if result is None else "done",
        arguments=item.text("arguments") or "",
        result=result,
    )


def own_context(messages: Sequence[Message]) -> bool:
    """Whether messages bring a context: more than instructions and questions in a row."""
    return any(message.role == "assistant" for message in messages)
