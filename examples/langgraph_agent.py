"""A LangGraph agent that drafts a letter, asks for approval, and sends it.

pip install 'wireside[langgraph]'
wireside serve examples/langgraph_agent.py:chat

The draft is written by the server's default model (``OPENAI_BASE_URL``, or the embedded one).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypedDict

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from wireside import Chat, Turn, UnknownModel
from wireside.adapters.langgraph import stream_graph

chat = Chat("Letters", starters=["Decline the invitation to the trade fair"])


class State(TypedDict):
    """What the nodes of the graph pass on."""

    task: str
    draft: str


async def draft(state: State, runtime: Runtime[Turn]) -> dict[str, str]:
    """Write the letter; each piece is shown as it comes."""
    write = get_stream_writer()
    prompt = f"Write a letter of three sentences, without comments: {state['task']}"
    text = ""
    try:
        async for piece in runtime.context.complete([{"role": "user", "content": prompt}]):
            text += piece
            write(piece)
    except UnknownModel:  # the server has no model
        text = f"Dear all,\n\n{state['task']}.\n\nYours"
        write(text)
    return {"draft": text}


async def review(state: State) -> Command[str]:
    """Wait for approval, for days if need be, also over restarts of the server."""
    approved = interrupt({"type": "approve", "prompt": "Send this letter?"})
    return Command(goto="send" if approved else END)


async def send(state: State) -> None:
    """Send the letter, in a real system."""
    get_stream_writer()("The letter is on its way.")


builder = StateGraph(State, context_schema=Turn)
builder.add_node("draft", draft)
builder.add_node("review", review, destinations=("send", END))
builder.add_node("send", send)
builder.add_edge(START, "draft")
builder.add_edge("draft", "review")
graph = builder.compile()


@chat.on_message
async def letters(turn: Turn) -> AsyncIterator[Any]:
    """Drafts letters and sends them."""
    return stream_graph(graph, turn, inputs={"task": turn.text}, context=turn, steps=True)
