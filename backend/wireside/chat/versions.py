"""Versions of a turn: retried, edited, compared, and the one that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wireside.chat import tree
from wireside.chat.caller_chat import CallerChat, CountedMessage
from wireside.chat.changes import StopAnswer
from wireside.chat.comparison import (
    MAX_MODELS,
    MIN_MODELS,
    compared_part,
    comparison_of,
    is_kept,
    kept_part,
    turn_ids,
    without_comparison,
)
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.dependencies import accepts_images
from wireside.chat.instructions import Instruction, instructed
from wireside.errors import BadMessage, TooLarge, TooMany
from wireside.files.context import check_images
from wireside.files.service import part_of_file, question_parts
from wireside.generation.runner import new_stream_name
from wireside.generation.tasks import runs_to_completion
from wireside.messages import Options
from wireside.parts import Part, has_files, upload_of, with_text
from wireside.records import Span

MAX_ANSWER_CHARS = 800_000
"""Maximum number of characters of an answer that a user has edited."""


class Versions(CallerChat):
    """Adds and shows versions of turns."""

    @runs_to_completion
    async def retry_turn(
        self,
        conversation: Conversation,
        turn_id: str,
        options: Options | None = None,
        *,
        new_turn_id: str | None = None,
        instruction: Instruction | None = None,
    ) -> ConversationTurn:
        """Answer the same question again, with ``options`` or those of the turn.

        An ``instruction`` is added to the question as a part of its own; it takes the place of the
        one that an earlier retry has added.

        The earlier answer is kept: the new one is a sibling turn, and the turns after it leave the
        shown path. An answer without content is replaced. The same ``new_turn_id`` makes one
        sibling.

        Does nothing while the turn is being answered, or while the same question with the same
        options waits for the first text of an answer: a double click asks once.
        """
        self.caller.require("chat")
        message = self._new_message()

        async def retry() -> ConversationTurn:
            if new_turn_id and (known := await self._sent_before(conversation, new_turn_id)):
                return known
            turn = await self._conversations.read_turn(conversation, turn_id)
            question = without_comparison(turn.question_parts)
            if instruction is not None:
                question = instructed(question, instruction)
            if known := conversation.retry_in_progress(turn, options, question):
                return known
            replaces = not turn.has_content and instruction is None
            with self._answers.slots.reserve_slot(conversation, self.caller, at_once=replaces):
                await message.record()
                if replaces:
                    await self._answers.start_answer(
                        conversation, turn, self.caller, replaces=True, options=options
                    )
                    return turn
                return await self._ask_in_place(
                    conversation,
                    turn,
                    turn_id=new_turn_id or new_stream_name(),
                    question=question,
                    options=options,
                    message=message,
                )

        again = await self._change(conversation, retry)
        self._answers.schedule_next(conversation, self.caller)
        return again

    @runs_to_completion
    async def edit_turn(
        self,
        conversation: Conversation,
        turn_id: str,
        question: str,
        *,
        new_turn_id: str,
        options: Options | None = None,
        attachments: Sequence[str] | None = None,
    ) -> ConversationTurn:
        """Ask a changed question in place of a turn, with ``options`` or those of the turn.

        ``attachments`` are ids of files that take the place of those of the question; None keeps
        these. The turns after it leave the shown path. Raises the errors of ``send_question``.
        """
        self.caller.require("chat")
        message = self._new_message()

        async def edit() -> ConversationTurn:
            if known := await self._sent_before(conversation, new_turn_id):
                return known
            turn = await self._conversations.read_turn(conversation, turn_id)
            files = await self.files.attached_files(attachments or ())
            parts = without_comparison(turn.question_parts)
            kept = with_text(parts, question if question.strip() else "")
            if attachments is not None:
                others = (part for part in kept if upload_of(part) is None)
                kept = (*others, *map(part_of_file, files))
            self._check_question(question, has_files=has_files(kept))
            with self._answers.slots.reserve_slot(conversation, self.caller):
                model = await self._resolve_model(options or turn.options)
                if files:
                    check_images(files, can_see=await accepts_images(self._models, model))
                await message.record()
                return await self._ask_in_place(
                    conversation,
                    turn,
                    turn_id=new_turn_id,
                    question=kept,
                    options=options,
                    message=message,
                )

        edited = await self._change(conversation, edit)
        self._answers.schedule_next(conversation, self.caller)
        return edited

    @runs_to_completion
    async def edit_answer(
        self, conversation: Conversation, turn_id: str, text: str, *, new_turn_id: str
    ) -> ConversationTurn:
        """Put ``text`` in the place of an answer: a sibling of the turn has it, with a mark.

        The original stays as a version of the turn, with the turns after it. Idempotent for
        ``new_turn_id``.

        Raises:
            BadMessage, TooLarge: the text is blank or too long.
            TooMany: the answer is still being written.
            NotFound, Overloaded, StoreError: the answer can't be changed.
        """
        self.caller.require("chat")

        async def edit() -> ConversationTurn:
            if known := await self._sent_before(conversation, new_turn_id):
                return known
            self._check_answer(text)
            turn = await self._conversations.read_turn(conversation, turn_id)
            if not turn.can_continue:
                raise TooMany("The answer is still being written; edit it after its end.")
            stops = conversation.stop_from(turn)
            await self._answers.cancel_waiting_from(conversation, turn, self.caller)
            parts = without_comparison(turn.question_parts)
            added = conversation.fork_turn(turn, new_turn_id, parts, None, now=self._now())
            edited = await self._answers.add_written(
                conversation, added, text, turn.segments[-1].model
            )
            self._conversations.publish_events(conversation, stops)
            return edited

        edited = await self._change(conversation, edit)
        for stream in edited.segments[-1:]:
            await stream.wait_ended()  # the text is there as soon as the caller reads it
        return edited

    def _check_answer(self, text: str) -> None:
        self._runner.check_accepting()
        if not text.strip():
            raise BadMessage("The answer is blank.")
        if len(text) > MAX_ANSWER_CHARS:
            raise TooLarge(
                f"The answer has {len(text):,} characters; at most {MAX_ANSWER_CHARS:,} fit."
            )

    @runs_to_completion
    async def compare(
        self,
        conversation: Conversation,
        question: str,
        *,
        turn_id: str,
        models: Sequence[str],
        options: Options,
        attachments: Sequence[str] = (),
    ) -> ConversationTurn:
        """Ask several models at once; each answers in a version of the turn ``turn_id``.

        Each is a message and takes a slot. Idempotent for ``turn_id``. Returns the first version,
        which is shown.

        Raises:
            BadMessage: the number of models is not from 2 to 4.
            TooMany: an answer is running or a question waits, or there are not enough slots.
            TooLarge, RateLimited, UnknownModel, Overloaded, NotFound, StoreError: the question is
                refused.
        """
        self.caller.require("chat")
        if not MIN_MODELS <= len(set(models)) <= MAX_MODELS:
            raise BadMessage(f"models: expected {MIN_MODELS} to {MAX_MODELS} different ones.")
        chosen = [_options_with(options, model) for model in dict.fromkeys(models)]
        versions = [
            _Version(one_id, one, self._new_message())
            for one_id, one in zip(turn_ids(turn_id, len(chosen)), chosen, strict=True)
        ]

        async def ask() -> ConversationTurn:
            missing = [
                version
                for version in versions
                if await self._sent_before(conversation, version.turn_id) is None
            ]
            if len(missing) == len(versions) and not conversation.answers_at_once:
                raise TooMany("Several models can be asked once the running answer has ended.")
            if missing:
                await self._ask_compared(conversation, turn_id, missing, question, attachments)
            first = await self._conversations.read_turn(conversation, turn_id)
            await self._conversations.perform_change(conversation, conversation.show_turn(first))
            return first

        return await self._change(conversation, ask)

    async def _ask_compared(
        self,
        conversation: Conversation,
        first_id: str,
        versions: Sequence[_Version],
        question: str,
        attachments: Sequence[str],
    ) -> None:
        """Ask versions of one turn at once; what would be refused is refused before the first."""
        self._check_question(question, has_files=bool(attachments))
        files = await self.files.attached_files(attachments)
        parts = (*question_parts(question, files), compared_part(first_id))
        with self._answers.slots.reserve_slot(
            conversation, self.caller, at_once=True, count=len(versions)
        ):
            for version in versions:
                model = await self._resolve_model(version.options)
                if files:
                    check_images(files, can_see=await accepts_images(self._models, model))
            for version in versions:
                await version.message.record()
            for version in versions:
                await self._ask_version(conversation, first_id, version, parts)

    async def _ask_version(
        self, conversation: Conversation, first_id: str, version: _Version, parts: tuple[Part, ...]
    ) -> None:
        now = self._now()
        if version.turn_id == first_id:
            added = conversation.append_turn(first_id, parts, version.options, now=now)
        else:
            first = await self._conversations.read_turn(conversation, first_id)
            added = conversation.fork_turn(first, version.turn_id, parts, version.options, now=now)
        observer = version.message.observer
        await self._answers.add_and_answer(conversation, added, self.caller, observer)

    async def compared_turns(
        self, conversation: Conversation, turn: ConversationTurn
    ) -> list[ConversationTurn]:
        """Return the versions of a turn that models answer side by side, in their order.

        None, if it is no comparison, one was kept, or the conversation has gone on.
        """
        self.library.check_right(conversation, "read")
        first = comparison_of(turn.question_parts)
        if first is None or turn.depth + 1 != conversation.total:
            return []

        async def read() -> list[ConversationTurn]:
            branches = tree.sibling_branches(conversation.branches, turn.branch, turn.depth)
            spans = [Span(branch, turn.depth, turn.depth) for branch in branches]
            return await self._conversations.read_turns(conversation, spans)

        found = await self._conversations.read_current(conversation, read)
        turns = [one for one in found if comparison_of(one.question_parts) == first]
        if len(turns) < MIN_MODELS or any(is_kept(one.answer) for one in turns):
            return []
        order = turn_ids(first, MAX_MODELS)
        return sorted(turns, key=lambda one: order.index(one.id) if one.id in order else len(order))

    @runs_to_completion
    async def keep_answer(self, conversation: Conversation, turn_id: str) -> None:
        """Keep one of the answers that are shown side by side; the conversation goes on from it.

        The others stop and stay as versions. Raises ``NotFound``, ``TooMany`` if it is still being
        written, or ``StoreError``.
        """
        self.caller.require("chat")

        async def keep() -> None:
            turn = await self._conversations.read_turn(conversation, turn_id)
            if not turn.can_continue:
                raise TooMany("The answer is still being written; keep it after its end.")
            turns = await self.compared_turns(conversation, turn)
            if not turns:
                return
            await self._conversations.perform_change(conversation, conversation.show_turn(turn))
            await self._answers.add_note(conversation, turn, kept_part())
            others = [StopAnswer(one.segments[-1]) for one in turns if one.is_live and one != turn]
            self._conversations.publish_events(conversation, others)

        await self._change(conversation, keep)

    @runs_to_completion
    async def show_sibling(self, conversation: Conversation, turn_id: str, step: int) -> None:
        """Show the next (1) or previous (-1) sibling of a turn, and the turns that follow it.

        Does nothing past the first and the last sibling.
        """
        self.caller.require("chat")

        async def show() -> None:
            turn = await self._conversations.read_turn(conversation, turn_id)
            await self._conversations.perform_change(
                conversation, conversation.show_sibling(turn, step)
            )

        await self._change(conversation, show)

    @runs_to_completion
    async def show_turn(self, conversation: Conversation, turn_id: str) -> ConversationTurn:
        """Put a turn on the shown path and return it. Raises ``NotFound``."""
        if not self.caller.may("chat") or self.library.right_on(conversation) != "own":
            return await self.library.read_turn(conversation, turn_id)

        async def show() -> ConversationTurn:
            turn = await self._conversations.read_turn(conversation, turn_id)
            await self._conversations.perform_change(conversation, conversation.show_turn(turn))
            return turn

        return await self._change(conversation, show)


@dataclass(frozen=True, slots=True)
class _Version:
    """A version of a turn that another model answers."""

    turn_id: str
    options: Options
    message: CountedMessage


def _options_with(options: Options, model: str) -> Options:
    """Return options with another model, whose own options are not those of the chosen one."""
    return options if options.model == model else replace(options, model=model, values="")
