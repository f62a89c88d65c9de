"""Compacts conversations: a model summarises the older turns, in whose place it gets that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, Literal

import structlog

from wireside.chat import tree
from wireside.chat.answering import ConversationRunner, owner_of
from wireside.chat.context import ContextUse, context_use, history_messages
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.dependencies import ChatDependencies, ChatRules
from wireside.chat.opened import OpenConversations
from wireside.chat.summaries import INSTRUCTION, as_text, summary_in, summary_part, undone
from wireside.chat.titles import without_thoughts
from wireside.errors import NotFound, ProviderTimeout, TooMany, WiresideError
from wireside.generation.runner import Stream
from wireside.identity import Caller
from wireside.messages import Message, ModelRequest, TextDelta
from wireside.parts import DataPart

_log = structlog.get_logger(__name__)

KEPT_TURNS: Final = 2
"""Number of the last turns that a summary leaves as they are."""

MAX_TURNS: Final = 400
"""Number of the last turns that are read to be summarised."""

MAX_CHARS: Final = 12_000
"""Maximum number of characters of a summary."""

SUMMARY_TIMEOUT_S: Final = 300.0
"""Time limit for a summary, in seconds."""

Outcome = Literal["done", "nothing", "empty"]
"""``nothing``: there is no older turn to summarise; ``empty``: the model wrote no summary."""


PartFor = Callable[[ConversationTurn], DataPart]


def _undone_in(turn: ConversationTurn) -> DataPart:
    part = summary_in(turn.answer)
    if part is None:
        raise NotFound("There is no summary here any more.")
    return undone(part)


class Compactor:
    """Summarises the older turns of conversations, on request or by itself."""

    def __init__(
        self,
        parts: ChatDependencies,
        rules: ChatRules,
        conversations: OpenConversations,
        answers: ConversationRunner,
    ) -> None:
        self._rules = rules
        self._conversations = conversations
        self._answers = answers
        self._provider = parts.provider
        self._quotas = parts.quotas
        self._busy: set[str] = set()
        """Ids of the conversations that are being summarised."""
        answers.after_answer = self.compact_when_due

    async def use_of(self, conversation: Conversation) -> ContextUse:
        """Return how much of the context the next question of a conversation will use."""
        limit = self._rules.history
        turns = await self._last_turns(conversation, limit.messages // 2)
        pairs = [(turn.question_parts, turn.answer) for turn in turns if not turn.waiting]
        return context_use(pairs, limit, is_cut=bool(turns) and turns[0].depth > 0)

    async def compact(self, conversation: Conversation, caller: Caller, model: str) -> Outcome:
        """Summarise all turns but the last ones by ``model``.

        Raises:
            TooMany: the conversation is being summarised already, or its last turns are changing.
            WiresideError: the model can't be asked, or the store can't be written.
        """
        if conversation.id in self._busy:
            raise TooMany("This conversation is being summarised already.")
        self._busy.add(conversation.id)
        try:
            older = self._older(await self._last_turns(conversation, MAX_TURNS))
            if not older or summary_in(older[-1].answer):
                return "nothing"
            text = await self._summary(older, caller, model)
            if not text:
                return "empty"
            part = summary_part(text, turns=older[-1].depth + 1, model=model)
            await self._keep(conversation, older[-1].id, lambda _: part)
        finally:
            self._busy.discard(conversation.id)
        return "done"

    async def undo(self, conversation: Conversation, turn_id: str) -> None:
        """Undo the summary in the answer of a turn: later contexts have its turns again.

        Raises:
            NotFound: there is no such summary.
            TooMany, StoreError: it can't be undone now.
        """
        await self._keep(conversation, turn_id, _undone_in)

    async def compact_when_due(self, conversation: Conversation) -> None:
        """After an answer, compact a conversation that has nearly filled its context."""
        if self._rules.compaction != "auto" or conversation.is_deleted:
            return
        try:
            use = await self.use_of(conversation)
            if not use.is_nearly_full:
                return
            (last,) = await self._last_turns(conversation, 1)
            model = last.segments[-1].model if last.segments else ""
            if model:
                await self.compact(conversation, owner_of(conversation.info), model)
        except WiresideError as error:  # the next answer tries it again
            _log.warning("not_compacted", conversation=conversation.id, code=error.code)

    async def _last_turns(self, conversation: Conversation, count: int) -> list[ConversationTurn]:
        async def read() -> list[ConversationTurn]:
            last = conversation.total - 1
            path = conversation.shown_path()
            spans = tree.clip_spans(path, max(0, last - count + 1), last) if last >= 0 else []
            return await self._conversations.read_turns(conversation, spans)

        return await self._conversations.read_current(conversation, read)

    def _older(self, turns: list[ConversationTurn]) -> list[ConversationTurn]:
        """Return the turns to summarise: those that have ended, without the last ones."""
        ended: list[ConversationTurn] = []
        for turn in turns:
            if not turn.can_continue or turn.end is None or turn.end.reason == "asking":
                break
            ended.append(turn)
        return ended[: max(len(ended) - KEPT_TURNS, min(1, len(ended) - 1))]

    async def _summary(self, turns: list[ConversationTurn], caller: Caller, model: str) -> str:
        """Return a summary of turns, in steps of what fits a context."""
        pairs = [(turn.question_parts, turn.answer) for turn in turns]
        text = as_text(history_messages(pairs, self._rules.history))
        step_chars = max(2_000, self._rules.history.chars - MAX_CHARS)
        release_slot = self._quotas.acquire_slot(caller, is_due=caller.is_stand_in)
        try:
            summary = ""
            for start in range(0, len(text), step_chars):
                given = f"Summary so far: {summary}\n\n" if summary else ""
                asked = f"{given}{text[start : start + step_chars]}"
                summary = await self._ask(asked, model)
                await self._quotas.record_tokens(caller, (len(asked) + len(summary)) // 4)
            return summary
        finally:
            release_slot()

    async def _ask(self, text: str, model: str) -> str:
        request = ModelRequest(
            model=model,
            messages=(Message.of_text("system", INSTRUCTION), Message.of_text("user", text)),
            allows_tools=False,
        )
        said = ""
        try:
            async with (
                asyncio.timeout(SUMMARY_TIMEOUT_S),
                aclosing(self._provider.stream(request)) as deltas,
            ):
                async for delta in deltas:
                    if isinstance(delta, TextDelta):
                        said += delta.text
                        if len(said) > 4 * MAX_CHARS:
                            break
        except TimeoutError:
            raise ProviderTimeout("The model did not write the summary in time.") from None
        return without_thoughts(said).strip()[:MAX_CHARS]

    async def _keep(self, conversation: Conversation, turn_id: str, part_for: PartFor) -> None:
        async def keep() -> Stream:
            turn = await self._conversations.read_turn(conversation, turn_id)
            if not turn.can_continue:
                raise TooMany("This answer is being written; try again after its end.")
            return await self._answers.add_note(conversation, turn, part_for(turn))

        note = await self._conversations.change(conversation, keep)
        await note.wait_ended()  # the next read of the turn has the part
