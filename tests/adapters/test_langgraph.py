"""The adapter of LangGraph: nodes, subgraphs, interrupts and checkpoints."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest

from tests.adapters.conftest import Need
from tests.adapters.frameworks import chat_of
from wireside import Chat, ChatTester, Source
from wireside.parts import DataPart, ReasoningPart, TextPart, ToolCallPart, data_of
from wireside.testing import FakeOpenAI, answer


@pytest.fixture(autouse=True)
def langgraph(need: Need) -> None:
    need("langgraph")


class State(TypedDict):
    said: Annotated[list[str], operator.add]


def chat_with(builder: Any, *, checkpointer: Any = None, **options: Any) -> Chat:
    from wireside.adapters.langgraph import stream_graph

    graph = builder.compile(checkpointer=checkpointer)
    return chat_of(lambda turn: stream_graph(graph, turn, inputs={"said": []}, **options))


def graph_of(**nodes: Any) -> Any:
    """Return a builder of a graph that runs the nodes at the same time."""
    from langgraph.graph import START, StateGraph

    builder = StateGraph(State)
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(START, name)
    return builder


async def test_what_a_node_writes_is_shown_and_data_of_other_pages_is_not() -> None:
    from langgraph.config import get_stream_writer

    async def node(state: State) -> None:
        write = get_stream_writer()
        write("Here. ")
        write({"progress": 0.5})
        write(Source("Shop"))

    async with ChatTester(chat_with(graph_of(node=node))) as tester:
        reply = await tester.ask("?")
    assert [type(part) for part in reply.parts] == [TextPart, DataPart]


async def test_nodes_are_steps_and_those_of_a_subgraph_are_nested() -> None:
    async def inner(state: State) -> dict[str, list[str]]:
        return {"said": ["in"]}

    def fail(state: State) -> None:
        raise ValueError("no")

    builder = graph_of(outer=graph_of(inner=inner).compile())
    async with ChatTester(chat_with(builder, steps=True)) as tester:
        reply = await tester.ask("?")
    outer, nested = (data_of(part) for part in reply.parts if isinstance(part, DataPart))
    assert (outer["name"], outer["state"], nested["name"]) == ("outer", "done", "inner")
    assert nested["parent"] == outer["id"]
    async with ChatTester(chat_with(graph_of(fail=fail), steps=True)) as tester:
        reply = await tester.ask("?")
    (step,) = (data_of(part) for part in reply.parts if isinstance(part, DataPart))
    assert step["state"] == "failed"
    assert reply.error is not None


async def test_reasoning_is_what_the_blocks_of_a_message_have() -> None:
    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph

    from wireside.adapters.langgraph import stream_graph

    async def node(state: MessagesState) -> dict[str, Any]:
        content: Any = [{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "Yes."}]
        return {"messages": [AIMessage(content)]}

    graph = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node").compile()
    async with ChatTester(chat_of(lambda turn: stream_graph(graph, turn))) as tester:
        reply = await tester.ask("?")
    assert reply.parts == (ReasoningPart("Hm."), TextPart("Yes."))


async def test_questions_of_two_nodes_are_answered_in_turn() -> None:
    from langgraph.types import interrupt

    async def first(state: State) -> dict[str, list[str]]:
        return {"said": [interrupt("Name?")]}

    async def second(state: State) -> dict[str, list[str]]:
        chosen = interrupt({"type": "choose", "prompt": "Which?", "options": ["a", "b"]})
        return {"said": [f"chose {chosen}"]}

    async def report(state: State) -> None:
        from langgraph.config import get_stream_writer

        get_stream_writer()(", ".join(sorted(state["said"])))

    builder = graph_of(first=first, second=second)
    builder.add_node("report", report)
    builder.add_edge(["first", "second"], "report")
    async with ChatTester(chat_with(builder)) as tester:
        reply = await tester.ask("?")
        for _ in range(2):
            assert reply.question is not None
            await tester.restart()
            value = "b" if reply.question["type"] == "choose" else "Ada"
            reply = await tester.answer(value)
    assert (reply.text, reply.error) == ("Ada, chose b", None)


async def test_a_graph_may_have_a_checkpointer_of_its_own() -> None:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.config import get_stream_writer
    from langgraph.types import interrupt

    ran: list[str] = []

    async def node(state: State) -> None:
        ran.append("node")
        get_stream_writer()(interrupt("Name?"))

    saver = InMemorySaver()
    async with ChatTester(chat_with(graph_of(node=node), checkpointer=saver)) as tester:
        await tester.ask("?")
        await tester.restart()
        assert (await tester.answer("Ada")).text == "Ada"
        await tester.ask("again")
        assert (await tester.answer("Bob")).text == "Bob"
    assert len(saver.storage) == 2


async def test_langchain_asks_for_the_calls_of_its_middleware(need: Need, lab: FakeOpenAI) -> None:
    need("langchain.agents")
    from langchain.agents import create_agent
    from langchain.agents.middleware import HumanInTheLoopMiddleware
    from langchain_openai import ChatOpenAI

    from wireside.adapters.langgraph import stream_graph

    sent: list[str] = []

    async def send(to: str) -> str:
        """Send a letter."""
        sent.append(to)
        return f"Sent to {to}."

    agent: Any = create_agent(
        ChatOpenAI(base_url=lab.url, api_key="x", model="lab-1"),
        tools=[send],
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"send": True})],
    )
    calls = [("send", '{"to": "Ada"}'), ("send", '{"to": "Bob"}')]
    lab.answer_with(answer("", tool_calls=calls, finish="tool_calls"), answer(["Done."]))
    async with ChatTester(chat_of(lambda turn: stream_graph(agent, turn))) as tester:
        reply = await tester.ask("Write to both")
        assert "Ada" in str(reply.question)
        await tester.restart()
        reply = await tester.answer(False)
        assert "Bob" in str(reply.question)
        await tester.restart()
        reply = await tester.answer(True)
    assert (reply.text, reply.error, sent) == ("Done.", None, ["Bob"])
    results = [(part.state, part.result) for part in reply.parts if isinstance(part, ToolCallPart)]
    assert ("done", "Sent to Bob.") in results
    assert [state for state, _ in results].count("failed") == 1
