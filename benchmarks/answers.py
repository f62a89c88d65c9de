"""The answers of the benchmarks' model: text, tokens and the bytes of their events.

The question itself describes the answer: ``str(plan)`` is sent, ``Plan.found_in`` parses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

Kind = Literal["prose", "markdown", "stamps"]

EVENT_BYTES = 221
"""Size of a real server's event, with its ids, its fingerprint and one token."""

END_MARK = "[the end]"
"""The last words of every ``markdown`` answer: once they are painted, the whole answer is."""

STAMP_CHARS = 17
"""Length of a ``stamps`` token: its send time in nanoseconds, in hexadecimal, and a space."""

DONE = b"data: [DONE]\n\n"

_PROSE = (
    " the", " loop", " takes", " what", " comes", " and", " gives", " it", " to", " every",
    " read", "er", " that", " asks", ".", " A", " slow", " one", " finds", " more", " text",
    " in", " one", " piece", ",", " a", " fast", " one", " less", " in", " many", ".\n", "No",
    " quo", "te", ' "', "stays", '"', " open", " and", " no", " café", " clos", "es", " ea", "rly",
    " while", " there", " is", " some", "thing", " to", " say", " about", " bytes", ".\n\n", "So",
    " long", " answers", " cost",
)  # fmt: skip

_MARKDOWN = (
    "\n\n## How", " it", " is", " built", "\n\nAn", " answer", " is", " a", " **log**", " that",
    " the", " server", " owns", " and", " every", " reader", " has", " an", " `offset`", " in",
    " it", ",", " so", " a", " [reload](", "https://example.org/", "reload", ")", " loses",
    " nothing", ".", " What", " a", " reader", " has", " seen", " is", " never", " sent", " again",
    ".\n\n- Work", " depends", " on", " *new*", " text", " only", "\n- A", " slow", " reader",
    " gets", " fewer", ",", " larger", " pieces", "\n- Nobody", " waits", " for", " others",
    "\n\n```python\n", "def", " read", "(log", ",", " offset", "):\n", "    return", " log",
    "[offset", ":]", "  # the", " rest", "\n```", "\n\n| layer", " |", " cost", " |\n", "|---",
    "|---", "|\n", "| frames", " |", " low", " |\n", "| model", " |", " high", " |", "\n\nThe",
    " rest", " of", " it", " follows", " from", " there", ",", " one", " paragraph", " after",
    " the", " other", ".",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer to give: ``tokens`` of a kind, ``rate`` of them a second (0: all at once)."""

    kind: Kind
    tokens: int
    rate: int = 0

    def __str__(self) -> str:
        return f"answer {self.kind} {self.tokens} {self.rate}"

    @classmethod
    def found_in(cls, request: bytes) -> Self:
        """Return the last plan in a request's body; without one, a plan of one token."""
        found = re.findall(rb"answer (prose|markdown|stamps) (\d+) (\d+)", request)
        if not found:
            return cls("prose", 1)
        kind, tokens, rate = found[-1]
        return cls(kind.decode(), int(tokens), int(rate))


@lru_cache(maxsize=64)
def tokens(kind: Kind, count: int) -> list[str]:
    """Return the tokens of an answer with a fixed text (any kind but ``stamps``)."""
    source = _MARKDOWN if kind == "markdown" else _PROSE
    found = [source[number % len(source)] for number in range(count)]
    if kind == "markdown":
        found[-1] = f"\n\n{END_MARK}"
    return found


@lru_cache(maxsize=64)
def text(kind: Kind, count: int) -> str:
    """Return the whole text of an answer (any kind but ``stamps``)."""
    return "".join(tokens(kind, count))


def chars_per_token(kind: Kind, count: int) -> float:
    """Return the mean length of that answer's tokens, in characters."""
    return STAMP_CHARS if kind == "stamps" else len(text(kind, count)) / count


def event(token: str) -> bytes:
    """Return the event of one token, in the format of OpenAI-compatible servers."""
    return _event(f'{{"content":{_quoted(token)}}}', "null")


@lru_cache(maxsize=64)
def events(kind: Kind, count: int) -> list[bytes]:
    """Return the events of an answer's tokens."""
    made = {token: event(token) for token in dict.fromkeys(tokens(kind, count))}
    return [made[token] for token in tokens(kind, count)]


def opening() -> bytes:
    """Return the first event, which contains the role."""
    return _event('{"role":"assistant","content":"","refusal":null}', "null")


def closing(count: int) -> bytes:
    """Return the events after the last token: the finish reason, the usage, the end mark."""
    usage = f'{{"prompt_tokens":9,"completion_tokens":{count},"total_tokens":{9 + count}}}'
    last = f'data: {_head()}"choices":[],"usage":{usage}}}\n\n'.encode()
    return _event("{}", '"stop"') + last + DONE


def _head() -> str:
    return (
        '{"id":"chatcmpl-B9MHDbslfkBeAs8l4b","object":"chat.completion.chunk",'
        '"created":1741570283,"model":"bench","system_fingerprint":"fp_44709d6",'
    )


def _event(delta: str, reason: str) -> bytes:
    choice = f'{{"index":0,"delta":{delta},"finish_reason":{reason}}}'
    return f'data: {_head()}"choices":[{choice}]}}\n\n'.encode()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
