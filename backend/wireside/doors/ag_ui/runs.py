"""The runs of questions: the answer that each reads, and whether the last one's end was sent."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

REMEMBERED_QUESTIONS: Final = 10_000

REMEMBERED_RUNS: Final = 100
"""Runs of one question that are remembered."""


@dataclass(slots=True)
class _Question:
    runs: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """Ids of the turns that the runs read, by the client's ids of these."""
    last_turn_id: str = ""
    was_end_sent: bool = False


class Runs:
    """The runs of each question since the server's start, of the questions asked last.

    A question is named by its conversation, message and text, not by its turn: each answer to it is
    a turn of its own.
    """

    def __init__(self) -> None:
        self._questions: OrderedDict[str, _Question] = OrderedDict()

    def record_run(self, question: str, run: str, turn_id: str) -> None:
        """Record the turn that a run reads. A run that is known changes nothing."""
        known = self._questions.setdefault(question, _Question())
        self._questions.move_to_end(question)
        if len(self._questions) > REMEMBERED_QUESTIONS:
            self._questions.popitem(last=False)
        if run in known.runs:
            return
        known.runs[run] = known.last_turn_id = turn_id
        known.was_end_sent = False
        if len(known.runs) > REMEMBERED_RUNS:
            known.runs.popitem(last=False)

    def record_end_sent(self, question: str, turn_id: str) -> None:
        """Record that the end of an answer was sent to a client."""
        known = self._questions.get(question)
        if known is not None and known.last_turn_id == turn_id:
            known.was_end_sent = True

    def turn_to_read(self, question: str, run: str) -> str | None:
        """Return the id of the turn that a run reads.

        None if the question is to be answered again, or if none of its runs is known.
        """
        known = self._questions.get(question)
        if known is None:
            return None
        return known.runs.get(run) or (None if known.was_end_sent else known.last_turn_id)

    def is_to_be_answered_again(self, question: str, run: str) -> bool:
        """Return whether a run is a new one, and the end of the last answer was sent."""
        known = self._questions.get(question)
        return known is not None and known.was_end_sent and run not in known.runs
