"""The doors for other clients: server CPU of a token next to level 2 of ``/ws/ai-chat``.

All answers are stored in conversations. The clients check each text.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from typing import Final

from websockets.asyncio.client import connect

from benchmarks.answers import Plan
from benchmarks.answers import text as text_of
from benchmarks.loops import run
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Server, Servers

STREAMS: Final = 40
RATE: Final = 50
"""Tokens a second of a paced stream."""

SAVE_DELAY_S: Final = "60"
"""No question is refused: the benchmark asks faster than a slow machine can store."""

AT_MOST = Aim(1.3, "ratio")

Ask = Callable[[Server, Plan], Awaitable[str]]
"""Asks a question through a door, and returns the text of the answer."""

_numbers = count()


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield the costs of tokens that come alone, and of tokens that lie ready."""
    rounds = 2 if quick else 4
    with (
        servers.upstream() as upstream,
        servers.wireside(upstream, save_delay_s=SAVE_DELAY_S) as server,
    ):
        run(_warm_up(server))
        for title, plan in (
            (f"each comes alone, {STREAMS} streams of {RATE}/s", Plan("prose", 200, RATE)),
            ("1,000 of them lie ready", Plan("prose", 1000)),
        ):
            costs: dict[str, list[float]] = {name: [] for name in ASKS}
            for _ in range(rounds):
                for name, ask in ASKS.items():
                    costs[name].append(run(_cost(server, ask, plan)))
            base = costs.pop("level 2")
            figures = [
                Figure.of(name, "µs", values, base, AT_MOST) for name, values in costs.items()
            ]
            yield Section(f"Server CPU of a token through a door: {title}", "level 2", figures)


async def _cost(server: Server, ask: Ask, plan: Plan) -> float:
    before = server.cpu_s()
    texts = await asyncio.gather(*[ask(server, plan) for _ in range(STREAMS)])
    used_s = server.cpu_s() - before
    if any(text != text_of(plan.kind, plan.tokens) for text in texts):
        raise RuntimeError("the text is not what the model sent")
    return used_s / (STREAMS * plan.tokens) * 1e6


async def _warm_up(server: Server) -> None:
    for ask in ASKS.values():
        await ask(server, Plan("prose", 10))


async def _level_2(server: Server, plan: Plan) -> str:
    pieces: list[str] = []
    async with connect(f"ws://127.0.0.1:{server.port}/ws/ai-chat", compression=None) as socket:
        await socket.send(
            json.dumps({"type": "chat", "id": "a", "conversation": "new", "message": str(plan)})
        )
        async for text in socket:
            frame = json.loads(text)
            if frame["type"] == "chunk":
                pieces.append(frame["content"])
            elif frame["type"] in ("done", "error"):
                break
    return "".join(pieces)


async def _ai_sdk_socket(server: Server, plan: Plan) -> str:
    pieces: list[str] = []
    frame = {"type": "send", "requestId": "a", "headers": {}, "body": {}, **_ai_sdk_body(plan)}
    async with connect(f"ws://127.0.0.1:{server.port}/ws/ai-sdk", compression=None) as socket:
        await socket.send(json.dumps(frame))
        async for text in socket:
            answer = json.loads(text)
            if answer["type"] == "chunk":
                pieces.append(answer["chunk"].get("delta", ""))
            elif answer["type"] in ("end", "error"):
                break
    return "".join(pieces)


async def _ai_sdk_sse(server: Server, plan: Plan) -> str:
    events = _events(server, "POST", "/api/ai-sdk/chat", _ai_sdk_body(plan))
    return "".join([json.loads(data).get("delta", "") async for _, data in events])


async def _ag_ui(server: Server, plan: Plan) -> str:
    body = {
        "threadId": f"bench {next(_numbers)}",
        "runId": "r",
        "messages": [{"id": "q", "role": "user", "content": str(plan)}],
    }
    events = _events(server, "POST", "/api/ag-ui", body)
    return "".join([json.loads(data).get("delta", "") async for _, data in events])


async def _durable_streams(server: Server, plan: Plan) -> str:
    async with connect(f"ws://127.0.0.1:{server.port}/ws/ai-chat", compression=None) as socket:
        await socket.send(
            json.dumps({"type": "chat", "id": "a", "conversation": "new", "message": str(plan)})
        )
        name = json.loads(await socket.recv())["stream"]
    events = _events(server, "GET", f"/api/streams/{name}?offset=-1&live=sse", None)
    return "".join([data async for kind, data in events if kind == "data"])


ASKS: Final[dict[str, Ask]] = {
    "level 2": _level_2,
    "AI SDK, WebSocket": _ai_sdk_socket,
    "AI SDK, SSE": _ai_sdk_sse,
    "AG-UI": _ag_ui,
    "Durable Streams, SSE": _durable_streams,
}


def _ai_sdk_body(plan: Plan) -> dict[str, object]:
    message = {"id": "q", "role": "user", "parts": [{"type": "text", "text": str(plan)}]}
    return {
        "id": f"bench {next(_numbers)}",
        "trigger": "submit-message",
        "messages": [message],
    }


async def _events(
    server: Server, method: str, path: str, body: object
) -> AsyncIterator[tuple[str, str]]:
    """Yield the events of a response, each as its name and its data."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**24)
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    writer.write(head.encode() + content)
    await reader.readuntil(b"\r\n\r\n")
    rest = ""
    while size := int(await reader.readline(), 16):
        rest += (await reader.readexactly(size + 2))[:-2].decode()
        *events, rest = rest.split("\n\n")
        for event in events:
            kind, lines = "", []
            for line in event.split("\n"):
                name, _, value = line.partition(":")
                if name == "event":
                    kind = value.strip()
                elif name == "data":
                    lines.append(value.removeprefix(" "))
            if lines and lines != ["[DONE]"]:
                yield kind, "\n".join(lines)
    writer.close()
