"""The same agent in each framework: it talks to the fault lab and has three tools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from wireside import Chat, Turn


@dataclass
class World:
    """What the tools have done."""

    sent: list[str] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    cleaned_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def weather(self, city: str) -> str:
        """Return the weather of a city."""
        self.looked.append(city)
        return f"{city}: 21 degrees"

    async def send(self, to: str) -> str:
        """Send the letter."""
        self.sent.append(to)
        return f"Sent to {to}."

    async def wait(self) -> str:
        """Wait without end."""
        try:
            self.waits.set()
            await asyncio.Event().wait()
        finally:
            self.cleaned_up.set()
        return ""


def pydantic_ai(url: str, world: World) -> Chat:
    from pydantic_ai import Agent, DeferredToolRequests, Tool
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    from wireside.adapters.pydantic_ai import stream_agent

    model = OpenAIChatModel("lab-1", provider=OpenAIProvider(base_url=url, api_key="x"))
    tools = [world.weather, Tool(world.send, requires_approval=True), world.wait]
    agent: Any = Agent(model, output_type=[str, DeferredToolRequests], tools=tools)
    return chat_of(lambda turn: stream_agent(agent, turn))


def langgraph(url: str, world: World) -> Chat:
    from langchain_core.tools import StructuredTool
    from langchain_openai import ChatOpenAI
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode, tools_condition
    from langgraph.types import interrupt

    from wireside.adapters.langgraph import stream_graph

    async def send(to: str) -> str:
        """Send the letter."""
        if not interrupt({"type": "approve", "prompt": f"Send it to {to}?"}):
            return "The user has refused it."
        return await world.send(to)

    tools = [
        StructuredTool.from_function(coroutine=tool, name=name, description=name)
        for name, tool in (("weather", world.weather), ("send", send), ("wait", world.wait))
    ]
    model = ChatOpenAI(base_url=url, api_key="x", model="lab-1", max_retries=0).bind_tools(tools)

    async def call_model(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", call_model)
    builder.add_node("tools", ToolNode(tools))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    graph = builder.compile()
    return chat_of(lambda turn: stream_graph(graph, turn))


def openai_agents(url: str, world: World) -> Chat:
    from agents import (
        Agent,
        AsyncOpenAI,
        OpenAIChatCompletionsModel,
        function_tool,
        set_tracing_disabled,
    )

    from wireside.adapters.openai_agents import stream_agent

    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=url, api_key="x", max_retries=0)
    agent = Agent(
        name="Agent",
        model=OpenAIChatCompletionsModel("lab-1", client),
        tools=[
            function_tool(world.weather),
            function_tool(world.send, needs_approval=True),
            function_tool(world.wait),
        ],
    )
    return chat_of(lambda turn: stream_agent(agent, turn))


def llama_index(url: str, world: World) -> Chat:
    from llama_index.core.agent.workflow import FunctionAgent

    from tests.adapters.lab_llm import LabLLM, asking_tool
    from wireside.adapters.llama_index import stream_workflow

    tools = [world.weather, asking_tool(world.send), world.wait]
    agent = FunctionAgent(tools=tools, llm=LabLLM(url=url))
    return chat_of(lambda turn: stream_workflow(agent, turn))


def chat_of(stream: Callable[[Turn], AsyncIterator[Any]]) -> Chat:
    chat = Chat()

    @chat.on_message(name="agent")
    async def answer(turn: Turn) -> AsyncIterator[Any]:
        return stream(turn)

    return chat


FRAMEWORKS: dict[str, tuple[Callable[[str, World], Chat], str]] = {
    "pydantic-ai": (pydantic_ai, "pydantic_ai"),
    "langgraph": (langgraph, "langgraph"),
    "openai-agents": (openai_agents, "agents"),
    "llama-index": (llama_index, "llama_index.core"),
}
"""Makers of chats, and the module that the framework installs, by the name of the extra."""
