"""The backup commands: output and exit codes in-process, and as real processes next to a server."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from rich.console import Console
from typer.testing import CliRunner

from tests.server_process import ServerProcess
from wireside.cli.main import app
from wireside.parts import text_parts
from wireside.records import Branch, ConversationInfo, TurnRecord, UserAccount
from wireside.store.store import SqlStore

runner = CliRunner()


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Keeps the commands from setting up logging, as they would for their own process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without the developer's settings; returns the folder of the database."""
    for name in list(os.environ):
        if name.startswith(("WIRESIDE_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    monkeypatch.setenv("WIRESIDE_DATA_DIR", str(folder))
    return folder


def url_of(data: Path) -> str:
    return f"sqlite:///{data / 'wireside.db'}"


def fill(data: Path, count: int = 3, *, with_accounts: bool = False) -> None:
    async def work() -> None:
        store = SqlStore(url_of(data))
        await store.open()
        if with_accounts:
            await store.accounts.add_user(
                UserAccount(id="u", name="ada", role="admin", created_at=1.0)
            )
        for number in range(count):
            name = f"c{number}"
            info = ConversationInfo(
                id=name, title=f"Title {number}", created_at=1.0, updated_at=1.0
            )
            turn = TurnRecord(
                id=f"t{number}",
                conversation_id=name,
                branch=0,
                depth=0,
                question_parts=text_parts("word " * 200),
                created_at=1.0,
            )
            await store.add_imported(info, [Branch(id=0, parent=None, first=0, last=0)], 0, [turn])
        await store.aclose()

    data.mkdir(exist_ok=True)
    asyncio.run(work())


def count(data: Path) -> int:
    async def work() -> int:
        store = SqlStore(url_of(data))
        await store.open_beside()
        try:
            return len(await store.list_all_conversations())
        finally:
            await store.aclose()

    return asyncio.run(work())


def invoke(*arguments: str, exit_code: int = 0) -> str:
    result = runner.invoke(app, list(arguments))
    assert result.exit_code == exit_code, result.output
    if exit_code:
        (line,) = result.stderr.splitlines()
        assert line.startswith("wireside: ")
    return result.output


def test_what_was_backed_up_can_be_put_back(data: Path, tmp_path: Path) -> None:
    fill(data)
    assert "The backup is in" in invoke("backup", "b.gz")
    assert (tmp_path / "b.gz").stat().st_mode & 0o777 == 0o600
    assert "is complete" in invoke("backup", "--check", "b.gz")
    for file in data.iterdir():
        file.unlink()
    said = invoke("restore", "b.gz")
    assert "counts and hashes match" in said
    assert count(data) == 3


def test_what_is_there_is_not_lost_by_mistake(data: Path) -> None:
    fill(data)
    invoke("backup", "b.gz")
    assert "--force" in invoke("backup", "b.gz", exit_code=1)
    invoke("backup", "b.gz", "--force")
    assert "--replace" in invoke("restore", "b.gz", exit_code=1)
    said = invoke("restore", "b.gz", "--replace")
    assert "The previous contents are in" in said
    aside = Path(said.partition("contents are in ")[2].strip().rstrip("."))
    assert aside.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["backup", "b.gz"], "There is no database"),
        (["move", "--to", "sqlite:///b.db"], "There is no database"),
        (["export", "--all", "out"], "There is no database"),
        (["restore", "nowhere"], "No such file or directory"),
        (["backup", "--check", "nowhere"], "No such file or directory"),
        (["restore", "text"], "is no backup of Wireside"),
        (["backup", "--check", "text"], "is no backup of Wireside"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    arguments: list[str], words: str, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("no backup")
    assert words in invoke(*arguments, exit_code=1)
    left = {file.name for file in tmp_path.rglob("*") if file.suffix != ".lock"}
    assert left <= {"text", "data"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["backup", "nowhere/b.gz"], "No such file or directory"),
        (["backup", "data"], "is a folder"),
        (["backup", "/dev/full"], "--force"),
        (["export", "--all", "data"], "is not empty"),
        (["move", "--to", "nonsense"], "--to is no database's address"),
        (["move", "--to", "mysql://me:secret@host/x"], "mysql is not supported"),
        (
            ["move", "--to", "postgresql://me:secret@127.0.0.1:9/x"],
            "x at 127.0.0.1:9 can't be used",
        ),
    ],
)
def test_a_place_that_can_t_be_used_is_told(
    arguments: list[str], words: str, data: Path, tmp_path: Path
) -> None:
    fill(data)
    before = {file.name for file in tmp_path.rglob("*")}
    said = invoke(*arguments, exit_code=1)
    assert words in said
    assert "secret" not in said
    assert {file.name for file in tmp_path.rglob("*")} == before


def test_a_move_tells_which_setting_to_change(data: Path, tmp_path: Path) -> None:
    fill(data)
    to = f"sqlite:///{tmp_path / 'other.db'}"
    said = invoke("move", "--to", to)
    assert f"WIRESIDE_DATABASE_URL={to}" in said
    assert "match on both sides" in said
    assert count(data) == 3
    result = runner.invoke(app, ["move", "--to", "-"], input=f"{to}\n")
    assert (result.exit_code, "--replace" in result.stderr) == (1, True)


def test_a_terminal_is_shown_a_bar(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(data, 200)
    for doing, arguments in (
        ("backing up", ["backup", "b.gz"]),
        ("moving", ["move", "--to", f"sqlite:///{tmp_path / 'other.db'}"]),
    ):
        written = io.StringIO()
        terminal = Console(file=written, force_terminal=True, width=100)
        monkeypatch.setattr("wireside.cli.backup.err", terminal)
        invoke(*arguments)
        shown = written.getvalue()
        *_, last = [line for line in shown.splitlines() if doing in line]
        assert re.search(r"━{20}.*100%", last), shown
        shares = [int(share) for share in re.findall(r"(\d+)%", shown)]
        assert shares == sorted(shares)
        assert "100 %" not in shown  # percentages belong in logs


def test_every_conversation_is_exported(data: Path, tmp_path: Path) -> None:
    fill(data)
    for kind, ending in (("markdown", "md"), ("json", "json"), ("html", "html")):
        assert "3 conversations" in invoke("export", "--all", "--format", kind, kind)
        names = {file.name for file in (tmp_path / kind).iterdir()}
        assert names == {f"Title {number}.{ending}" for number in range(3)}
    assert "--all" in invoke("export", "out", exit_code=2)
    assert "use markdown" in invoke("export", "--all", "--format", "pdf", "out", exit_code=2)


def test_conversations_are_exported_by_owner_where_there_are_accounts(
    data: Path, tmp_path: Path
) -> None:
    fill(data, with_accounts=True)
    invoke("export", "--all", "out")
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["without owner"]


ROOM = """
import resource, sys
sys.dont_write_bytecode = True  # Python keeps a module's file that was cut by the limit
resource.setrlimit(resource.RLIMIT_FSIZE, ({},) * 2)
"""
"""A limit in bytes on every file."""

STOP = """
import os, signal, sys, time
signal.signal({how}, signal.{before})
say = sys.stderr.write
def write(text):
    say(text)
    if "25 %" in text:
        os.kill(os.getpid(), {how})
        time.sleep(0.5)
sys.stderr.write = write
"""
"""Raises a signal at a quarter of the way.

From another process, the signal could come too late. The work, which may run in a thread, pauses as
well, because the signal goes to any thread of the process.

The signal's earlier disposition is set explicitly: tests may run under `nohup` or in the background
of a shell.
"""


def started(*arguments: str, first: str = "") -> subprocess.Popen[str]:
    """Start the command in a process that executes ``first`` before."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", f"{first}\nfrom wireside.cli.main import main; main()", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no such limit")
def test_no_room_is_told_and_leaves_what_there_was(data: Path, tmp_path: Path) -> None:
    fill(data, 300)
    invoke("backup", "b.gz")
    before = {file.name for file in tmp_path.rglob("*")}
    for arguments, room in (
        (["restore", "--replace", "b.gz"], 200_000),
        (["backup", "c.gz"], 2_000),
        (["move", "--to", f"sqlite:///{tmp_path / 'x.db'}"], 200_000),
        (["move", "--to", f"sqlite:///{tmp_path / 'x.db'}"], 2_000),
        (["export", "--all", "out"], 200),
    ):
        with started(*arguments, first=ROOM.format(room)) as command:
            _, said = command.communicate(timeout=60)
        (line,) = [line for line in said.splitlines() if not line.endswith("%")]
        assert (command.returncode, line[:10]) == (1, "wireside: "), said
        # SQLite's own files: it has no room even to write its log back into the database
        own = {"x.db.lock", "wireside.db-wal", "wireside.db-shm"}
        assert {file.name for file in tmp_path.rglob("*")} - own == before - own
    assert count(data) == 300


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "before"),
    [
        (signal.SIGINT, "default_int_handler"),
        (signal.SIGTERM, "SIG_DFL"),
        (signal.SIGHUP, "SIG_DFL"),
    ],
)
def test_one_that_is_stopped_leaves_nothing(
    how: int, before: str, data: Path, tmp_path: Path
) -> None:
    fill(data, 200)
    invoke("backup", "b.gz")
    there = {file.name for file in tmp_path.rglob("*")}
    for arguments in (
        ["backup", "c.gz"],
        ["restore", "--replace", "b.gz"],
        ["move", "--to", f"sqlite:///{tmp_path / 'x.db'}"],
        ["export", "--all", "out"],
    ):
        with started(*arguments, first=STOP.format(how=int(how), before=before)) as command:
            _, said = command.communicate(timeout=60)
        *quarters, last = said.splitlines()
        assert (command.returncode, last) == (1, "wireside: Stopped. Nothing was changed.")
        assert quarters[0] == "  25 %"
        assert "  100 %" not in quarters
        after = {file.name for file in tmp_path.rglob("*") if file.name != "x.db.lock"}
        assert after == there
    assert count(data) == 200


@pytest.mark.slow
def test_one_that_shall_outlive_its_terminal_does(data: Path) -> None:
    fill(data, 200)
    first = STOP.format(how=int(signal.SIGHUP), before="SIG_IGN")  # as `nohup` does
    with started("backup", "b.gz", first=first) as command:
        _, said = command.communicate(timeout=60)
    assert (command.returncode, said.splitlines()[-1].strip()) == (0, "100 %")
    invoke("restore", "--replace", "b.gz")


@pytest.mark.slow
def test_a_backup_beside_a_real_server(data: Path, tmp_path: Path) -> None:
    """Backups next to a server that stores conversations.

    Conversations are made over HTTP during two backups; each backup has those that existed before
    it began.
    """
    often: dict[str, Any] = {
        "requests_per_minute_address": 1_000_000,
        "requests_per_minute": 1_000_000,
    }
    with ServerProcess(tmp_path, "http://127.0.0.1:9/v1", data_dir=data, **often) as server:
        made = 0
        for number in range(3):
            with started("backup", f"b{number}.gz") as backup:
                before = made
                until = time.monotonic() + 30
                while backup.poll() is None or made == before:
                    assert time.monotonic() < until
                    create(server.url, f"Title {made}")
                    made += 1
                assert backup.returncode == 0, backup.communicate()
            held = header(tmp_path / f"b{number}.gz")["conversations"]
            assert before <= held <= made
        with started("restore", "--replace", "b0.gz") as refused:
            _, said = refused.communicate(timeout=60)
        assert (refused.returncode, "end it" in said) == (1, True)
        with started("export", "--all", "out") as export:
            export.communicate(timeout=60)
        assert len(list((tmp_path / "out").iterdir())) == made
    assert made > held > 0
    assert count(data) == made
    invoke("restore", "--replace", "b2.gz")
    assert count(data) == held


def create(address: str, title: str) -> None:
    request = urllib.request.Request(
        f"{address}/api/conversations",
        json.dumps({"title": title}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 201


def header(file: Path) -> dict[str, int]:
    import gzip

    with gzip.open(file) as opened:
        tables = json.loads(opened.readline())["tables"]
    return {table["name"]: table["rows"] for table in tables}
