"""Strict JSON for the protocol: objects only, without constructs that parsers disagree on.

``NaN``, infinities, lone surrogates, duplicate keys and nesting deeper than 64 are refused, because
the next program that reads the value would read another value or fail.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Never

from wireside.errors import BadJson

MAX_NESTING = 64

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")


def parse_object(text: str) -> dict[str, Any]:
    """Return the JSON object in ``text``. Raises ``BadJson`` with a reason."""
    if text.count("[") + text.count("{") > MAX_NESTING and _nesting(text) > MAX_NESTING:
        raise BadJson(f"The frame is nested deeper than {MAX_NESTING} levels.")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadJson(f"The frame is not JSON: {error.msg} at character {error.pos}.") from error
    except (ValueError, RecursionError) as error:  # e.g. numbers with thousands of digits
        raise BadJson("The frame is not JSON that can be read.") from error
    if not isinstance(value, dict):
        raise BadJson
    if "\\u" in text and not _is_unicode(value):
        raise BadJson("The frame holds half of a surrogate pair; send whole characters.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadJson("The frame names a key twice.")
    return value


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise BadJson("The frame holds a number that is not finite.")
    return number


def _no_constant(literal: str) -> Never:
    raise BadJson(f"{literal} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
)


def _nesting(text: str) -> int:
    deepest = depth = 0
    for bracket in _BRACKETS.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _is_unicode(value: dict[str, Any]) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
