"""A server in a separate process for fault injection, with clients that check the outcome.

The model is the fault lab, which runs in the test process. ``House`` starts the server, acts as a
level 2 client and a REST client, and stops the server; the faults are up to the test.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.server_process import LONG_S, ServerProcess


@dataclass
class Told:
    """The frames received for one question, checked for gaps."""

    question: str = ""
    stream: str | None = None
    conversation: str | None = None
    text: str = ""
    end: dict[str, Any] = field(default_factory=dict)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    close_code: int | None = None

    @property
    def reason(self) -> str | None:
        """Reason given by ``done``; None after an error."""
        return self.end.get("reason")

    @property
    def code(self) -> str | None:
        """The error's code."""
        return self.end.get("code")

    def take(self, frame: dict[str, Any]) -> bool:
        """Record a frame; return whether it was the last one."""
        match frame["type"]:
            case "start":
                self.stream, self.conversation = frame["stream"], frame.get("conversation")
            case "chunk":
                assert frame["offset"] - len(frame["content"]) == len(self.text), "a gap"
                self.text += frame["content"]
                self.begun.set()
            case "resumed":
                pass
            case "done" | "error":
                assert not self.end, "two ends"
                self.end = frame
                self.begun.set()
                return True
            case kind:
                raise AssertionError(kind)
        return False


@dataclass(frozen=True)
class Kept:
    """An answer as stored."""

    text: str
    state: str
    reason: str | None
    code: str | None


class House(ServerProcess):
    """One server, with rate limits that its clients do not reach."""

    def __init__(self, folder: Path, lab_url: str, **settings: Any) -> None:
        """``settings`` are those of ``ServerProcess``."""
        self.data = folder / "data"
        self.headers: dict[str, str] = {}
        """Headers that authenticate the clients' requests."""
        often: dict[str, Any] = {
            "OPENAI_API_KEY": "lab",
            "data_dir": self.data,
            "connections_per_address": 10_000,
            "messages_per_minute_address": 1_000_000,
            "requests_per_minute": 1_000_000,
            "requests_per_minute_address": 1_000_000,
            "ballast_mb": 0,
        }
        super().__init__(folder, lab_url, **(often | settings))

    async def __aexit__(self, *_: object) -> None:
        self.kill()  # after a fault it may not stop by itself

    # ---- its clients ---------------------------------------------------------------------------

    def socket(self) -> connect:
        """Return a connection to open with ``async with``."""
        return connect(
            self.socket_url,
            compression=None,
            open_timeout=LONG_S,
            additional_headers=self.headers,
        )

    async def until_logged(self, text: str, count: int, what: str) -> None:
        """Wait until the log has a text that many times."""
        await self.until(lambda: self.log.count(text) >= count, what)

    async def ask(self, question: str, conversation: str | None = "new") -> Told:
        """Ask on a new connection, and return everything received."""
        told = Told(question)
        await self.listen(told, conversation)
        return told

    async def listen(self, told: Told, conversation: str | None = "new") -> None:
        """Ask, and fill ``told`` as frames arrive. Also returns when the connection is closed."""
        frame = {"type": "chat", "id": "1", "message": told.question}
        if conversation is not None:
            frame["conversation"] = conversation
        async with asyncio.timeout(LONG_S), self.socket() as connection:
            await talk(connection, frame, told)

    async def resume(self, told: Told) -> None:
        """Resume where ``told`` ends."""
        told.end = {}
        frame = {"type": "resume", "id": "1", "stream": told.stream, "offset": len(told.text)}
        async with asyncio.timeout(LONG_S), self.socket() as connection:
            await talk(connection, frame, told)

    async def get(self, path: str, method: str = "GET") -> tuple[int, Any]:
        """Return status and JSON of a REST request."""
        return await asyncio.to_thread(self._get, path, method)

    def _get(self, path: str, method: str) -> tuple[int, Any]:
        request = urllib.request.Request(self.url + path, method=method, headers=self.headers)
        try:
            with urllib.request.urlopen(request, timeout=LONG_S) as response:
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    async def kept(self, told: Told) -> Kept:
        """Return the answer as the server returns it to other clients."""
        stream = await self._stream(told)
        text = "".join(part["text"] or "" for part in stream["parts"])
        return Kept(text, stream["state"], stream["reason"], stream["code"])

    async def is_saved(self, told: Told) -> bool:
        """Return whether the server reports the answer as stored."""
        return bool((await self._stream(told))["saved"])

    async def _stream(self, told: Told) -> dict[str, Any]:
        status, page = await self.get(f"/api/conversations/{told.conversation}?limit=200")
        assert status == 200, page
        for turn in page["turns"]:
            for stream in turn["answer"]:
                if stream["stream"] == told.stream:
                    return dict(stream)
        raise AssertionError("the answer is not there")

    async def ready(self) -> tuple[int, str]:
        """Return the readiness status and its reason, empty if there is none."""
        status, said = await self.get("/api/health/ready")
        return status, said["reason"] or ""

    async def until(self, is_so: Callable[[], Any], what: str, seconds: float = LONG_S) -> None:
        """Wait until ``is_so``, a function or a coroutine function, returns a true value."""
        end = time.monotonic() + seconds
        while True:
            found = is_so()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            assert time.monotonic() < end, f"not {what} within {seconds} s\n{self.log[-3000:]}"
            await asyncio.sleep(0.1)

    async def until_ready(self) -> None:
        """Wait until the server is ready.

        A server that has just accepted many connections of an address closes others at once.
        """

        async def is_ready() -> bool:
            try:
                return (await self.ready())[0] == 200
            except OSError:
                return False

        await self.until(is_ready, "ready")


async def talk(connection: ClientConnection, frame: dict[str, Any], told: Told) -> None:
    """Send a frame, and record frames until the last one or until the connection is closed."""
    try:
        await connection.send(json.dumps(frame))
        while not told.take(json.loads(await connection.recv())):
            pass
    except ConnectionClosed as error:
        told.close_code = error.rcvd.code if error.rcvd else 1006
        told.begun.set()
