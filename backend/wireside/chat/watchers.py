"""Callbacks that are notified of changes, and the changes of an account's list of conversations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from wireside.records import ConversationInfo

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation was added to the list, or its entry has changed."""

    info: ConversationInfo


@dataclass(frozen=True, slots=True)
class Gone:
    """Conversations were deleted."""

    ids: tuple[str, ...]
    owner: str


@dataclass(frozen=True, slots=True)
class Answering:
    """The ids of all conversations of ``owner`` in which an answer is being generated."""

    ids: frozenset[str]
    owner: str


@dataclass(frozen=True, slots=True)
class AskingChanged:
    """The conversations of ``owner`` with an open question may have changed."""

    owner: str


@dataclass(frozen=True, slots=True)
class FoldersChanged:
    """The folders of ``owner`` have changed."""

    owner: str


@dataclass(frozen=True, slots=True)
class SharedChanged:
    """The conversations that others share with the account may have changed."""


ListChange = Listed | Gone | Answering | AskingChanged | FoldersChanged | SharedChanged


class Watchers(Generic[T]):
    """Callbacks by the key of what they watch: an account's list, or a conversation."""

    def __init__(self) -> None:
        self._watchers: dict[str, dict[object, Callable[[T], None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._watchers)

    def is_watched(self, key: str) -> bool:
        """Return whether ``key`` has a watcher."""
        return key in self._watchers

    def watched_keys(self) -> tuple[str, ...]:
        """Return the keys that have a watcher."""
        return tuple(self._watchers)

    def add_watcher(self, key: str, changed: Callable[[T], None]) -> Callable[[], None]:
        """Call ``changed`` on each change; returns a function that unsubscribes.

        ``changed`` must be cheap.
        """
        watcher = object()
        self._watchers.setdefault(key, {})[watcher] = changed

        def remove_watcher() -> None:
            watchers = self._watchers.get(key, {})
            watchers.pop(watcher, None)
            if not watchers:
                self._watchers.pop(key, None)

        return remove_watcher

    def notify_watchers(self, key: str, change: T) -> None:
        """Notify the watchers of ``key``."""
        for changed in tuple(self._watchers.get(key, {}).values()):
            changed(change)


class AnsweringLists:
    """The conversations of each owner in which an answer is being generated."""

    def __init__(self) -> None:
        self._ids: dict[str, set[str]] = {}

    def answering_ids(self, owner: str) -> frozenset[str]:
        """Return the ids of the conversations of ``owner``."""
        return frozenset(self._ids.get(owner, ()))

    def replace_all(self, ids: Mapping[str, set[str]]) -> set[str]:
        """Replace the conversations of all owners; return the owners of those that differ."""
        before, self._ids = self._ids, dict(ids)
        owners = before.keys() | ids.keys()
        return {owner for owner in owners if before.get(owner) != ids.get(owner)}

    def set_answering(self, owner: str, conversation_id: str, is_answering: bool) -> bool:
        """Record whether an answer is being generated; returns whether that has changed."""
        ids = self._ids.setdefault(owner, set())
        has_changed = (conversation_id in ids) != is_answering
        if is_answering:
            ids.add(conversation_id)
        else:
            ids.discard(conversation_id)
        if not ids:
            del self._ids[owner]
        return has_changed
