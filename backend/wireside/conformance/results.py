"""Results of checks of a server and of scenarios for a client, as values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A difference from the protocol: what it requires, and what was seen instead."""

    expected: str
    came: str

    def __str__(self) -> str:
        return f"expected {self.expected}; came {self.came}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of one check or scenario.

    Attributes:
        name: name of the check or scenario.
        section: the section of docs/protocol.md that contains the rule.
        rule: the rule as a sentence.
        level: protocol level of the check.
        reason: why it was skipped; "" otherwise.
        faults: differences from the protocol; empty unless it failed.
        transcript: what was sent (``→``), received (``←``) and done, shortened, one per line.
        seconds: duration.
    """

    name: str
    section: str
    rule: str
    level: int
    state: State
    reason: str = ""
    faults: tuple[Fault, ...] = ()
    transcript: tuple[str, ...] = ()
    seconds: float = 0.0


def count_states(results: Iterable[Result]) -> dict[State, int]:
    """Return how many results have each state."""
    counts: dict[State, int] = {"passed": 0, "failed": 0, "skipped": 0}
    for result in results:
        counts[result.state] += 1
    return counts


class Violation(Exception):
    """The server does not follow the rule of a check."""

    def __init__(self, expected: str, came: str) -> None:
        self.fault = Fault(expected, came)
        super().__init__(str(self.fault))


class TimedOut(Violation):
    """The server did not respond in time."""


class RateLimitReached(Violation):
    """The server's rate limit refuses a message of a check that is about something else.

    ``wait_s`` is the time after which it may be sent again, in seconds.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__("an answer", "`error`: Rate limit exceeded")
        self.wait_s = wait_s


class NotApplicable(Exception):
    """A check can't be decided with this server; the text is the reason."""


MAX_SHOWN_CHARS = 240
"""Characters of a frame in a transcript or a fault."""


def shown(value: object) -> str:
    """Return a text or value, shortened for people."""
    text = value if isinstance(value, str) else repr(value)
    if len(text) <= MAX_SHOWN_CHARS:
        return text
    return f"{text[:MAX_SHOWN_CHARS]}… ({len(text):,} characters)"
