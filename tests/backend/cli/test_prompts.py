"""Files of ``wireside batch``: prompts with faults, and answers that are continued."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.cli.answers_file import AnswersFile, CannotContinue
from wireside.cli.prompts import BadPrompts, PromptLine, read_prompts


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    file.write_text('"One"\n\n{"message": "Two", "id": 7, "model": "m", "temperature": 0}\n"Three"')
    return file


def test_prompts_keep_their_line_numbers(prompts: Path) -> None:
    one, two, three = read_prompts(prompts)
    assert [line.number for line in (one, two, three)] == [1, 3, 4]
    assert [line.message for line in (one, two, three)] == ["One", "Two", "Three"]
    assert (two.id, two.options) == (7, {"model": "m", "temperature": 0})
    assert len({line.digest for line in (one, two, three)}) == 3


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{", "line 2: it is not JSON: Expecting property name"),
        (b"\xff", "line 2: it is not UTF-8."),
        (b"7", "line 2: expected a string, or an object"),
        (b'""', "line 2: message: expected a string that is not blank."),
        (b'{"message": 1}', "line 2: message: expected a string"),
        (b'{"message": "a", "modle": "b"}', "line 2: unknown key 'modle'"),
        (b'{"message": "a", "model": 1}', "line 2: model: expected a string."),
        (b'{"message": "a", "max_tokens": true}', "line 2: max_tokens: expected a number."),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: bytes, fault: str) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_bytes(b'"One"\n' + line + b"\n")
    with pytest.raises(BadPrompts) as caught:
        read_prompts(file)
    assert fault in str(caught.value)


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text("{\n" * 30)
    with pytest.raises(BadPrompts, match=r"line 10: .*\n  and 20 more lines"):
        read_prompts(file)
    file.write_text("\n \n")
    with pytest.raises(BadPrompts, match="has no prompts"):
        read_prompts(file)


def begin(file: Path, lines: list[PromptLine], *done: int, **fields: Any) -> None:
    with AnswersFile(file) as answers:
        for line in lines:
            if line.number in done:
                answers.append(line, fields or {"answer": "é", "reason": "stop"})


def test_a_file_is_continued(prompts: Path, tmp_path: Path) -> None:
    lines, file = read_prompts(prompts), tmp_path / "answers.jsonl"
    begin(file, lines, 1, 3)
    first, second = map(json.loads, file.read_text("utf-8").splitlines())
    assert (first["line"], first["answer"], second["id"]) == (1, "é", 7)
    with AnswersFile(file) as answers:
        assert answers.read_answered(lines) == {1: True, 3: True}


@given(cut=st.integers(0, 400))
def test_a_broken_last_line_is_removed(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cut")
    (folder / "prompts").write_text('"One"\n"Two"\n"Three"\n')
    lines, file = read_prompts(folder / "prompts"), folder / "answers.jsonl"
    begin(file, lines, 1, 2, 3)
    whole = file.read_bytes()
    cut = min(cut, len(whole))
    file.write_bytes(whole[:cut])
    with AnswersFile(file) as answers:
        answered = answers.read_answered(lines)
        assert answered.keys() == set(range(1, whole[:cut].count(b"\n") + 1))
        for line in lines:
            if line.number not in answered:
                answers.append(line, {"answer": "é", "reason": "stop"})
    assert file.read_bytes() == whole


def test_other_prompts_and_other_files_are_refused(prompts: Path, tmp_path: Path) -> None:
    lines, file = read_prompts(prompts), tmp_path / "answers.jsonl"
    begin(file, lines, 1)
    prompts.write_text('"Uno"\n')
    with AnswersFile(file) as answers, pytest.raises(CannotContinue, match="have changed"):
        answers.read_answered(read_prompts(prompts))
    file.write_text("notes\n")
    with AnswersFile(file) as answers, pytest.raises(CannotContinue, match="no file of answers"):
        answers.read_answered(lines)
    assert file.read_text() == "notes\n"


def test_two_commands_do_not_write_one_file(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    with AnswersFile(file), pytest.raises(CannotContinue, match="Another command"):
        AnswersFile(file)


def test_keys_are_those_of_the_earlier_run(prompts: Path, tmp_path: Path) -> None:
    lines, file = read_prompts(prompts), tmp_path / "answers.jsonl"
    with AnswersFile(file) as answers:
        keys = [answers.key_for(line) for line in lines]
    assert len(set(keys)) == 3
    with AnswersFile(file) as answers:
        assert [answers.key_for(line) for line in lines] == keys
