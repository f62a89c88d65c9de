"""The answers of ``wireside batch``: a file that grows by whole lines, and can be continued.

Each answer is appended by a single write and synced, so that a killed command leaves whole lines
and at most one broken one at the end, which the next run removes. Nothing else is removed while
prompts are open: the last line of a prompt counts, and ``finish`` drops the errors before it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from wireside.cli.prompts import PromptLine
from wireside.file_lock import lock_file

LINE_START = b'{"line": '
"""Start of each line."""


class CannotContinue(Exception):
    """The file can't be continued with these prompts; the text is a sentence."""


class AnswersFile:
    """The file, locked for this process as a context manager.

    Raises:
        CannotContinue: another command writes it, or it has answers to other prompts.
        OSError: it can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._errors: dict[int, int] = {}  # attempts that ended with an error, by line of prompts
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        # a command that has just ended may have put another file in the place of the opened one
        is_locked = lock_file(self._file, wait=False)
        if not is_locked or not os.path.samestat(os.fstat(self._file), path.stat()):
            os.close(self._file)
            raise CannotContinue(f"Another command writes {path}.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def key_for(self, prompt: PromptLine) -> str:
        """Return the key of a question: the same in each run that continues this file.

        A server that still has the answer to a question of a killed run is not asked again. A
        prompt that has failed gets another key, else the server would repeat the error. A file that
        was deleted and begun again has another inode, and so other keys.
        """
        inode = os.fstat(self._file).st_ino
        errors = self._errors.get(prompt.number, 0)
        about = (str(self._path.absolute()), inode, errors, prompt.number, prompt.digest)
        return hashlib.sha256(repr(about).encode()).hexdigest()[:32]

    def read_answered(self, prompts: Sequence[PromptLine]) -> dict[int, bool]:
        """Return the numbers of the prompts with a line, and whether it is an answer or an error.

        Removes a broken line at the end.

        Args:
            prompts: all prompts.

        Raises:
            CannotContinue: it has answers to other prompts, or is another file.
        """
        content = self._path.read_bytes()
        whole, newline, rest = content.rpartition(b"\n")
        if rest and not rest.startswith(LINE_START) and not LINE_START.startswith(rest):
            raise self._no_answers(content.count(b"\n") + 1)
        digests = {prompt.number: prompt.digest for prompt in prompts}
        answered: dict[int, bool] = {}
        for number, line in _numbered(whole):
            answer = self._parse(line, number)
            asked = answer["line"]
            if digests.get(asked) != answer["prompt"]:
                raise CannotContinue(
                    f"{self._path} has an answer to another prompt in line {number}: the prompts"
                    " have changed. Choose another file."
                )
            answered[asked] = "error" not in answer
            if "error" in answer:
                self._errors[asked] = answer.get("attempt", 1)
        if rest:
            os.ftruncate(self._file, len(whole) + len(newline))
            os.fsync(self._file)
        return answered

    def append(self, prompt: PromptLine, result: dict[str, Any]) -> None:
        """Append the answer to a prompt, or the error."""
        line: dict[str, Any] = {"line": prompt.number, "prompt": prompt.digest}
        if prompt.id is not None:
            line["id"] = prompt.id
        line |= result
        if "error" in result:
            attempt = self._errors[prompt.number] = self._errors.get(prompt.number, 0) + 1
            if attempt > 1:
                line["attempt"] = attempt
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        while data:
            data = data[os.write(self._file, data) :]
        os.fsync(self._file)

    def finish(self) -> None:
        """Leave one line for each prompt, once all were asked.

        The content is replaced as a whole. Where that fails, as in a folder that is read-only, the
        further lines stay. Call nothing else afterwards: the file has another inode and no lock.
        """
        lines = [line for _, line in _numbered(self._path.read_bytes())]
        last = {json.loads(line)["line"]: line for line in lines}
        if len(last) == len(lines):
            return
        path = self._path.resolve()
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        except OSError:
            return
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(b"".join(line + b"\n" for line in last.values()))
                file.flush()
                os.fsync(file.fileno())
            shutil.copymode(path, name)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if (
            not isinstance(answer, dict)
            or not isinstance(answer.get("line"), int)
            or not isinstance(answer.get("prompt"), str)
            or not isinstance(answer.get("attempt", 1), int)
        ):
            raise self._no_answers(number)
        return answer

    def _no_answers(self, number: int) -> CannotContinue:
        text = f"{self._path} is no file of answers (line {number}). Choose another file."
        return CannotContinue(text)


def _numbered(content: bytes) -> list[tuple[int, bytes]]:
    """Return the lines that are not blank, with their numbers."""
    lines = content.split(b"\n")
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
