"""The dashboard's tiles, charts and tables, rendered in the browser from JSON data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import isfinite
from typing import Any

import nicegui.elements.echart  # noqa: F401  # adds ECharts to the page's import map
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from wireside.ports.clock import Clock

YEAR_S = 366 * 86_400


class Dashboard(Element, component="wireside_dashboard.js", esm={"wireside-dashboard": "modules"}):
    """Draws the metrics with NiceGUI's ECharts. Hidden pages receive no updates."""

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
        """Create the dashboard.

        ``on_range(since, until)`` returns the data of a time range, in seconds since 1970;
        ``first`` is its result for the last hour. ``links`` are the administration pages, this one
        included.
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
        """Send the metrics recorded since the last call."""
        if self._is_seen and self.client.has_socket_connection:
            self.run_method("push", tick)

    async def _range(self, event: GenericEventArguments) -> None:
        """Show another time range: ``[seconds, 0]`` (up to now) or ``[since, until]``."""
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
