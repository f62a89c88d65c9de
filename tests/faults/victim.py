"""A server that can be killed and restarted many times: imports are done once, before a fork.

``python victim.py`` reads commands on standard input, and answers each with a word when it is done:

- ``start`` forks a process that runs the whole server as ``wireside serve`` does, with settings
  from the environment: ``listening``.
- ``kill`` ends it with SIGKILL: ``killed``.
- ``terminate SECONDS`` sends SIGTERM, and SIGKILL after that time: ``ended`` or ``killed``.
- ``freeze`` stops it with SIGSTOP, ``wake`` continues it: ``frozen``, ``woken``.
- ``tear PAGES SECONDS`` lets the kernel end it at the first write that would make the database's
  file more than so many pages larger, which a checkpoint does: ``torn``, or ``killed`` after that
  time.

``VICTIM_COMMIT_S`` makes each commit of a write to SQLite take so many seconds longer.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp  # noqa: F401  # these two are imported by the first answer of each process
import openai.resources.chat  # noqa: F401

from wireside.app import create_app
from wireside.server.run import run_server
from wireside.settings.load import load_settings
from wireside.store import database as database_module
from wireside.telemetry import configure_logging

try:  # as the store chooses
    import pysqlite3.dbapi2 as sqlite
except ImportError:
    import sqlite3 as sqlite

PAGE_BYTES = 4096

SIGNALS = {"freeze": (signal.SIGSTOP, "frozen"), "wake": (signal.SIGCONT, "woken")}

CHECKPOINT_S = 0.02
"""Delay of a checkpoint after a commit, in seconds: there is one nearly all the time."""


def main() -> None:
    pid = 0
    slow_down(float(os.environ.get("VICTIM_COMMIT_S", "0")))
    for line in sys.stdin:
        command, *numbers = line.split()
        if command == "start":
            pid = start()
            print("listening" if pid else "failed", flush=True)
            continue
        if command in SIGNALS:
            number, word = SIGNALS[command]
            os.kill(pid, number)
            print(word, flush=True)
            continue
        limit = None
        if command == "terminate":
            os.kill(pid, signal.SIGTERM)
        elif command == "tear":
            limit = limit_file(pid, int(numbers[0]))
        how = end(pid, float(numbers[-1]) if numbers else 0)
        if limit is not None and database().stat().st_size == limit:
            how = "torn"
        print(how, flush=True)
        pid = 0
    if pid:  # standard input was closed without a command
        end(pid, 0)


def start() -> int:
    """Fork a server; return its process id once it listens, 0 if it does not."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reads)
        serve(writes)
        os._exit(0)
    os.close(writes)
    is_listening = os.read(reads, 1)
    os.close(reads)
    return pid if is_listening else 0


def database() -> Path:
    """Return the file that only a checkpoint writes."""
    return Path(os.environ["WIRESIDE_DATA_DIR"]) / "wireside.db"


def limit_file(pid: int, pages: int) -> int:
    """Let the kernel end a process when a file of it grows by more than ``pages``.

    Returns the limit in bytes.
    """
    limit = database().stat().st_size + pages * PAGE_BYTES
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, limit))
    return limit


def end(pid: int, seconds: float) -> str:
    """Kill the server after ``seconds``; return how it ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return "killed" if os.WIFSIGNALED(status) else "ended"
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "killed"


def serve(writes: int) -> None:
    sys.stdin.close()
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)

    def report(_: str) -> None:
        os.write(writes, b"!")

    run_server(create_app(settings), settings, on_listening=report)


def slow_down(commit_s: float) -> None:
    """Make each commit of a write take ``commit_s`` longer, and checkpoint more often."""
    if not commit_s:
        return
    original = sqlite.connect

    def connect(*args: Any, **options: Any) -> Any:
        connection = original(*args, **options)
        is_writing = False

        def delay(statement: str) -> None:
            nonlocal is_writing
            if statement == "COMMIT" and is_writing:
                time.sleep(commit_s)
            if statement.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
                is_writing = statement.startswith("BEGIN IMMEDIATE")

        connection.set_trace_callback(delay)
        return connection

    sqlite.connect = connect
    database_module.CHECKPOINT_S = CHECKPOINT_S


if __name__ == "__main__":
    main()
