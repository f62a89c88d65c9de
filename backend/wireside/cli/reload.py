"""``wireside serve --reload``: restarts the server when a file of the folder changes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from wireside.cli.console import err

SHUTDOWN_S = "1"
"""Seconds that open answers get at a restart: a developer waits for it."""


def serve_with_reload(arguments: Sequence[str], port: int | None) -> None:
    """Run the command without ``--reload`` in a child process, again after each change.

    Args:
        arguments: the arguments of this process, the program first.
        port: the port among them, None if there is none.
    """
    from watchfiles import PythonFilter, watch

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    rest = [argument for argument in arguments[1:] if argument != "--reload"]
    if port == 0 or (port is None and os.environ.get("WIRESIDE_PORT") == "0"):
        rest += ["--port", str(_free_port())]  # open pages come back to the same one
    child = _start_server(rest)
    try:
        for changes in watch(Path.cwd(), watch_filter=PythonFilter(), stop_event=stop):
            names = ", ".join(sorted({Path(path).name for _, path in changes}))
            err.print(f"Changed: {escape(names)}. Restarting …")
            _stop_server(child)
            child = _start_server(rest)
    finally:
        _stop_server(child)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _start_server(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "wireside", *arguments]
    environment = {"WIRESIDE_SHUTDOWN_S": SHUTDOWN_S, **os.environ}
    return subprocess.Popen(command, env=environment)  # noqa: S603 (this command's own arguments)


def _stop_server(child: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop; its own watchdog bounds how long that takes."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    child.wait()
