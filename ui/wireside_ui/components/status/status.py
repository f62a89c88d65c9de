"""The connection status: a dot with a label, and measurements made by the browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nicegui.element import Element
from nicegui.events import GenericEventArguments


class Status(Element, component="wireside_status.js"):
    """Monitors the page's WebSocket and reconnects with the protocol guide's back-off.

    The back-off is ``min(1000 * 2**n, 30000)`` ms plus jitter. State changes are sent to the other
    components as the event ``wireside:connection``.
    """

    def __init__(
        self,
        *,
        base: str = "",
        words: Mapping[str, str],
        on_visible: Callable[[bool], None],
    ) -> None:
        """Create the status element.

        ``on_visible`` is called with whether the page is visible. A user whose session has ended is
        redirected to the sign-in page below ``base``.
        """
        super().__init__()
        self._props["base"] = base
        self._props["words"] = dict(words)
        self._on_visible = on_visible
        self.on("visible", self._tell)

    def _tell(self, event: GenericEventArguments) -> None:
        self._on_visible(event.args is True)
