"""A host: a process with an event loop of its own that serves an application of Wireside."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import resource
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import structlog
import uvicorn
from nicegui import app as nicegui_app
from nicegui import core
from websockets.asyncio.client import connect

from wireside import Delta, Finished, ModelInfo, ModelRequest, Settings, TextDelta, create_app


class Parrot:
    kind = "parrot"

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def models(self) -> Sequence[ModelInfo]:
        return [ModelInfo(id="polly", name="Polly", owner="The ship")]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        yield TextDelta(request.messages[-1].text.upper())
        yield Finished("stop")

    async def warm_up(self) -> None:
        self.calls.append("warm_up")

    async def aclose(self) -> None:
        self.calls.append("aclose")


def process_state() -> dict[str, Any]:
    """Everything of the process that the server of `wireside serve` changes."""
    loop = asyncio.get_running_loop()
    loggers = map(logging.getLogger, sorted(logging.root.manager.loggerDict))
    return {
        "exception handler": repr(loop.get_exception_handler()),
        "signals": [id(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGINT)],
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()],
        "switch interval": sys.getswitchinterval(),
        "limits": {
            n: resource.getrlimit(getattr(resource, n))
            for n in dir(resource)
            if n.startswith("RLIMIT")
        },
        "root logger": [repr(logging.root.handlers), logging.root.level],
        "loggers": {
            each.name: (each.level, [repr(handler) for handler in each.handlers])
            for each in loggers
        },
        "structlog": [structlog.is_configured(), repr(structlog.get_config()["processors"])],
        "nicegui": [
            {name: repr(handler) for name, handler in core.sio.handlers["/"].items()},
            nicegui_app.storage.max_tab_storage_age,
            nicegui_app.config.has_run_config,
            [getattr(route, "path", "") for route in nicegui_app.routes],
        ],
    }


async def main(folder: Path) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    before = process_state()
    parrot = Parrot()
    app = create_app(Settings(data_dir=folder), provider=parrot)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None))
    listener = socket.create_server(("127.0.0.1", 0))
    # `serve` would install signal handlers: this process's are its own
    serving = asyncio.create_task(server._serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    await app.wait_until_warm()
    seen: dict[str, Any] = {"process": process_state(), "before": before}
    port = listener.getsockname()[1]
    async with connect(f"ws://127.0.0.1:{port}/ws/ai-chat") as client:
        question = {"type": "chat", "id": "q", "message": "hello", "conversation": "new"}
        await client.send(json.dumps(question))
        frames = [json.loads(await client.recv())]
        while frames[-1]["type"] not in ("done", "error"):
            frames.append(json.loads(await client.recv()))
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        seen["ready"] = (await http.get("/api/health/ready")).json()
        seen["models"] = (await http.get("/api/models")).json()["models"]
        path = f"/api/conversations/{frames[0]['conversation']}"
        seen["conversation"] = (await http.get(path)).json()
        seen["page"] = (await http.get("/")).text
    seen["frames"] = frames
    server.should_exit = True
    await serving
    seen["after"] = process_state()
    sys.stdout.write(json.dumps(seen | {"calls": parrot.calls}) + "\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
