"""A chat with each kind of part, which asks questions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from wireside import Approve, AskText, Chat, Image, Reasoning, Source, Table, Turn

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f"
    b"\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d"
    b"\x00\x00\x00\x00IEND\xaeB`\x82"
)


@dataclass
class State:
    colour: str = "none"
    asked: int = 0


chat = Chat(state=State, shares_state=True)


@chat.on_message
async def answer(turn: Turn) -> AsyncIterator[object]:
    yield Reasoning("Think. ")
    async with turn.step("look up") as step:
        step.output = "found"
    yield Source("A page", url="https://example.org/a", text="excerpt")
    yield Source("A book")
    yield Image(data=PNG, name="dot.png")
    yield Table(columns=["a"], rows=[[1]])
    if not await turn.ask(Approve("Go on?")):
        yield "Stopped."
        return
    yield "Going on. "
    colour = await turn.ask(AskText("Which colour?"))
    yield f"It is {colour}."


@chat.on_message
async def count(turn: Turn[None, State]) -> str:
    turn.state.asked += 1
    return f"{turn.state.colour} {turn.state.asked}"
