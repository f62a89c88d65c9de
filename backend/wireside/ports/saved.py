"""The interfaces of storage for what users save: prompts and presets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from wireside.records import Preset, SavedItem

T = TypeVar("T", bound=SavedItem)


class SavedStore(Protocol[T]):
    """Storage of one kind of saved items.

    Unknown ids are not an error. Every method raises ``StoreError`` when the store is unavailable;
    nothing is changed then.
    """

    async def list_items(self, owner: str) -> Sequence[T]:
        """Return the items of ``owner`` and those that are shared with all users."""
        ...

    async def find_item(self, item_id: str) -> T | None:
        """Return the item of that id, whose owner may be another user."""
        ...

    async def add_items(self, items: Sequence[T], *, max_count: int) -> bool:
        """Add items of one owner; False and no change if there would be more than ``max_count``."""
        ...

    async def update_item(self, item: T) -> bool:
        """Replace the item of that id; False if there is none any more."""
        ...

    async def remove_item(self, item_id: str) -> None:
        """Remove an item."""
        ...


class PresetStore(SavedStore[Preset], Protocol):
    """Storage of presets, and of the one that each user begins new chats with."""

    async def default_preset(self, owner: str) -> str | None:
        """Return the id of the preset that ``owner`` begins new chats with; None for none."""
        ...

    async def set_default_preset(self, owner: str, preset_id: str | None) -> None:
        """Set that preset, which must exist."""
        ...
