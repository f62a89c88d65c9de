"""Many cuts of each kind while ``wireside.js`` reads answers.

Each text must equal the model's, and each question must reach the model exactly once.

    python -m tests.clients.cuts --cuts 10000 --runtime node22
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.clients import runtimes
from tests.faults.proxy import BadWire
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI
from wireside_ui import client_package

PROGRAM = Path(__file__).with_name("cuts.mjs")

LIMITS: dict[str, Any] = {
    "OPENAI_API_KEY": "lab",
    "connections_per_address": 10_000,
    "messages_per_minute": 10_000_000,
    "messages_per_minute_address": 10_000_000,
    "requests_per_minute_address": 10_000_000,
}


async def run(
    folder: Path, *, runtime: str, cuts: int, mean_s: float, kinds: tuple[str, ...]
) -> dict[str, Any]:
    """Read answers until ``cuts`` connections were cut. Returns the counts."""
    text = FakeOpenAI.text(300)
    lab = FakeOpenAI(count=300, rate=150)
    dice = random.Random(7)
    async with (
        lab,
        ServerProcess(folder / "server", lab.url, **LIMITS) as server,
        BadWire(server.port, dice, mean_s=mean_s, most=cuts) as wire,
    ):
        given = {
            "ws": str(runtimes.install("ws", "ws@8") / "ws" / "wrapper.mjs"),
            "expected": text,
            "url": f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
            "kinds": kinds,
        }
        (folder / "wireside.mjs").write_text(client_package.module(), "utf-8")
        (folder / "cuts.mjs").write_bytes(PROGRAM.read_bytes())
        process = await asyncio.create_subprocess_exec(
            *runtimes.command(runtime),
            "cuts.mjs",
            json.dumps(given),
            cwd=folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            counts = await _watch(process, wire, cuts)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return {"cuts": wire.cuts, "asked": len(lab.chats), **counts}


async def _watch(process: asyncio.subprocess.Process, wire: BadWire, cuts: int) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    began = time.monotonic()
    is_told = False
    counts: dict[str, Any] = {}
    async for line in process.stdout:
        counts = json.loads(line)
        if wire.cuts >= cuts and not is_told:
            is_told = True
            process.stdin.write(b"enough\n")
            process.stdin.close()
        if int(time.monotonic() - began) % 30 == 0:
            print(f"{wire.cuts} cuts, {counts['answers']} answers", file=sys.stderr)
    assert counts.pop("last"), "it ended early"
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=10_000)
    parser.add_argument("--runtime", choices=list(runtimes.RUNTIMES), default="node22")
    parser.add_argument("--mean-s", type=float, default=0.4, help="life of a connection")
    parser.add_argument("--kinds", default="plain,stored,many,batch,parallel", help="of clients")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = asyncio.run(
            run(
                Path(folder),
                runtime=given.runtime,
                cuts=given.cuts,
                mean_s=given.mean_s,
                kinds=tuple(given.kinds.split(",")),
            )
        )
    print(json.dumps(counts, indent=1))
    return int(bool(counts["wrong"] or counts["errors"] or counts["asked"] != counts["answers"]))


if __name__ == "__main__":
    sys.exit(main())
