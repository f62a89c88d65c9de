"""``/v1/responses``: answers with an id, which can be read, resumed and stopped later.

The id of a response is that of its stream. A stored response is the answer of a turn, so that it is
found after a restart; one that is not stored is found as long as it can be resumed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.middleware.root_path import route_path
from wireside.chat.conversation import Conversation, ConversationTurn
from wireside.chat.service import ChatService
from wireside.doors.answers import read_answer, shown_pieces
from wireside.doors.bodies import parse_request, read_body
from wireside.doors.door import Door
from wireside.doors.openai.asking import answer_of_retry, ask_in, ask_unstored, options_of
from wireside.doors.openai.content import (
    TextOfParts,
    citation_of_part,
)
from wireside.doors.openai.endings import (
    error_of,
    failed_response,
    first_news,
    response_or_leave,
    wait_or_leave,
)
from wireside.doors.openai.retries import Attempt, Retries
from wireside.doors.questions import waiting_question
from wireside.doors.sse import EventStream
from wireside.errors import Expired, Fenced, NotFound, WiresideError
from wireside.generation.log import PartPiece, Piece, ReasoningPiece, TextPiece, ToolPiece
from wireside.generation.runner import Stream
from wireside.messages import Entry, Message, Options, ReasoningDelta, TextDelta
from wireside.openai_wire.encode import Document, event
from wireside.openai_wire.fields import BadField
from wireside.openai_wire.requests import encode_content
from wireside.openai_wire.response_events import STEP, PartWriter, ResponseEncoder
from wireside.openai_wire.response_request import (
    ResponseRequest,
    own_context,
    read_response_request,
)
from wireside.parts import is_hidden

PREFIX: Final = "resp_"

MAX_NUMBER: Final = 2**62
"""Largest sequence number of an event that a client may name."""

NO_RESPONSE: Final = "there is no stored response by that id"

DEFAULTS: Final[Mapping[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "previous_response_id": None,
    "temperature": None,
    "top_p": None,
    "tool_choice": "auto",
    "tools": [],
    "truncation": "disabled",
    "user": None,
    "text": {"format": {"type": "text"}},
    "reasoning": {"effort": None, "summary": None},
    "parallel_tool_calls": True,
    "background": False,
    "metadata": {},
}


class Responses:
    """Creates, retrieves, stops and deletes responses."""

    def __init__(self, door: Door, retries: Retries) -> None:
        self._door = door
        self._retries = retries

    async def create(self, scope: Scope, receive: Receive) -> ASGIApp:
        """Ask the question; return the response with its answer."""
        chat = self._door.chat_of(scope)
        chat.caller.require("chat")
        body = await read_body(receive)
        request = await parse_request(body, read_response_request)
        attempt = self._retries.attempt_for(scope, chat, body)
        del body  # it would stay in memory while the question waits
        attempt.stops_unread = not (_belongs_to_conversation(request) or request.is_background)
        return await response_or_leave(
            self._respond(scope, chat, request, attempt),
            receive,
            late_error=self._late_error if request.is_streamed else None,
        )

    async def _respond(
        self, scope: Scope, chat: ChatService, request: ResponseRequest, attempt: Attempt
    ) -> NewResponse:
        try:
            stream = await attempt.begin(partial(self._ask, scope, chat, request, attempt))
            found = await FoundResponse.of(chat, stream)
        except BaseException:
            attempt.end_response(is_complete=False, has_begun=False)
            raise
        shown = {name: value for name, value in request.shown.items() if name != "include"}
        found.base |= {
            **shown,
            "background": request.is_background,
            "metadata": {**request.metadata, **found.base["metadata"]},
        }
        return NewResponse(self._door, found, attempt, request=request)

    def _late_error(self, error: WiresideError) -> bytes:
        self._door.count_error(error.code)
        given = {"code": error.code, "message": str(error), "param": None}
        return event({"type": "error", **given, "error": given, "sequence_number": 0})

    async def _ask(
        self, scope: Scope, chat: ChatService, request: ResponseRequest, attempt: Attempt
    ) -> Stream:
        self._door.count_question(scope)
        options = options_of(
            request.metadata,
            model=request.model,
            temperature=request.temperature,
            max_tokens=request.max_tokens,
            parameters=request.parameters,
        )
        if not _belongs_to_conversation(request):
            if request.results:
                raise BadField("input", "no item before these results requests the tools")
            system = request.instructions
            first = (Message.of_text("system", system),) if system else ()
            return await ask_unstored(chat, (*first, *request.messages), options)
        return await _ask_stored(chat, request, replace(options, system=_system(request)), attempt)

    async def retrieve(self, scope: Scope, _: Receive) -> ASGIApp:
        """Return a response, or its events after a sequence number."""
        chat = self._door.chat_of(scope)
        found = await _found(chat, scope)
        self._door.count_reading()
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if query.get("stream", ["false"])[-1].lower() not in ("true", "1"):
            return JSONResponse(found.document())
        after = _number(query.get("starting_after", ["-1"])[-1])
        found.stream.log.check_offset(max(0, after // STEP))  # a refusal, not a broken stream
        attempt = self._retries.attempt_of(found.stream)
        return ResumedResponse(found, after, attempt)

    async def cancel(self, scope: Scope, _: Receive) -> ASGIApp:
        """Stop an answer; return the response. One that has ended stays as it is."""
        chat = self._door.chat_of(scope)
        chat.caller.require("chat")
        found = await _found(chat, scope)
        await chat.stop_stream(found.stream)
        return JSONResponse(found.document())

    async def delete(self, scope: Scope, _: Receive) -> ASGIApp:
        """Delete a response with its conversation, if it is the only one there."""
        chat = self._door.chat_of(scope)
        chat.caller.require("chat")
        name = _name_in(scope)
        conversation, turn = await _turn_of(chat, name)
        is_alone = conversation.total == 1 and len(conversation.branches) == 1
        if not is_alone or len(turn.segments) > 1:
            raise BadField(
                "response_id",
                "its conversation has other responses; delete the conversation"
                f" {conversation.id} (DELETE /api/conversations/{conversation.id})",
            )
        await chat.library.delete([conversation.id])
        return JSONResponse({"id": PREFIX + name, "object": "response", "deleted": True})

    async def input_items(self, scope: Scope, _: Receive) -> ASGIApp:
        """Return the question of a stored response."""
        chat = self._door.chat_of(scope)
        _conversation, turn = await _turn_of(chat, _name_in(scope))
        content = encode_content([part for part in turn.question_parts if not is_hidden(part)])
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        item: Document = {
            "id": f"msg_{turn.id}",
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": list(map(_input_part, parts)),
        }
        first = item["id"]
        return JSONResponse(
            {
                "object": "list",
                "data": [item],
                "first_id": first,
                "last_id": first,
                "has_more": False,
            }
        )


def _input_part(part: Document) -> Document:
    if part["type"] == "image_url":
        return {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto"}
    return {"type": "input_text", "text": part["text"]}


def _system(request: ResponseRequest) -> str | None:
    given = [request.instructions or ""]
    given += [one.text for one in request.messages if one.role == "system"]
    return "\n\n".join(filter(None, given)) or None


def _number(text: str) -> int:
    try:
        number = int(text[:20])
    except ValueError as error:
        raise BadField("starting_after", "expected a whole number") from error
    if not -1 <= number <= MAX_NUMBER:
        raise BadField("starting_after", f"expected a number up to {MAX_NUMBER}")
    return number


# ---- asking in a conversation --------------------------------------------------------------------


def _belongs_to_conversation(request: ResponseRequest) -> bool:
    """Whether the answer is stored: not if the request has its own context, or wants none."""
    if request.previous or request.conversation:
        return True
    return request.is_stored and not own_context(request.messages)


async def _ask_stored(
    chat: ChatService, request: ResponseRequest, options: Options, attempt: Attempt
) -> Stream:
    """Ask in the conversation of the previous response, in a named one, or in a new one."""
    if own_context(request.messages):
        raise BadField("input", "the conversation has the answers before the question already")
    previous: ConversationTurn | None = None
    if request.previous:
        try:
            conversation, previous = await _turn_of(chat, _name_of(request.previous))
        except NotFound as error:
            raise BadField("previous_response_id", NO_RESPONSE) from error
    elif request.conversation:
        conversation = await chat.library.open_or_create(request.conversation)
    else:
        conversation = await chat.conversation_for(attempt.new_turn_id)
    if known := await answer_of_retry(chat, conversation, attempt):
        return known
    last = await chat.last_turn(conversation)
    if request.results:
        if request.messages:
            raise BadField("input", "send results of tools without further messages")
        turn = previous or last
        if turn is None:
            raise BadField("input", "the conversation requests no tool")
        stream = await chat.give_results(conversation, turn.id, request.results, options)
        attempt.turn_id = turn.id
        return stream
    is_last = previous is None or (last is not None and previous.id == last.id)
    return await ask_in(
        chat,
        conversation,
        _as_one(request.messages),
        options,
        attempt=attempt,
        last=last if is_last else None,
        previous=previous,
        answer=request.metadata.get("answer"),
    )


def _as_one(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return the user's messages as one."""
    parts = tuple(part for one in messages if one.role == "user" for part in one.parts)
    if not parts:
        raise BadField("input", "a message of the user is missing")
    return (Message("user", parts),)


# ---- responses -----------------------------------------------------------------------------------


def _name_of(response_id: str) -> str:
    """Return the name of the stream of a response. Raises ``NotFound``."""
    if not response_id.startswith(PREFIX):
        raise NotFound(f"There is no response {response_id[:80]!r}.")
    return response_id.removeprefix(PREFIX)


def _name_in(scope: Scope) -> str:
    """Return the name of the stream of the response in a path. Raises ``NotFound``."""
    return _name_of(route_path(scope).split("/")[3])


async def _turn_of(chat: ChatService, name: str) -> tuple[Conversation, ConversationTurn]:
    try:
        return await chat.turn_of_stream(name)
    except NotFound:
        raise NotFound(f"There is no stored response '{PREFIX}{name[:80]}'.") from None


async def _found(chat: ChatService, scope: Scope) -> FoundResponse:
    """Return the response of a path. Raises ``NotFound``."""
    name = _name_in(scope)
    try:
        stream = await chat.find_stream(name)
    except (NotFound, Expired):
        raise NotFound(f"There is no response '{PREFIX}{name[:80]}'.") from None
    return await FoundResponse.of(chat, stream)


class FoundResponse:
    """A response: its stream, its fields that do not change, and its turn if it is stored."""

    def __init__(
        self, stream: Stream, base: dict[str, Any], turn: ConversationTurn | None = None
    ) -> None:
        self.stream = stream
        self.base = base
        self._turn = turn

    def _name_question(self) -> None:
        """Name the question at which the answer waits, once it has ended."""
        if (question := waiting_question(self._turn)) is not None:
            self.base["metadata"] = {**self.base["metadata"], "question": question.id}

    @classmethod
    async def of(cls, chat: ChatService, stream: Stream) -> FoundResponse:
        """Return the response of a stream."""
        base: dict[str, Any] = {
            **DEFAULTS,
            "model": stream.model,
            "store": False,
            "conversation": None,
            "created_at": int(stream.created_at),
            "metadata": {},
        }
        with suppress(NotFound):  # it is not stored
            conversation, turn = await chat.turn_of_stream(stream.name)
            base |= {
                "store": True,
                "conversation": {"id": conversation.id},
                "created_at": int(turn.created_at),
                "instructions": turn.options.system,
                "temperature": turn.options.temperature,
                "max_output_tokens": turn.options.max_tokens,
            }
            return cls(stream, base, turn)
        return cls(stream, base)

    @property
    def id(self) -> str:
        """The id of the response."""
        return PREFIX + self.stream.name

    def encoder(self, *, after: int = -1) -> ResponseEncoder:
        """Return a new encoder of the response, before its first event."""
        parts = TextOfParts()
        writer = PartWriter(text_for=parts.text_for, citation_for=citation_of_part)
        return ResponseEncoder(self.id, self.base, writer, after=after)

    def document(self) -> Document:
        """Return the response in its present state."""
        encoder, log = self.encoder(after=2**62), self.stream.log
        encoder.begin()
        for piece in shown_pieces(self.stream, 0, log.head):
            encoder.write(_entry_of(piece), piece.offset)
        self._name_question()
        return encoder.response(log.end)

    async def events(self, *, after: int = -1) -> AsyncGenerator[bytes, None]:
        """Yield the events after a sequence number, whose offset is readable."""
        encoder, log = self.encoder(after=after), self.stream.log
        offset = max(0, after // STEP)
        data = encoder.begin()
        for piece in shown_pieces(self.stream, 0, offset):
            data += encoder.write(_entry_of(piece), piece.offset)
        if data:
            yield data
        async for pieces in read_answer(self.stream, offset):
            written = [encoder.write(_entry_of(piece), piece.offset) for piece in pieces]
            if data := b"".join(written):
                yield data
        assert log.end is not None  # `read_answer` returns at the end
        self._name_question()
        yield encoder.end(log.end)


def _entry_of(piece: Piece) -> Entry:
    match piece:
        case TextPiece(text):
            return TextDelta(text)
        case ReasoningPiece(text):
            return ReasoningDelta(text)
        case ToolPiece() | PartPiece():
            return piece.delta


class NewResponse:
    """Sends a response that was just created: at once, at its end, or as it is written."""

    def __init__(
        self, door: Door, found: FoundResponse, attempt: Attempt, *, request: ResponseRequest
    ) -> None:
        self._door = door
        self._found = found
        self._attempt = attempt
        self._is_streamed = request.is_streamed
        self._is_background = request.is_background
        self._is_complete = False
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, unless the client disconnects before that."""
        stream = self._found.stream
        try:
            if self._is_streamed:
                await self._send_events(scope, receive, send)
            elif self._is_background:
                await JSONResponse(self._found.document())(scope, receive, send)
                self._is_complete = True
            elif await wait_or_leave(stream.wait_ended(), receive):
                await self._whole()(scope, receive, send)
                self._is_complete = True
        finally:
            self._attempt.end_response(
                is_complete=self._is_complete, has_begun=self._has_begun, is_resumable=True
            )

    async def late_events(self) -> AsyncGenerator[bytes, None]:
        """Yield the events in a stream that has begun; used in place of sending the response."""
        try:
            async with aclosing(self._events()) as events:
                async for data in events:
                    yield data
        finally:
            self._attempt.end_response(
                is_complete=self._is_complete, has_begun=self._has_begun, is_resumable=True
            )

    def give_up(self) -> None:
        """End the response, of which nothing was sent."""
        self._attempt.end_response(is_complete=False, has_begun=False)

    async def _send_events(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await wait_or_leave(first_news(self._found.stream), receive):
            return
        log = self._found.stream.log
        if log.end is not None and log.end.error is not None and not log.head:
            await self._whole()(scope, receive, send)
            self._is_complete = True
            return
        await EventStream(self._events())(scope, receive, send)

    async def _events(self) -> AsyncGenerator[bytes, None]:
        self._has_begun = True
        async for data in self._found.events():
            yield data
        end = self._found.stream.log.end
        if end is not None and (error := error_of(end)) is not None:
            self._door.count_error(error.code, is_of_answer=True)
        self._is_complete = True

    def _whole(self) -> ASGIApp:
        log = self._found.stream.log
        if self._found.stream.is_abandoned:  # the store may have more: the client asks again
            return failed_response(self._door, Fenced())
        if log.end is None or log.end.error is None or log.head:
            return JSONResponse(self._found.document())
        return failed_response(self._door, log.end.error)


class ResumedResponse:
    """Sends the events of a response after a sequence number; counts as a reader of its answer."""

    def __init__(self, found: FoundResponse, after: int, attempt: Attempt | None) -> None:
        self._found = found
        self._after = after
        self._attempt = attempt
        self._is_complete = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until their end, or until the client disconnects."""
        attempt = self._attempt
        if attempt is not None:
            attempt.add_reader()
        try:
            await EventStream(self._events())(scope, receive, send)
        finally:
            if attempt is not None:
                attempt.end_response(
                    is_complete=self._is_complete, has_begun=True, is_resumable=True
                )

    async def _events(self) -> AsyncGenerator[bytes, None]:
        async for data in self._found.events(after=self._after):
            yield data
        self._is_complete = True
