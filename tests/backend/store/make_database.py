"""Writes a database as an installed version of Wireside makes it, for ``test_migrate.py``.

    python -m tests.backend.store.make_database CHECKOUT FILE.gz

``CHECKOUT`` is the folder of that version (``git worktree add CHECKOUT COMMIT``); it runs with the
packages of this environment. ``databases/`` has one file for each schema that was in use, named by
its revision: a conversation of two turns.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from websockets.asyncio.client import connect

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer

QUESTIONS = ("What is a lighthouse?", "And who keeps it?")
ANSWER = "A tower with a **light**.\n"


async def ask(address: str) -> None:
    """Ask the questions in a new conversation."""
    conversation = "new"
    async with connect(address) as client:
        for number, question in enumerate(QUESTIONS):
            frame = {"type": "chat", "id": f"q{number}", "conversation": conversation}
            await client.send(json.dumps({**frame, "message": question}))
            while (received := json.loads(await client.recv()))["type"] != "done":
                conversation = received.get("conversation", conversation)


def main(checkout: Path, target: Path) -> None:
    """Serve the checkout, ask the questions, and pack its database."""
    with tempfile.TemporaryDirectory() as folder, FakeOpenAI() as lab:
        for _ in QUESTIONS:
            lab.answer_with(answer([ANSWER]))
        paths = f"{checkout / 'backend'}:{checkout / 'ui'}"
        with ServerProcess(Path(folder), lab.url, PYTHONPATH=paths) as server:
            asyncio.run(ask(server.socket_url))
        file = Path(folder) / "wireside.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode=DELETE")
            database.execute("VACUUM")
        target.write_bytes(gzip.compress(file.read_bytes(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
