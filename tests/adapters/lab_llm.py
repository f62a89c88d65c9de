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
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent
from openai import AsyncOpenAI


class LabLLM(MockFunctionCallingLLM):
    """A function-calling model."""

    url: str = ""

    async def astream_chat(self, messages: Sequence[ChatMessage], **options: Any) -> Any:
        return self._stream([_request_message(message) for message in messages])

    async def _stream(self, messages: list[dict[str, Any]]) -> AsyncIterator[ChatResponse]:
        async with AsyncOpenAI(base_url=self.url, api_key="x", max_retries=0) as client:
            text, arguments = "", ""
            call: Any = None
            create: Any = client.chat.completions.create
            stream = await create(model="lab-1", messages=messages, stream=True)
            async for chunk in stream:
                delta = chunk.choices[0].delta if chunk.choices else None
                if delta is None:
                    continue
                for piece in delta.tool_calls or ():
                    call = call or piece
                    arguments += piece.function.arguments or ""
                text += delta.content or ""
                blocks: list[Any] = [TextBlock(text=text)]
                yield ChatResponse(
                    message=ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks),
                    delta=delta.content or "",
                    additional_kwargs={"thinking_delta": getattr(delta, "reasoning_content", None)},
                )
            if call is not None:
                block = ToolCallBlock(
                    tool_call_id=call.id,
                    tool_name=call.function.name,
                    tool_kwargs=json.loads(arguments or "{}"),
                )
                blocks = [TextBlock(text=text), block]
                message = ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks)
                yield ChatResponse(message=message, delta="")


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
