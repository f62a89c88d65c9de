"""Slots among the concurrent answers of an account, held by conversations (``Quotas``).

Each running answer holds a slot; the next waiting turn takes over the one of the answer before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wireside.chat.conversation import Conversation
from wireside.identity import Caller
from wireside.ports.quotas import Quotas


class AnswerSlots:
    """The slots that conversations hold, by conversation."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._held: dict[str, list[tuple[str, Callable[[], None]]]] = {}
        """The slots of each conversation that holds any: the account, and what releases it."""

    def held_slots(self, conversation: Conversation) -> int:
        """Return the number of slots that a conversation holds."""
        return len(self._held.get(conversation.id, ()))

    @contextmanager
    def reserve_slot(
        self, conversation: Conversation, caller: Caller, *, at_once: bool = False, count: int = 1
    ) -> Iterator[None]:
        """Reserve a slot for one more answer, or ``count`` more, before the first await.

        The slot is released if the answer can't start. A turn that waits for another answer takes
        over its slot; an answer that starts ``at_once`` needs an additional one. Raises
        ``TooMany``.
        """
        needed = conversation.reserve_slots(at_once=at_once, count=count)
        try:
            while self.held_slots(conversation) < needed:
                self._hold_slot(conversation, caller, self._quotas.acquire_slot(caller))
            yield
        finally:
            conversation.cancel_reservation()
            self.release_unneeded(conversation)

    def acquire_due(self, conversation: Conversation, asker: Caller) -> None:
        """Acquire a slot, even above the limit, for a turn that was accepted before.

        It is that of the account that has asked: one that another account has left is released.
        """
        held = self._held.get(conversation.id, [])
        others = [one for one in held if one[0] != asker.user_id]
        for one in others:
            held.remove(one)
            one[1]()
        if not held:
            self._hold_slot(conversation, asker, self._quotas.acquire_slot(asker, is_due=True))

    def release_unneeded(self, conversation: Conversation) -> None:
        """Release the slots that neither a running answer nor the next one needs."""
        held = self._held.get(conversation.id, [])
        while len(held) > conversation.slots_needed:
            held.pop()[1]()
        if not held:
            self._held.pop(conversation.id, None)

    def _hold_slot(
        self, conversation: Conversation, caller: Caller, release: Callable[[], None]
    ) -> None:
        self._held.setdefault(conversation.id, []).append((caller.user_id, release))
