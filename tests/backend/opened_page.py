"""A page opened without a browser: its HTML, and everything its socket receives."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2
import socketio


@dataclass
class OpenedPage:
    """Everything that the page has received so far."""

    html: str
    told: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join([self.html, *self.told])

    async def until(self, words: str) -> None:
        """Wait until ``words`` is received."""
        while words not in self.text:
            await asyncio.sleep(0.02)


@asynccontextmanager
async def opened_page(url: str, path: str) -> AsyncIterator[OpenedPage]:
    """Open a page of the server at ``url``, as its scripts do."""
    async with httpx2.AsyncClient(base_url=url, timeout=30) as http:
        response = await http.get(path)
    assert response.status_code == 200, path
    page = OpenedPage(f"{dict(response.headers)}\n{response.text}")
    client_id = re.search(r"client_id[\"']?\s*:\s*[\"']([0-9a-f-]{36})", page.html)
    assert client_id is not None
    client = socketio.AsyncClient(reconnection=False)

    async def hear(event: str, *given: object) -> None:
        page.told.append(f"{event} {json.dumps(given, ensure_ascii=False, default=str)}")

    client.on("*", hear)
    await client.connect(
        url,
        headers={"Origin": url},
        socketio_path="/_nicegui_ws/socket.io",
        transports=["websocket"],
    )
    handshake = {"client_id": client_id[1], "tab_id": "t", "document_id": "d", "next_message_id": 0}
    try:
        assert await client.call("handshake", handshake) is True
        yield page
    finally:
        await client.disconnect()
