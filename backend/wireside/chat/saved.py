"""What users save for later: prompts, which are texts to ask with, and presets, which are options.

Each item belongs to a user. Administrators can share theirs with all users, and change and remove
what is shared.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from wireside.chat.core import ChatCore
from wireside.errors import BadMessage, NotFound
from wireside.generation.runner import new_stream_name
from wireside.identity import Caller
from wireside.invisible_text import seen
from wireside.messages import Options
from wireside.ports.clock import Clock
from wireside.ports.saved import SavedStore
from wireside.records import Preset, Prompt, SavedItem

MAX_ITEMS: Final = 500
"""Of each kind, for each user."""

MAX_NAME_CHARS: Final = 100

MAX_PROMPT_CHARS: Final = 20_000

MAX_CHARS: Final = 1_000_000
"""Of the texts of each kind, for each user: the page reads all of them at once."""

NO_ITEM: Final = "There is no such prompt or preset."

T = TypeVar("T", bound=SavedItem)


class SavedItems(Generic[T]):
    """The items of one kind that ``caller`` can use.

    All methods raise ``StoreError`` when the store can't be read or written, and ``Forbidden`` when
    the caller lacks permission.
    """

    def __init__(self, store: SavedStore[T], caller: Caller, wall_clock: Clock) -> None:
        self.caller = caller
        self._store = store
        self._now = wall_clock

    async def list_items(self) -> list[T]:
        """Return the caller's items and the shared ones, ordered by name."""
        self.caller.require("read")
        items = await self._store.list_items(self.caller.user_id)
        return sorted(items, key=lambda item: (item.name.casefold(), item.id))

    def is_own(self, item: T) -> bool:
        """Return whether an item belongs to the caller."""
        return item.owner == self.caller.user_id

    def may_change(self, item: T) -> bool:
        """Return whether the caller may change an item: an own one, or a shared one as admin.

        What all users see needs an administrator even of one's own: the owner may have lost the
        role, and an API key may not have the permission.
        """
        if item.is_shared:
            return self.caller.may("chat") and self.caller.may("admin")
        return self.is_own(item) and self.caller.may("chat")

    async def remove(self, item_id: str) -> None:
        """Remove an item. Raises ``NotFound``."""
        await self._store.remove_item((await self._find_changeable(item_id)).id)

    async def _add(self, items: Sequence[T]) -> None:
        self.caller.require("chat")
        if any(item.is_shared for item in items):
            self.caller.require("admin")
        await self._require_room(items)
        if not await self._store.add_items(items, max_count=MAX_ITEMS):
            raise BadMessage(f"There can be {MAX_ITEMS} of them at most.")

    async def _change(self, item_id: str, changes: dict[str, Any]) -> T:
        item = await self._find_changeable(item_id)
        if changes.get("is_shared") and not item.is_shared:
            self.caller.require("admin")
        if "name" in changes:
            changes = changes | {"name": clean_name(changes["name"])}
        changed = replace(item, **changes, updated_at=self._now())
        if not (changed.is_shared or changed.owner):  # its owner's account was removed
            changed = replace(changed, owner=self.caller.user_id)
        if chars_of(changed) > chars_of(item):
            await self._require_room([changed])
        if not await self._store.update_item(changed):
            raise NotFound(NO_ITEM)
        return changed

    async def _require_room(self, changed: Sequence[T]) -> None:
        if not changed:
            return
        owner = changed[0].owner
        items = {item.id: item for item in await self._store.list_items(owner)}
        items |= {item.id: item for item in changed}
        if sum(chars_of(item) for item in items.values() if item.owner == owner) > MAX_CHARS:
            raise BadMessage(f"All of them can have {MAX_CHARS:,} characters at most.")

    async def _find_changeable(self, item_id: str) -> T:
        self.caller.require("chat")
        item = await self._store.find_item(item_id)
        if item is None or not (self.is_own(item) or item.is_shared):
            raise NotFound(NO_ITEM)
        if not self.may_change(item):
            self.caller.require("admin")
        return item

    def _new_fields(self, name: str, *, is_shared: bool = False) -> dict[str, Any]:
        return {
            "id": new_stream_name(),
            "owner": self.caller.user_id,
            "name": clean_name(name),
            "is_shared": is_shared,
            "updated_at": self._now(),
        }


class Prompts(SavedItems[Prompt]):
    """The prompts of a caller. ``{{name}}`` in a text is a variable, which the page asks for."""

    def __init__(self, core: ChatCore, caller: Caller) -> None:
        super().__init__(core.parts.prompts, caller, core.parts.wall_clock)

    async def create(self, name: str, text: str, *, is_shared: bool = False) -> Prompt:
        """Create a prompt. Raises ``BadMessage``."""
        fields = self._new_fields(name, is_shared=is_shared)
        prompt = Prompt(**fields, text=clean_text(text))
        await self._add([prompt])
        return prompt

    async def change(self, prompt_id: str, changes: dict[str, Any]) -> Prompt:
        """Change ``name``, ``text`` or ``is_shared``. Raises ``NotFound``, ``BadMessage``."""
        if "text" in changes:
            changes = changes | {"text": clean_text(changes["text"])}
        return await self._change(prompt_id, changes)

    async def add_imported(self, entries: Collection[tuple[str, str]]) -> int:
        """Add prompts by name and text, and return how many the caller did not have before.

        Raises:
            BadMessage: one of them can't be used; none is added then.
        """
        self.caller.require("chat")
        clean = dict.fromkeys((clean_name(name), clean_text(text)) for name, text in entries)
        own = await self._store.list_items(self.caller.user_id)
        known = {(prompt.name, prompt.text) for prompt in own if self.is_own(prompt)}
        added = [
            Prompt(**self._new_fields(name), text=text)
            for name, text in clean
            if (name, text) not in known
        ]
        await self._add(added)
        return len(added)


class Presets(SavedItems[Preset]):
    """The presets of a caller."""

    def __init__(self, core: ChatCore, caller: Caller) -> None:
        super().__init__(core.parts.presets, caller, core.parts.wall_clock)
        self._presets = core.parts.presets
        self._administration = core.parts.administration

    async def create(self, name: str, options: Options, *, is_shared: bool = False) -> Preset:
        """Create a preset. Raises ``BadMessage``."""
        preset = Preset(**self._new_fields(name, is_shared=is_shared), options=options)
        await self._add([preset])
        return preset

    async def change(self, preset_id: str, changes: dict[str, Any]) -> Preset:
        """Change ``name``, ``options`` or ``is_shared``. Raises ``NotFound``, ``BadMessage``."""
        return await self._change(preset_id, changes)

    async def default_id(self) -> str | None:
        """Return the id of the preset that the caller begins new chats with; None for none.

        Without an own choice it is the one that administrators have set for all.
        """
        self.caller.require("read")
        own = await self._presets.default_preset(self.caller.user_id)
        return own or (self._administration.default_preset if self._administration else None)

    async def set_default(self, preset_id: str | None) -> None:
        """Begin new chats with a preset, own or shared; None: with none. Raises ``NotFound``."""
        self.caller.require("chat")
        if preset_id is not None:
            preset = await self._presets.find_item(preset_id)
            if preset is None or not (self.is_own(preset) or preset.is_shared):
                raise NotFound(NO_ITEM)
        await self._presets.set_default_preset(self.caller.user_id, preset_id)


def chars_of(item: SavedItem) -> int:
    """Return the number of characters of an item's texts."""
    match item:
        case Prompt():
            return len(item.text)
        case Preset():
            return len(item.options.system or "") + len(item.options.values)
        case _:
            return 0


def clean_name(name: str) -> str:
    """Return a name without invisible characters and line breaks. Raises ``BadMessage``."""
    clean = " ".join(seen(name).split())
    _require_unicode("name", clean)
    if not 0 < len(clean) <= MAX_NAME_CHARS:
        raise BadMessage(f"name: 1 to {MAX_NAME_CHARS} characters.")
    return clean


def clean_text(text: str) -> str:
    """Return the text of a prompt without invisible characters. Raises ``BadMessage``."""
    clean = seen(text).replace("\0", "").strip()
    _require_unicode("text", clean)
    if not 0 < len(clean) <= MAX_PROMPT_CHARS:
        raise BadMessage(f"text: 1 to {MAX_PROMPT_CHARS:,} characters.")
    return clean


def _require_unicode(field: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair, which no store or client takes
        raise BadMessage(f"{field}: it is not Unicode.") from error
