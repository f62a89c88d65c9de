"""Prompts of ``wireside batch``: a file with one JSON value per line."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHOWN_FAULTS = 10

_OPTIONS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "system": str,
    "temperature": (int, float),
    "max_tokens": int,
}
_KEYS = {"message", "prompt", "id", *_OPTIONS}


class BadPrompts(ValueError):
    """Lines of the file are no prompts; the text names each, with its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptLine:
    """A line of the file: its number, from 1, and what to ask.

    ``id`` is a JSON value of the user's own; ``digest`` identifies the content of the line.
    """

    number: int
    message: str
    digest: str
    id: Any = None
    options: dict[str, Any] = field(default_factory=dict)


def read_prompts(file: Path) -> list[PromptLine]:
    """Read all prompts; blank lines are skipped, and keep their numbers.

    Raises:
        BadPrompts: lines are no prompts, or there are none.
        OSError: the file can't be read.
    """
    prompts: list[PromptLine] = []
    faults: list[str] = []
    for number, line in enumerate(file.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            prompts.append(_parse(line, number))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    if faults:
        rest = len(faults) - SHOWN_FAULTS
        more = [f"and {rest} more lines"] if rest > 0 else []
        raise BadPrompts("\n  ".join([f"{file}:", *faults[:SHOWN_FAULTS], *more]))
    if not prompts:
        raise BadPrompts(f"{file} has no prompts.")
    return prompts


def _parse(line: bytes, number: int) -> PromptLine:
    try:
        value = json.loads(line)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg} at character {error.pos + 1}.") from None
    except RecursionError:
        raise ValueError("it is nested too deeply.") from None
    if isinstance(value, str):
        value = {"message": value}
    if not isinstance(value, dict):
        raise ValueError('expected a string, or an object such as {"message": "…"}.')
    if unknown := set(value) - _KEYS:
        raise ValueError(f"unknown key {min(unknown)!r}; known are {', '.join(sorted(_KEYS))}.")
    message = value.get("message", value.get("prompt"))
    if not isinstance(message, str) or not message.strip():
        raise ValueError("message: expected a string that is not blank.")
    options = {name: value[name] for name in _OPTIONS if value.get(name) is not None}
    for name, given in options.items():
        if not isinstance(given, _OPTIONS[name]) or isinstance(given, bool):
            expected = "a string" if _OPTIONS[name] is str else "a number"
            raise ValueError(f"{name}: expected {expected}.")
    digest = hashlib.sha256(line.strip()).hexdigest()[:16]
    return PromptLine(
        number=number, message=message, digest=digest, id=value.get("id"), options=options
    )
