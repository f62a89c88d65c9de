"""Many cuts of each kind while ``wireside.client`` reads answers.

Each text must equal the model's, and each question must reach the model exactly once.

    python -m tests.clients.python_cuts --cuts 10000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.clients.cuts import LIMITS
from tests.faults.proxy import BadWire
from tests.server_process import ServerProcess
from wireside.client import AsyncAnswer, AsyncClient, WiresideError
from wireside.testing import FakeOpenAI

KINDS = ("plain", "stored", "batch", "batch")
TOKENS = 300


@dataclass
class Counts:
    answers: int = 0
    wrong: int = 0
    connections: int = 0
    pieces: int = 0
    errors: list[str] = field(default_factory=list)


async def run(folder: Path, *, cuts: int, mean_s: float, clients: int) -> dict[str, Any]:
    """Read answers until ``cuts`` connections were cut. Returns the counts."""
    lab = FakeOpenAI(count=TOKENS, rate=150)
    expected = FakeOpenAI.text(TOKENS)
    counts, began = Counts(), time.monotonic()
    async with (
        lab,
        ServerProcess(folder / "server", lab.url, **LIMITS) as server,
        BadWire(server.port, random.Random(7), mean_s=mean_s, most=cuts) as wire,
    ):
        url = f"http://127.0.0.1:{wire.port}"
        readers = [
            asyncio.create_task(_ask(url, KINDS[number % len(KINDS)], wire, cuts, counts, expected))
            for number in range(clients)
        ]
        while not all(reader.done() for reader in readers):
            await asyncio.wait(readers, timeout=30)
            print(f"{wire.cuts} cuts, {counts.answers} answers", file=sys.stderr)
        await asyncio.gather(*readers)
        seconds = round(time.monotonic() - began, 1)
        return {"cuts": wire.cuts, "asked": len(lab.chats), "seconds": seconds, **vars(counts)}


async def _ask(
    url: str, kind: str, wire: BadWire, cuts: int, counts: Counts, expected: str
) -> None:
    def count_state(state: str, error: WiresideError | None) -> None:
        counts.connections += state == "connected"

    dice = random.Random(kind)
    async with AsyncClient(url, on_state=count_state, ping_s=1, silence_s=5) as client:
        # shortens the back-off: the test needs many cuts, not long waits
        client._core._dice = lambda: dice.random() / 20
        while wire.cuts < cuts:
            if kind == "batch":
                answers = list(client.batch(["Hi", "Ho", "Hu"], parallel=2))
            else:
                where = "new" if kind == "stored" else None
                answers = [client.ask("Hi", conversation=where) for _ in range(2)]
            await asyncio.gather(*(_read(answer, counts, expected) for answer in answers))


async def _read(answer: AsyncAnswer, counts: Counts, expected: str) -> None:
    text = ""
    try:
        async for piece in answer:
            text += piece
            counts.pieces += 1
    except WiresideError as error:
        counts.errors.append(f"{error.code} {error}")
    counts.answers += 1
    if text != expected or answer.reason != "stop":
        counts.wrong += 1
        counts.errors.append(f"{answer.reason} {len(text)} of {len(expected)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--mean-s", type=float, default=0.4, help="life of a connection")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = run(Path(folder), cuts=given.cuts, mean_s=given.mean_s, clients=given.clients)
        counts = asyncio.run(work)
    print(json.dumps(counts, indent=1))
    return int(bool(counts["wrong"] or counts["errors"] or counts["asked"] != counts["answers"]))


if __name__ == "__main__":
    sys.exit(main())
