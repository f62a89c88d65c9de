"""Keeps the state of an agent with the turn while the agent waits for the user's answers.

After a restart the handler is called again. The agent then goes on from the state that was kept,
instead of running again up to its question.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from wireside.errors import ProviderError
from wireside.extension.parts import TooLargePart
from wireside.extension.questions import Approve, AskText, Choose, Field, Form, Question
from wireside.extension.turn import SAVED, Turn


@dataclass(frozen=True, slots=True)
class _Past:
    """A question that the user has answered before a restart; the answer is returned as stored."""

    prompt: str = ""

    def fields(self) -> dict[str, Any]:
        return {}

    def parse(self, answer: Any) -> Any:
        return answer


_agents: WeakKeyDictionary[Turn[Any, Any], int] = WeakKeyDictionary()
"""Number of the agents that have answered in a turn, each of which has a state of its own."""


class Pauses:
    """The pauses of one agent in one answer.

    ``state`` is the JSON value with which the agent paused last; None if it has to begin. After a
    restart, ``has_ended`` is whether the agent had already ended: a question that the handler asks
    later was open.
    """

    def __init__(self, turn: Turn[Any, Any]) -> None:
        number = _agents[turn] = _agents.get(turn, 0) + 1
        self._turn = turn
        self._name = f"agent-{number}"
        self._asked = 0
        self.state: Any = None
        self.has_ended = False

    async def restore(self) -> None:
        """Read the state that was kept, and pass the questions that were answered before it."""
        saved = json.loads(self._turn.output.stored(SAVED, self._name) or "{}")
        is_replay = saved.get("run") == self._turn.output.run
        if saved.get("has_ended") and not is_replay:
            return  # the answer goes on, so that the agent answers again
        self.state, self.has_ended = saved.get("state"), bool(saved.get("has_ended"))
        if is_replay:
            self._asked = saved["asked"]
            for _ in range(self._asked):
                await self._turn.ask(_Past())

    async def ask(self, state: object, questions: Sequence[Question]) -> list[Any]:
        """Keep the state, ask the questions in turn, and return the answers."""
        self.state = state
        self._keep(has_ended=False)
        answers = [await self._turn.ask(question) for question in questions]
        self._asked += len(answers)
        return answers

    def end(self) -> None:
        """Keep that the agent has ended."""
        self.state = None
        self._keep(has_ended=True)

    def _keep(self, *, has_ended: bool) -> None:
        kept = {
            "run": self._turn.output.run,
            "asked": self._asked,
            "state": self.state,
            "has_ended": has_ended,
        }
        try:
            self._turn.output.store(SAVED, self._name, kept)
        except TooLargePart:
            raise ProviderError(
                "The agent can't wait for an answer: the conversation with its images is too large"
                " to be stored with the question."
            ) from None


def question_of(value: object) -> Question:
    """Return what an agent asks as a question to the user.

    Args:
        value: a question, the data of one as in docs/protocol.md, or a prompt, which is answered
            by a text.
    """
    if not isinstance(value, Mapping):
        is_question = hasattr(value, "fields") and hasattr(value, "parse")
        return value if is_question else AskText(str(value))  # type: ignore[return-value]
    prompt = str(value.get("prompt") or "")
    match value.get("type"):
        case "approve":
            return Approve(prompt, str(value.get("yes", "")), str(value.get("no", "")))
        case "choose":
            return Choose(prompt, _labels(value["options"]), bool(value.get("multiple")))
        case "form":
            fields = [
                Field(**{**field, "options": list(_labels(field.get("options", ())))})
                for field in value["fields"]
            ]
            return Form(prompt, fields)
        case _:
            return AskText(prompt or json.dumps(value, ensure_ascii=False, default=str))


def _labels(options: Sequence[Any] | Mapping[str, str]) -> Mapping[str, str]:
    """Return labels by value of options, which are values, or objects with both."""
    if isinstance(options, Mapping):
        return options
    return dict(
        (one["value"], one["label"]) if isinstance(one, Mapping) else (one, one) for one in options
    )
