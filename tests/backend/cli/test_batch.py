"""``wireside batch``: which results of a prompt are final."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from wireside.cli import batch
from wireside.cli.answers_file import AnswersFile
from wireside.cli.prompts import PromptLine
from wireside.client import AsyncClient
from wireside.errors import Expired, NotFound, WiresideError
from wireside.messages import Usage

PROMPT = PromptLine(number=1, message="One", digest="d")


class ScriptedAnswer:
    """An answer that ends with a reason or an error."""

    usage = Usage()
    model = "m"

    def __init__(self, end: str | WiresideError, stream: str | None) -> None:
        self.stream = stream
        self._end = end
        self.reason = end if isinstance(end, str) else None

    async def text(self) -> str:
        if isinstance(self._end, WiresideError):
            raise self._end
        return "Uno." if self._end == "stop" else "U"


class ScriptedClient:
    """Gives the answers of a script; the last one is repeated."""

    state = "connected"

    def __init__(self, *ends: str | WiresideError, stream: str | None = "s") -> None:
        self.keys: list[str] = []
        self._ends = list(ends)
        self._stream = stream

    def ask(self, message: str, *, key: str, **options: Any) -> ScriptedAnswer:
        self.keys.append(key)
        end = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        return ScriptedAnswer(end, self._stream)


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_wait_after", lambda *_: 0.0)


async def result_of(client: ScriptedClient) -> dict[str, Any]:
    return await batch._answer(cast("AsyncClient", client), PROMPT, "k", {})


async def test_an_interrupted_answer_is_asked_again() -> None:
    client = ScriptedClient("interrupted", "stop")
    assert (await result_of(client))["answer"] == "Uno."
    assert client.keys == ["k", "k-2"]


async def test_an_answer_that_is_always_interrupted_is_an_error() -> None:
    client = ScriptedClient("interrupted")
    assert (await result_of(client))["error"]["code"] == "interrupted"
    assert len(client.keys) == batch.MAX_TRIES


@pytest.mark.parametrize("error", [NotFound(), Expired()])
async def test_an_answer_that_a_restarted_server_has_lost_is_asked_again(
    error: WiresideError,
) -> None:
    client = ScriptedClient(error, "stop")
    assert (await result_of(client))["answer"] == "Uno."
    assert client.keys == ["k", "k-2"]


async def test_what_is_not_found_before_the_answer_has_started_is_an_error() -> None:
    client = ScriptedClient(NotFound(), stream=None)
    assert (await result_of(client))["error"]["code"] == "not_found"
    assert len(client.keys) == 1


def test_errors_of_earlier_runs_count_as_failed(tmp_path: Path) -> None:
    with AnswersFile(tmp_path / "answers.jsonl") as answers:
        url = "http://127.0.0.1:1"
        assert batch._answer_all([PROMPT], {1: False}, answers, url, None, {}, 1) == 1
        assert batch._answer_all([PROMPT], {1: True}, answers, url, None, {}, 1) == 0
