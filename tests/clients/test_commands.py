"""``wireside chat`` in a pseudo-terminal and in pipes, and ``wireside batch``, which is killed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.server_process import ServerProcess
from wireside.cli.main import app
from wireside.client import Client
from wireside.errors import AlreadyAnswered, BadMessage
from wireside.testing import FakeOpenAI, answer, failure

COMMAND = (sys.executable, "-m", "wireside")
PATIENCE_S = 50.0


class Terminal:
    """A command in a pseudo-terminal: ``type`` sends keys, ``until`` waits for what is shown."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLUMNS": "80",
            "LINES": "24",
            "XDG_STATE_HOME": str(folder / "state"),
            "HOME": str(folder),
        }
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored if the tests run in background
            os.chdir(folder)
            os.execve(COMMAND[0], [*COMMAND, *arguments], environment)
        self.shown = ""
        self._read_to = 0

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def until(self, pattern: str) -> str:
        """Wait for a pattern behind the last one found; return what was shown until then."""
        while not (found := re.compile(pattern).search(self.shown, self._read_to)):
            ready, _, _ = select.select([self._terminal], [], [], PATIENCE_S)
            assert ready, self.shown[self._read_to :]
            try:
                self.shown += os.read(self._terminal, 65_536).decode("utf-8", "replace")
            except OSError as error:  # the command has ended
                raise AssertionError(self.shown) from error
        text = self.shown[self._read_to : found.end()]
        self._read_to = found.end()
        return text

    def end(self) -> int:
        """Read the rest and return the exit code."""
        with contextlib.suppress(OSError):
            while data := os.read(self._terminal, 65_536):
                self.shown += data.decode("utf-8", "replace")
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._terminal)


Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        opened.append(Terminal(tmp_path, *arguments))
        return opened[-1]

    yield start
    for one in opened:
        one.kill()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.timeout(120)
def test_a_conversation_in_a_terminal(
    terminal: Open, server: ServerProcess, lab: FakeOpenAI, tmp_path: Path
) -> None:
    lab.answer_with(answer(["# Blue\n\nIt is **blue**", " \x1b]0;owned\x07\x1b[2J.\n"]))
    screen = terminal("chat", server.url)
    screen.until("/help lists the commands")
    screen.type('"""\rWhat\rcolour?"""\r')
    shown = screen.until(r"owned[\s\S]*> ")
    assert "\x1b]0;" not in shown
    assert "\x1b[2J" not in shown
    assert "␛[2J" in shown
    assert "It is blue" in plain(shown)
    assert lab.chats[-1].question == "What\ncolour?"

    (tmp_path / "notes.txt").write_text("green")
    screen.type("/attach none\r")
    screen.until("There is no file none")
    screen.type("/attach notes.txt\r")
    screen.until(r"Attached notes.txt \(5 bytes\)")
    screen.type("/model\r")
    screen.until(r"\* lab-1[\s\S]*lab-2")
    screen.type("/model lab-2\r")
    screen.until("The model is lab-2")
    lab.answer_with(answer(["Green."]))
    screen.type("And now?\r")
    screen.until(r"Green\.[\s\S]*> ")
    chat = next(chat for chat in reversed(lab.chats) if "And now?" in chat.question)
    assert chat.body["model"] == "lab-2"
    assert "green" in json.dumps(chat.body["messages"])
    assert len(chat.body["messages"]) >= 3  # the turn before it, too

    lab.answer_with(answer(["Counting ", *("1 " * 400).split(" ")], rate=20))
    screen.type("Count\r")
    screen.until("Counting")
    screen.type("\x03")
    screen.until(r"Stopped\.[\s\S]*> ")
    screen.type("\x03")
    screen.until("Ctrl-D leaves")
    screen.type("/conversations\r")
    screen.until(r"1 +\d{4}-\d\d-\d\d")
    screen.type("/open 1\r")
    screen.until("Continuing:")
    screen.type("/nonsense\r")
    screen.until("There is no command /nonsense")
    screen.type("/lab status 500\r")
    screen.until("There is no command /lab")
    screen.type("\x04")
    assert screen.end() == 0
    history = tmp_path / "state" / "wireside" / "chat_history"
    assert "And now?" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


@pytest.mark.timeout(120)
def test_questions_are_answered_in_the_terminal(terminal: Open, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from wireside import Approve, Chat, Choose\n"
        "chat = Chat('Asking')\n"
        "@chat.on_message\n"
        "async def answer(turn):\n"
        "    place = await turn.ask(Choose('Where to?', ['Rome', 'Oslo']))\n"
        "    if await turn.ask(Approve(f'Book {place}?')):\n"
        "        yield f'Booked {place}.'\n"
    )
    command = (*COMMAND, "serve", "own:chat", "--port", "0")
    with ServerProcess(tmp_path, command=command) as server:
        screen = terminal("chat", server.url)
        screen.until("> ")
        screen.type("Book\r")
        screen.until(r"Where to\?[\s\S]*2\. Oslo[\s\S]*number> ")
        screen.type("2\r")
        screen.until(r"Book Oslo\?[\s\S]*> ")
        screen.type("y\r")
        screen.until(r"Booked Oslo\.[\s\S]*> ")
        screen.type("/quit\r")
        assert screen.end() == 0
        with Client(server.url) as client:
            asked = client.conversation().ask("Book")
            asked.end()
            assert asked.reason == "asking"
            assert asked.open_question is not None
            assert asked.open_question.text
            with pytest.raises(BadMessage):
                client.reply(asked, "Paris").end()
            approval = client.reply(asked, "Rome")
            approval.end()
            booked = client.reply(approval, True)
            assert booked.text() == "Booked Rome."
            assert booked.open_question is None
            with pytest.raises(AlreadyAnswered):
                client.reply(approval, False).end()
            with pytest.raises(BadMessage):
                client.reply(booked, True)


def run(*arguments: str, question: str = "") -> Result:
    """Run a command in this process, with a pipe as its input."""
    return CliRunner().invoke(app, arguments, input=question)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_question_in_a_pipe(server: ServerProcess, lab: FakeOpenAI, folder: Path) -> None:
    lab.answer_with(answer(["# Raw \x1b[1m", "text"]))
    ended = run("chat", server.url, "--raw", question="Hi\n")
    assert (ended.exit_code, ended.stdout) == (0, "# Raw \x1b[1mtext\n")
    (folder / "a.txt").write_text("content of a")
    lab.answer_with(answer(["Read."]))
    ended = run(
        *("chat", server.url, "--json", "--attach", "a.txt", "--conversation", "new"),
        *("--system", "Be brief."),
        question="Read it",
    )
    found = json.loads(ended.stdout)
    assert (found["text"], found["reason"], found["model"]) == ("Read.", "stop", "lab-1")
    assert found["conversation"]
    ended = run("chat", server.url, "--json", "--model", "none", question="Hi")
    assert (ended.exit_code, json.loads(ended.stdout)["error"]["code"]) == (1, "unknown_model")


def test_what_can_not_be_asked_is_explained(server: ServerProcess, folder: Path) -> None:
    ended = run("chat", server.url)
    assert (ended.exit_code, "no question on standard input" in ended.stderr) == (2, True)
    ended = run("chat", "http://127.0.0.1:1", question="Hi")
    assert (ended.exit_code, "Check the address" in ended.stderr) == (1, True)
    ended = run("chat", "ftp://x", question="Hi")
    assert (ended.exit_code, "is no address" in ended.stderr) == (2, True)
    ended = run("chat", server.url, "--attach", "none", question="Hi")
    assert (ended.exit_code, "There is no file none" in ended.stderr) == (2, True)
    (folder / "wireside.toml").write_text("port = 1\n")
    ended = run("chat", question="Hi")
    assert ended.exit_code == 1
    assert "wireside serve" in ended.stderr


def test_the_local_server_is_found(server: ServerProcess, lab: FakeOpenAI, folder: Path) -> None:
    port = server.url.rpartition(":")[2]
    (folder / "wireside.toml").write_text(f"port = {port}\n")
    lab.answer_with(answer(["Here."]))
    assert run("chat", "--raw", question="Hi").stdout == "Here.\n"


@pytest.mark.timeout(180)
def test_a_batch_that_is_killed_loses_and_doubles_no_line(
    server: ServerProcess, lab: FakeOpenAI, folder: Path
) -> None:
    count = 40
    lines = [json.dumps({"message": f"/lab say number {n}", "id": n}) for n in range(count)]
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    output = folder / "answers.jsonl"
    command = ("batch", "prompts.jsonl", "-o", "answers.jsonl", "--url", server.url)
    lab.answer_with(*(answer([f"number {n}"], rate=20) for n in range(4)))
    for kill_at in (3, 12):
        process = subprocess.Popen([*COMMAND, *command, "--parallel", "2"], cwd=folder)
        while not output.exists() or output.read_bytes().count(b"\n") < kill_at:
            assert process.poll() is None or output.read_bytes().count(b"\n") == count
            time.sleep(0.005)
        process.kill()
        process.wait()
    with output.open("ab") as file:
        file.write(b'{"line": 40, "prom')  # a line that was being written
    ended = run(*command)
    assert ended.exit_code == 0, ended.stderr
    assert "40 prompts are answered" in ended.stderr
    answers = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert sorted(one["line"] for one in answers) == list(range(1, count + 1))
    assert all(one["id"] == one["line"] - 1 for one in answers)
    assert all(one["answer"].startswith("number ") for one in answers)
    before = output.read_bytes()
    assert run(*command).exit_code == 0
    assert output.read_bytes() == before


@pytest.mark.timeout(120)
def test_errors_of_a_batch_are_lines_and_can_be_asked_again(
    server: ServerProcess, lab: FakeOpenAI, folder: Path
) -> None:
    (folder / "prompts.jsonl").write_text('"One"\n{"message": "Two", "model": "none"}\n')
    command = ("batch", "prompts.jsonl", "-o", "out.jsonl", "--url", server.url)
    lab.answer_with(failure(400, "No."), failure(400, "No."), answer(["Uno."]))
    ended = run(*command, "--parallel", "1")
    assert ended.exit_code == 1
    assert "2 of 2 prompts have failed" in ended.stderr
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert {one["line"]: "error" in one for one in lines} == {1: True, 2: True}
    assert lines[1]["error"]["code"] == "unknown_model"
    lab.forget()
    lab.answer_with(answer(["Uno."]))
    ended = run(*command, "--parallel", "1", "--retry-errors")
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert {one["line"]: one.get("answer") for one in lines} == {1: "Uno.", 2: None}
    (folder / "prompts.jsonl").write_text('"One"\n{\n')
    ended = run(*command)
    assert (ended.exit_code, "line 2: it is not JSON" in ended.stderr) == (2, True)


def test_the_server_needs_neither_the_client_nor_the_terminal() -> None:
    """The rest of the server is below the client's import contract."""
    program = (
        "import sys, wireside.cli.main\n"
        "new = [m for m in sys.modules if m.startswith(('wireside.client', 'wireside.cli.terminal',"
        " 'rich.live', 'rich.markdown', 'websockets.asyncio.client', 'readline'))]\n"
        "print(new)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "[]\n", ended.stderr
