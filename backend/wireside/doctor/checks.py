"""The result of a check of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check. ``remedy`` is a command or instruction that fixes a failure."""

    name: str
    state: State
    finding: str
    remedy: str | None = None
