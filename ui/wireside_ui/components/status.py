"""How the page is connected: a dot with a word, and what the browser measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nicegui.element import Element
from nicegui.events import GenericEventArguments


class Status(Element, component="wireside_status.js"):
    """Watches the page's socket, with the guide's back-off: ``min(1000 * 2**n, 30000)`` ms and
    jitter. Tells the other components by the event ``wireside:connection``.
    """

    def __init__(
        self,
        *,
        base: str = "",
        words: Mapping[str, str],
        on_visible: Callable[[bool], None],
        shows_dashboard: bool = False,
    ) -> None:
        """``on_visible`` hears whether anybody can see the page. Somebody who was signed out is
        led to the door. ``shows_dashboard`` leads administrators there.
        """
        super().__init__()
        self._props["base"] = base
        self._props["words"] = dict(words)
        self._props["dashboard"] = f"{base}/dashboard" if shows_dashboard else None
        self._on_visible = on_visible
        self.on("visible", self._tell)

    def _tell(self, event: GenericEventArguments) -> None:
        self._on_visible(event.args is True)
