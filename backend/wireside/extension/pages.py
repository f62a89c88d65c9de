"""Pages next to a chat: functions that build the NiceGUI elements of a page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from wireside.extension.turn import User

_PATH = re.compile(r"(?:/[a-z0-9][a-z0-9_-]*)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SidePage:
    """A page next to a chat."""

    path: str
    title: str
    function: Callable[..., Any]

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path):
            raise ValueError(
                f"A page can't be at {self.path!r}: use small letters, digits and dashes, as in"
                " /reports."
            )

    async def build(self, user: User) -> None:
        """Create the elements; the function gets the user if it takes an argument."""
        takes_user = bool(inspect.signature(self.function).parameters)
        found = self.function(user) if takes_user else self.function()
        if isawaitable(found):
            await found
