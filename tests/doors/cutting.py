"""Runs a foreign client behind a proxy that cuts its connections all the time."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

from tests.clients.cuts import LIMITS
from tests.faults.proxy import BadWire
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

HERE = Path(__file__).parent

TOKENS, TOKENS_PER_S = 150, 150


async def run(
    folder: Path, program: str, *, cuts: int, mean_s: float = 0.25, clients: int = 12, **given: Any
) -> dict[str, Any]:
    """Read answers by a program of this folder until ``cuts`` connections were cut.

    Returns what the program has counted, the number of cuts, and of questions that reached the
    model.
    """
    lab = FakeOpenAI(count=TOKENS, rate=TOKENS_PER_S)
    async with (
        lab,
        ServerProcess(
            folder / "server", lab.url, **LIMITS, requests_per_minute=10_000_000
        ) as server,
        BadWire(server.port, random.Random(7), mean_s=mean_s, most=cuts) as wire,
    ):
        all_given = {
            "url": f"http://127.0.0.1:{wire.port}",
            "server": server.url,
            "expected": FakeOpenAI.text(TOKENS),
            "clients": clients,
            **given,
        }
        process = await asyncio.create_subprocess_exec(
            "node",
            str(HERE / program),
            json.dumps(all_given),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # clients log each failure
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
    is_told = False
    counts: dict[str, Any] = {}
    async for line in process.stdout:
        counts = json.loads(line)
        if wire.cuts >= cuts and not is_told:
            is_told = True
            process.stdin.write(b"enough\n")
            process.stdin.close()
    assert counts.pop("last", False), "it ended early"
    return counts
