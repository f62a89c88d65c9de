"""A chat with Gradio: ``ChatInterface`` with a generator of the whole text so far."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import gradio
from openai import AsyncOpenAI

client = AsyncOpenAI(api_key="bench")


async def answer(message: str, history: list[Any]) -> AsyncIterator[str]:
    """Yield the answer so far, for each token."""
    content = ""
    stream = await client.chat.completions.create(
        model="bench", messages=[{"role": "user", "content": message}], stream=True
    )
    async for chunk in stream:
        if chunk.choices:
            content += chunk.choices[0].delta.content or ""
            yield content


gradio.ChatInterface(answer).launch(server_name="127.0.0.1", server_port=int(os.environ["PORT"]))
