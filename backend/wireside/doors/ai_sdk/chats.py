"""The chats of AI SDK clients: their questions, replays and stops, and their chunks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

import structlog
from starlette.types import Scope

from wireside.chat.service import ChatService
from wireside.doors.ai_sdk.chunks import ChunkEncoder, error_chunk
from wireside.doors.ai_sdk.requests import SendRequest
from wireside.doors.answers import read_answer
from wireside.doors.door import Door
from wireside.doors.requests import UPLOAD_PATH, options_in
from wireside.doors.threads import AskedTurn, LastAnswers, Threads, find_turn, stop_answer
from wireside.errors import BadMessage, InternalError, ResponseAborted, WiresideError
from wireside.messages import End

GRACE_S: Final = 60.0
"""Seconds after its end for which an answer can be replayed although its end was sent: a client
whose connection broke at that moment does not have it."""

_log = structlog.get_logger(__name__)


class Chats:
    """Asks and replays for all clients of the door.

    Args:
        door: the door.
        clock: returns monotonic seconds.
    """

    def __init__(self, door: Door, clock: Callable[[], float]) -> None:
        self._door = door
        self._threads = Threads()
        self._last = LastAnswers(clock)

    async def ask(self, scope: Scope, request: SendRequest) -> AskedTurn:
        """Ask what a client asks. Raises ``WiresideError``."""
        self._door.count_question(scope)
        chat = self._door.chat_of(scope)
        asked = await self._ask(chat, request)
        self._last.record_asked(asked)
        return asked

    async def _ask(self, chat: ChatService, request: SendRequest) -> AskedTurn:
        threads, earlier = self._threads, request.earlier
        options = options_in(request.body, chat, system=request.system)
        if request.trigger == "regenerate-message":
            return await threads.ask_again(
                chat,
                request.chat,
                request.question,
                earlier=earlier,
                answer_id=request.message_id,
                options=options,
            )
        if request.question is not None:
            return await threads.ask(
                chat,
                request.chat,
                request.question,
                earlier=earlier,
                options=options,
                is_edit=request.message_id == request.question.id and bool(request.question.id),
            )
        if not request.answers:
            raise BadMessage(
                "messages: the last one must be a question, or have an answer to a question of"
                " this server; results of other tools are not accepted."
            )
        return await threads.answer(chat, request.chat, request.answers)

    async def resume(self, scope: Scope, name: str) -> AskedTurn | None:
        """Return the answer to replay in a chat; None if there is none.

        That is the answer that runs, or the last one that was asked through this door if its end
        has not reached a client.
        """
        self._door.count_reading()
        chat = self._door.chat_of(scope)
        chat.caller.require("chat")
        conversation = await chat.library.find_named(name)
        if conversation is None:
            return None
        turn_id = self._last.turn_id(conversation)
        turn = await find_turn(chat, conversation, turn_id) if turn_id else None
        if turn is not None:
            if turn.waiting or turn.is_live:
                return AskedTurn(conversation, turn)
            is_missing = not self._last.was_end_sent(conversation, grace_s=GRACE_S)
            if not conversation.live and turn.segments and is_missing:
                return AskedTurn(conversation, turn)
        live = next(iter(conversation.live.values()), None)
        return None if live is None else AskedTurn(conversation, live)

    async def stop(self, scope: Scope, asked: AskedTurn) -> None:
        """Stop an answer. Raises ``WiresideError``."""
        await stop_answer(self._door.chat_of(scope), asked)

    async def read_chunks(self, scope: Scope, asked: AskedTurn) -> AsyncGenerator[list[str], None]:
        """Yield the chunks of a response, several at a time. Errors become a chunk, too."""
        try:
            async with aclosing(self._read_chunks(scope, asked)) as batches:
                async for chunks in batches:
                    yield chunks
        except WiresideError as error:
            self._door.count_error(error.code)
            yield [error_chunk(str(error))]
        except ResponseAborted:  # the client resumes the chat
            raise
        except Exception:  # the client waits for an end
            _log.exception("request_failed", door=self._door.name)
            self._door.count_error(InternalError.code)
            yield [error_chunk(str(InternalError()))]

    def mark_end_sent(self, asked: AskedTurn) -> None:
        """Record that the end of an answer was sent to a client."""
        self._last.record_end_sent(asked)

    async def _read_chunks(self, scope: Scope, asked: AskedTurn) -> AsyncGenerator[list[str], None]:
        turn, chat = asked.turn, self._door.chat_of(scope)
        stream = await chat.wait_for_answer(asked.conversation, turn)
        files_url = f"{scope.get('root_path', '')}{UPLOAD_PATH}"
        encoder = ChunkEncoder(stream.name, files_url=files_url)
        for earlier in turn.segments[: asked.first]:  # the client has them
            encoder.begin_segment()
            async for pieces in read_answer(earlier):
                encoder.encode_pieces(pieces)
            encoder.end_segment()
        metadata = {"model": stream.model, "conversation": asked.conversation.id, "turn": turn.id}
        chunks = encoder.start(metadata)
        index, end = asked.first, End("interrupted")
        while index < len(turn.segments):
            stream = turn.segments[index]
            chunks += encoder.begin_segment()
            yield chunks
            async with aclosing(read_answer(stream)) as batches:
                async for pieces in batches:
                    yield encoder.encode_pieces(pieces)
            chunks = encoder.end_segment()
            end = stream.log.end or end
            index += 1
        if end.error is not None:
            self._door.count_error(end.error.code, is_of_answer=True)
        yield [*chunks, *encoder.finish(end)]
