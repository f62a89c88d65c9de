"""What the user does with a turn: retry, continue, stop, withdraw, edit, switch, give feedback."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.service import ChatService
from wireside.messages import Options
from wireside.ports.clock import Clock
from wireside.records import Feedback
from wireside_ui.presenters.answer import files_of, retry_after
from wireside_ui.presenters.rows import Action
from wireside_ui.presenters.views import ComposerView

COSTLY = ("retry", "continue", "fork")
"""Actions that call the model, or copy a conversation."""

REPEAT_S = 1.0
"""Seconds within which a repeated costly action on the same turn is ignored."""


class TurnActions:
    """Performs actions on turns; all their fields are untrusted. Set ``composer`` first."""

    composer: ComposerView

    def __init__(
        self, chat: ChatService, options: Callable[[], Options], clock: Clock = time.monotonic
    ) -> None:
        """``options`` returns the model and settings for the next answer."""
        self._chat = chat
        self._options = options
        self._clock = clock
        self._last: tuple[tuple[str, str], float] = (("", ""), 0.0)

    async def perform(self, conversation: Conversation, action: Action) -> None:
        """Perform an action; a costly one that was repeated within ``REPEAT_S`` is ignored.

        Raises:
            NotFound: the turn does not exist.
            WiresideError: the action is refused.
        """
        if self._is_repeated(action):
            return
        turn = await self._chat.library.read_turn(conversation, action.row_id)
        match action.name:
            case "retry":
                await self._retry(conversation, turn, action)
            case "continue":
                await self._chat.continue_answer(conversation, turn.id, self._options())
            case "stop":
                if turn.is_live:
                    await self._chat.stop_stream(turn.segments[-1])
            case "withdraw" | "edit" | "fork":
                await self._move_to_composer(conversation, turn, action)
            case "undo-summary":
                await self._chat.undo_compaction(conversation, turn.id)
            case "keep":
                await self._chat.keep_answer(conversation, turn.id)
            case "previous" | "next":
                step = 1 if action.name == "next" else -1
                await self._chat.show_sibling(conversation, turn.id, step)
            case _:
                await self._chat.give_feedback(conversation, turn.id, _feedback(turn, action))

    async def _move_to_composer(
        self, conversation: Conversation, turn: ConversationTurn, action: Action
    ) -> None:
        """Perform an action after which the user goes on in the message box."""
        if action.name == "withdraw":
            question = await self._chat.withdraw_turn(conversation, turn.id)
            self.composer.put_back(question, files_of(turn))
        elif action.name == "edit":
            self.composer.edit(turn.id, turn.question, files_of(turn))
        else:
            copied = await self._chat.library.fork(conversation.id, turn.id)
            self.composer.go_to(copied.id)

    async def _retry(
        self, conversation: Conversation, turn: ConversationTurn, action: Action
    ) -> None:
        if action.automatic and retry_after(turn) is None:
            return
        options = _with_model(self._options(), action.model)
        await self._chat.retry_turn(conversation, turn.id, options, instruction=action.instruction)

    def _is_repeated(self, action: Action) -> bool:
        """Return whether a costly action was repeated, by a double click or a held key."""
        if action.name not in COSTLY:
            return False
        last, at = self._last
        self._last = (action.name, action.row_id), self._clock()
        return last == self._last[0] and self._last[1] - at < REPEAT_S


def _with_model(options: Options, model: str) -> Options:
    """Return options with another model, whose own options are not those of the chosen one."""
    return replace(options, model=model, values="") if model else options


def _feedback(turn: ConversationTurn, action: Action) -> Feedback | None:
    """Return the feedback on an answer after ``action``; None for none."""
    before = turn.feedback
    match action.name:
        case "up" | "down":
            return replace(before, verdict=action.name) if before else Feedback(action.name)
        case "say" if before:
            words = action.words or before.words
            return replace(before, words=words, is_shown=action.is_shown)
        case "unshow" if before:
            return replace(before, is_shown=False)
        case _:
            return None
