"""Accepts the events of other frameworks as what a handler yields.

AG-UI events (pydantic-ai, LangGraph, LlamaIndex, Agno, CrewAI, Strands …), chunks of the AI SDK and
of the ``openai`` package are recognised by their shape, so that no framework is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from wireside.errors import ProviderError
from wireside.extension.parts import as_text, to_deltas
from wireside.messages import Delta, ReasoningDelta, TextDelta, ToolDelta


class EventReader:
    """Reads what one handler yields; events of a tool call belong together by their ids."""

    def __init__(self) -> None:
        self._calls: dict[str, ToolDelta] = {}

    def read(self, value: object) -> Iterator[Delta]:
        """Yield the elements of the log for a value that a handler has yielded.

        Raises:
            TypeError: the value is of no known kind.
            TooLargePart: the value is too large.
            ProviderError: the value is an event that reports an error.
        """
        if isinstance(value, str) or value is None:
            yield from to_deltas(value)
        elif _is_openai_chunk(value):
            yield from _from_openai(value)
        elif (kind := _event_type(value)) is not None:
            yield from self._event(kind, _fields(value))
        else:
            yield from to_deltas(value)

    def _event(self, kind: str, event: Mapping[str, Any]) -> Iterator[Delta]:
        match EVENTS[kind]:
            case "text":
                yield from to_deltas(str(event.get("delta") or ""))
            case "reasoning":
                if text := event.get("delta"):
                    yield ReasoningDelta(str(text))
            case "error":
                sentence = event.get("message") or event.get("errorText")
                raise ProviderError(str(sentence or "The agent failed."))
            case "nothing":
                return
            case meaning:
                if (call := self._tool_state(meaning, event)) is not None:
                    yield call

    def _tool_state(self, meaning: ToolMeaning, event: Mapping[str, Any]) -> ToolDelta | None:
        """Return the state of a tool call to show, None if nothing is new to a reader."""
        call_id = str(event.get("toolCallId") or "")
        name = str(event.get("toolCallName") or event.get("toolName") or "tool")
        call = self._calls.get(call_id) or ToolDelta(call_id, name, "running")
        match meaning:
            case "arguments":
                call = replace(call, arguments=call.arguments + str(event.get("delta") or ""))
            case "input":
                call = replace(call, arguments=as_text(event.get("input")))
            case "result":
                result = as_text(event.get("content", event.get("output")))
                call = replace(call, state="done", result=result)
            case "failed":
                call = replace(call, state="failed", result=str(event.get("errorText") or ""))
        self._calls[call_id] = call
        return None if meaning == "arguments" else call


def _is_openai_chunk(value: object) -> bool:
    return getattr(value, "object", None) == "chat.completion.chunk"


def _from_openai(chunk: Any) -> Iterator[Delta]:
    for choice in chunk.choices[:1]:
        delta = choice.delta
        reasoning = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        if isinstance(reasoning, str) and reasoning:
            yield ReasoningDelta(reasoning)
        if delta.content:
            yield TextDelta(delta.content)


def _event_type(value: object) -> str | None:
    """Return the type of an event of AG-UI or of the AI SDK; None for anything else."""
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    kind = getattr(kind, "value", kind)
    return kind if isinstance(kind, str) and kind in EVENTS else None


def _fields(event: object) -> Mapping[str, Any]:
    if isinstance(event, Mapping):
        return event
    dump = getattr(event, "model_dump", None)
    if dump is not None:
        found: Mapping[str, Any] = dump(by_alias=True, exclude_none=True)
        return found
    return vars(event)


ToolMeaning = Literal["call", "arguments", "input", "result", "failed"]
Meaning = Literal["text", "reasoning", "error", "nothing"] | ToolMeaning

_NOTHING = (
    # AG-UI
    "TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "REASONING_START", "REASONING_END",
    "REASONING_MESSAGE_START", "REASONING_MESSAGE_END", "THINKING_START", "THINKING_END",
    "THINKING_TEXT_MESSAGE_START", "THINKING_TEXT_MESSAGE_END", "RUN_STARTED", "RUN_FINISHED",
    "STEP_STARTED", "STEP_FINISHED", "STATE_SNAPSHOT", "STATE_DELTA", "MESSAGES_SNAPSHOT",
    "ACTIVITY_SNAPSHOT", "ACTIVITY_DELTA", "RAW", "CUSTOM",
    # AI SDK
    "start", "finish", "start-step", "finish-step", "text-start", "text-end", "reasoning-start",
    "reasoning-end", "message-metadata",
)  # fmt: skip

EVENTS: dict[str, Meaning] = {
    # AG-UI
    "TEXT_MESSAGE_CONTENT": "text",
    "TEXT_MESSAGE_CHUNK": "text",
    "REASONING_MESSAGE_CONTENT": "reasoning",
    "REASONING_MESSAGE_CHUNK": "reasoning",
    "THINKING_TEXT_MESSAGE_CONTENT": "reasoning",
    "TOOL_CALL_START": "call",
    "TOOL_CALL_ARGS": "arguments",
    "TOOL_CALL_END": "call",
    "TOOL_CALL_RESULT": "result",
    "RUN_ERROR": "error",
    # AI SDK
    "text-delta": "text",
    "reasoning-delta": "reasoning",
    "tool-input-start": "call",
    "tool-input-delta": "nothing",
    "tool-input-available": "input",
    "tool-output-available": "result",
    "tool-output-error": "failed",
    "error": "error",
    **dict.fromkeys(_NOTHING, "nothing"),
}
"""What each event adds to an answer."""
