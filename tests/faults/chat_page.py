"""A chat page without a browser: it sends questions as the composer does, and shows the answers.

Like the composer, it keeps a question until the server acknowledges it, and sends it again with the
same id after a lost connection.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

import socketio
from socketio.exceptions import SocketIOError

OPEN_S = 120.0

_CALL = re.compile(r"return runMethod\((\d+), \"(\w+)\", (.*)\)$", re.DOTALL)


@dataclass
class PageAnswer:
    """One question of a page, and what the page shows of its answer."""

    turn_id: str
    question: str
    conversation: str | None = None
    """Set by the acknowledgement."""
    state: str = ""
    refused: str = ""
    _settled: str = ""
    _tail: str = ""

    @property
    def text(self) -> str:
        """The visible text of a paragraph."""
        return html.unescape(re.sub(r"<[^>]*>", "", self._settled + self._tail)).strip()

    def change(self, row: dict[str, Any]) -> None:
        """Change the fields of the answer's row in the transcript."""
        self.state = row.get("state", self.state)
        if row.get("parts"):
            self._settled = "".join(part["html"] for part in row["parts"])
            self._tail = ""

    def apply(self, op: list[Any]) -> None:
        """Apply an operation of ``wireside_ui.markdown.incremental`` for plain paragraphs."""
        match op:
            case ["t", int(keep), str(more)]:
                self._tail = self._tail[:keep] + more
            case ["f", int(keep), str(more)]:
                self._settled += self._tail[:keep] + more
                self._tail = ""
            case ["r", str(whole)]:
                self._settled, self._tail = whole, ""
            case ["x"]:
                self._settled = self._tail = ""
            case _:
                raise AssertionError(op)


class ChatPage:
    """A page for new conversations, at most one question at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket = socketio.AsyncClient(reconnection=False)
        self._socket.on("run_javascript", self._hear)
        self._answer: PageAnswer | None = None
        self._client_id = ""
        self._composer = 0
        self._listener = ""

    async def open(self) -> None:
        """Fetch the page and connect its socket; on a busy machine this may take several attempts.

        Raises:
            TimeoutError: it took longer than ``OPEN_S``.
        """
        async with asyncio.timeout(OPEN_S):
            while True:
                try:
                    self._read(await asyncio.to_thread(self._fetch))
                    await self._connect()
                except (OSError, HTTPException, SocketIOError):
                    await asyncio.sleep(0.2)
                else:
                    return

    def _read(self, text: str) -> None:
        """Find the names that the page's scripts use."""
        found = re.search(r'id="ws-start">(.*?)</script>', text, re.DOTALL)
        assert found is not None
        start = json.loads(found[1])
        self._client_id = start["options"]["query"]["client_id"]
        for number, element in start["elements"].items():
            if element.get("tag") == "nicegui-wireside_composer":
                self._composer = int(number)
                [self._listener] = [
                    event["listener_id"] for event in element["events"] if event["type"] == "send"
                ]

    async def _connect(self) -> None:
        """Connect the socket. Raises ``SocketIOError``."""
        await self._socket.disconnect()
        await self._socket.connect(
            self._url,
            headers={"Origin": self._url},
            socketio_path="/_nicegui_ws/socket.io",
            transports=["websocket"],
            wait_timeout=OPEN_S,
        )
        names = {"client_id": self._client_id, "tab_id": "t", "document_id": "d"}
        is_taken = await self._socket.call("handshake", {**names, "next_message_id": 0}, timeout=30)
        if not is_taken:
            raise SocketIOError("the page was deleted in the meantime")

    async def send(self, answer: PageAnswer) -> None:
        """Send a question, the first time or again."""
        self._answer = answer
        item: dict[str, Any] = {
            "turn_id": answer.turn_id,
            "question": answer.question,
            "edits": None,
            "options": {},
        }
        event = {
            "id": self._composer,
            "client_id": self._client_id,
            "listener_id": self._listener,
            "args": [json.dumps(item)],
        }
        await self._socket.emit("event", event)

    @property
    def is_open(self) -> bool:
        """Whether the socket is connected."""
        return bool(self._socket.connected)

    async def aclose(self) -> None:
        """Close the socket."""
        await self._socket.disconnect()

    def _fetch(self) -> str:
        with urllib.request.urlopen(f"{self._url}/", timeout=30) as response:
            text: str = response.read().decode()
        return text

    async def _hear(self, message: dict[str, Any]) -> None:
        call, answer = _CALL.match(message["code"]), self._answer
        if call is None or answer is None:
            return
        match call[2], json.loads(call[3]):
            case "accepted", [answer.turn_id, str(conversation)]:
                answer.conversation, answer.refused = conversation, ""
            case "refused", [answer.turn_id, str(sentence), *_]:
                answer.refused = sentence
            case "ops", [answer.turn_id, [*ops]]:
                for op in ops:
                    answer.apply(op)
            case "update", [answer.turn_id, dict(patch)]:
                answer.change(patch)
            case ("append", [row]) | ("reset", [[*_, row], _]) | ("replaceFrom", [_, [*_, row], _]):
                if row["id"] == answer.turn_id:
                    answer.change(row)
