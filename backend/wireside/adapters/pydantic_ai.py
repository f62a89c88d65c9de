"""Answers by an agent of pydantic-ai."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from pydantic_ai import Agent, AgentRunResultEvent, DeferredToolRequests, DeferredToolResults
from pydantic_ai.messages import (
    BinaryContent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    SystemPromptPart,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)

from wireside.adapters.calls import Calls
from wireside.adapters.pauses import Pauses
from wireside.errors import ProviderError
from wireside.extension.parts import Reasoning, as_text
from wireside.extension.tools import approval
from wireside.extension.turn import Turn


async def stream_agent(
    agent: Agent[Any, Any], turn: Turn[Any, Any], **options: Any
) -> AsyncIterator[Any]:
    """Stream the run of an agent: text, reasoning and tool calls.

    Tools with ``requires_approval=True`` ask the user; the agent's output type must then include
    ``DeferredToolRequests``.

    Args:
        agent: the agent.
        turn: the turn, whose messages are the history.
        options: further arguments of ``Agent.run_stream_events``, such as ``deps``.

    Raises:
        ProviderError: the agent has deferred a call to an external tool.
    """
    pauses = Pauses(turn)
    await pauses.restore()
    if pauses.has_ended:
        return
    history, prompt = _messages(turn.messages[:-1]), _content(turn.messages[-1]["content"])
    run: dict[str, Any] = {"message_history": history, "user_prompt": prompt}
    calls = Calls()
    paused = pauses.state
    while True:
        if paused is not None:
            calls.restore(paused["calls"])
            run = await _resumed(pauses, paused)
        async with agent.run_stream_events(**run, **options) as events:
            async for event in events:
                if isinstance(event, AgentRunResultEvent):
                    result = event.result
                else:
                    for part in _parts_of(event, calls):
                        yield part
        if not isinstance(result.output, DeferredToolRequests):
            break
        paused = _paused(result.output, result.all_messages(), calls)
    if not isinstance(result.output, str):
        yield f"\n\n```json\n{as_text(result.output)}\n```\n"
    pauses.end()


def _parts_of(event: object, calls: Calls) -> Iterator[Any]:
    match event:
        case PartStartEvent(part=TextPart(content=text)):
            yield text
        case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
            yield text
        case PartStartEvent(part=ThinkingPart(content=text)):
            yield Reasoning(text)
        case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text)):
            yield Reasoning(text or "")
        case FunctionToolCallEvent(part=part):
            yield calls.start(part.tool_call_id, part.tool_name, part.args_as_json_str())
        case FunctionToolResultEvent(part=part):
            failed = part.outcome != "success"
            yield from calls.end(part.tool_call_id, part.model_response_str(), failed=failed)


def _paused(
    requests: DeferredToolRequests, messages: Sequence[ModelMessage], calls: Calls
) -> dict[str, Any]:
    if requests.calls:
        names = ", ".join(sorted({call.tool_name for call in requests.calls}))
        raise ProviderError(f"Nothing here runs the external tools {names}.")
    return {
        "messages": ModelMessagesTypeAdapter.dump_python(messages, mode="json"),
        "calls": calls.to_object(),
        "approvals": [
            [call.tool_call_id, call.tool_name, call.args_as_json_str()]
            for call in requests.approvals
        ],
        "metadata": requests.metadata,
    }


async def _resumed(pauses: Pauses, paused: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for the approvals of a paused run; return the arguments of the run that follows it."""
    asked = paused["approvals"]
    answers = await pauses.ask(paused, [approval(name, text) for _, name, text in asked])
    approvals = {call[0]: answer for call, answer in zip(asked, answers, strict=True)}
    return {
        "message_history": ModelMessagesTypeAdapter.validate_python(paused["messages"]),
        "deferred_tool_results": DeferredToolResults(
            approvals=approvals, metadata=paused["metadata"]
        ),
    }


def _messages(messages: Sequence[Mapping[str, Any]]) -> list[ModelMessage]:
    """Return messages of OpenAI's format as those of pydantic-ai."""
    found: list[ModelMessage] = []
    names: dict[str, str] = {}
    for message in messages:
        content = message["content"]
        match message["role"]:
            case "system":
                found.append(ModelRequest(parts=[SystemPromptPart(content)]))
            case "user":
                found.append(ModelRequest(parts=[UserPromptPart(_content(content))]))
            case "tool":
                call_id = message["tool_call_id"]
                part = ToolReturnPart(names[call_id], content, call_id)
                found.append(ModelRequest(parts=[part]))
            case "assistant":
                parts: list[Any] = [TextPart(content)] if content else []
                for call in message.get("tool_calls", ()):
                    function = call["function"]
                    names[call["id"]] = function["name"]
                    arguments = json.loads(function["arguments"])
                    parts.append(ToolCallPart(function["name"], arguments, call["id"]))
                found.append(ModelResponse(parts=parts))
    return found


def _content(content: str | Sequence[Mapping[str, Any]]) -> str | list[UserContent]:
    if isinstance(content, str):
        return content
    return [part["text"] if part["type"] == "text" else _image(part) for part in content]


def _image(part: Mapping[str, Any]) -> UserContent:
    url = part["image_url"]["url"]
    return BinaryContent.from_data_uri(url) if url.startswith("data:") else ImageUrl(url)
