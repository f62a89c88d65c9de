"""The programs of docs/start.md, as they stand: each prints the answer of the model."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.clients import runtimes
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer

START = Path(__file__).parents[2] / "docs" / "start.md"
SNIPPET = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)
SNIPPETS = dict(SNIPPET.findall(START.read_text("utf-8")))

MOST_S = 50.0


def needs(program: str) -> str:
    """Return the path of a program; skip the test if it is not here."""
    places = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which(program, path=places)
    if found is None:
        pytest.skip(f"there is no {program} here")
    return found


@pytest.fixture
def folder(tmp_path: Path, server: ServerProcess, lab: FakeOpenAI) -> Path:
    """A folder with all programs. Only the address is another one: the tests run in parallel."""
    lab.answer_with(answer(["A connection ", "that stays ", "open."]))
    address = server.url.removeprefix("http://")
    for name, text in SNIPPETS.items():
        (tmp_path / name).write_text(text.replace("127.0.0.1:8080", address), "utf-8")
    return tmp_path


def run(folder: Path, *command: str, stop_after: str = "") -> str:
    """Run a program; return its output, up to ``stop_after`` if it does not end by itself."""
    environment = {
        **os.environ,
        "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        output = ""
        try:
            for line in process.stdout:
                output += line
                if stop_after and stop_after in line:
                    os.killpg(process.pid, 15)
                    return output
            assert process.wait(MOST_S) == 0, output
        finally:
            if process.poll() is None:
                process.kill()
    return output


def test_there_is_a_program_for_each_language() -> None:
    text = START.read_text("utf-8").partition("## The first answer")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.+)$", text, re.MULTILINE) == [
        *("Browser console", "Node", "Python", "curl", "websocat", "Go", "PHP", "C#", "Java")
    ]


@pytest.mark.parametrize("name", ["ask.py", "client.py"])
def test_python(folder: Path, name: str) -> None:
    assert run(folder, sys.executable, name).strip() == "A connection that stays open."


@pytest.mark.parametrize("runtime", ["node22", "deno", "bun"])
def test_javascript(folder: Path, runtime: str) -> None:
    try:
        command = runtimes.command(runtime)
    except runtimes.Missing as error:
        pytest.skip(str(error))
    assert run(folder, *command, "ask.mjs").strip() == "A connection that stays open."


def test_the_javascript_client(folder: Path, lab: FakeOpenAI) -> None:
    try:
        command = runtimes.command("node22")
    except runtimes.Missing as error:
        pytest.skip(str(error))
    needs("curl")
    run(folder, "sh", "fetch.sh")
    pieces = run(folder, *command, "client.mjs").replace("\n", "")
    assert pieces == "A connection that stays open."


def test_curl(folder: Path) -> None:
    needs("curl")
    output = run(folder, "sh", "ask.sh")
    content = "".join(re.findall(r'"content": ?"([^"]*)"', output))
    assert content == "A connection that stays open."
    assert output.strip().endswith("data: [DONE]")


def test_websocat(folder: Path) -> None:
    needs("websocat")
    output = run(folder, "sh", "ask-websocat.sh", stop_after='{"type":"done"}')
    assert "".join(re.findall(r'"content": ?"([^"]*)"', output)) == "A connection that stays open."


def test_java(folder: Path) -> None:
    java = needs("java")
    output = run(folder, java, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "Ask.java")
    assert "".join(re.findall(r'"content": ?"([^"]*)"', output)) == "A connection that stays open."
    assert output.strip().endswith('{"type":"done"}')


def test_go(folder: Path) -> None:
    go = needs("go")
    run(folder, go, "mod", "init", "ask")
    try:
        run(folder, go, "get", "github.com/coder/websocket")
    except AssertionError as error:
        pytest.skip(f"its module is not available: {error}")
    assert run(folder, go, "run", "ask.go").strip() == "A connection that stays open."
