"""The chat service, watched: each question is known from the moment that it has come."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from wireside.chat.conversation import Conversation, Turn
from wireside.chat.service import ChatService, Parts, Rules
from wireside.generation.runner import Stream
from wireside.messages import Message
from wireside.watching import QuestionWatch, Watcher


class WatchedChatService(ChatService):
    """Tells ``watcher`` of each question, and has the answer begin under its eyes.

    A turn may wait: then it begins when the answer before it has ended, in the middle of what
    somebody else has asked. So what is known of a question stays with its turn.
    """

    def __init__(self, parts: Parts, rules: Rules, watcher: Watcher) -> None:
        super().__init__(parts, rules)
        self._watcher = watcher
        self._questions: WeakKeyDictionary[Turn, QuestionWatch] = WeakKeyDictionary()

    async def ask(self, *args: Any, **more: Any) -> Stream:
        """See ``ChatService``."""
        with self._watcher.question("ask").being_asked():
            return await super().ask(*args, **more)

    def _new_turn(self, *args: Any, **more: Any) -> Turn:
        turn = super()._new_turn(*args, **more)
        self._questions[turn] = self._watcher.question("turn")
        return turn

    async def _begin_answer(
        self,
        conversation: Conversation,
        turn: Turn,
        so_far: tuple[Message, ...] = (),
        *,
        anew: bool = False,
    ) -> None:
        question = self._questions.pop(turn, None) or self._watcher.question("again")
        question.in_conversation(conversation.id)
        with question.being_asked():
            await super()._begin_answer(conversation, turn, so_far, anew=anew)
