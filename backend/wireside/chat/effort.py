"""The reasoning effort of a question, a field of OpenAI's chat completions."""

from __future__ import annotations

import json
from typing import Final, Literal, cast, get_args

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
"""The efforts that models know; none knows all of them."""

EFFORTS: Final[tuple[Effort, ...]] = get_args(Effort)

FIELD: Final = "reasoning_effort"


def effort_of(parameters: str) -> Effort | None:
    """Return the effort in the JSON text of ``Options.parameters``; None for the default."""
    effort = json.loads(parameters).get(FIELD) if parameters else None
    return cast("Effort", effort) if effort in EFFORTS else None


def parameters_with(parameters: str, effort: Effort | None) -> str:
    """Return the JSON text of ``Options.parameters`` with an effort; None removes it."""
    fields = json.loads(parameters) if parameters else {}
    fields.pop(FIELD, None)
    if effort is not None:
        fields[FIELD] = effort
    return json.dumps(fields, ensure_ascii=False) if fields else ""
