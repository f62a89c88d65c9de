"""The steps of ``make test``: their counts, their end, and tests that run again."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import verify
from scripts.verify import Step, run


def shell(name: str, command: str) -> Step:
    return Step(name, ("sh", "-c", command))


def test_a_step_is_shown_and_counted(capfd: pytest.CaptureFixture[str]) -> None:
    result = run(shell("one", "echo said; echo '1 failed, 2 passed'; exit 1"))
    assert (result.code, result.passed, result.failed) == (1, 2, 1)
    assert "said" in capfd.readouterr().out


def test_a_step_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "LONGEST_S", 0.2)
    assert run(shell("hangs", "sleep 600 & sleep 600")).code == -9


def test_what_a_step_leaves_running_is_ended() -> None:
    result = run(shell("leaves", "sleep 600 & echo '1 passed'"))
    assert (result.code, result.passed) == (0, 1)


def test_failed_tests_run_again_alone(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").touch()
    test = tmp_path / "test_it.py"
    test.write_text(
        "from pathlib import Path\n"
        "def test_second(tmp_path):\n"
        f"    mark = Path({str(tmp_path / 'ran')!r})\n"
        "    before = mark.exists()\n"
        "    mark.touch()\n"
        "    assert before\n"
        "def test_first(): pass\n"
    )
    step = Step("tests", verify.tool("pytest", "-q", "-p", "no:cacheprovider", str(test)), True)
    result = run(step)
    assert (result.code, result.passed, result.failed) == (0, 2, 0)
    assert [name.rpartition("::")[2] for name in result.unstable_tests] == ["test_second"]


def test_tests_that_fail_again_have_failed(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").touch()
    test = tmp_path / "test_it.py"
    test.write_text("def test_bad(): assert False\n")
    step = Step("tests", verify.tool("pytest", "-q", "-p", "no:cacheprovider", str(test)), True)
    result = run(step)
    assert (result.code, result.failed, result.unstable_tests) == (1, 1, [])
