"""A chat with Chainlit: each token is streamed into a message."""

from __future__ import annotations

import chainlit
from openai import AsyncOpenAI

client = AsyncOpenAI(api_key="bench")


@chainlit.on_message
async def answer(message: chainlit.Message) -> None:
    """Stream the answer."""
    reply = chainlit.Message(content="")
    stream = await client.chat.completions.create(
        model="bench", messages=[{"role": "user", "content": message.content}], stream=True
    )
    async for chunk in stream:
        if chunk.choices:
            await reply.stream_token(chunk.choices[0].delta.content or "")
    await reply.update()
