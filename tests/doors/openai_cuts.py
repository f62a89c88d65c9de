"""Many cuts while the openai package reads answers through the door.

Each text must equal the model's, and each question must reach the model exactly once. Streamed
responses go on by ``starting_after``; whole answers are requested again by the package itself.

    python -m tests.doors.openai_cuts --cuts 10000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx2
import openai

from tests.faults.proxy import BadWire
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

LIMITS: dict[str, Any] = {
    "OPENAI_API_KEY": "lab",
    "connections_per_address": 10_000,
    "messages_per_minute": 10_000_000,
    "messages_per_minute_address": 10_000_000,
    "requests_per_minute_address": 10_000_000,
    "requests_per_minute": 10_000_000,
}

TOKENS = 300
RATE = 300

Lost = (openai.APIConnectionError, httpx2.HTTPError)
"""What the package raises when a connection is lost."""


class Reading:
    """One streamed response, read over any number of connections."""

    def __init__(self, client: openai.AsyncOpenAI, number: int) -> None:
        self._client = client
        self._number = number
        self._id: str | None = None
        self._last = -1
        self._is_complete = False
        self.text = ""
        self.whole = ""

    async def read(self) -> None:
        while not self._is_complete:
            try:
                async with aclosing(self._events()) as events:
                    async for event in events:
                        self._take(event)
            except Lost:
                await asyncio.sleep(0.005)

    async def _events(self) -> AsyncGenerator[Any, None]:
        if self._id is None:
            stream: Any = await self._client.responses.create(
                model="lab-1",
                input=question(self._number),
                stream=True,
                extra_headers={"Idempotency-Key": f"cuts-{self._number}"},
            )
        else:
            stream = await self._client.responses.retrieve(
                self._id, stream=True, starting_after=self._last
            )
        try:
            async for event in stream:
                yield event
        finally:
            await stream.close()

    def _take(self, event: Any) -> None:
        assert event.sequence_number > self._last
        self._last = event.sequence_number
        if event.type == "response.created":
            self._id = event.response.id
        elif event.type == "response.output_text.delta":
            self.text += event.delta
        elif event.type == "response.completed":
            self.whole, self._is_complete = event.response.output_text, True


def question(number: int) -> str:
    return f"/lab tokens {TOKENS} {RATE} {number}"


async def stream_one(client: openai.AsyncOpenAI, number: int) -> bool:
    reading = Reading(client, number)
    await reading.read()
    return reading.text == reading.whole == FakeOpenAI.text(TOKENS, number)


async def ask_whole(client: openai.AsyncOpenAI, number: int) -> bool:
    """Let the package's own retries get a whole answer."""
    patient = client.with_options(max_retries=1_000)
    if number % 2:
        messages: Any = [{"role": "user", "content": question(number)}]
        answer = await patient.chat.completions.create(model="lab-1", messages=messages)
        text = answer.choices[0].message.content
    else:
        made = await patient.responses.create(model="lab-1", input=question(number))
        text = made.output_text
    return text == FakeOpenAI.text(TOKENS, number)


async def run(
    folder: Path, *, cuts: int, readers: int = 24, mean_s: float = 0.05
) -> dict[str, Any]:
    """Read answers until ``cuts`` connections were cut. Returns the counts."""
    lab = FakeOpenAI(count=TOKENS, rate=RATE)
    found = {"answers": 0, "wrong": 0}
    numbers = iter(range(1, 1_000_000))
    async with (
        lab,
        ServerProcess(folder, lab.url, **LIMITS) as server,
        BadWire(
            int(server.url.rpartition(":")[2]), random.Random(7), mean_s=mean_s, most=cuts
        ) as wire,
        openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{wire.port}/v1", api_key="none", max_retries=0
        ) as client,
    ):

        async def work(index: int) -> None:
            while wire.cuts < cuts:
                kind = stream_one if index % 4 else ask_whole
                is_right = await kind(client, next(numbers))
                found["answers"] += 1
                found["wrong"] += not is_right

        async with asyncio.TaskGroup() as group:
            for index in range(readers):
                group.create_task(work(index))
        times = Counter(chat.question for chat in lab.chats)
        errors = [line for line in server.log.splitlines() if " ERROR " in line]
    return {
        **found,
        "cuts": wire.cuts,
        "asked_twice": sum(count > 1 for count in times.values()),
        "asked": len(times),
        "errors": errors,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = asyncio.run(run(Path(place), cuts=given.cuts))
        sys.stdout.write(json.dumps(found) + "\n")
