"""A model of LlamaIndex that streams from the fault lab, and a tool that asks the user.

The OpenAI models of LlamaIndex do not accept version 3 of the ``openai`` package yet. LlamaIndex
reads annotations at run time: they are no strings here.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.llms import MockFunctionCallingLLM
from llama_index.core.workflow import (
    Context,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from openai import AsyncOpenAI


class LabLLM(MockFunctionCallingLLM):
    """A function-calling model."""

    url: str = ""

    async def astream_chat(self, messages: Sequence[ChatMessage], **options: Any) -> Any:
        return self._stream([_request_message(message) for message in messages])

    async def _stream(self, messages: list[dict[str, Any]]) -> AsyncIterator[ChatResponse]:
        async with AsyncOpenAI(base_url=self.url, api_key="x", max_retries=0) as client:
            text = ""
            calls: dict[int, list[str]] = {}
            create: Any = client.chat.completions.create
            stream = await create(model="lab-1", messages=messages, stream=True)
            async for chunk in stream:
                delta = chunk.choices[0].delta if chunk.choices else None
                if delta is None:
                    continue
                for piece in delta.tool_calls or ():
                    call = calls.setdefault(piece.index, [piece.id, piece.function.name, ""])
                    call[2] += piece.function.arguments or ""
                text += delta.content or ""
                blocks: list[Any] = [TextBlock(text=text)]
                yield ChatResponse(
                    message=ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks),
                    delta=delta.content or "",
                    additional_kwargs={"thinking_delta": getattr(delta, "reasoning_content", None)},
                )
            if calls:
                blocks = [TextBlock(text=text)]
                blocks += [
                    ToolCallBlock(
                        tool_call_id=f"{call_id}-{index}",
                        tool_name=name,
                        tool_kwargs=json.loads(arguments or "{}"),
                    )
                    for index, (call_id, name, arguments) in calls.items()
                ]
                message = ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks)
                yield ChatResponse(message=message, delta="")


class Greeting(Workflow):
    """A workflow that asks for a name."""

    @step
    async def begin(self, ctx: Context, event: StartEvent) -> InputRequiredEvent:
        await ctx.store.set("said", event.user_msg.content)
        return InputRequiredEvent(prefix="Name?")

    @step
    async def end(self, ctx: Context, event: HumanResponseEvent) -> StopEvent:
        return StopEvent(result=f"{await ctx.store.get('said')}, {event.response}")


class Describing(Workflow):
    """A workflow whose result is the kinds of what is in the question."""

    @step
    async def begin(self, event: StartEvent) -> StopEvent:
        return StopEvent(result=[type(block).__name__ for block in event.user_msg.blocks])


def asking_tool(work: Callable[[str], Awaitable[str]]) -> Callable[..., Awaitable[str]]:
    """Return a tool that asks for approval before it works."""

    async def send(ctx: Context, to: str) -> str:
        """Send the letter."""
        asked = InputRequiredEvent(prefix=f"Send it to {to}?", type="approve", to=to)
        answer = await ctx.wait_for_event(
            HumanResponseEvent, waiter_id=to, waiter_event=asked, requirements={"to": to}
        )
        return await work(to) if answer.response else "The user has refused it."

    return send


def _request_message(message: ChatMessage) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role.value, "content": message.content}
    calls = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if calls:
        found["tool_calls"] = [
            {
                "id": call.tool_call_id,
                "type": "function",
                "function": {"name": call.tool_name, "arguments": json.dumps(call.tool_kwargs)},
            }
            for call in calls
        ]
    if "tool_call_id" in message.additional_kwargs:
        found["tool_call_id"] = message.additional_kwargs["tool_call_id"]
    return found
