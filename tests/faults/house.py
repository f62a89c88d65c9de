"""A server in a process of its own that is given a bad day, and clients that look what comes of it.

The lab is its model, and runs here. ``House`` starts the server, talks with it as level 2 clients
and over REST do, and ends it; what goes wrong is up to the test.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

LONG_S = 60.0
"""Nothing here takes so long on any machine, unless it hangs."""

TRACE = "\n    | "
"""What each line of the trace of an error that nobody has foreseen begins with in the log."""


@dataclass
class Told:
    """What one question brought: frame after frame, checked for gaps."""

    question: str = ""
    stream: str | None = None
    conversation: str | None = None
    text: str = ""
    end: dict[str, Any] = field(default_factory=dict)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    close_code: int | None = None

    @property
    def reason(self) -> str | None:
        """How ``done`` says that it ended; None after an error."""
        return self.end.get("reason")

    @property
    def code(self) -> str | None:
        """The error's code."""
        return self.end.get("code")

    def take(self, frame: dict[str, Any]) -> bool:
        """Take a frame; returns whether it was the last one."""
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
    """An answer as the store has it."""

    text: str
    state: str
    reason: str | None
    code: str | None


class House:
    """One server. Settings by name (``shutdown_s=2``); ``prefix`` is put before the command, and
    ``environment`` is added to its own.
    """

    def __init__(
        self,
        folder: Path,
        lab_url: str,
        *,
        prefix: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        prepare: Callable[[], None] | None = None,
        **settings: object,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        self.url = ""
        self._log = folder / "log"
        self._prefix = tuple(prefix)
        self._prepare = prepare
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("WIRESIDE_", "OPENAI_"))},
            "OPENAI_BASE_URL": lab_url,
            "OPENAI_API_KEY": "lab",
            "WIRESIDE_DATA_DIR": str(self.data),
            "WIRESIDE_TITLE_MODEL": "off",
            "WIRESIDE_CONNECTIONS_PER_ADDRESS": "10000",
            "WIRESIDE_MESSAGES_PER_MINUTE_ADDRESS": "1000000",
            "WIRESIDE_REQUESTS_PER_MINUTE": "1000000",
            "WIRESIDE_REQUESTS_PER_MINUTE_ADDRESS": "1000000",
            "WIRESIDE_BALLAST_MB": "0",
            "NO_COLOR": "1",
            **{f"WIRESIDE_{name.upper()}": str(value) for name, value in settings.items()},
            **(environment or {}),
        }
        self.process: psutil.Popen | None = None
        self.headers: dict[str, str] = {}
        """What clients send with every request, to say who they are."""

    # ---- its life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start it; it listens when this returns."""
        with self._log.open("a") as log:
            self.process = psutil.Popen(
                [*self._prefix, sys.executable, "-m", "wireside", "serve", "--port", "0"],
                cwd=self._log.parent,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=self._prepare,
            )
        line = await asyncio.to_thread(self.process.stdout.readline)
        self.url = line.rpartition(" ")[2].strip()
        if not self.url.startswith("http://"):
            self.kill()
            raise AssertionError(self.log)

    async def stop(self) -> tuple[int, float]:
        """Ask it to end; returns its exit code and the seconds that it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self.process.wait, LONG_S)
        return code, time.monotonic() - began

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(LONG_S)
            self.process.stdout.close()
            self.process = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    # ---- its clients ---------------------------------------------------------------------------

    def socket(self) -> connect:
        """Return a connection to open with ``async with``."""
        url = f"ws{self.url.removeprefix('http')}/ws/ai-chat"
        return connect(url, compression=None, open_timeout=LONG_S, additional_headers=self.headers)

    async def ask(self, question: str, conversation: str | None = "new") -> Told:
        """Ask on a connection of its own, and return all that came."""
        told = Told(question)
        await self.listen(told, conversation)
        return told

    async def listen(self, told: Told, conversation: str | None = "new") -> None:
        """Ask, and fill ``told`` as it comes. A closed connection is an end too."""
        frame = {"type": "chat", "id": "1", "message": told.question}
        if conversation is not None:
            frame["conversation"] = conversation
        async with asyncio.timeout(LONG_S), self.socket() as connection:
            await talk(connection, frame, told)

    async def resume(self, told: Told) -> None:
        """Go on where ``told`` ends."""
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
        """Return the answer as the server has it for everybody else."""
        status, page = await self.get(f"/api/conversations/{told.conversation}?limit=200")
        assert status == 200, page
        for turn in page["turns"]:
            for stream in turn["answer"]:
                if stream["stream"] == told.stream:
                    text = "".join(part["text"] or "" for part in stream["parts"])
                    return Kept(text, stream["state"], stream["reason"], stream["code"])
        raise AssertionError("the answer is not there")

    async def ready(self) -> tuple[int, str]:
        """Return the status of readiness and its reason, empty where there is none."""
        status, said = await self.get("/api/health/ready")
        return status, said["reason"] or ""

    async def until(self, is_so: Callable[[], Any], what: str, seconds: float = LONG_S) -> None:
        """Wait until ``is_so`` (it may be a coroutine function) is true."""
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
        """Wait until it takes work."""

        async def is_ready() -> bool:
            return (await self.ready())[0] == 200

        await self.until(is_ready, "ready")


async def talk(connection: ClientConnection, frame: dict[str, Any], told: Told) -> None:
    """Send a frame, and take what comes up to its end, or that of the connection."""
    try:
        await connection.send(json.dumps(frame))
        while not told.take(json.loads(await connection.recv())):
            pass
    except ConnectionClosed as error:
        told.close_code = error.rcvd.code if error.rcvd else 1006
        told.begun.set()
