"""Answers that go on: continued, with the answer to a question, or with results of tools."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from itertools import takewhile
from typing import Any

from wireside.chat import tree
from wireside.chat.caller_chat import CallerChat
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.errors import AlreadyAnswered, BadMessage, NotFound, TooMany
from wireside.extension.questions import (
    answered,
    answered_files,
    file_answer,
    open_question,
    wants_file,
)
from wireside.generation.runner import Stream
from wireside.generation.tasks import runs_to_completion
from wireside.messages import Entry, Options, ToolDelta
from wireside.parts import DataPart, ToolCallPart

ASKED_TURNS = 50
"""Number of the last shown turns among which a question is looked up by its id."""


class Resuming(CallerChat):
    """Lets answers of conversations go on."""

    @runs_to_completion
    async def continue_answer(
        self, conversation: Conversation, turn_id: str, options: Options | None = None
    ) -> None:
        """Continue an answer that was cut off, with ``options`` or those of the turn."""
        self.caller.require("chat")
        message = self._new_message()

        async def go_on() -> None:
            turn = await self._conversations.read_turn(conversation, turn_id)
            if not turn.can_continue:
                return
            with self._answers.slots.reserve_slot(conversation, self.caller, at_once=True):
                await message.record()
                await self._answers.start_answer(
                    conversation, turn, self.caller, continues=True, options=options
                )

        await self._change(conversation, go_on)

    @runs_to_completion
    async def answer_question(
        self, conversation: Conversation, turn_id: str | None, part_id: str, value: object
    ) -> ConversationTurn:
        """Answer the open question of a turn, which then goes on. The first answer counts.

        Args:
            conversation: the conversation.
            turn_id: the turn; None for the one among the last shown turns that has the question.
            part_id: id of the question.
            value: the answer, of the type that the question wants.

        Raises:
            NotFound: there is no such question.
            AlreadyAnswered: the question was answered before.
            BadMessage, InvalidAttachment: the answer does not fit the question.
            TooMany, Overloaded, StoreError: the answer can't be used now.
        """
        self.caller.require("chat")

        async def answer() -> ConversationTurn:
            turn = await self._asking_turn(conversation, turn_id, part_id)
            self._check_asker(conversation, turn)
            if turn.is_live:
                raise AlreadyAnswered
            question = open_question(turn.answer)
            if question is None or question.id != part_id:
                raise AlreadyAnswered
            its_value = await self._file_answer(question, value) if wants_file(question) else value
            given = answered(question, its_value).part
            with self._answers.slots.reserve_slot(conversation, self.caller, at_once=True):
                await self._answers.start_answer(
                    conversation,
                    turn,
                    self.caller,
                    continues=True,
                    answer=json.dumps(its_value),
                    files=answered_files((*turn.answer, given)),
                )
            return turn

        return await self._change(conversation, answer, needs="reply")

    async def answer_question_in(
        self, conversation_id: str, part_id: str, value: object
    ) -> tuple[Stream, str]:
        """Answer a question in the conversation of that id; return the stream that goes on.

        Raises the errors of ``answer_question``.
        """
        conversation = await self.library.find_readable(conversation_id)
        if conversation is None:
            raise NotFound("conversation: there is none of that id.")
        turn = await self.answer_question(conversation, None, part_id, value)
        return turn.segments[-1], conversation.id

    async def _asking_turn(
        self, conversation: Conversation, turn_id: str | None, part_id: str
    ) -> ConversationTurn:
        """Return the turn that has a question. Raises ``NotFound``."""
        conversation.check_not_deleted()
        if turn_id is not None:
            turns = [await self._conversations.read_turn(conversation, turn_id)]
        else:
            last = conversation.total - 1
            spans = tree.clip_spans(conversation.shown_path(), max(0, last - ASKED_TURNS), last)
            turns = await self._conversations.read_turns(conversation, spans)
        for turn in reversed(turns):
            if any(isinstance(part, DataPart) and part.id == part_id for part in turn.answer):
                return turn
        raise NotFound("part: there is no such question.")

    async def _file_answer(self, question: DataPart, value: object) -> dict[str, Any]:
        """Return an upload as the answer to a question.

        Raises ``BadMessage``, ``NotFound``, ``InvalidAttachment``.
        """
        if not isinstance(value, str):
            raise BadMessage("answer: this question wants the id of an upload.")
        (file,) = await self.files.attached_files([value])
        return file_answer(question, file)

    @runs_to_completion
    async def give_results(
        self,
        conversation: Conversation,
        turn_id: str,
        results: Mapping[str, str],
        options: Options,
    ) -> Stream:
        """Give the results of tools that an answer has requested of its client; it goes on.

        Idempotent: the same calls are answered once.

        Args:
            conversation: the conversation.
            turn_id: the turn whose answer has requested the tools.
            results: the results by the ids of the calls.
            options: the options for the rest of the answer.

        Returns:
            The stream of the rest of the answer.

        Raises:
            NotFound: the answer has requested no such call.
            TooMany: the answer is still being written.
            RateLimited, UnknownModel, Overloaded, StoreError: the results can't be used now.
        """
        self.caller.require("chat")
        message = self._new_message()

        async def give() -> Stream:
            turn = await self._conversations.read_turn(conversation, turn_id)
            if known := _stream_after(turn, results.keys()):
                return known
            if turn.is_live:
                raise TooMany("The answer is still being written; give results after its end.")
            done = [
                ToolDelta(part.call, part.name, "done", part.arguments, results[part.call])
                for part in turn.answer
                if isinstance(part, ToolCallPart)
                and part.state == "requested"
                and part.call in results
            ]
            if missing := results.keys() - {delta.call for delta in done}:
                raise NotFound(f"The answer has requested no tool by the id {min(missing)[:64]!r}.")
            with self._answers.slots.reserve_slot(conversation, self.caller, at_once=True):
                await self._resolve_model(options)
                await message.record()
                await self._answers.start_answer(
                    conversation, turn, self.caller, continues=True, options=options, results=done
                )
            return turn.segments[-1]

        return await self._change(conversation, give)

    async def read_data_part(self, turn_id: str, part_id: str) -> DataPart:
        """Return a part of an answer that the caller may read.

        Raises:
            NotFound: there is no such part.
            StoreError: the store can't be read.
        """
        record = await self._store.read_turn(turn_id)
        conversation = record and await self.library.find_readable(record.conversation_id)
        if conversation:
            turn = await self.library.read_turn(conversation, turn_id)
            for part in turn.answer:
                if isinstance(part, DataPart) and part.id == part_id:
                    return part
        raise NotFound("part: there is no such part.")

    async def last_turn(self, conversation: Conversation) -> ConversationTurn | None:
        """Return the last shown turn of a conversation, None if it has none."""
        self.caller.require("read", "chat")
        self.library.check_right(conversation, "read")

        async def read() -> ConversationTurn | None:
            last = conversation.total - 1
            if last < 0 or not conversation.is_stored:
                return None
            spans = tree.clip_spans(conversation.shown_path(), last, last)
            turns = await self._conversations.read_turns(conversation, spans)
            return turns[-1] if turns else None

        return await self._conversations.read_current(conversation, read)

    async def turn_of_stream(self, name: str) -> tuple[Conversation, ConversationTurn]:
        """Return the turn that a stored stream answers. Raises ``NotFound``."""
        self.caller.require("read", "chat")
        if place := await self._store.turn_of_stream(name):
            conversation_id, turn_id = place
            if conversation := await self.library.open_conversation(conversation_id):
                return conversation, await self.library.read_turn(conversation, turn_id)
        raise NotFound


def _stream_after(turn: ConversationTurn, calls: Collection[str]) -> Stream | None:
    """Return the stream that went on with the results of these calls; None if none did."""
    for stream in turn.segments[1:]:
        given = {
            entry.call
            for entry in takewhile(_is_result, stream.log.entries)
            if isinstance(entry, ToolDelta)
        }
        if given and given == set(calls):
            return stream
    return None


def _is_result(entry: Entry) -> bool:
    return isinstance(entry, ToolDelta) and entry.state == "done"
