"""``POST /v1/chat/completions``."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, assert_never

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from wireside.api.errors import openai_body, openai_status_of
from wireside.chat.service import ChatService
from wireside.doors.answers import read_answer, shown_pieces
from wireside.doors.bodies import parse_request, read_body
from wireside.doors.door import Door
from wireside.doors.openai.asking import ask_stored, ask_unstored, options_of
from wireside.doors.openai.content import TextOfParts, citation_of, part_object, visible
from wireside.doors.openai.endings import (
    error_of_answer,
    failed_response,
    first_news,
    response_or_leave,
    wait_or_leave,
)
from wireside.doors.openai.retries import Attempt, Retries
from wireside.doors.sse import EventStream
from wireside.errors import ResponseAborted, WiresideError
from wireside.generation.log import PartPiece, Piece, ReasoningPiece, TextPiece, ToolPiece
from wireside.generation.runner import Stream
from wireside.messages import End, Finished, ReasoningDelta, TextDelta, ToolDelta, Usage
from wireside.openai_wire.completion_request import CompletionRequest, read_completion_request
from wireside.openai_wire.encode import DONE, CompletionEncoder, Document, event, usage_fields

REASONING: Final = "reasoning_content"


class Completions:
    """Creates chat completions, outside of conversations or in the one that ``metadata`` names."""

    def __init__(self, door: Door, retries: Retries) -> None:
        self._door = door
        self._retries = retries

    async def create(self, scope: Scope, receive: Receive) -> ASGIApp:
        """Ask the question; return the response with its answer."""
        chat = self._door.chat_of(scope)
        chat.caller.require("chat")
        body = await read_body(receive)
        request = await parse_request(body, read_completion_request)
        attempt = self._retries.attempt_for(scope, chat, body)
        del body  # it would stay in memory while the question waits
        attempt.stops_unread = not request.metadata.get("conversation")
        return await response_or_leave(
            self._respond(scope, chat, request, attempt),
            receive,
            late_error=self._late_error if request.is_streamed else None,
        )

    async def _respond(
        self, scope: Scope, chat: ChatService, request: CompletionRequest, attempt: Attempt
    ) -> CompletionResponse:
        try:
            stream = await attempt.begin(partial(self._ask, scope, chat, request, attempt))
            is_stored = bool(request.metadata.get("conversation"))
            metadata = await _metadata_of(chat, stream) if is_stored else {}
        except BaseException:
            attempt.end_response(is_complete=False, has_begun=False)
            raise
        return CompletionResponse(self._door, stream, attempt, request=request, metadata=metadata)

    def _late_error(self, error: WiresideError) -> bytes:
        self._door.count_error(error.code)
        return event(_error_body(error)) + DONE

    async def _ask(
        self, scope: Scope, chat: ChatService, request: CompletionRequest, attempt: Attempt
    ) -> Stream:
        self._door.count_question(scope)
        options = options_of(
            request.metadata,
            model=request.model,
            temperature=request.temperature,
            max_tokens=request.max_tokens,
            parameters=request.parameters,
        )
        name = request.metadata.get("conversation")
        if not name:
            return await ask_unstored(chat, request.messages, options)
        return await ask_stored(
            chat,
            name,
            request.messages,
            options,
            attempt=attempt,
            answer=request.metadata.get("answer"),
        )


async def _metadata_of(chat: ChatService, stream: Stream) -> dict[str, str]:
    """Return the conversation of a stored answer, so that the client can go on in it."""
    with suppress(WiresideError):
        conversation, _ = await chat.turn_of_stream(stream.name)
        return {"conversation": conversation.id}
    return {}


class CompletionResponse:
    """Sends the answer of a stream, whole or as it is written.

    Args:
        door: counts errors.
        stream: the answer.
        attempt: the request, which the client may send again.
        request: the request.
        metadata: strings that the response repeats.
    """

    def __init__(
        self,
        door: Door,
        stream: Stream,
        attempt: Attempt,
        *,
        request: CompletionRequest,
        metadata: dict[str, str],
    ) -> None:
        self._door = door
        self._stream = stream
        self._attempt = attempt
        self._is_streamed = request.is_streamed
        self._wants_usage = request.wants_usage
        self._metadata = metadata
        self._encoder = CompletionEncoder(
            id=f"chatcmpl-{stream.name}",
            model=stream.model,
            created=int(time.time()),
            reasoning_field=REASONING,
        )
        self._is_complete = False
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, unless the client disconnects before that."""
        try:
            if self._is_streamed:
                await self._send_events(scope, receive, send)
            elif await wait_or_leave(self._stream.wait_ended(), receive):
                await self._whole()(scope, receive, send)
                self._is_complete = True
        finally:
            self._attempt.end_response(is_complete=self._is_complete, has_begun=self._has_begun)

    async def late_events(self) -> AsyncGenerator[bytes, None]:
        """Yield the events in a stream that has begun; used in place of sending the response."""
        try:
            async with aclosing(self._events()) as events:
                async for data in events:
                    yield data
        finally:
            self._attempt.end_response(is_complete=self._is_complete, has_begun=self._has_begun)

    def give_up(self) -> None:
        """End the response, of which nothing was sent."""
        self._attempt.end_response(is_complete=False, has_begun=False)

    async def _send_events(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await wait_or_leave(first_news(self._stream), receive):
            return
        end = self._stream.log.end
        if (
            end is not None
            and not self._stream.log.head
            and (error := error_of_answer(self._stream))
        ):
            await failed_response(self._door, error)(scope, receive, send)
            self._is_complete = True
            return
        await EventStream(self._events())(scope, receive, send)

    async def _events(self) -> AsyncGenerator[bytes, None]:
        self._has_begun = True
        writer = EventWriter(self._encoder)
        opening = self._encoder.opening()
        yield event({**opening, "metadata": self._metadata} if self._metadata else opening)
        with suppress(ResponseAborted):  # no client can read on, and the error says to ask again
            async for pieces in read_answer(self._stream):
                if data := writer.write(pieces):
                    yield data
        end = self._stream.log.end
        assert end is not None  # `read_answer` returns at the end
        if (error := error_of_answer(self._stream)) is not None:
            self._door.count_error(error.code, is_of_answer=True)
            yield event(_error_body(error)) + DONE
        else:
            yield self._last_events(end, writer.calls)
        self._is_complete = True

    def _last_events(self, end: End, calls: int) -> bytes:
        last = event(self._encoder.finish(finish_reason(end, calls)))
        if self._wants_usage:
            last += event({**self._encoder.usage(end.usage), "usage": known_usage(end.usage)})
        return last + DONE

    def _whole(self) -> ASGIApp:
        end = self._stream.log.end
        assert end is not None  # waited for
        if (error := error_of_answer(self._stream)) is not None:
            return failed_response(self._door, error)
        document = whole_document(self._encoder, self._stream, end)
        if self._metadata:
            document["metadata"] = self._metadata
        return JSONResponse(document)


class EventWriter:
    """Writes the pieces of one answer as events."""

    def __init__(self, encoder: CompletionEncoder) -> None:
        self.calls = 0
        """Number of tool calls that the client has to run."""
        self._encoder = encoder
        self._parts = TextOfParts()
        self._text_event = encoder.field_event("content")
        self._reasoning_event = encoder.field_event(REASONING)

    def write(self, pieces: Iterable[Piece]) -> bytes:
        """Return the events for pieces."""
        return b"".join([self._write(piece) for piece in visible(pieces)])

    def _write(self, piece: Piece) -> bytes:
        match piece:
            case TextPiece():
                return self._text_event(piece.text)
            case ReasoningPiece():
                return self._reasoning_event(piece.text)
            case ToolPiece() if piece.delta.state == "requested":
                self.calls += 1
                call = replace(piece.delta, call=call_id(piece.delta, self.calls))
                chunks = self._encoder.tool_call(self.calls - 1, call, pieces=[call.arguments])
                return b"".join(map(event, chunks))
            case ToolPiece():
                return event(self._encoder.chunk({"parts": [part_object(piece)]}))
            case PartPiece():
                return event(self._encoder.chunk(part_delta(piece, self._parts)))
            case _:
                assert_never(piece)


def call_id(call: ToolDelta, number: int) -> str:
    """Return the id of a call; some services send none."""
    return call.call or f"call_{number}"


def part_delta(piece: PartPiece, parts: TextOfParts) -> Document:
    """Return the delta of a part: itself, its text, and a source as an annotation."""
    delta: Document = {"parts": [part_object(piece)]}
    if text := parts.text_for(piece.delta.part):
        delta["content"] = text
    if citation := citation_of(piece):
        delta["annotations"] = [_annotation(citation)]
    return delta


def _annotation(citation: dict[str, Any]) -> Document:
    return {
        "type": "url_citation",
        "url_citation": {**citation, "start_index": 0, "end_index": 0},
    }


def whole_document(encoder: CompletionEncoder, stream: Stream, end: End) -> Document:
    """Return the answer of an ended stream as one document."""
    parts, calls = TextOfParts(), 0
    deltas: list[TextDelta | ReasoningDelta | ToolDelta | Finished] = []
    shown: list[ToolPiece | PartPiece] = []
    for piece in shown_pieces(stream, 0, stream.log.head):
        match piece:
            case TextPiece(text):
                deltas.append(TextDelta(text))
            case ReasoningPiece(text):
                deltas.append(ReasoningDelta(text))
            case ToolPiece() if piece.delta.state == "requested":
                calls += 1
                deltas.append(replace(piece.delta, call=call_id(piece.delta, calls)))
            case ToolPiece() | PartPiece():
                shown.append(piece)
                deltas.append(TextDelta(parts.text_of_piece(piece)))
    document = encoder.whole([*deltas, Finished("stop", end.usage)])
    document["usage"] = known_usage(end.usage)
    choice = document["choices"][0]
    choice["finish_reason"] = finish_reason(end, calls)
    message = choice["message"]
    message |= {"content": message["content"] or (None if calls else ""), "refusal": None}
    message |= _shown_fields(shown)
    return document


def _shown_fields(pieces: list[ToolPiece | PartPiece]) -> Document:
    """Return the fields of a message for the parts of its answer."""
    found = (citation_of(piece) for piece in pieces if isinstance(piece, PartPiece))
    annotations = [_annotation(citation) for citation in found if citation]
    fields: Document = {"parts": list(map(part_object, pieces))} if pieces else {}
    return fields | ({"annotations": annotations} if annotations else {})


def finish_reason(end: End, calls: int) -> str:
    """Return the finish reason of a complete answer; one that asks a question has stopped."""
    if end.reason in (None, "asking"):
        return "stop"
    return "tool_calls" if calls and end.reason == "stop" else str(end.reason)


def known_usage(usage: Usage) -> Document | None:
    """Return the usage, None if the model service has not told it."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage_fields(usage)


def _error_body(error: WiresideError) -> Document:
    return openai_body(str(error), openai_status_of(error), code=error.code)
