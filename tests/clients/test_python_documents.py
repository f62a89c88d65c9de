"""The snippets of docs/python-client.md run as they stand, but for the address."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

PAGE = (Path(__file__).parents[2] / "docs" / "python-client.md").read_text("utf-8")
SNIPPETS = re.findall(r"^```(python|sh)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
PROGRAMS = [text for kind, text in SNIPPETS if kind == "python"]
COMMANDS = [text for kind, text in SNIPPETS if kind == "sh"]


def run(server: ServerProcess, folder: Path, *command: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    (folder / "wireside.toml").write_text(f"port = {server.url.rpartition(':')[2]}\n")
    ended = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PATH": path},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_programs(number: int, server: ServerProcess, lab: FakeOpenAI, tmp_path: Path) -> None:
    program = PROGRAMS[number]
    assert "http://127.0.0.1:8080" in program
    program = program.replace("http://127.0.0.1:8080", server.url)
    assert run(server, tmp_path, sys.executable, "-c", program).strip()


def test_commands(server: ServerProcess, lab: FakeOpenAI, tmp_path: Path) -> None:
    chat, batch = COMMANDS
    raw, as_json = run(server, tmp_path, "sh", "-ec", chat).rstrip().rsplit("\n", 1)
    assert raw
    assert json.loads(as_json)["reason"] == "stop"
    run(server, tmp_path, "sh", "-ec", batch)
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert {one["line"]: one.get("id") for one in answers} == {1: None, 2: "r1"}
    assert all(one["answer"] for one in answers)
