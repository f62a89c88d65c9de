"""What a server sends reaches the terminal of a command without its control characters."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
import typer

from wireside.cli import chat, conformance
from wireside.cli.console import fail_with
from wireside.conformance.results import Fault, Result

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b\u202e"


def assert_harmless(shown: str) -> None:
    assert "owned" in shown
    assert not set(shown) & {"\x1b", "\x07", "\x9b", "\u202e"}


def test_errors_of_a_server_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        fail_with(f"{EVIL}\nsecond line", 1)
    shown = capsys.readouterr().err
    assert_harmless(shown)
    assert "second line" in shown.splitlines()


def test_results_of_the_conformance_kit_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    result = Result(
        name="ping",
        section="s",
        rule="r",
        level=1,
        state="failed",
        faults=(Fault(expected=EVIL, came=EVIL),),
        transcript=(f"→ {EVIL}",),
    )
    conformance._print_result(result)
    assert_harmless(capsys.readouterr().out)


class Output(io.StringIO):
    """Standard output that is a terminal, or not."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize("is_terminal", [True, False])
def test_json_in_a_terminal_is_ascii(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    output = Output(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stdout", output)
    chat._print_json({"text": "\x9b\u202e\x7f"})
    assert output.getvalue().strip().isascii() == is_terminal
    assert "\x7f" not in output.getvalue()


class InterruptedUploads:
    """A client whose upload is interrupted by Ctrl-C."""

    def upload(self, path: str) -> Any:
        raise KeyboardInterrupt


def test_an_upload_in_a_pipe_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Hi")))
    client: Any = InterruptedUploads()
    with pytest.raises(typer.Exit):
        chat._answer_standard_input(client, {}, ["a"], None, is_raw=False, is_json=False)
