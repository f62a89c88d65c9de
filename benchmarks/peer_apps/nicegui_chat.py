"""A chat with NiceGUI: each token sets the content of a Markdown element."""

from __future__ import annotations

import os

from nicegui import ui
from openai import AsyncOpenAI

client = AsyncOpenAI(api_key="bench")


@ui.page("/")
def page() -> None:
    """Build the page."""
    messages: list[dict[str, str]] = []

    async def send() -> None:
        question, text.value = text.value, ""
        messages.append({"role": "user", "content": question})
        with column:
            ui.markdown(question)
            answer = ui.markdown().classes("answer")
        content = ""
        stream = await client.chat.completions.create(
            model="bench",
            messages=messages,  # type: ignore[arg-type]
            stream=True,
        )
        async for chunk in stream:
            if chunk.choices:
                content += chunk.choices[0].delta.content or ""
                answer.set_content(content)
        messages.append({"role": "assistant", "content": content})

    column = ui.column()
    text = ui.input(placeholder="Message").on("keydown.enter", send)


ui.run(host="127.0.0.1", port=int(os.environ["PORT"]), reload=False, show=False)
