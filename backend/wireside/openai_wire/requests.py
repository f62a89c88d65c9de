"""Encodes messages as those of a chat completion request. Pure.

An assistant's tool calls become ``tool_calls`` and one message of the role ``tool`` each: services
refuse calls without results, and results without calls. Ids, names and arguments of a service, or
of an imported file, are not accepted by every other one, so they are replaced by valid ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, assert_never

from wireside.messages import Message, ToolSpec
from wireside.parts import (
    DataPart,
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    is_hidden,
    label_of,
    text_parts,
)

NOT_RUN = "This tool call was not run."
"""The result of a call that has none."""

MAX_NAME_CHARS = 64

IMAGE_URL = re.compile(r"(?:https?://|data:image/)\S+$", re.IGNORECASE)
"""Matches URLs that a service can load."""


def encode_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return the ``messages`` of a request."""
    encoded: list[dict[str, Any]] = []
    ids = (f"call{number:05}" for number in count(1))  # Mistral accepts nine characters only
    for message in messages:
        if message.role == "assistant":
            encoded += _assistant(message.parts, ids)
        else:
            encoded.append({"role": message.role, "content": encode_content(message.parts)})
    return encoded


def encode_tools(tools: Iterable[ToolSpec]) -> list[dict[str, Any]]:
    """Return the ``tools`` of a request."""
    return [{"type": "function", "function": _function(tool)} for tool in tools]


def _function(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(tool.parameters),
    }
    return function if tool.strict is None else {**function, "strict": tool.strict}


def decode_tools(tools: Iterable[dict[str, Any]]) -> tuple[ToolSpec, ...]:
    """Return tools that ``encode_tools`` has encoded."""
    return tuple(
        ToolSpec(
            name=function["name"],
            description=function["description"],
            parameters=json.dumps(function["parameters"], ensure_ascii=False),
            strict=function.get("strict"),
        )
        for function in (tool["function"] for tool in tools)
    )


def text_only(message: Message) -> Message:
    """Return a message as one text, for models without tools and images."""
    return Message(message.role, text_parts(plain_text(message.parts)))


def plain_text(parts: Iterable[Part]) -> str:
    """Return everything in ``parts`` that a model gets, as text."""
    return _joined(_text(part) for part in parts)


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(text for text in texts if text)


def _text(part: Part) -> str:
    match part:
        case TextPart():
            return part.text
        case ReasoningPart():
            return ""
        case ToolCallPart():
            result = NOT_RUN if part.result is None else f"Its result: {part.result}"
            return f"(The tool {part.name} was called with {part.arguments or '{}'}. {result})"
        case FilePart() if part.text and part.media_type.startswith("audio/"):
            return f'The audio file "{part.name}", transcribed:\n\n{part.text}\n\n(End)'
        case FilePart() if part.text:
            return f'The file "{part.name}":\n\n{part.text}\n\n(End of "{part.name}")'
        case ImagePart() | FilePart() | DataPart():
            return "" if is_hidden(part) else label_of(part)
        case _:
            assert_never(part)


def encode_content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """Return the content of a question: text, or a list if it has images."""
    if not any(_is_sent(part) for part in parts):
        return plain_text(parts)
    return [
        {"type": "image_url", "image_url": {"url": part.url}}
        if isinstance(part, ImagePart) and _is_sent(part)
        else {"type": "text", "text": _text(part)}
        for part in parts
    ]


def _is_sent(part: Part) -> bool:
    return isinstance(part, ImagePart) and IMAGE_URL.match(part.url) is not None


def _assistant(parts: Iterable[Part], ids: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Yield the messages of an answer: text with the calls that follow it, then their results."""
    texts: list[str] = []
    calls: list[ToolCallPart] = []
    for part in parts:
        if isinstance(part, ToolCallPart):
            calls.append(part)
        elif text := _text(part):
            if calls:
                yield from _with_calls(texts, calls, ids)
                texts, calls = [], []
            texts.append(text)
    if calls:
        yield from _with_calls(texts, calls, ids)
    elif texts:
        yield {"role": "assistant", "content": _joined(texts)}


def _with_calls(
    texts: list[str], calls: list[ToolCallPart], ids: Iterator[str]
) -> Iterator[dict[str, Any]]:
    numbered = [(next(ids), call) for call in calls]
    yield {
        "role": "assistant",
        "content": _joined(texts) or None,
        "tool_calls": [
            {
                "id": call_id,
                "type": "function",
                "function": {"name": _name(call.name), "arguments": _arguments(call.arguments)},
            }
            for call_id, call in numbered
        ],
    }
    for call_id, call in numbered:
        result = NOT_RUN if call.result is None else call.result
        yield {"role": "tool", "tool_call_id": call_id, "content": result}


def _name(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:MAX_NAME_CHARS] or "tool"


def _arguments(arguments: str) -> str:
    """Return arguments as a JSON object, which chat templates parse."""
    if not arguments.strip():
        return "{}"
    try:
        is_object = isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        is_object = False
    return arguments if is_object else json.dumps({"input": arguments}, ensure_ascii=False)
