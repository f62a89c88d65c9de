"""``wireside …`` with a log of its connections, name lookups, processes and canary file accesses.

Canary files have "canary" in their paths. The first argument is the path of the log.

Runs without uvloop, which connects and resolves names below Python's audit events.
"""

from __future__ import annotations

import json
import os
import runpy
import sys

SEEN = (
    *("socket.connect", "socket.sendto", "socket.sendmsg"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"),
    *("subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system"),
    *("urllib.Request", "http.client.connect", "ftplib.connect", "smtplib.connect"),
)
FILES = ("open", "os.listdir", "os.scandir")


def main(file: str, *arguments: str) -> None:
    """Install the audit hook, then run ``wireside`` with these arguments."""
    notes = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(event: str, given: tuple[object, ...]) -> None:
        if event in SEEN or (event in FILES and "canary" in str(given[:1])):
            shown = [one if isinstance(one, str | int) else repr(one) for one in given]
            if event == "socket.connect" and isinstance(given[1], tuple):
                shown = list(given[1][:2])
            os.write(notes, f"{json.dumps([event, *shown])}\n".encode())

    sys.addaudithook(note)
    sys.modules["uvloop"] = None  # type: ignore[assignment]
    sys.argv = ["wireside", *arguments]
    runpy.run_module("wireside", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
