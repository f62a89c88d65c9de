"""Requests that resemble a valid one: values are replaced, removed, nested and repeated."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e300,
    2**70,
    "",
    " ",
    "\x00",
    "\ud800",
    "\u202e" * 9,
    "x" * 3_000,
    "data:text/plain;base64,!!",
    "data:image/png;base64,AAAA",
    "../../etc/passwd",
    [],
    {},
    [[]],
    [None],
    {"type": "text"},
    {"__proto__": {"a": 1}},
)


def bodies(valid: dict[str, Any], count: int, *, seed: int = 7) -> Iterator[str]:
    """Yield JSON texts and near misses of JSON."""
    dice = random.Random(seed)
    yield from (
        "",
        "[]",
        "nul",
        "{",
        '{"a":NaN}',
        "[" * 5_000,
        '{"a":1,"a":2}',
        "\ufeff{}",
        '"\\ud800"',
    )
    for _ in range(count):
        body = copy.deepcopy(valid)
        for _ in range(dice.choice((1, 1, 2, 5))):
            holder, key = dice.choice(list(_places(body)))
            if dice.random() < 0.2:
                del holder[key]
            else:
                holder[key] = copy.deepcopy(dice.choice(VALUES))
            if not body:
                break
        yield json.dumps(body)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list) and inner:
            yield from _places(inner)
