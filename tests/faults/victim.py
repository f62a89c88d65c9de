"""A server that can be killed and restarted many times: imports are done once, before a fork.

``python victim.py`` reads commands on standard input: ``start`` forks a process that runs the whole
server as ``wireside serve`` does (settings from the environment); ``kill`` ends it with SIGKILL.
Each command is acknowledged by a line when it is done.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from wireside.app import create_app
from wireside.server.run import run_server
from wireside.settings.load import load_settings
from wireside.telemetry import configure_logging


def main() -> None:
    pid = 0
    for line in sys.stdin:
        if line.strip() == "start":
            reads, writes = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reads)
                serve(writes)
                os._exit(0)
            os.close(writes)
            listening = os.read(reads, 1)
            os.close(reads)
            print("listening" if listening else "failed", flush=True)
        elif line.strip() == "kill":
            kill(pid)
            pid = 0
            print("killed", flush=True)
    if pid:  # standard input was closed without a ``kill`` command
        kill(pid)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def serve(writes: int) -> None:
    sys.stdin.close()
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)

    def report(_: str) -> None:
        os.write(writes, b"!")

    run_server(create_app(settings), settings, on_listening=report)


if __name__ == "__main__":
    main()
