"""Tiles, charts and tables of the server's figures; the browser draws, Python sends numbers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import isfinite
from typing import Any

import nicegui.elements.echart  # noqa: F401  # puts ECharts among what a page may import
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from wireside.ports import Clock

YEAR_S = 366 * 86_400


class Dashboard(Element, component="wireside_dashboard.js"):
    """Draws with the ECharts that NiceGUI brings. A page that nobody sees is told nothing."""

    def __init__(
        self,
        *,
        first: dict[str, Any],
        links: Sequence[Mapping[str, str]],
        logo: str,
        name: str,
        base: str,
        language: str,
        words: Mapping[str, str],
        on_range: Callable[[float, float], Awaitable[dict[str, Any]]],
        now: Clock,
    ) -> None:
        """``first`` is what ``on_range(since, until)`` returns, for the last hour; seconds since
        1970. ``links`` lead to the pages of administrators, this one included.
        """
        super().__init__()
        self._props["first"] = first
        self._props["links"] = [dict(link) for link in links]
        self._props["logo"] = logo
        self._props["name"] = name
        self._props["base"] = base
        self._props["language"] = language
        self._props["words"] = dict(words)
        self._on_range = on_range
        self._now = now
        self._is_seen = True
        self.on("range", self._range)
        self.on("visible", self._see)

    def push(self, tick: dict[str, Any]) -> None:
        """Show what has happened since the last time."""
        if self._is_seen and self.client.has_socket_connection:
            self.run_method("push", tick)

    async def _range(self, event: GenericEventArguments) -> None:
        """Show another time: ``[seconds, 0]`` up to now, or ``[since, until]``."""
        asked = event.args if isinstance(event.args, list) else []
        if len(asked) != 2 or not all(_is_number(one) for one in asked):
            return
        since, until = asked
        if not until:
            until = self._now()
            since = until - min(max(since, 60), YEAR_S)
        if since < until:
            self.run_method("show", await self._on_range(since, until))

    def _see(self, event: GenericEventArguments) -> None:
        self._is_seen = event.args is True


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
