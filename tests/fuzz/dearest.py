"""Searches for the 8,000 characters that cost the most to render.

Prompt injection can make a model write any text, so no short text may block the server. Candidates
are runs of pieces with a meaning in Markdown; the most expensive ones are kept, mutated and
crossed. Cost is counted in calls of Python functions, which does not depend on the machine;
``--time`` measures CPU time as well, which includes the work within a single call, such as a slow
regular expression. Fails if a text costs more than ``MAX_CALLS`` or ``MAX_TIME_US`` per character;
prints the most expensive texts, each as a Python expression that reproduces it.
"""

# ruff: noqa: E501  (pieces of one kind share a line)

from __future__ import annotations

import argparse
import cProfile
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.highlighting import HighlightBudget
from wireside_ui.markdown.incremental import BlockStream, render

CHARS = 8_000
DRAFT_CHARS = 400
"""Length while searching; the best are measured at full length, which shows quadratic growth."""

MAX_CALLS = 400.0
"""Calls per character. The most expensive known texts take 170."""

MAX_TIME_US = 60.0
"""Microseconds of CPU time per character, on a slow core; a usual one takes 10."""

MARKUP = Markup(frozenset({"images.example"}))

PIECES = [
    *"[]()!*_~`<>&#|$\\+-:;=^{}@/.,\"'a1\n\t",
    *(" ", "\n", "\n\n", "  ", "    ", "> ", "- ", "1. ", "* ", "+ ", "# ", "\\\n", "  \n"),
    *("[a](", "[a][", "[a]", "[^1]", "[^", "![", "](", ")", "[a](b)", "[a](<", '[a](b "', "[[", "]]"),
    *("[a]: x\n", "[a]: <", "[^1]: a\n", "[a]:\n", "[a]: x 'y\n", "[b]: https://a.bc/" + "d" * 300 + "\n"),
    *("**", "***", "~~", "~", "__", "*a_ ", "**a ", "a**b", "_a", "**「", "」**", "語", "é", "😀", "“"),
    *("`", "``", "```", "```\n", "~~~\n", "```py\n", "```md\n", "````\n", "` `` ", "`a"),
    *("<b>", "</b>", "<i>", "</i>", "<br>", "<sub>", "<details>", "<details>\n", "</details>", "<d"),
    *("<summary>", "</summary>", "</details>\n", "<a", "<!--", "<https://", "<a@b", "<a:", "&amp;"),
    *("&#", "&a", "&#x41;", "http://", "https://a.bc", "www.", "a@", "a@b.", "@b.cd", "://", "mailto:"),
    *("|", "|a", "|-", "|-|-|\n", "|a|b|\n", "a|b\n-|-\n", "||\n", "\\|", "|\n"),
    *("$", "$$", "$a$", "\\(", "\\)", "\\[", "\\]", "\\begin{", "\\begin{align}\n", "\\frac", "{a}"),
    *("* * *\n", "---\n", "===\n", "- [ ] ", "> > ", "- - ", "- a\n", "  - a\n", "\n> ", "\n  ", "x\n"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """A text as runs of a few pieces, each run with a share of the length."""

    runs: tuple[tuple[str, float], ...]

    def text(self, chars: int) -> str:
        """Return the text, ``chars`` long."""
        whole = sum(share for _, share in self.runs)
        text = "".join(
            unit * (int(chars * share / whole) // len(unit) + 1) for unit, share in self.runs
        )
        return text[:chars]

    def __str__(self) -> str:
        whole = sum(share for _, share in self.runs)
        return " + ".join(
            f"{unit!r} * {int(CHARS * share / whole) // len(unit) + 1}" for unit, share in self.runs
        )


def main() -> int:
    """Search and print the most expensive texts; returns 1 if one exceeds a limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=20_000, help="texts that are tried")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--time", action="store_true", help="measure time as well")
    given = parser.parse_args()
    print(f"{given.tries} texts, seed {given.seed}")
    failed = _search(given.tries, random.Random(given.seed), "calls", _calls, MAX_CALLS)
    if given.time:
        rng = random.Random(given.seed + 1)
        failed |= _search(given.tries, rng, "µs", _microseconds, MAX_TIME_US)
    return int(failed)


def _search(
    tries: int,
    rng: random.Random,
    unit: str,
    cost: Callable[[Callable[[], object]], float],
    limit: float,
) -> bool:
    kept: list[tuple[float, Recipe]] = []
    for number in range(tries):
        fresh = number < tries // 4 or not kept
        recipe = _new(rng) if fresh else _changed(rng, [recipe for _, recipe in kept])
        kept.append((_dearness(recipe.text(DRAFT_CHARS), cost), recipe))
        if len(kept) > 80:
            kept = _best(kept, 40)
    whole = [(_dearness(recipe.text(CHARS), cost), recipe) for _, recipe in _best(kept, 12)]
    print(f"\n{unit} a character of {CHARS}")
    for dearness, recipe in _best(whole, 6):
        print(f"{dearness:10.1f}  {recipe}")
    return max(whole, key=lambda item: item[0])[0] > limit


def _best(kept: list[tuple[float, Recipe]], count: int) -> list[tuple[float, Recipe]]:
    unique = {recipe: dearness for dearness, recipe in kept}
    order = sorted(unique.items(), key=lambda item: -item[1])
    return [(dearness, recipe) for recipe, dearness in order[:count]]


def _new(rng: random.Random) -> Recipe:
    def unit() -> str:
        return "".join(rng.choice(PIECES) for _ in range(rng.choice((1, 1, 2, 2, 3, 4)))) or " "

    runs = [(unit(), rng.choice((1.0, 1.0, 0.3, 0.05))) for _ in range(rng.choice((1, 1, 2, 3)))]
    return Recipe(tuple(runs))


def _changed(rng: random.Random, kept: list[Recipe]) -> Recipe:
    runs = list(rng.choice(kept).runs)
    at = rng.randrange(len(runs))
    unit, share = runs[at]
    match rng.randrange(6):
        case 0:
            unit += rng.choice(PIECES)
        case 1:
            unit = rng.choice(PIECES) + unit
        case 2:
            cut = rng.randrange(len(unit))
            unit = unit[:cut] + unit[cut + 1 :]
        case 3:
            share *= rng.choice((0.1, 0.5, 2.0))
        case 4:
            runs.insert(at, rng.choice(_new(rng).runs))
            return Recipe(tuple(runs[:4]))
        case _:
            runs = [*runs[:at], *rng.choice(kept).runs][:4]
            return Recipe(tuple(runs) or (("x", 1.0),))
    runs[at] = (unit or "x", share)
    return Recipe(tuple(runs))


# ---- cost ---------------------------------------------------------------------------------------


def _dearness(text: str, cost: Callable[[Callable[[], object]], float]) -> float:
    """Return the cost per character: of rendering the whole text, and of streaming it."""
    stream = BlockStream(MARKUP)
    stream.feed(text)
    parts = (
        lambda: render(text, MARKUP, HighlightBudget(clock=lambda: 0.0)),
        stream.flush,
        lambda: stream.flush(final=True),
    )
    return max(cost(part) for part in parts) / len(text)


def _calls(work: Callable[[], object]) -> float:
    profile = cProfile.Profile()
    profile.runcall(work)
    return sum(entry.callcount for entry in profile.getstats())


def _microseconds(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1e6


if __name__ == "__main__":
    sys.exit(main())
