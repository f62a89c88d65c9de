"""The header bar: the title of the conversation with its menu, sharing, and its child elements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from wireside.records import ConversationInfo
from wireside_ui.components.kit import KIT
from wireside_ui.components.sidebar.sidebar import item_json, rename_from
from wireside_ui.presenters.views import SharedWith


class Header(Element, component="wireside_header.js", esm=KIT | {"wireside-header": "modules"}):
    """The header element. Child elements are placed in a row after the title.

    The actions on the conversation are those of the sidebar's menu, which it opens here.
    """

    def __init__(
        self,
        *,
        base: str,
        words: Mapping[str, str],
        conversation: ConversationInfo | None = None,
        shared: SharedWith | None = None,
        on_rename: Callable[[str, str], Awaitable[None]],
        sharing: str = "off",
        is_reader: bool = False,
    ) -> None:
        """Create the header.

        ``conversation`` is the one that the page shows, None for a new chat. ``on_rename`` is
        called with its id and its new title. ``shared`` says who can see it; ``sharing`` is the
        setting for who may open links to a conversation. ``is_reader`` hides what a reader may not
        do.
        """
        super().__init__()
        self._props["base"] = base
        self._props["words"] = dict(words)
        self._props["begin"] = _json(conversation, shared)
        self._props["shared-with"] = _shared_json(shared)
        self._props["sharing"] = "" if sharing == "off" else sharing
        self._props["is-reader"] = is_reader
        self._on_rename = on_rename
        self.on("rename", self._rename)

    def show(self, conversation: ConversationInfo | None, shared: SharedWith | None = None) -> None:
        """Show the title of a conversation, or that of a new or temporary chat."""
        self.run_method("show", _json(conversation, shared), _shared_json(shared))

    async def _rename(self, event: GenericEventArguments) -> None:
        if (renamed := rename_from(event.args)) is not None:
            await self._on_rename(*renamed)


def _json(
    conversation: ConversationInfo | None, shared: SharedWith | None
) -> dict[str, Any] | None:
    if conversation is None:
        return None
    if shared is None or shared.right == "own":
        return item_json(conversation)
    return item_json(conversation, owner=shared.owner or "?")


def _shared_json(shared: SharedWith | None) -> dict[str, Any] | None:
    return None if shared is None else asdict(shared)
