"""The banners of administrators on top of the chat page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui.element import Element

from wireside.invisible_text import seen
from wireside.records import Banner
from wireside_ui.components.kit import KIT


class Banners(Element, component="wireside_banners.js", esm=KIT):
    """Shows banners. Which ones the user has dismissed is stored in the browser."""

    def __init__(self, *, banners: Sequence[Banner], words: Mapping[str, str]) -> None:
        """``banners`` are those that the page is sent with."""
        super().__init__()
        self._props["begin"] = _plain(banners)
        self._props["words"] = dict(words)

    def show(self, banners: Sequence[Banner]) -> None:
        """Show these banners instead of those before."""
        self.run_method("show", _plain(banners))


def _plain(banners: Sequence[Banner]) -> list[dict[str, Any]]:
    return [
        {
            "key": f"{banner.id} {banner.updated_at}",
            "text": seen(banner.text),
            "severity": banner.severity,
            "isDismissible": banner.is_dismissible,
        }
        for banner in banners
    ]
