"""The baseline: the least work that Starlette can do between a model and a browser.

It reads the model's bytes, extracts each token's JSON string by a regular expression without
decoding it, and sends one frame per token. It has no log, no resume, no limits and no error
handling. Its page only appends the received text.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.loops import raise_file_limit

CONTENT = re.compile(rb'"content":("(?:[^"\\]|\\.)+")')

PAGE = """<!doctype html><meta charset="utf-8"><title>Relay</title>
<pre id="answer" data-testid="message-assistant" style="white-space: pre-wrap"></pre>
<form id="form"><input data-testid="input-chat" autocomplete="off">
<button data-testid="button-send">Send</button></form>
<script>
const answer = document.getElementById("answer"), form = document.getElementById("form");
const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws");
socket.onmessage = event => {
  const frame = JSON.parse(event.data);
  if (frame.type === "chunk") answer.append(frame.content);
};
form.onsubmit = event => {
  event.preventDefault();
  socket.send(JSON.stringify({type: "chat", message: form.elements[0].value}));
};
</script>
"""


class Relay:
    """One client of the model for all connections."""

    def __init__(self, upstream: str) -> None:
        self._url = f"{upstream}/chat/completions"
        self._client: aiohttp.ClientSession

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Keep the HTTP client open while the application runs."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as self._client:
            yield

    async def serve(self, websocket: WebSocket) -> None:
        """Answer the requests of a connection one after another."""
        await websocket.accept()
        try:
            while True:
                await self._answer(websocket, json.loads(await websocket.receive_text()))
        except WebSocketDisconnect:
            return

    async def _answer(self, websocket: WebSocket, frame: dict[str, str]) -> None:
        messages = [{"role": "user", "content": frame["message"]}]
        body = {"model": "bench", "messages": messages, "stream": True}
        async with self._client.post(self._url, json=body) as response:
            rest = b""
            async for data in response.content.iter_any():
                whole, cut, rest = (rest + data).rpartition(b"\n\n")
                for literal in CONTENT.findall(whole + cut):
                    await websocket.send_text('{"type":"chunk","content":' + literal.decode() + "}")
        await websocket.send_text('{"type":"done"}')


async def _live(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def _page(_: Request) -> HTMLResponse:
    return HTMLResponse(PAGE)


def main(port: int, upstream: str) -> None:
    """Serve on loopback, at ``port``."""
    raise_file_limit()
    relay = Relay(upstream)
    routes = [
        Route("/api/health/live", _live),
        Route("/", _page),
        WebSocketRoute("/ws", relay.serve),
    ]
    app = Starlette(routes=routes, lifespan=relay.lifespan)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
