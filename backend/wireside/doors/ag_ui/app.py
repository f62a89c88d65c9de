"""The endpoint for AG-UI clients: a run is requested by POST and streamed as SSE.

The answer goes on when the client disconnects. A run that is requested again, by its id, is read
from its beginning. A new run for a question that was answered before answers it again, unless the
end of that answer never reached a client. A run without messages opens a thread that the server
has: it shows the thread's messages, and reads its last answer.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.errors import json_response
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.service import ChatService
from wireside.doors.ag_ui.events import EventEncoder, error_event
from wireside.doors.ag_ui.messages import answer_messages, question_message
from wireside.doors.ag_ui.requests import RunInput, parse_input
from wireside.doors.ag_ui.runs import Runs
from wireside.doors.answers import read_answer
from wireside.doors.door import Door
from wireside.doors.requests import UPLOAD_PATH, options_in, read_body
from wireside.doors.sse import EventStream
from wireside.doors.threads import (
    AskedTurn,
    Threads,
    find_question,
    find_turn,
    stop_answer,
    turn_id_of,
)
from wireside.errors import (
    BadMessage,
    InternalError,
    NotFound,
    ResponseAborted,
    TooLarge,
    WiresideError,
)
from wireside.messages import CLIENT_STATE, End, Options
from wireside.openai_wire.fields import json_of
from wireside.parts import SHARED_STATE

_log = structlog.get_logger(__name__)

MAX_OPENED_TURNS: Final = 200
"""Largest number of the last turns of a thread that a client gets when it opens it."""

MAX_STATE_CHARS: Final = 65_536
"""Largest state of a client, as JSON text: it is stored with the question."""


def build_door(door: Door) -> ASGIApp:
    """Return the endpoints of the door as one application."""
    return AgUiDoor(door)


class AgUiDoor:
    """``/api/ag-ui`` and ``/api/ag-ui/{conversation_id}``."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._threads = Threads()
        self._runs = Runs()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        response: Response | EventStream
        try:
            if scope["method"] == "DELETE":
                response = await self._stop(scope)
            else:
                response = await self._run(scope, await read_body(receive, parse_input))
        except WiresideError as error:
            self._door.count_error(error.code)
            response = json_response(error)
        await response(scope, receive, send)

    async def _run(self, scope: Scope, given: RunInput) -> Response | EventStream:
        self._door.count_question(scope)
        chat = self._door.chat_of(scope)
        asked = await self._ask(chat, given)
        if name := _question_name(asked.conversation, given):
            self._runs.record_run(name, given.run, asked.turn.id)
        return EventStream(self._read_events(scope, given, asked))

    async def _stop(self, scope: Scope) -> Response:
        chat = self._door.chat_of(scope)
        chat.caller.require("chat")
        conversation = await chat.library.find_named(scope["path_params"]["conversation_id"])
        turn = next(iter(conversation.live.values()), None) if conversation else None
        if conversation is None or turn is None:
            raise NotFound("No answer runs in this thread.")
        await stop_answer(chat, AskedTurn(conversation, turn))
        return Response(status_code=204)

    async def _ask(self, chat: ChatService, given: RunInput) -> AskedTurn:
        if given.is_opening:
            return await self._open(chat, given)
        if given.answers:
            return await self._threads.answer(chat, given.thread, given.answers)
        if given.cancelled:
            try:  # an approval is answered by no; other questions stay open
                refusals = [(interrupt, False) for interrupt in given.cancelled]
                return await self._threads.answer(chat, given.thread, refusals)
            except (BadMessage, NotFound):
                if not given.is_new:
                    raise
        options = options_in(given.options, chat, system=given.system)
        options = replace(options, parameters=await _parameters(chat, options, given))
        if given.results:
            return await self._threads.give_results(chat, given.thread, given.results, options)
        if not given.is_new or given.question is None:
            raise BadMessage(
                "messages: the last one must be the user's or the result of a tool, or resume an"
                " answer to an interrupt."
            )
        conversation = await chat.library.find_named(given.thread)
        if conversation is not None:
            known = await self._find_run(chat, conversation, given, options)
            if known is not None:
                return AskedTurn(conversation, known)
        return await self._threads.ask(
            chat, given.thread, given.question, earlier=given.earlier, options=options
        )

    async def _open(self, chat: ChatService, given: RunInput) -> AskedTurn:
        """Return the last turn of a thread that the server has."""
        conversation = await chat.library.find_named(given.thread)
        turn = await chat.last_turn(conversation) if conversation else None
        if conversation is None or turn is None:
            raise BadMessage("messages: are empty, and the server does not have this thread.")
        return AskedTurn(conversation, turn)

    async def _find_run(
        self, chat: ChatService, conversation: Conversation, given: RunInput, options: Options
    ) -> ConversationTurn | None:
        """Return the turn that a run reads, a new one if it answers a question again.

        None if its question was not asked before.
        """
        run_id = turn_id_of(conversation, given.run, "run")
        if turn := await find_turn(chat, conversation, run_id):
            return turn
        if given.question is None:
            return None
        turn = await find_question(chat, conversation, given.question)
        name = _question_name(conversation, given)
        if turn is None or name is None:
            return turn
        if self._runs.is_to_be_answered_again(name, given.run) and turn.can_continue:
            chosen = None if options == Options() else options
            return await chat.retry_turn(conversation, turn.id, chosen, new_turn_id=run_id)
        read_id = self._runs.turn_to_read(name, given.run)
        return (read_id and await find_turn(chat, conversation, read_id)) or turn

    async def _read_events(
        self, scope: Scope, given: RunInput, asked: AskedTurn
    ) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(self._encode(scope, given, asked)) as batches:
                async for events in batches:
                    yield _as_bytes(events)
        except WiresideError as error:
            self._door.count_error(error.code)
            yield _as_bytes([error_event(str(error), error.code)])
        except ResponseAborted:  # the client requests the run again, from its beginning
            raise
        except Exception:  # the client waits for an end
            _log.exception("request_failed", door=self._door.name)
            self._door.count_error(InternalError.code)
            yield _as_bytes([error_event(str(InternalError()), InternalError.code)])
        else:
            if name := _question_name(asked.conversation, given):
                self._runs.record_end_sent(name, asked.turn.id)

    async def _encode(
        self, scope: Scope, given: RunInput, asked: AskedTurn
    ) -> AsyncGenerator[list[str], None]:
        turn, conversation = asked.turn, asked.conversation
        files_url = f"{scope.get('root_path', '')}{UPLOAD_PATH}"
        encoder = EventEncoder(
            given.thread, given.run, files_url=files_url, is_opening=given.is_opening
        )
        yield encoder.start()
        chat = self._door.chat_of(scope)
        if given.is_opening:
            messages = await _messages_before(chat, asked, files_url)
            yield encoder.show_messages([*messages, question_message(turn.id, turn.question)])
        await chat.wait_for_answer(conversation, turn)
        about = {"conversation": conversation.id, "turn": turn.id}
        for earlier in turn.segments[: asked.first]:  # the client has them
            encoder.begin_segment(earlier.name, about)
            async for pieces in read_answer(earlier):
                encoder.encode_pieces(pieces)
            encoder.end_segment()
        index, end, model = asked.first, End("interrupted"), ""
        ended: list[str] = []
        while index < len(turn.segments):
            stream = turn.segments[index]
            model = stream.model
            yield ended + encoder.begin_segment(stream.name, {**about, "model": model})
            batches_of = read_answer(stream, hidden_kind=SHARED_STATE)
            async with aclosing(batches_of) as batches:
                async for pieces in batches:
                    yield encoder.encode_pieces(pieces)
            ended = encoder.end_segment()
            end = stream.log.end or end
            index += 1
        if end.error is not None:
            self._door.count_error(end.error.code, is_of_answer=True)
        yield [*ended, *encoder.finish(end, model)]


async def _parameters(chat: ChatService, options: Options, given: RunInput) -> str:
    """Return the parameters of a run: the client's tools, and its state for a handler that shares.

    Raises ``TooLarge``.
    """
    if not given.state or not await _shares_state(chat, options.model):
        return given.tools
    if len(json_of(given.state)) > MAX_STATE_CHARS:
        raise TooLarge(f"state: is longer than {MAX_STATE_CHARS:,} characters.")
    tools = json.loads(given.tools) if given.tools else {}
    return json_of({**tools, CLIENT_STATE: given.state})


async def _shares_state(chat: ChatService, model: str | None) -> bool:
    try:
        name = await chat.resolve_model(model)
        return any(one.shares_state for one in await chat.models() if one.id == name)
    except WiresideError:  # asking tells it
        return False


async def _messages_before(
    chat: ChatService, asked: AskedTurn, files_url: str
) -> list[dict[str, object]]:
    """Return the messages of the turns before one."""
    last = asked.turn.depth - 1
    first = max(0, last - MAX_OPENED_TURNS + 1)
    messages: list[dict[str, object]] = []
    turns = await chat.library.read_turns(asked.conversation, first, last) if last >= 0 else []
    for turn in turns:
        messages.append(question_message(turn.id, turn.question))
        encoder = EventEncoder("", "", files_url=files_url, is_opening=True)
        for segment in turn.segments:
            encoder.begin_segment(segment.name, {})
            events = [
                event
                async for pieces in read_answer(segment)
                for event in encoder.encode_pieces(pieces)
            ]
            messages += answer_messages([*events, *encoder.end_segment()])
    return messages


def _as_bytes(events: list[str]) -> bytes:
    return "".join([f"data: {event}\n\n" for event in events]).encode()


def _question_name(conversation: Conversation, given: RunInput) -> str | None:
    """Return the name of a run's question for ``Runs``, None if the client does not identify it."""
    question = given.question
    if question is None or not question.id:
        return None
    return turn_id_of(conversation, question.id, f"question {question.text}")
