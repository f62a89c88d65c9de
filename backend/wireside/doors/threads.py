"""Asks the questions of clients that name their conversations and identify their messages.

The ids of a client's messages make its requests idempotent: the id of a turn follows from the
conversation and the id of the message, so that a message which is sent again is asked once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from wireside.chat.conversation import (
    Conversation,
    ConversationTurn,
    options_for,
    title_from_question,
)
from wireside.chat.resuming import ASKED_TURNS
from wireside.chat.service import ChatService
from wireside.doors.requests import keep_file, upload_in
from wireside.doors.tool_ids import ToolIds
from wireside.errors import AlreadyAnswered, BadMessage, NotFound
from wireside.extension.questions import open_question
from wireside.files.service import content_of_data_url
from wireside.generation.runner import new_stream_name
from wireside.messages import End, Options, TextDelta, ToolDelta
from wireside.parts import DataPart, FilePart, ImagePart, text_parts, upload_of
from wireside.records import Branch, ConversationInfo, Imported, Segment, TurnRecord

REMEMBERED_CHATS: Final = 10_000

MAX_EARLIER: Final = 1_000
"""Largest number of turns that a client may bring into a new conversation."""

MAX_EARLIER_FILES: Final = 100
"""Largest number of files in these turns."""

MAX_ANSWERS: Final = 100
"""Largest number of answers to questions in one request."""


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file of a question: a ``data:`` URL, or the address of a file that the server keeps."""

    url: str
    media_type: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientQuestion:
    """A question of a client; ``id`` identifies the message, "" if the client does not."""

    id: str
    text: str
    files: tuple[ClientFile, ...] = ()


@dataclass(frozen=True, slots=True)
class EarlierTurn:
    """A turn that the client has and the server may not have."""

    question: ClientQuestion
    answer: str


@dataclass(frozen=True, slots=True)
class AskedTurn:
    """A turn of a conversation; its answer is sent from the segment ``first`` on."""

    conversation: Conversation
    turn: ConversationTurn
    first: int = 0


class Threads:
    """The conversations that the clients of one door name."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ask(
        self,
        chat: ChatService,
        thread: str,
        question: ClientQuestion,
        *,
        earlier: Sequence[EarlierTurn],
        options: Options,
        is_edit: bool = False,
    ) -> AskedTurn:
        """Ask a question, unless it was asked before.

        Args:
            chat: the caller's chat.
            thread: the client's name of the conversation, or the id of one.
            question: the question.
            earlier: the turns before it; a new conversation begins with them.
            options: its options; an edit without any keeps those of the turn.
            is_edit: the question replaces the one with its id, and the turns after that one.

        Raises:
            WiresideError: the question is refused; see ``ChatService.send_question``.
        """
        conversation = await self.open(chat, thread, earlier)
        if known := await find_question(chat, conversation, question, is_edit=is_edit):
            if is_edit:
                await chat.show_turn(conversation, known.id)
            return AskedTurn(conversation, known)
        first_id, changed_id = _turn_ids(conversation, question)
        first = await find_turn(chat, conversation, first_id)
        if is_edit:
            base = first or await _turn_at(chat, conversation, len(earlier))
            if base is not None:
                return await _edit(chat, conversation, base, question, changed_id, options)
        files = await _keep_files(chat, conversation, question, options)
        turn = await chat.send_question(
            conversation,
            question.text,
            turn_id=changed_id if first else first_id,
            options=options,
            attachments=files,
        )
        return AskedTurn(conversation, turn)

    async def ask_again(
        self,
        chat: ChatService,
        thread: str,
        question: ClientQuestion | None,
        *,
        earlier: Sequence[EarlierTurn],
        answer_id: str | None,
        options: Options,
    ) -> AskedTurn:
        """Answer a question again.

        Args:
            chat: the caller's chat.
            thread: the client's name of the conversation, or the id of one.
            question: the last question that the client has.
            earlier: the turns before it.
            answer_id: the answer to replace, by the name of its stream; the same id is answered
                again once. None for the last one, which is read while it is being written: the
                request may be one that is sent again.
            options: the options of the new answer; without any, those of the turn.

        Raises:
            NotFound: there is nothing to answer again.
        """
        conversation = await self.open(chat, thread, earlier)
        turn: ConversationTurn | None = None
        if question is not None:
            first_id, changed_id = _turn_ids(conversation, question)
            for turn_id in (changed_id, first_id):
                turn = turn or await find_turn(chat, conversation, turn_id)
            if answer_id == question.id:
                answer_id = None
        if turn is None:
            turns = await last_turns(chat, conversation)
            named = (one for one in turns if any(s.name == answer_id for s in one.segments))
            turn = next(named, turns[-1] if turns else None)
        if turn is None:
            raise NotFound("There is no answer to replace in this chat.")
        if not answer_id and (running := await _running_sibling(chat, conversation, turn, options)):
            return AskedTurn(conversation, running)
        again = await chat.retry_turn(
            conversation,
            turn.id,
            _given(options),
            new_turn_id=answer_id and turn_id_of(conversation, answer_id, "again"),
        )
        return AskedTurn(conversation, again)

    async def answer(
        self, chat: ChatService, thread: str, answers: Sequence[tuple[str, object]]
    ) -> AskedTurn:
        """Answer an open question of a handler or a tool. An answer that is sent again counts once.

        Args:
            chat: the caller's chat.
            thread: the client's name of the conversation, or the id of one.
            answers: ids of questions with their answers, which may have been given before.

        Raises:
            NotFound: there is no such question, or no upload with which it is answered.
            BadMessage, InvalidAttachment: the answer does not fit the question, or there are too
                many answers.
        """
        if len(answers) > MAX_ANSWERS:
            raise BadMessage(f"A request may have at most {MAX_ANSWERS} answers to questions.")
        conversation = await chat.library.find_named(thread)
        if conversation is None:
            raise NotFound("There is no such chat.")
        asked_by: dict[str, ConversationTurn] = {}
        open_ids: set[str] = set()
        for turn in await last_turns(chat, conversation):
            parts = turn.answer
            asked_by |= {part.id: turn for part in parts if isinstance(part, DataPart)}
            if question := open_question(parts):
                open_ids.add(question.id)
        given = [(part_id, value) for part_id, value in answers if part_id in asked_by]
        for part_id, value in reversed(given):
            if part_id not in open_ids:
                continue  # answered before
            with suppress(AlreadyAnswered):
                turn = await chat.answer_question(
                    conversation, asked_by[part_id].id, part_id, value
                )
                return AskedTurn(conversation, turn, len(turn.segments) - 1)
        if not given:
            raise NotFound("There is no such question.")
        before, _ = given[-1]
        turn = asked_by[before]
        asking = (
            index
            for index, segment in enumerate(turn.segments)
            if any(_is_part(entry, before) for entry in segment.log.entries)
        )
        return AskedTurn(conversation, turn, min(next(asking, 0) + 1, len(turn.segments) - 1))

    async def give_results(
        self, chat: ChatService, thread: str, results: Mapping[str, str], options: Options
    ) -> AskedTurn:
        """Give the results of tools that an answer has requested of its client; it goes on.

        Results that are sent again count once.

        Args:
            chat: the caller's chat.
            thread: the client's name of the conversation, or the id of one.
            results: the results by the client's ids of the calls; those of tools that the server
                has run are ignored.
            options: the options for the rest of the answer.

        Raises:
            NotFound: no answer has requested such a call.
            WiresideError: the results can't be used now; see ``ChatService.give_results``.
        """
        conversation = await chat.library.find_named(thread)
        if conversation is None:
            raise NotFound("There is no such chat.")
        for turn in reversed(await last_turns(chat, conversation)):
            calls = requested_calls(turn)
            known = {calls[call_id]: text for call_id, text in results.items() if call_id in calls}
            if known:
                stream = await chat.give_results(conversation, turn.id, known, options)
                first = next(i for i, one in enumerate(turn.segments) if one is stream)
                return AskedTurn(conversation, turn, first)
        raise NotFound("messages: no answer of this chat has requested these tools.")

    async def open(
        self, chat: ChatService, thread: str, earlier: Sequence[EarlierTurn] = ()
    ) -> Conversation:
        """Return the conversation of a name; a new one begins with the client's earlier turns.

        Raises ``BadMessage``, ``NotFound`` and ``StoreError``.
        """
        chat.caller.require("chat")
        if not thread:
            raise BadMessage("The id of the chat is missing.")
        if earlier:
            conversation_id = chat.library.id_of_name(thread)
            lock = self._locks.setdefault(conversation_id, asyncio.Lock())
            async with lock:
                if await chat.library.find_named(thread) is None:
                    await _import_turns(chat, conversation_id, earlier)
        return await chat.library.open_or_create(thread)


class LastAnswers:
    """The last turn that was asked in each conversation through one door.

    Args:
        clock: returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: OrderedDict[str, _LastAnswer] = OrderedDict()

    def record_asked(self, asked: AskedTurn) -> None:
        """Record a question."""
        known = self._last.get(asked.conversation.id)
        if known is None or known.turn_id != asked.turn.id:
            self._last[asked.conversation.id] = _LastAnswer(asked.turn.id)
        self._last.move_to_end(asked.conversation.id)
        if len(self._last) > REMEMBERED_CHATS:
            self._last.popitem(last=False)

    def record_end_sent(self, asked: AskedTurn) -> None:
        """Record that the end of an answer was sent to a client."""
        known = self._last.get(asked.conversation.id)
        if known is not None and known.turn_id == asked.turn.id:
            known.sent_at = self._clock()

    def turn_id(self, conversation: Conversation) -> str | None:
        """Return the id of the last turn."""
        known = self._last.get(conversation.id)
        return known.turn_id if known else None

    def was_end_sent(self, conversation: Conversation, *, grace_s: float = 0.0) -> bool:
        """Return whether the end of the last answer was sent more than ``grace_s`` seconds ago."""
        known = self._last.get(conversation.id)
        sent_at = known.sent_at if known else None
        return sent_at is not None and self._clock() - sent_at >= grace_s


@dataclass(slots=True)
class _LastAnswer:
    turn_id: str
    sent_at: float | None = None


def requested_calls(turn: ConversationTurn) -> dict[str, str]:
    """Return the calls that an answer has requested of its client, by the client's ids of these."""
    ids = ToolIds()
    calls: dict[str, str] = {}
    for segment in turn.segments:
        ids.begin_segment()
        for entry in segment.log.entries:
            if isinstance(entry, ToolDelta):
                tool = ids.id_of(entry)
                if entry.state == "requested":
                    calls.setdefault(tool, entry.call)
    return calls


def _given(options: Options) -> Options | None:
    return None if options == Options() else options


async def stop_answer(chat: ChatService, asked: AskedTurn) -> None:
    """Stop the answer to a turn, or withdraw the turn if it still waits."""
    turn = asked.turn
    if turn.waiting:
        await chat.withdraw_turn(asked.conversation, turn.id)
    elif turn.is_live:
        await chat.stop_stream(turn.segments[-1])


async def last_turns(chat: ChatService, conversation: Conversation) -> list[ConversationTurn]:
    """Return the last shown turns of a conversation."""
    last = conversation.total - 1
    return await chat.library.read_turns(conversation, max(0, last - ASKED_TURNS), last)


def turn_id_of(conversation: Conversation, message_id: str, variant: str = "") -> str:
    """Return the id of the turn of a client's message; a new one if the message has no id."""
    if not message_id:
        return new_stream_name()
    name = json.dumps([conversation.info.owner, conversation.id, message_id, variant])
    return f"door-{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def _turn_ids(conversation: Conversation, question: ClientQuestion) -> tuple[str, str]:
    """Return the id of a question's turn, and the one if the message had another content before."""
    content = json.dumps([question.text, [file.url for file in question.files]])
    first_id = turn_id_of(conversation, question.id)
    return first_id, turn_id_of(conversation, question.id, content)


async def find_turn(
    chat: ChatService, conversation: Conversation, turn_id: str
) -> ConversationTurn | None:
    """Return a turn of any branch, None if there is none of that id."""
    try:
        return await chat.library.read_turn(conversation, turn_id)
    except NotFound:
        return None


async def find_question(
    chat: ChatService,
    conversation: Conversation,
    question: ClientQuestion,
    *,
    is_edit: bool = False,
) -> ConversationTurn | None:
    """Return the turn that asked a client's message with the same content; None if none did.

    A message that the server has shown has the id of its turn. An edit without files keeps those of
    the turn, whichever these are.
    """
    for turn_id in (*_turn_ids(conversation, question), question.id):
        turn = await find_turn(chat, conversation, turn_id)
        if turn is None or turn.question != _stored_text(question):
            continue
        keeps_files = is_edit and not question.files
        if keeps_files or await _has_files(chat, turn, question.files):
            return turn
    return None


def _stored_text(question: ClientQuestion) -> str:
    return question.text if question.text.strip() else ""  # as `question_parts` stores it


async def _has_files(
    chat: ChatService, turn: ConversationTurn, files: Sequence[ClientFile]
) -> bool:
    """Return whether the question of a turn has the same files.

    A file of an imported question of which only the name was kept equals any file.
    """
    parts = [part for part in turn.question_parts if isinstance(part, ImagePart | FilePart)]
    files = tuple(dict.fromkeys(files))
    if len(parts) != len(files):
        return False
    kept = [upload_of(part) for part in parts]
    given = [upload_in(file.url) for file in files]
    ids = {file_id for file_id in (*kept, *given) if file_id}
    known = {file.id: file.sha256 for file in await chat.files.existing_files(sorted(ids))}
    for file, kept_id, given_id in zip(files, kept, given, strict=True):
        if kept_id is None or kept_id == given_id:
            continue
        sha256 = known.get(given_id) if given_id else await _sha256_of(file.url)
        if sha256 is None or sha256 != known.get(kept_id):
            return False
    return True


async def _sha256_of(data_url: str) -> str | None:
    """Return the hash of the content of a ``data:`` URL, None for any other URL."""
    if not data_url.startswith("data:"):
        return None
    content = b"".join([piece async for piece in content_of_data_url(data_url)])
    return (await asyncio.to_thread(hashlib.sha256, content)).hexdigest()


async def _edit(
    chat: ChatService,
    conversation: Conversation,
    base: ConversationTurn,
    question: ClientQuestion,
    new_turn_id: str,
    options: Options,
) -> AskedTurn:
    """Ask a changed question in place of ``base``, whose files it keeps unless it has others."""
    files: list[str] | None = None
    if question.files and not await _has_files(chat, base, question.files):
        files = await _keep_files(chat, conversation, question, options)
    turn = await chat.edit_turn(
        conversation,
        base.id,
        question.text,
        new_turn_id=new_turn_id,
        options=_given(options),
        attachments=files,
    )
    return AskedTurn(conversation, turn)


async def _keep_files(
    chat: ChatService, conversation: Conversation, question: ClientQuestion, options: Options
) -> list[str]:
    """Return the ids of a question's files, which are kept unless the question is refused."""
    files = tuple(dict.fromkeys(question.files))
    if files:
        await chat.check_question(conversation, question.text, options, file_count=len(files))
    return [await keep_file(chat, file.url, file.name) for file in files]


async def _running_sibling(
    chat: ChatService, conversation: Conversation, turn: ConversationTurn, options: Options
) -> ConversationTurn | None:
    """Return the last shown turn if it answers the question of ``turn`` with these options now."""
    last = await chat.last_turn(conversation)
    if last is None or not (last.is_live or last.waiting) or last.depth != turn.depth:
        return None
    is_same = last.question_parts == turn.question_parts
    return last if is_same and last.options == options_for(turn, _given(options)) else None


async def _turn_at(
    chat: ChatService, conversation: Conversation, depth: int
) -> ConversationTurn | None:
    if depth >= conversation.total:
        return None
    turns = await chat.library.read_turns(conversation, depth, depth)
    return turns[0] if turns else None


def _is_part(entry: object, part_id: str | None) -> bool:
    part = getattr(entry, "part", None)
    return isinstance(part, DataPart) and part.id == part_id


async def _import_turns(
    chat: ChatService, conversation_id: str, earlier: Sequence[EarlierTurn]
) -> None:
    """Store a conversation with the turns that a client brings."""
    if len(earlier) > MAX_EARLIER:
        raise BadMessage(f"messages: a new chat may begin with at most {MAX_EARLIER:,} turns.")
    if sum(len(one.question.files) for one in earlier) > MAX_EARLIER_FILES:
        raise BadMessage(f"messages: a new chat may begin with at most {MAX_EARLIER_FILES} files.")
    now = chat.core.parts.wall_clock()
    owner = chat.caller.user_id
    info = ConversationInfo(
        id=conversation_id,
        title=title_from_question(earlier[0].question.text),
        created_at=now,
        updated_at=now,
        owner=owner,
    )
    named = Conversation.new(info)
    turns = tuple(
        TurnRecord(
            id=turn_id_of(named, one.question.id),
            conversation_id=conversation_id,
            branch=0,
            depth=depth,
            question_parts=(*text_parts(one.question.text), *map(_part_of, one.question.files)),
            created_at=now,
            segments=(_segment(one.answer, now),) if one.answer else (),
        )
        for depth, one in enumerate(earlier)
    )
    ids = {turn.id for turn in turns}
    if len(ids) < len(turns):
        raise BadMessage("messages: two messages have the same id.")
    branch = Branch(id=0, parent=None, first=0, last=len(turns) - 1)
    await chat.library.add_imported(Imported(info=info, branches=(branch,), shown=0, turns=turns))


def _segment(answer: str, now: float) -> Segment:
    return Segment(
        stream=new_stream_name(),
        model="",
        entries=(TextDelta(answer),),
        end=End("stop"),
        created_at=now,
    )


def _part_of(file: ClientFile) -> ImagePart | FilePart:
    url = file.url if file.url.startswith("data:") else ""  # the name of any other is kept
    if file.media_type.startswith("image/"):
        return ImagePart(url=url, media_type=file.media_type, name=file.name)
    return FilePart(url=url, media_type=file.media_type, name=file.name)
