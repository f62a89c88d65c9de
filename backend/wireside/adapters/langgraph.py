"""Answers by a graph of LangGraph, such as an agent of LangChain."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.runnables.config import merge_configs
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, Interrupt

from wireside.adapters.calls import Calls
from wireside.adapters.pauses import Pauses, question_of
from wireside.extension.parts import Reasoning, StepPart, StepState, to_json
from wireside.extension.questions import Question
from wireside.extension.tools import approval
from wireside.extension.turn import Turn
from wireside.messages import ToolDelta


async def stream_graph(
    graph: Any,
    turn: Turn[Any, Any],
    *,
    inputs: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    steps: bool = False,
    **options: Any,
) -> AsyncIterator[Any]:
    """Stream a run of a graph: text, reasoning, tool calls, and what its nodes write.

    ``interrupt`` asks the user: with the data of a question, such as ``{"type": "approve",
    "prompt": "Send it?"}``, or a prompt that is answered by a text. A graph without a checkpointer
    gets one for this answer, which is stored with the turn.

    Args:
        graph: the compiled graph.
        turn: the turn.
        inputs: the input; by default ``messages`` with the history and the question.
        config: the configuration of the run.
        steps: whether the nodes are shown as steps.
        options: further arguments of the graph's ``astream``, such as ``context``.
    """
    pauses = Pauses(turn)
    await pauses.restore()
    if pauses.has_ended:
        return
    saver = None if graph.checkpointer else _TurnSaver()
    if saver is not None:
        graph = graph.copy({"checkpointer": saver})
    thread = pauses.state["thread"] if pauses.state else secrets.token_hex(16)
    config = merge_configs({"configurable": {"thread_id": thread}}, config)
    run: Any = {"messages": turn.messages} if inputs is None else inputs
    reader = _Reader(message.get("tool_call_id") for message in turn.messages)
    if pauses.state is not None:
        reader.calls.restore(pauses.state["calls"])
        reader.seen.update(pauses.state["seen"])
        if saver is not None:
            saver.load(pauses.state["checkpoints"])
        waiting = (await graph.aget_state(config)).interrupts
        run = await _resumed(pauses, pauses.state, waiting)
    options = {"durability": "exit", **options}
    modes = ["messages", "updates", "custom", *(["tasks"] if steps else [])]
    while True:
        stream = graph.astream(run, config, stream_mode=modes, subgraphs=True, **options)
        async with aclosing(stream) as events:
            async for event in events:
                for part in reader.parts(*event):
                    yield part
        waiting = (await graph.aget_state(config)).interrupts
        if not waiting:
            break
        state = {
            "thread": thread,
            "checkpoints": saver.dump() if saver else None,
            "calls": reader.calls.to_object(),
            "seen": sorted(filter(None, reader.seen)),
        }
        run = await _resumed(pauses, state, waiting)
    pauses.end()


class _Reader:
    """Reads the events of a graph.

    Args:
        past: ids of tool calls in the history, which a node may return again.
    """

    def __init__(self, past: Iterable[str | None]) -> None:
        self._past = set(past)
        self.seen: set[str | None] = set()
        """Ids of messages; a graph and the one around it return the same."""
        self.calls = Calls()

    def parts(self, namespace: tuple[str, ...], mode: str, data: Any) -> Iterator[Any]:
        """Yield the parts for an event."""
        match mode:
            case "messages" if isinstance(data[0], AIMessage | AIMessageChunk):
                yield from _text(data[0])
            case "updates":
                for update in data.values():
                    for message in _messages(update):
                        yield from self._calls_of(message)
            case "custom" if not isinstance(data, Mapping):  # others are for other pages
                yield data
            case "tasks":
                yield _step(namespace, data)

    def _calls_of(self, message: BaseMessage) -> Iterator[ToolDelta]:
        if isinstance(message, ToolMessage):
            failed = message.status == "error"
            yield from self.calls.end(message.tool_call_id, str(message.text), failed=failed)
        elif isinstance(message, AIMessage) and message.id not in self.seen:
            self.seen.add(message.id)
            for call in message.tool_calls:
                if call["id"] not in self._past:
                    yield self.calls.start(call["id"], call["name"], to_json(call["args"]))


def _text(message: AIMessage | AIMessageChunk) -> Iterator[Any]:
    for block in message.content_blocks:
        if block["type"] == "text":
            yield block["text"]
        elif block["type"] == "reasoning":
            yield Reasoning(block.get("reasoning") or "")


def _messages(update: Any) -> Iterator[BaseMessage]:
    """Yield the messages in what a node has returned."""
    if isinstance(update, BaseMessage):
        yield update
    elif isinstance(update, Mapping):
        for value in update.values():
            yield from _messages(value)
    elif isinstance(update, list | tuple):
        for value in update:
            yield from _messages(value)


def _step(namespace: tuple[str, ...], task: Mapping[str, Any]) -> StepPart:
    state: StepState = "running"
    if "result" in task:
        state = "failed" if task["error"] else "done"
        state = "running" if task["interrupts"] else state
    parent = namespace[-1].partition(":")[2] if namespace else ""
    return StepPart(id=task["id"], name=task["name"], state=state, parent=parent)


async def _resumed(pauses: Pauses, state: object, waiting: Sequence[Interrupt]) -> Command[Any]:
    """Ask for what the interrupts want; return the command that goes on with the answers."""
    questions = [_questions(interrupt.value) for interrupt in waiting]
    answers = iter(await pauses.ask(state, [one for some in questions for one in some]))
    return Command(
        resume={
            interrupt.id: _answer(interrupt.value, [next(answers) for _ in some])
            for interrupt, some in zip(waiting, questions, strict=True)
        }
    )


def _questions(value: Any) -> list[Question]:
    if _is_approval_of_calls(value):
        return [approval(call["name"], to_json(call["args"])) for call in value["action_requests"]]
    return [question_of(value)]


def _answer(value: Any, answers: list[Any]) -> Any:
    if _is_approval_of_calls(value):
        return {"decisions": [{"type": "approve" if yes else "reject"} for yes in answers]}
    return answers[0]


def _is_approval_of_calls(value: Any) -> bool:
    """Whether it is an interrupt of LangChain's ``HumanInTheLoopMiddleware``."""
    return isinstance(value, Mapping) and "action_requests" in value


class _TurnSaver(InMemorySaver):
    """Keeps the checkpoints of one answer; they are stored with it as a JSON value."""

    def dump(self) -> list[str]:
        content = [
            [[thread, dict(spaces)] for thread, spaces in self.storage.items()],
            [[list(key), list(writes.items())] for key, writes in self.writes.items()],
            [[list(key), value] for key, value in self.blobs.items()],
        ]
        kind, data = self.serde.dumps_typed(content)
        return [kind, base64.b64encode(data).decode()]

    def load(self, dumped: Sequence[str]) -> None:
        kind, data = dumped
        storage, writes, blobs = self.serde.loads_typed((kind, base64.b64decode(data)))
        for thread, spaces in storage:
            self.storage[thread].update(spaces)
        for key, values in writes:
            self.writes[tuple(key)] = {tuple(place): tuple(value) for place, value in values}
        self.blobs.update((tuple(key), tuple(value)) for key, value in blobs)
