"""No regular expression of the code base hangs on a text made for that."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from itertools import product

import pytest

import wireside
import wireside_ui

LENGTH = 10_000
"""Characters.

A pattern that takes quadratic time finishes in a moment; one of a higher order exceeds the time
limit of all tests.
"""

SEARCHED = 1_000
"""Characters searched in, from each position.

Some patterns that are only matched, never searched with, take quadratic time in a search.
"""

PUMPS = (
    *("a", " ", "\n", "<", "*", "_", "[", "(", "\\", "`", "$", '"', "0", "-", ".", "/", "é"),
    *("<s", "a_", "[]", "\\\\", "](", "a.", "a ", "\n\n", "$a"),
)


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for package in (wireside, wireside_ui):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            # adapters import frameworks, which are not in this environment
            if any(part in module.name for part in (".migrations", ".__main__", ".adapters")):
                continue
            loaded = importlib.import_module(module.name)
            owners = [loaded, *(v for v in vars(loaded).values() if isinstance(v, type))]
            for owner in owners:
                for name, value in vars(owner).items():
                    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                        yield f"{module.name}.{name}", value


ALL = dict(patterns())


def test_they_are_found() -> None:
    assert len(ALL) >= 25


@pytest.mark.parametrize("name", sorted(ALL))
def test_no_text_makes_a_pattern_hang(name: str) -> None:
    pattern = ALL[name]
    for pump, (before, after) in product(PUMPS, (("", "\0"), ("x", "!"), ("http://", " "))):
        text = before + pump * (LENGTH // len(pump)) + after
        pattern.match(text)
        pattern.fullmatch(text)
        pattern.search(text[:SEARCHED])
