"""LangChain's chat model, pointed at the OpenAI-compatible API of a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.conftest import Need
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("server")
    with FakeOpenAI() as model, ServerProcess(folder, model.url, OPENAI_API_KEY="lab") as server:
        yield f"{server.url}/v1"


@pytest.mark.parametrize("uses_responses", [False, True])
def test_langchain_asks_streams_and_calls_tools(
    need: Need, address: str, uses_responses: bool
) -> None:
    need("langchain_openai")
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_openai import ChatOpenAI

    given: Any = {"base_url": address, "api_key": "none", "use_responses_api": uses_responses}
    model = ChatOpenAI(model="gpt-4o", **given)
    assert model.invoke("/lab tokens 60").text == FakeOpenAI.text(60)
    assert "".join(one.text for one in model.stream("/lab tokens 60")) == FakeOpenAI.text(60)

    def weather(city: str) -> str:
        """Return the weather of a city."""
        return f"{city}: 21 degrees"

    with_tools = model.bind_tools([weather])
    asked = HumanMessage("/lab tool")
    answer = with_tools.invoke([asked])
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Zürich"})
    result = ToolMessage("Zürich: 21 degrees", tool_call_id=call["id"])
    assert with_tools.invoke([asked, answer, result]).text
