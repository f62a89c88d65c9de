"""Answers by an agent of the OpenAI Agents SDK."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from agents import Agent, RunContextWrapper, Runner, RunResultStreaming, RunState

from wireside.adapters.calls import Calls
from wireside.adapters.pauses import Pauses
from wireside.extension.parts import Reasoning, StepPart, as_text
from wireside.extension.tools import approval
from wireside.extension.turn import Turn

TEXTS = ("response.output_text.delta", "response.refusal.delta")

REASONING = ("response.reasoning_summary_text.delta", "response.reasoning_text.delta")


async def stream_agent(
    agent: Agent[Any], turn: Turn[Any, Any], **options: Any
) -> AsyncIterator[Any]:
    """Stream the run of an agent: text, reasoning, tool calls, and handoffs as steps.

    Tools with ``needs_approval`` ask the user.

    Args:
        agent: the agent.
        turn: the turn, whose messages are the history.
        options: further arguments of ``Runner.run_streamed``, such as ``context``.
    """
    pauses = Pauses(turn)
    await pauses.restore()
    if pauses.has_ended:
        return
    run: Any = _items(turn.messages)
    calls = Calls()
    if pauses.state is not None:
        calls.restore(pauses.state["calls"])
        run = await _restored(agent, pauses.state["run"], options.get("context"))
        await _decide(run, pauses, pauses.state)
    while True:
        result = Runner.run_streamed(agent, run, **options)
        has_text = False
        async with aclosing(_parts(result, calls)) as parts:
            async for part in parts:
                has_text = has_text or isinstance(part, str)
                yield part
        if not result.interruptions:
            break
        run = result.to_state()
        await _decide(run, pauses, {"run": run.to_json(), "calls": calls.to_object()})
    if not has_text:  # the result of a tool is that of the run
        yield as_text(result.final_output)
    pauses.end()


async def _parts(result: RunResultStreaming, calls: Calls) -> AsyncGenerator[Any, None]:
    try:
        async for event in result.stream_events():
            for part in _parts_of(event, calls):
                yield part
    finally:
        if (task := result.run_loop_task) is not None and not task.done():
            result.cancel()  # it cancels its tasks, and does not wait for their clean-up
            await asyncio.wait([task])


def _parts_of(event: Any, calls: Calls) -> Iterator[Any]:
    if event.type == "raw_response_event":
        if event.data.type in TEXTS:
            yield event.data.delta
        elif event.data.type in REASONING:
            yield Reasoning(event.data.delta)
    elif event.type == "run_item_stream_event":
        item = event.item
        if event.name == "tool_called":
            arguments = getattr(item.raw_item, "arguments", "") or ""
            name = item.tool_name or str(getattr(item.raw_item, "type", "tool"))
            yield calls.start(item.call_id, name, arguments)
            if not _is_answered_by_output(item.raw_item):  # a tool of the service: it has run there
                yield from calls.end(item.call_id, str(getattr(item.raw_item, "status", "")))
        elif event.name == "tool_output":
            yield from calls.end(item.call_id, as_text(item.output))
        elif event.name == "handoff_occured":
            name = f"{item.source_agent.name} → {item.target_agent.name}"
            yield StepPart(id=secrets.token_hex(6), name=name, state="done")


def _is_answered_by_output(raw_item: Any) -> bool:
    """Return whether an item with the output of a call follows."""
    if isinstance(raw_item, dict):
        return "call_id" in raw_item
    return getattr(raw_item, "call_id", None) is not None


async def _restored(agent: Agent[Any], state: dict[str, Any], context: Any) -> RunState[Any, Any]:
    override = None if context is None else RunContextWrapper(context)
    return await RunState.from_json(agent, state, context_override=override)


async def _decide(run: RunState[Any, Any], pauses: Pauses, state: dict[str, Any]) -> None:
    """Ask for the approvals that a run waits for."""
    waiting = run.get_interruptions()
    questions = [approval(call.name or "tool", call.arguments or "") for call in waiting]
    for call, answer in zip(waiting, await pauses.ask(state, questions), strict=True):
        if answer:
            run.approve(call)
        else:
            run.reject(call)


def _items(messages: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return messages of OpenAI's chat completions as the items of its Responses API."""
    items: list[Any] = []
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "tool":
            call_id = message["tool_call_id"]
            items.append({"type": "function_call_output", "call_id": call_id, "output": content})
            continue
        if content:
            items.append({"role": role, "content": _content(content)})
        items += [
            {"type": "function_call", "call_id": call["id"], **call["function"]}
            for call in message.get("tool_calls", ())
        ]
    return items


def _content(content: str | Sequence[Mapping[str, Any]]) -> Any:
    if isinstance(content, str):
        return content
    return [
        {"type": "input_text", "text": part["text"]}
        if part["type"] == "text"
        else {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto"}
        for part in content
    ]
