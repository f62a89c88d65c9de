"""Asks the question of a request: unstored, in a conversation, or as the answer to a handler."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

from wireside.chat.asking import NEW
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.service import ChatService
from wireside.chat.streams import Ask
from wireside.doors.openai.content import (
    check_length,
    question_of,
    remove_uploads,
    upload_ids,
    with_uploads,
)
from wireside.doors.openai.retries import Attempt, has_failed
from wireside.doors.questions import answer_from_words, waiting_question
from wireside.errors import BadMessage, NotFound
from wireside.generation.runner import Stream
from wireside.messages import Message, Options
from wireside.openai_wire.fields import BadField
from wireside.parts import ToolCallPart


def options_of(
    metadata: dict[str, str],
    *,
    model: str | None,
    temperature: float | None,
    max_tokens: int | None,
    parameters: str,
) -> Options:
    """Return the options of a question. Raises ``BadField``."""
    values = metadata.get("options", "")
    if values and not isinstance(_json(values), dict):
        raise BadField("metadata.options", "expected the JSON text of an object")
    return Options(
        model=model,
        temperature=temperature,
        max_tokens=max_tokens,
        values=values,
        parameters=parameters,
    )


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


async def ask_unstored(
    chat: ChatService, messages: tuple[Message, ...], options: Options
) -> Stream:
    """Ask outside of any conversation; the messages are the whole context.

    Its files are uploads until the answer has ended.
    """
    check_length(chat, messages)
    kept: list[str] = []
    try:
        asked = Ask(messages=await with_uploads(chat, messages, kept), options=options)
        stream = await chat.start_stream(asked)
    except BaseException:
        _remove_in_background(chat, kept)
        raise
    stream.call_at_end(partial(_remove_in_background, chat, kept))
    return stream


def _remove_in_background(chat: ChatService, kept: list[str]) -> None:
    if kept:
        chat.core.start_task(remove_uploads(chat, kept))


async def ask_stored(
    chat: ChatService,
    name: str,
    messages: tuple[Message, ...],
    options: Options,
    *,
    attempt: Attempt,
    answer: str | None = None,
) -> Stream:
    """Ask in the conversation of that id or name, which has the context.

    The last message is the question, the answer to an open question of a handler, or the results of
    tools; system messages are the instructions, and all others are in the conversation already.

    Args:
        chat: the chat of the caller.
        name: id or name of the conversation; "new" for a new one.
        messages: the messages of the request.
        options: the options of the question.
        attempt: the request, which is asked once.
        answer: JSON text of the answer to an open question.

    Raises:
        BadMessage, NotFound, TooLarge, TooMany …: see ``ChatService.send_question``.
    """
    check_length(chat, messages)
    system = "\n\n".join(one.text for one in messages if one.role == "system")
    options = replace(options, system=system or None)
    conversation = await (
        chat.conversation_for(attempt.new_turn_id)
        if name == NEW
        else chat.library.open_or_create(name)
    )
    if known := await answer_of_retry(chat, conversation, attempt):
        return known
    last = await chat.last_turn(conversation)
    if results := results_in(messages[-1]):
        if last is None:
            raise BadMessage("messages: the conversation has no request of a tool.")
        stream = await chat.give_results(conversation, last.id, results, options)
        attempt.turn_id = last.id
        return stream
    return await ask_in(
        chat, conversation, messages, options, attempt=attempt, last=last, answer=answer
    )


async def answer_of_retry(
    chat: ChatService, conversation: Conversation, attempt: Attempt
) -> Stream | None:
    """Return the answer of the turn that a request has asked before; None if it has asked none.

    An answer that failed is written again: in place of the failed one, or after what it has.
    """
    turn_id = attempt.turn_id or (attempt.new_turn_id if attempt.has_key else None)
    if turn_id is None:
        return None
    try:
        turn = await chat.library.read_turn(conversation, turn_id)
    except NotFound:
        return None
    if has_failed(turn.end):
        if len(turn.segments) > 1:  # it went on with an answer or results of the user
            await chat.continue_answer(conversation, turn.id)
        else:
            turn = await chat.retry_turn(conversation, turn.id)
    attempt.turn_id = turn.id
    await chat.wait_for_answer(conversation, turn)
    return turn.segments[-1]


async def ask_in(
    chat: ChatService,
    conversation: Conversation,
    messages: tuple[Message, ...],
    options: Options,
    *,
    attempt: Attempt,
    last: ConversationTurn | None,
    previous: ConversationTurn | None = None,
    answer: str | None = None,
) -> Stream:
    """Ask the last message after ``previous``, or at the end of a conversation.

    It may answer the open question of ``last``, the turn before it.
    """
    text, files = question_of(messages)
    question = waiting_question(last)
    if question is None and answer is not None:
        raise BadField("metadata.answer", "no question is open in this conversation")
    ids = await upload_ids(chat, files)
    if question is not None and last is not None:
        value = answer_from_words(question, text, files=ids) if answer is None else _json(answer)
        if value is not None:
            turn = await chat.answer_question(conversation, last.id, question.id, value)
            attempt.turn_id = turn.id
            return turn.segments[-1]
        if answer is not None:
            raise BadField("metadata.answer", "expected the JSON text of an answer")
    send = chat.send_question if previous is None else partial(chat.ask_after, previous.id)
    turn = await send(
        conversation=conversation,
        question=text,
        turn_id=attempt.new_turn_id,
        options=options,
        attachments=ids,
    )
    attempt.turn_id = turn.id
    return await chat.wait_for_answer(conversation, turn)


def results_in(message: Message) -> dict[str, str]:
    """Return the results of tools in a message by the ids of their calls; empty if it has none."""
    if message.role != "assistant":
        return {}
    return {
        part.call: part.result
        for part in message.parts
        if isinstance(part, ToolCallPart) and part.result is not None
    }
