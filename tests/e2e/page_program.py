"""Starts a program that serves the page of one component, and calls it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Do = Callable[..., Any]


@contextlib.contextmanager
def serving(program: str = "transcript_page.py") -> Iterator[str]:
    """Run a program of this folder, with a free port as ``PORT``; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # NiceGUI behaves differently in a process that seems to run tests
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "NICEGUI"))
    }
    page = Path(__file__).with_name(program)
    process = subprocess.Popen([sys.executable, str(page)], env={**env, "PORT": str(port)})
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{base}/healthz").close()
                break
            except OSError:
                time.sleep(0.1)
        yield base
    finally:
        process.terminate()
        process.wait(10)


def calling(base: str) -> Do:
    """Return a function that calls a method of the page's component."""

    def call(what: str, **args: Any) -> Any:
        request = urllib.request.Request(
            f"{base}/do/{what}", data=json.dumps(args).encode(), method="POST"
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    return call


def events_of(base: str) -> list[dict[str, Any]]:
    """Return what the page's component has reported so far."""
    with urllib.request.urlopen(f"{base}/events") as response:
        found: list[dict[str, Any]] = json.load(response)
        return found
