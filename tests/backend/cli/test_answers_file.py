"""The file of answers of ``wireside batch``: nothing that is in it gets lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wireside.cli.answers_file import AnswersFile, CannotContinue
from wireside.cli.prompts import PromptLine, read_prompts

FAILED = {"error": {"code": "internal", "message": "No."}}


@pytest.fixture
def prompts(tmp_path: Path) -> list[PromptLine]:
    file = tmp_path / "prompts.jsonl"
    file.write_text('"One"\n"Two"\n')
    return read_prompts(file)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    "content", ['{"name": "app", "version": 1}', "a note", '"Why?"', "[1,\n2]"]
)
def test_another_file_is_never_changed(path: Path, prompts: list[PromptLine], content: str) -> None:
    path.write_text(content)
    with AnswersFile(path) as answers, pytest.raises(CannotContinue, match="no file of answers"):
        answers.read_answered(prompts)
    assert path.read_text() == content


@pytest.mark.parametrize("rest", ['{"line": 2, "prom', '{"li'])
def test_a_broken_line_at_the_end_is_removed(
    path: Path, prompts: list[PromptLine], rest: str
) -> None:
    with AnswersFile(path) as answers:
        answers.append(prompts[0], {"answer": "Uno."})
    whole = path.read_text()
    path.write_text(whole + rest)
    with AnswersFile(path) as answers:
        assert answers.read_answered(prompts) == {1: True}
    assert path.read_text() == whole


def test_the_last_line_of_a_prompt_counts_and_is_left_at_the_end(
    path: Path, prompts: list[PromptLine], tmp_path: Path
) -> None:
    own = tmp_path / "answers.jsonl.before"
    own.write_text("a file of the user")
    with AnswersFile(path) as answers:
        answers.append(prompts[0], FAILED)
        answers.append(prompts[1], FAILED)
    path.chmod(0o600)
    with AnswersFile(path) as answers:
        assert answers.read_answered(prompts) == {1: False, 2: False}
        answers.append(prompts[0], {"answer": "Uno."})
    with AnswersFile(path) as answers:  # after a kill
        assert answers.read_answered(prompts) == {1: True, 2: False}
        answers.append(prompts[1], FAILED)
        answers.finish()
    assert [(one["line"], "error" in one) for one in lines_of(path)] == [(1, False), (2, True)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert own.read_text() == "a file of the user"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_prompt_keeps_its_key_until_it_fails(path: Path, prompts: list[PromptLine]) -> None:
    first, second = prompts
    with AnswersFile(path) as answers:
        answers.read_answered(prompts)
        keys = {answers.key_for(first), answers.key_for(second)}
        answers.append(first, FAILED)
    with AnswersFile(path) as answers:  # a run that is killed while it asks both
        answers.read_answered(prompts)
        again = answers.key_for(first)
        assert again not in keys
        assert answers.key_for(second) in keys
    with AnswersFile(path) as answers:
        answers.read_answered(prompts)
        assert answers.key_for(first) == again
        answers.append(first, FAILED)
    with AnswersFile(path) as answers:
        answers.read_answered(prompts)
        assert answers.key_for(first) not in keys | {again}
    assert lines_of(path)[-1]["attempt"] == 2


def test_a_second_command_is_refused(path: Path) -> None:
    with AnswersFile(path), pytest.raises(CannotContinue, match="Another command"):
        AnswersFile(path)
