"""An MCP server without the package ``mcp``, for what the package refuses to do: ``raw.py HABIT``.

It speaks the protocol of 2025 on its standard input and output.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

HABIT = sys.argv[1]
OUT = sys.stdout


def send(message: dict[str, Any]) -> None:
    OUT.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    OUT.flush()


def hang() -> None:
    while True:
        time.sleep(3600)


def tool(name: str, **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {}}
    return {"name": name, "inputSchema": schema, "annotations": {"readOnlyHint": True}, **more}


def initialized() -> dict[str, Any]:
    return {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {"listChanged": True}},
        "serverInfo": {"name": "raw", "version": "1"},
    }


def tools() -> list[Any]:
    match HABIT:
        case "many tools":
            return [tool(f"tool{number}") for number in range(10_000)]
        case "huge schema":
            huge = {"type": "object", "description": "x" * 2_000_000}
            return [tool("huge", inputSchema=huge), tool("small", description="y" * 50_000)]
        case "10 MB schema":
            return [tool("huge", inputSchema={"type": "object", "description": "x" * 10_000_000})]
        case "no schema":
            return [tool("call", inputSchema="a text")]
        case "surrogates":
            return [tool("call", description="\ud800")]
        case "names":
            return [tool("a b"), tool("a_b"), tool("x" * 200), tool("é"), tool("a b")]
        case _:
            return [tool("call")]


def call(request_id: Any) -> None:
    text = {"content": [{"type": "text", "text": "Result."}]}
    match HABIT:
        case "hang in call":
            hang()
        case "invalid result":
            send({"id": request_id, "result": {"content": "no list"}})
        case "no result":
            send({"id": request_id, "result": 7})
        case "wrong ids":
            for wrong in (999, "x", None, -1):
                send({"id": wrong, "result": text})
            hang()
        case "long line":
            part = "x" * 1_000_000
            OUT.write(f'{{"jsonrpc": "2.0", "id": {request_id}, "result": {{"a": "')
            for _ in range(100):
                OUT.write(part)
            OUT.write('"}}\n')
            OUT.flush()
        case "endless line":
            while True:
                OUT.write("x" * 1_000_000)
        case "die in call":
            os._exit(3)
        case "close in call":
            os.close(1)
            hang()
        case "flood":
            while True:
                send({"method": "notifications/message", "params": {"level": "info", "data": "x"}})
        case "ask the client":
            number = 0
            while True:
                number += 1
                send({"id": number, "method": "sampling/createMessage", "params": {}})
        case "reports an error":
            secret = os.environ.get("SECRET", "")
            send({"id": request_id, "error": {"code": 7, "message": f"{secret} {'x' * 100_000}"}})
        case "returns an error":
            secret = os.environ.get("SECRET", "")
            content = [{"type": "text", "text": f"{secret} {'x' * 100_000}"}]
            send({"id": request_id, "result": {"content": content, "isError": True}})
        case "bomb in an image":
            image = {"type": "image", "data": "!" * 100, "mimeType": "image/png"}
            svg = {"type": "image", "data": "PHN2Zz4=", "mimeType": "image/svg+xml"}
            send({"id": request_id, "result": {"content": [image, svg]}})
        case _:
            send({"id": request_id, "result": text})


def answer(message: dict[str, Any]) -> None:
    method, request_id = message.get("method"), message.get("id")
    if request_id is None:
        return
    match method:
        case "initialize":
            if HABIT == "hang at initialize":
                hang()
            send({"id": request_id, "result": initialized()})
            if HABIT == "stderr":
                sys.stderr.write(f"{os.environ['SECRET']} {'x' * 10_000}\n" * 2_000)
                sys.stderr.flush()
        case "tools/list":
            if HABIT == "hang at list":
                hang()
            if HABIT == "endless pages":
                send({"id": request_id, "result": {"tools": [tool("call")], "nextCursor": "x"}})
                return
            if HABIT == "no list":
                send({"id": request_id, "result": {"tools": {"a": 1}}})
                return
            send({"id": request_id, "result": {"tools": tools()}})
            if HABIT == "changes":
                for _ in range(1_000):
                    send({"method": "notifications/tools/list_changed"})
        case "tools/call":
            call(request_id)
        case _:
            send({"id": request_id, "error": {"code": -32601, "message": "Method not found"}})


def main() -> None:
    if HABIT == "ends at once":
        sys.exit("no licence")
    if HABIT == "does not end":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if HABIT in ("does not end", "has a child"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        sys.stderr.write(f"{child.pid}\n")
        sys.stderr.flush()
    if HABIT == "talks nonsense":
        OUT.write("Welcome!\n\n{}\n[1]\nnull\n" + "[" * 100_000 + "\n\xff\n")
        OUT.flush()
    for line in sys.stdin:
        message = json.loads(line)
        answer(message)
        if HABIT == "closes its input" and message.get("method") == "tools/list":
            os.close(0)
            hang()
    if HABIT == "does not end":
        hang()


if __name__ == "__main__":
    main()
