"""Cuts and kills: each reader must end with what the model sent, or with its stored beginning.

Twenty clients ask and read through a proxy that fails continuously, while the server is killed with
SIGKILL and restarted. Half of them ask and resume their own streams; the other half find these
streams over REST and follow them. Everything that a client received must be what the lab sent,
without gap or overlap, and must be in the store afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.faults.proxy import BadWire
from wireside.testing import FakeOpenAI

HERE = Path(__file__).parent
ASKERS = 10
RATE = 150
LONG_S = 90.0
"""Longer than any restart: a client that receives nothing for this long was lost."""


@dataclass
class Tally:
    """Counts of observations. All from ``lost`` on must be 0."""

    answers: int = 0
    interrupted: int = 0
    cuts: int = 0
    kills: int = 0
    resumes: int = 0
    characters: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    shown_then_lost: int = 0
    asked_twice: int = 0
    still_running: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not any(
            (
                self.lost,
                self.doubled,
                self.wrong,
                self.shown_then_lost,
                self.asked_twice,
                self.still_running,
            )
        )

    def table(self) -> str:
        rows = [(k.replace("_", " "), v) for k, v in vars(self).items() if k != "notes"]
        return "\n".join(f"{name:<16} {value:>12,}" for name, value in rows)


@dataclass
class Answer:
    """One question of a client: the expected and the received text."""

    count: int
    seed: int
    key: str
    conversation: str | None = None
    stream: str | None = None
    text: str = ""
    reason: str | None = None
    cancelled_from: int | None = None
    """Length from which on the answer is cancelled, in characters."""
    rate: int = RATE
    """Tokens per second."""
    shown: str = ""
    """The longest text before the client went back to an earlier offset."""

    @property
    def question(self) -> str:
        return f"/lab tokens {self.count} {self.rate} {self.seed}"

    @property
    def expected(self) -> str:
        return FakeOpenAI.text(self.count, self.seed)


class Storm:
    def __init__(self, dice: random.Random, *, cuts: int, kills: int, answers: int) -> None:
        self._dice = dice
        self._goal_cuts = cuts
        self._goal_kills = kills
        self._goal_answers = answers
        self.tally = Tally()
        self._http = ""
        self._running: dict[str, Answer] = {}
        self._ended: list[Answer] = []
        self._wire: BadWire | None = None

    @property
    def _is_over(self) -> bool:
        assert self._wire is not None
        self.tally.cuts = self._wire.cuts
        return (
            self._wire.cuts >= self._goal_cuts
            and self.tally.kills >= self._goal_kills
            and self.tally.answers >= self._goal_answers
        )

    async def run(self) -> Tally:
        with tempfile.TemporaryDirectory() as folder:
            async with FakeOpenAI(rate=RATE) as lab:
                port = free_port()
                server = await victim(port, lab.url, folder)
                try:
                    await self._rage(server, port, lab)
                finally:
                    assert server.stdin is not None
                    server.stdin.close()  # the server ends with it
                    await server.wait()
        return self.tally

    async def _rage(self, server: asyncio.subprocess.Process, port: int, lab: FakeOpenAI) -> None:
        await tell(server, "start")
        self._http = f"http://127.0.0.1:{port}"
        # connections are cut after about 0.15 s: some at once, some much later
        async with BadWire(port, self._dice, mean_s=0.15) as wire:
            self._wire = wire
            await asyncio.gather(
                self._kill(server),
                *(self._ask_on() for _ in range(ASKERS)),
                *(self._follow_on() for _ in range(ASKERS)),
            )
        await self._compare(lab)

    async def _kill(self, server: asyncio.subprocess.Process) -> None:
        """Half of the time nothing is killed, so that some answers finish."""
        while not self._is_over:
            if self._goal_kills > self.tally.kills and self._share_of_cuts() > 0.3:
                assert self._wire is not None
                await asyncio.sleep(self._dice.uniform(0.05, 1.0) + 3 * self._wire.first_s)
                await tell(server, "kill")
                self.tally.kills += 1
                await tell(server, "start")
            else:
                await asyncio.sleep(0.1)

    def _share_of_cuts(self) -> float:
        assert self._wire is not None
        return self._wire.cuts / max(1, self._goal_cuts)

    # ---- clients -----------------------------------------------------------------------------

    async def _ask_on(self) -> None:
        conversation: str | None = None
        while not self._is_over:
            answer = self._new_answer(conversation if self._dice.random() < 0.8 else None)
            self._running[answer.key] = answer
            await self._read(answer, asks=True)
            conversation = answer.conversation
            del self._running[answer.key]
            self._ended.append(answer)
            self.tally.answers += 1
            self.tally.interrupted += answer.reason == "interrupted"

    def _new_answer(self, conversation: str | None) -> Answer:
        count, seed = self._dice.randint(20, 600), self._dice.randint(1, 10**6)
        return Answer(count, seed, f"key-{seed}-{self._dice.random()}", conversation)

    async def _follow_on(self) -> None:
        while not self._is_over:
            streams = [a for a in self._running.values() if a.stream and a.conversation]
            if not streams:
                await asyncio.sleep(0.02)
                continue
            original = self._dice.choice(streams)
            answer = replace(original, stream=None, text="", shown="", reason=None)
            answer.cancelled_from = None
            answer.stream = await asyncio.to_thread(self._find, original)
            if answer.stream is not None:
                await self._read(answer, asks=False)
                self._ended.append(answer)

    def _find(self, original: Answer) -> str | None:
        """Find the stream as another client would: in its conversation, over REST."""
        try:
            with urllib.request.urlopen(
                f"{self._http}/api/conversations/{original.conversation}", timeout=5
            ) as response:
                turns = json.load(response)["turns"]
        except (OSError, HTTPException):  # the server was killed before or during the request
            return None
        for turn in turns:
            if turn["question"] == original.question and turn["answer"]:
                found: str = turn["answer"][0]["stream"]
                return found
        return None

    async def _read(self, answer: Answer, *, asks: bool) -> None:
        since = time.monotonic()
        while answer.reason is None:
            length = len(answer.text)
            port, seconds = self._route()
            url = f"ws://127.0.0.1:{port}/ws/ai-chat"
            try:
                async with asyncio.timeout(seconds), connect(url, compression=None) as connection:
                    await self._talk(connection, answer)
            except (OSError, WebSocketException, TimeoutError, EOFError):
                await asyncio.sleep(0.01)
            if len(answer.text) > length:
                since = time.monotonic()
            if time.monotonic() - since > LONG_S:
                self._note("lost", answer, f"nothing came for {LONG_S:.0f} s")
                answer.reason = "forgotten"

    def _route(self) -> tuple[int, float]:
        """Return the port of the next connection, and its longest life in seconds.

        On a busy machine the first response takes longer than two seconds.
        """
        assert self._wire is not None
        return self._wire.port, 2.0 + 10 * self._wire.first_s

    def _offset(self, answer: Answer) -> int:
        """Return where to resume; the answer's text must end there."""
        return len(answer.text)

    async def _talk(self, connection: ClientConnection, answer: Answer) -> None:
        if answer.stream is None:
            frame: dict[str, object] = {
                "type": "chat",
                "id": "1",
                "message": answer.question,
                "key": answer.key,
                "conversation": answer.conversation or "new",
            }
        else:
            self.tally.resumes += 1
            offset = self._offset(answer)
            frame = {"type": "resume", "id": "1", "stream": answer.stream, "offset": offset}
        await connection.send(json.dumps(frame))
        is_cancelled = False
        while answer.reason is None:
            self._take(answer, json.loads(await connection.recv()))
            enough = answer.cancelled_from
            if not is_cancelled and enough is not None and len(answer.text) > enough:
                is_cancelled = True
                await connection.send(json.dumps({"type": "cancel", "id": "1"}))

    def _take(self, answer: Answer, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "start":
                if answer.stream not in (None, frame["stream"]):
                    self._note("asked_twice", answer, "another stream for the same key")
                answer.stream = frame["stream"]
                answer.conversation = frame["conversation"]
                answer.text = ""  # a resent request begins at offset 0
            case "chunk":
                self._take_chunk(answer, frame)
            case "done":
                answer.reason = frame["reason"]
                if frame["offset"] != len(answer.text):
                    self._note("lost", answer, f"done at {frame['offset']}")
            case "error":
                self._take_error(answer, frame)

    def _take_chunk(self, answer: Answer, frame: dict[str, Any]) -> None:
        begins = frame["offset"] - len(frame["content"])
        if begins > len(answer.text):
            self._note("lost", answer, f"a gap before {begins}")
        elif begins < len(answer.text):
            self._note("doubled", answer, f"{begins} again")
        answer.text = answer.text[:begins] + frame["content"]
        self.tally.characters += len(frame["content"])

    def _take_error(self, answer: Answer, frame: dict[str, Any]) -> None:
        match frame["code"]:
            case "bad_offset":
                self._note("shown_then_lost", answer, "the offset is beyond the stored end")
                answer.reason = "lost"
            case "not_found" if answer.stream is not None:
                self._note("shown_then_lost", answer, "the stream is gone")
                answer.reason = "lost"
            case "overloaded" | "rate_limited" | "internal" | "provider_unavailable":
                self.tally.notes.append(f"{frame['code']}: {frame['message']}")
                answer.reason = answer.reason or ("interrupted" if answer.stream else None)
            case _:
                self._note("wrong", answer, json.dumps(frame))
                answer.reason = "wrong"

    # ---- final comparison ----------------------------------------------------------------------

    async def _compare(self, lab: FakeOpenAI) -> None:
        """Compare what clients received with what the lab sent, and with the store."""
        asked = [request.question for request in lab.chats]
        for answer in self._ended:
            expected = answer.expected
            if answer.reason == "stop" and answer.text != expected:
                self._note("wrong", answer, "complete, but not what was sent")
            elif not expected.startswith(answer.text):
                self._note("wrong", answer, "not the beginning of what was sent")
            if asked.count(answer.question) > 1:
                self._note("asked_twice", answer, "two requests at the model")
        for answer in self._ended:
            stored = await asyncio.to_thread(self._stored, answer)
            if stored is None or not stored[1].startswith(answer.text):
                self._note("shown_then_lost", answer, "the store has less")
            elif stored[0] == "live":
                self._note("still_running", answer, "still live")

    def _stored(self, answer: Answer) -> tuple[str, str] | None:
        """Return state and text of an answer as returned by REST."""
        before: int | None = None
        while before is None or before > 0:
            query = "" if before is None else f"&before={before}"
            url = f"{self._http}/api/conversations/{answer.conversation}?limit=200{query}"
            try:
                with urllib.request.urlopen(url, timeout=10) as response:
                    page = json.load(response)
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
                return None
            for turn in page["turns"]:
                for stream in turn["answer"]:
                    if stream["stream"] == answer.stream:
                        text = "".join(part["text"] or "" for part in stream["parts"])
                        return stream["state"], text
            if not page["turns"]:
                return None
            before = page["turns"][0]["index"]
        return None

    def _note(self, what: str, answer: Answer, why: str) -> None:
        setattr(self.tally, what, getattr(self.tally, what) + 1)
        self.tally.notes.append(
            f"{what}: {why} (seed {answer.seed}, {len(answer.text)} of {len(answer.expected)})"
        )


async def victim(port: int, lab_url: str, folder: str, **more: str) -> asyncio.subprocess.Process:
    """Run ``victim.py``, with ``more`` variables in its environment; it logs to ``folder``."""
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": lab_url,
        "OPENAI_API_KEY": "lab",
        "WIRESIDE_PORT": str(port),
        "WIRESIDE_DATA_DIR": folder,
        "WIRESIDE_TITLE_MODEL": "off",
        "WIRESIDE_LOG_LEVEL": "error",
        "WIRESIDE_CONNECTIONS_PER_ADDRESS": "10000",
        "WIRESIDE_MESSAGES_PER_MINUTE_ADDRESS": "10000000",
        "WIRESIDE_REQUESTS_PER_MINUTE": "10000000",
        "WIRESIDE_REQUESTS_PER_MINUTE_ADDRESS": "10000000",
        **more,
    }
    with (Path(folder) / "log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / "victim.py"),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )


async def tell(server: asyncio.subprocess.Process, command: str) -> str:
    """Send a command of ``victim.py``; return its answer."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{command}\n".encode())
    await server.stdin.drain()
    said = (await server.stdout.readline()).decode().strip()
    if said in ("", "failed"):
        raise RuntimeError(f"The server does not start: {said!r}")
    return said


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def main() -> int:
    """Run a storm with the given arguments; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=500_000)
    parser.add_argument("--kills", type=int, default=2_000)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    storm = Storm(
        random.Random(given.seed), cuts=given.cuts, kills=given.kills, answers=given.answers
    )
    return print_tally_of(storm)


def print_tally_of(storm: Storm) -> int:
    """Run a storm and print its tally; returns the exit code."""
    began = time.monotonic()
    tally = asyncio.run(storm.run())
    print(tally.table())
    print(f"{'seconds':<16} {time.monotonic() - began:>12,.1f}")
    for note in tally.notes[:20]:
        print(" ", note)
    return int(not tally.is_clean)


if __name__ == "__main__":
    sys.exit(main())
