"""Answers by an agent or another workflow of LlamaIndex."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from llama_index.core.agent.workflow import (
    AgentStream,
    AgentWorkflow,
    BaseWorkflowAgent,
    ToolCall,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ToolCallBlock
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.workflow import (
    Context,
    HumanResponseEvent,
    InputRequiredEvent,
    Workflow,
)

from wireside.adapters.calls import Calls
from wireside.adapters.pauses import Pauses, question_of
from wireside.extension.parts import Reasoning, to_json
from wireside.extension.turn import Turn

NO_LIMIT = 10**9
"""Number of tokens that no conversation has."""

SETTLED_S = 0.05
"""Time in seconds without an event after which a waiting workflow may have settled."""


async def stream_workflow(
    workflow: Workflow, turn: Turn[Any, Any], **options: Any
) -> AsyncIterator[Any]:
    """Stream the run of an agent or workflow: text, reasoning and tool calls.

    An ``InputRequiredEvent`` asks the user: its ``prefix`` is the prompt, which is answered by a
    text, and its other fields may be those of a question, such as ``type="approve"``. The answer
    is the ``response`` of a ``HumanResponseEvent`` with the other fields of the event.

    Args:
        workflow: the agent or workflow.
        turn: the turn, whose messages are ``user_msg`` and ``chat_history``.
        options: further arguments of the workflow's ``run``.
    """
    pauses = Pauses(turn)
    await pauses.restore()
    if pauses.has_ended:
        return
    *history, question = map(_message, turn.messages)
    run: dict[str, Any] = {"user_msg": question, "chat_history": history}
    paused: dict[str, Any] | None = pauses.state
    calls = Calls()
    while True:
        if paused is None:
            events = _events(workflow.run(**run, **options))
        else:
            calls.restore(paused["calls"])
            answers = await _answers(pauses, paused)
            handler = workflow.run(ctx=Context.from_dict(workflow, paused["context"]), **options)
            await _restore_memory(workflow, handler, [*history, question])
            events = _events(handler, answers, after=_restarts_in(paused["context"]))
        has_text, paused = False, None
        async with aclosing(events):
            async for event in events:
                if isinstance(event, _Paused):
                    paused = {
                        "context": event.context,
                        "asked": event.asked,
                        "calls": calls.to_object(),
                    }
                elif isinstance(event, _Result):
                    if not has_text:
                        yield event.text
                else:
                    for part in _parts_of(event, calls):
                        has_text = has_text or isinstance(part, str)
                        yield part
        if paused is None:
            break
    pauses.end()


@dataclass(frozen=True, slots=True)
class _Paused:
    """A workflow waits: its context, and the fields of the events that ask."""

    context: dict[str, Any]
    asked: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Result:
    text: str


async def _events(
    handler: Any, answers: Sequence[HumanResponseEvent] = (), *, after: int = 0
) -> AsyncGenerator[Any, None]:
    """Yield the events of a run, then its result, or how all of it waits for the user.

    A context that is stored while a step runs would run the step again, and an answer that comes
    before a step waits for it would be taken by another step.

    Args:
        handler: the run.
        answers: what the user has answered, for a restored run.
        after: the number of ticks after which all steps of a restored run wait again.
    """
    asked: list[dict[str, Any]] = []
    coming = aiter(handler.stream_events())
    following = asyncio.ensure_future(anext(coming, None))
    try:
        while True:
            await asyncio.wait([following], timeout=SETTLED_S if asked or answers else None)
            if not following.done():
                context = _settled_context(handler)
                if context is None or context["journal_seq"] < after:
                    continue
                if not answers:
                    yield _Paused(context, asked)
                    return
                for answer in answers:
                    handler.ctx.send_event(answer)
                answers = ()
                continue
            event = following.result()
            if event is None:
                yield _Result(_text_of(await handler))
                return
            if isinstance(event, InputRequiredEvent):
                asked.append(dict(event.items()))
            yield event
            following = asyncio.ensure_future(anext(coming, None))
    finally:
        following.cancel()
        await asyncio.wait([following])
        if not handler.is_done():
            await handler.cancel_run()


def _settled_context(handler: Any) -> dict[str, Any] | None:
    """Return the context to store; None while a step runs."""
    with warnings.catch_warnings(action="ignore"):  # the memory of an agent is not stored
        context: dict[str, Any] = handler.ctx.to_dict()
    workers = context["workers"].values()
    runs = any(worker["queue"] or worker["in_progress"] for worker in workers)
    return None if runs or context["deliveries"] else context


def _restarts_in(context: Mapping[str, Any]) -> int:
    """Return the number of ticks after which the steps run again that waited with requirements."""
    waiters = [one for worker in context["workers"].values() for one in worker["collected_waiters"]]
    return int(context["journal_seq"]) + len([one for one in waiters if one["has_requirements"]])


async def _restore_memory(workflow: Workflow, handler: Any, messages: list[ChatMessage]) -> None:
    """Give an agent its memory, which no context stores."""
    if isinstance(workflow, BaseWorkflowAgent | AgentWorkflow):
        # without a limit: the default drops all but 3,000 tokens of the conversation
        memory = ChatMemoryBuffer.from_defaults(chat_history=messages, token_limit=NO_LIMIT)
        await handler.ctx.store.set("memory", memory)


def _parts_of(event: Any, calls: Calls) -> Iterator[Any]:
    match event:
        case AgentStream():
            if event.thinking_delta:
                yield Reasoning(event.thinking_delta)
            if event.delta:
                yield event.delta
        case ToolCallResult():
            output = event.tool_output
            yield from calls.end(event.tool_id, str(output.content), failed=output.is_error)
        case ToolCall():
            yield calls.start(event.tool_id, event.tool_name, to_json(event.tool_kwargs))


def _text_of(result: Any) -> str:
    structured = getattr(result, "structured_response", None)
    if structured is not None:
        return f"```json\n{to_json(structured)}\n```\n"
    return "" if result is None else str(result)


async def _answers(pauses: Pauses, paused: Mapping[str, Any]) -> list[HumanResponseEvent]:
    """Ask what a workflow waits for, and return the answers as events."""
    asked = paused["asked"]
    questions = [question_of({"prompt": fields.get("prefix"), **fields}) for fields in asked]
    answers = await pauses.ask(paused, questions)
    return [
        HumanResponseEvent(**{**fields, "response": answer})
        for fields, answer in zip(asked, answers, strict=True)
    ]


def _message(message: Mapping[str, Any]) -> ChatMessage:
    """Return a message of OpenAI's format as one of LlamaIndex."""
    blocks: list[Any] = _blocks(message["content"])
    for call in message.get("tool_calls", ()):
        function = call["function"]
        blocks.append(
            ToolCallBlock(
                tool_call_id=call["id"],
                tool_name=function["name"],
                tool_kwargs=json.loads(function["arguments"]),
            )
        )
    ids = {"tool_call_id": message["tool_call_id"]} if message["role"] == "tool" else {}
    return ChatMessage(role=message["role"], blocks=blocks, additional_kwargs=ids)


def _blocks(content: str | Sequence[Mapping[str, Any]] | None) -> list[Any]:
    if content is None:
        return []
    if isinstance(content, str):
        return [TextBlock(text=content)]
    return [
        TextBlock(text=part["text"]) if part["type"] == "text" else _image(part["image_url"]["url"])
        for part in content
    ]


def _image(url: str) -> ImageBlock | TextBlock:
    """Return an image by its content; a model class would fetch an address, which may be any."""
    return ImageBlock(url=url) if url.startswith("data:") else TextBlock(text=f"[image: {url}]")
