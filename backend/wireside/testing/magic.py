"""Scripts by command: ``/lab …`` in the last user message, for interactive use of the lab."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from wireside.testing import scripts
from wireside.testing.habits import HABITS, HABITS_HELP, Asked
from wireside.testing.scripts import Script, answer

HELP = (
    """\
Write one of these as a message:

- `/lab tokens 2000 100 7`: 2,000 tokens, 100 a second (without the second number at once), the
  seventh text (without the third number the first)
- `/lab stall 3`: a silence of 3 s in the middle (without a number: until the client leaves)
- `/lab slow 5`: nothing at all for 5 s
- `/lab keepalive`: some tokens, then nothing but comments
- `/lab cut`, `/lab reset`: the connection ends, or is reset, in the middle of a character
- `/lab short`: the stream ends without a finish reason
- `/lab status 429 12`: an HTTP error, with `Retry-After: 12` if given
- `/lab error`: an error in the middle of the answer
- `/lab broken`: a chunk that is no JSON
- `/lab html`: an HTML page instead of an answer
- `/lab json`: one JSON document instead of a stream
- `/lab length`, `/lab filter`: other finish reasons
- `/lab reasoning`, `/lab tool`: reasoning text, a tool call
- `/lab parts`: text, a tool call, text, reasoning, text
- `/lab bytes`: a write for each byte · `/lab crlf`, `/lab gzip`: other forms on the wire
- `/lab endless 20`: 20 tokens a second, without an end
- `/lab say TEXT`: exactly that text

Habits of real services:

"""
    + HABITS_HELP
)

Numbers = Sequence[float]


def habit_for(message: str, body: Mapping[str, object], times: int) -> Script | None:
    """Return the answer of a habit in ``habits.py`` to a request; None if the message names none.

    ``message`` may begin with system text, for a service without system messages. ``times`` is the
    number of times that the message has been received.
    """
    words = message.strip().rpartition("\n\n/lab ")
    words_of_it = (f"/lab {words[2]}" if words[1] else message.strip()).split()
    if len(words_of_it) < 2 or words_of_it[0] != "/lab":
        return None
    habit = HABITS.get(words_of_it[1])
    try:
        numbers = [float(word) for word in words_of_it[2:]]
    except ValueError:
        return None
    return habit.make(Asked(numbers, body, times)) if habit else None


@lru_cache(maxsize=16)  # a benchmark requests the same script for 500 streams
def script_for(message: str, rate: float | None = None) -> Script | None:
    """Return the script for a ``/lab …`` command; None if ``message`` is not one.

    ``rate`` is in tokens per second, for commands without a rate; None sends everything at once.
    """
    words = message.strip().split()
    if not words or words[0] != "/lab":
        return None
    name = words[1] if len(words) > 1 else "help"
    if name == "say":
        return answer(message.strip().partition("say")[2].strip(), rate=rate)
    make = _SCRIPTS.get(name)
    try:
        numbers = [float(word) for word in words[2:]]
    except ValueError:
        make = None
    return make(numbers, rate) if make else answer(HELP.splitlines(keepends=True))


def _first(numbers: Numbers) -> float | None:
    return numbers[0] if numbers else None


def _tokens(numbers: Numbers, rate: float | None) -> Script:
    count = int(numbers[0]) if numbers else 300
    seed = int(numbers[2]) if len(numbers) > 2 else 1
    return answer(count, seed=seed, rate=numbers[1] if len(numbers) > 1 else None)


def _status(numbers: Numbers, rate: float | None) -> Script:
    status = int(numbers[0]) if numbers else 500
    return scripts.failure(status, retry_after=numbers[1] if len(numbers) > 1 else None)


def _some(rate: float | None) -> Script:
    return answer(60, rate=rate)


_SCRIPTS: dict[str, Callable[[Numbers, float | None], Script]] = {
    "tokens": _tokens,
    "stall": lambda numbers, rate: _some(rate).stalled(30, _first(numbers)),
    "slow": lambda numbers, rate: _some(rate).slow_head(_first(numbers)),
    "keepalive": lambda numbers, rate: _some(rate).only_keepalives(30, 1.0),
    "cut": lambda numbers, rate: _some(rate).cut_in_character(30),
    "reset": lambda numbers, rate: _some(rate).cut_in_character(30, "rst"),
    "short": lambda numbers, rate: answer(60, rate=rate, finish=None, usage=False, done=False),
    "status": _status,
    "error": lambda numbers, rate: _some(rate).up_to(30, scripts.error_event(code=500)),
    "broken": lambda numbers, rate: _some(rate).insert(30, b'data: {"choices": [{\n\n'),
    "html": lambda numbers, rate: scripts.page(),
    "json": lambda numbers, rate: scripts.completion(60),
    "length": lambda numbers, rate: answer(60, rate=rate, finish="length"),
    "filter": lambda numbers, rate: answer(60, rate=rate, finish="content_filter"),
    "reasoning": lambda numbers, rate: answer(60, rate=rate, reasoning=scripts.tokens(30, 2)),
    "tool": lambda numbers, rate: answer(
        20, rate=rate, tool_calls=[("weather", '{"city": "Zürich"}')], finish="tool_calls"
    ),
    "parts": lambda numbers, rate: scripts.interleaved(rate=rate),
    "bytes": lambda numbers, rate: answer(60).in_pieces(1),
    "crlf": lambda numbers, rate: _some(rate).with_crlf(),
    "gzip": lambda numbers, rate: answer(60).gzipped(),
    "endless": lambda numbers, rate: scripts.endless(_first(numbers) or 20),
}
