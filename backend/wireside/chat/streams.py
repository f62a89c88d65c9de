"""Single questions, and the streams of answers: start, find, watch and stop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from wireside.chat.answering import count_tokens, request_chars
from wireside.chat.caller_chat import CallerChat
from wireside.chat.conversation import Conversation
from wireside.chat.dependencies import accepts_images
from wireside.chat.digests import sha256_of_repr
from wireside.errors import (
    Expired,
    Forbidden,
    InvalidAttachment,
    NotFound,
    StoreError,
    WiresideError,
)
from wireside.files.context import CANNOT_SEE, with_contents
from wireside.generation.runner import Stream
from wireside.messages import Message, ModelRequest, Options, RequestContext
from wireside.parts import ImagePart


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question with its context, outside of any conversation.

    ``messages`` ends with the question. ``key`` is the client's name for the request: the same key
    with the same content is answered once within the resume window.
    """

    messages: tuple[Message, ...]
    options: Options = Options()
    key: str | None = None
    sanitize: bool = False


class Streams(CallerChat):
    """Questions outside of conversations, and streams by name."""

    async def start_stream(self, ask: Ask) -> Stream:
        """Start an answer, or return the one started earlier by the same request.

        Returns before the model is called. Raises ``TooMany``, ``RateLimited``, ``UnknownModel``,
        ``BadMessage`` for its options, ``Overloaded``, or the error that prevents the list of
        models from being read.
        """
        self.caller.require("chat")
        with self._watcher.record_question("ask").being_asked():
            return await self._start_or_find(ask)

    async def _start_or_find(self, ask: Ask) -> Stream:
        digest = None if ask.key is None else _request_digest(self.caller.user_id, ask)
        if stream := await self._asked_before(digest):
            return stream
        with ExitStack() as undo:
            release_slot = self._quotas.acquire_slot(self.caller)
            undo.callback(release_slot)
            model = await self._resolve_model(ask.options)
            sees = partial(accepts_images, self._models, model)
            if _has_images(ask.messages[-1]) and await sees() is False:
                raise InvalidAttachment(CANNOT_SEE)
            messages = await with_contents(self.files, ask.messages, can_see=sees)
            await self._quotas.claim_slots(self.caller)
            await self._quotas.record_message(self.caller)
            if stream := await self._asked_before(digest):  # started in the meantime
                return stream
            ask = replace(ask, messages=messages)
            request = self._model_request(ask, model)
            stream = self._runner.prepare_answer(
                request, owner=self.caller.user_id, sanitize=ask.sanitize
            )
            if digest is not None and (known := await self._claim_request(digest, stream)):
                return known
            try:
                self._runner.start_prepared(stream, request)
            except WiresideError:
                if digest is not None:
                    await self.core.forget_asked(digest, stream.name)
                raise
            undo.pop_all()
        stream.call_at_end(release_slot)
        counting = count_tokens(
            self._quotas, self.core.parts.usage, self.caller, stream, request_chars(request)
        )
        self.core.start_task(counting)
        return stream

    async def _claim_request(self, digest: bytes, stream: Stream) -> Stream | None:
        """Make ``stream`` the answer to a request; return the one that another server began."""
        try:
            claimed = await self.core.claim_request(digest, stream.name)
        except BaseException:
            self._runner.discard_prepared(stream)
            raise
        if claimed == stream.name:
            self.core.remember_asked(digest, stream.name)
            return None
        self._runner.discard_prepared(stream)
        return await self._find_unstored(claimed)

    async def find_stream(self, name: str, *, includes_shared: bool = False) -> Stream:
        """Return the stream of that name, from memory or from the store.

        With ``includes_shared``, it may be one of a conversation that others share with the caller,
        who must stop reading it as soon as ``watch_access`` says so.

        Raises ``Expired`` for a stream that was never stored and has left the resume window, and
        ``NotFound`` for unknown streams and those of other accounts.
        """
        self.caller.require("read", "chat")
        owner = self.caller.user_id
        if includes_shared and (conversation := await self._shared_conversation(name)):
            return await self._shared_stream(name, conversation)
        if (stream := self._runner.stream_in_memory(name)) is not None:
            if stream.is_stored and await self._is_deleted(stream):
                raise NotFound
        elif stored := await self._store.read_segment(name):
            segment, conversation_id = stored
            if await self.library.open_conversation(conversation_id):
                return self._conversations.stream_of(segment, owner)
        return await self._find_unstored(name)

    async def _shared_conversation(self, stream: str) -> Conversation | None:
        """Return the conversation of a stream, if it is one that others share with the caller."""
        known = self._runner.stream_in_memory(stream)
        if known is not None and (known.owner == self.caller.user_id or not known.is_stored):
            return None
        place = await self._store.turn_of_stream(stream)
        conversation = place and await self.library.find_readable(place[0])
        is_own = conversation and self.library.right_on(conversation) == "own"
        return None if is_own else conversation or None

    async def _shared_stream(self, name: str, conversation: Conversation) -> Stream:
        if stream := self._runner.stream_in_memory(name):
            return stream
        if stored := await self._store.read_segment(name):
            return self._conversations.stream_of(stored[0], conversation.info.owner)
        raise NotFound

    async def watch_access(
        self, stream: Stream, ended: Callable[[], None], conversation_id: str | None = None
    ) -> Callable[[], None]:
        """Call ``ended`` once the caller may no longer read a stream that others share with it.

        That is when sharing ends, or the conversation is deleted. Returns a function that
        unsubscribes. ``conversation_id`` is that of the stream, if it is known. Raises ``NotFound``
        if the caller may not read it already.
        """
        if stream.owner == self.caller.user_id or not stream.is_stored:
            return lambda: None
        if conversation_id is None:
            conversation = await self._shared_conversation(stream.name)
        else:
            conversation = await self.library.find_readable(conversation_id)
        if conversation is None:
            raise NotFound

        def check(_: str | None) -> None:
            if conversation.is_deleted or self.library.right_on(conversation) is None:
                ended()

        unwatch = self.watch_conversation(conversation, check)
        check(None)
        return unwatch

    async def may_stop(self, stream: Stream) -> bool:
        """Return whether the caller may stop a stream that it reads."""
        if not self.caller.may("chat"):
            return False
        if stream.owner == self.caller.user_id or not stream.is_stored:
            return True
        conversation = await self._shared_conversation(stream.name)
        return conversation is not None and self.library.right_on(conversation) == "reply"

    async def _find_unstored(self, name: str) -> Stream:
        """Return an answer outside of conversations, from the server that has it.

        Raises ``NotFound``, ``Expired`` or ``Overloaded``.
        """
        owner = self.caller.user_id
        try:
            return self._runner.find_stream(name, owner)
        except NotFound:
            if not self.core.is_shared:
                raise
        return await self.core.parts.others.find_answer(name, owner)

    async def _is_deleted(self, stream: Stream) -> bool:
        """Whether the conversation of a stored stream was deleted, or purged since."""
        try:
            place = await self._store.turn_of_stream(stream.name)
            if place is None:
                return stream.log.head > 0  # else it has failed because it could not be stored
            return await self.library.open_conversation(place[0]) is None
        except StoreError:  # what is in memory is readable without the store
            return False

    async def stop_stream(self, stream: Stream) -> None:
        """Stop an answer; returns when the upstream response is closed and the end published."""
        self.caller.require("chat")
        if not await self.may_stop(stream):
            raise Forbidden("This conversation is shared with you to read only.")
        stream.stop_answer()
        await stream.wait_ended()

    def watch_conversation(
        self, conversation: Conversation, changed: Callable[[str | None], None]
    ) -> Callable[[], None]:
        """Call ``changed`` on each change of a conversation; returns a function that unsubscribes.

        ``changed`` receives the id of a changed turn, None if the shown turns, the title or the
        options have changed. It must be cheap.
        """
        return self._conversations.watchers.add_watcher(conversation.id, changed)

    def _model_request(self, ask: Ask, model: str) -> ModelRequest:
        request = self._rules.model_request(ask.messages, ask.options, model)
        context = RequestContext(
            user_id=self.caller.host_id or self.caller.user_id,
            user_name=self.caller.name,
            user_groups=tuple(sorted(self.caller.groups)),
            options=ask.options.values,
        )
        return replace(request, context=context)

    async def _asked_before(self, digest: bytes | None) -> Stream | None:
        if digest is None or (name := await self.core.asked_stream(digest)) is None:
            return None
        try:
            return await self._find_unstored(name)
        except (NotFound, Expired):  # it has left the resume window: the key may be used again
            await self.core.forget_asked(digest, name)
            return None


def _has_images(message: Message) -> bool:
    return any(isinstance(part, ImagePart) for part in message.parts)


def _request_digest(owner: str, ask: Ask) -> bytes:
    """Identify a request by its owner, its key and its content.

    A key that two clients share by chance, or that one guesses, must not show one of them what the
    other asked.
    """
    return sha256_of_repr((owner, ask))
