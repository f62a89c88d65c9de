"""What a page adds to a question that is asked again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeGuard

from wireside.parts import INSTRUCTION, DataPart, Part

Instruction = Literal["shorter", "longer"]

TEXTS: Final[Mapping[Instruction, str]] = {
    "shorter": "(Answer this much shorter than usual: only what matters most.)",
    "longer": "(Answer this in more detail than usual: explain, and give examples.)",
}
"""Texts that the model gets after the question."""


def instructed(question: Sequence[Part], instruction: Instruction) -> tuple[Part, ...]:
    """Return a question with an instruction, which takes the place of an earlier one."""
    kept = tuple(part for part in question if not is_instruction(part))
    data = json.dumps({"name": instruction})
    return (*kept, DataPart(kind=INSTRUCTION, data=data, text=TEXTS[instruction]))


def is_instruction(part: Part) -> TypeGuard[DataPart]:
    """Return whether a part of a question was added by the page."""
    return isinstance(part, DataPart) and part.kind == INSTRUCTION
