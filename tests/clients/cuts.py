"""Many cuts, in every form a network can break, while ``wireside.js`` reads answers: each text must be exactly the
model's, and each question must have been asked once.

    python tests/clients/cuts.py --cuts 10000 --runtime node22
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

ROOT = Path(__file__).parents[2]
sys.path[:0] = [
    str(Path(__file__).parent),
    str(ROOT / "tests"),
    str(ROOT / "tests" / "faults"),
    str(ROOT / "backend"),
]

import runtimes
from proxy import BadWire
from server_process import ServerProcess

from wireside.testing import FakeOpenAI, answer

PROGRAM = """
import { Wireside } from "./wireside.mjs";
import process from "node:process";
const WebSocket = globalThis.WebSocket ?? (await import(WS_PACKAGE)).default;
const random = Math.random;
Math.random = () => random() / 20; // of the back-off: the cuts are to be many, not the waits
let isOver = false;
process.stdin.on("data", () => (isOver = true));
const errors = [];
process.on("unhandledRejection", (error) => errors.push(`unhandled: ${error}`));
let [answers, connections, pieces, wrong] = [0, 0, 0, 0];
const say = (last) => console.log(JSON.stringify({ answers, connections, pieces, wrong, errors, last }));

async function read(answer) {
  let text = "";
  for await (const piece of answer) { text += piece; pieces++; }
  answers++;
  if (text !== EXPECTED || text !== (await answer.text) || answer.reason !== "stop") {
    wrong++;
    errors.push(`${answer.reason} ${text.length} of ${EXPECTED.length}`);
  }
}

async function talk(kind) {
  const chat = new Wireside(URL_OF_WIRE, {
    WebSocket, pingMs: 1000, timeoutMs: 5000,
    onState: (state) => { if (state === "connected") connections++; },
  });
  while (!isOver) {
    try {
      if (kind === "batch") for (const answer of chat.batch(["Hi", "Hi"])) await read(answer);
      else if (kind === "many") await Promise.all(Array.from({ length: 4 }, () => read(chat.ask("Hi"))));
      else await read(chat.ask("Hi", kind === "stored" ? { conversation: "new" } : {}));
    } catch (error) {
      errors.push(`${kind}: ${error.code ?? ""} ${error.message}`);
      wrong++;
    }
  }
  chat.close();
}

const timer = setInterval(() => say(false), 1000);
await Promise.all(KINDS.map(talk));
clearInterval(timer);
say(true);
process.exit(0);
"""

LIMITS = {
    "OPENAI_API_KEY": "lab",
    "connections_per_address": 10_000,
    "messages_per_minute": 10_000_000,
    "messages_per_minute_address": 10_000_000,
    "requests_per_minute_address": 10_000_000,
    "title_model": "off",
}


async def run(
    folder: Path, *, runtime: str, cuts: int, mean_s: float, kinds: tuple[str, ...]
) -> dict[str, Any]:
    """Read answers until so many connections were cut. Returns what was counted."""
    text = FakeOpenAI.text(300)
    lab = FakeOpenAI(script=None)
    dice = random.Random(7)
    async with lab:
        lab.answer_with(*(answer(300, rate=150) for _ in range(200_000 if cuts > 1000 else 5000)))
        async with (
            ServerProcess(folder / "server", lab.url, **LIMITS) as server,
            BadWire(server.port, dice, mean_s=mean_s) as wire,
        ):
            values = {
                "WS_PACKAGE": str(runtimes.install("ws", "ws@8") / "ws" / "wrapper.mjs"),
                "EXPECTED": text,
                "URL_OF_WIRE": f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
                "KINDS": kinds,
            }
            constants = "".join(f"const {k} = {json.dumps(v)};\n" for k, v in values.items())
            client = (ROOT / "assets" / "client" / "wireside.js").read_bytes()
            (folder / "wireside.mjs").write_bytes(client)
            (folder / "cuts.mjs").write_text(constants + PROGRAM)
            process = await asyncio.create_subprocess_exec(
                *runtimes.command(runtime),
                "cuts.mjs",
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
    parser.add_argument("--kinds", default="plain,stored,many,plain", help="of clients")
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
