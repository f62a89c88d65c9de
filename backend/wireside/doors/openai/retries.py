"""Finds the request that a client sends again, so that no question is asked twice.

A client that loses the connection sends its request again: under the same ``Idempotency-Key``, or,
as the openai packages do by themselves, with the same body and a new ``X-Stainless-Retry-Count``.
Both lead to the ``Attempt`` that the first request began, even if its response was sent: it may not
have arrived. One that was refused, or whose answer failed, asks again. An equal request without
either is a new question.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final
from weakref import WeakValueDictionary, ref

from starlette.datastructures import Headers
from starlette.types import Scope

from wireside.chat.service import ChatService
from wireside.errors import BadMessage
from wireside.generation.runner import Stream
from wireside.messages import End

MAX_ATTEMPTS: Final = 10_000
"""Maximum number of remembered requests."""

RETRY_S: Final = 30.0
"""Seconds in which a client that has lost its connection may send its request again.

An answer that is not stored goes on for that time without a reader, then it is stopped.
"""

BROKEN_STREAM_S: Final = 3.0
"""The same for an answer whose stream has begun: clients don't send such a request again."""

MAX_KEY_CHARS: Final = 255

KEPT_S: Final = 600.0
"""Seconds for which a request is remembered."""

Ask = Callable[[], Coroutine[Any, Any, Stream]]
"""Asks the question; returns the stream of its answer."""


class Attempt:
    """A request, and the stream that answers it.

    Attributes:
        id: an id of the request, the same when it is sent again.
        has_key: whether the client has named the request by a key.
        is_findable: whether the client may send the request again.
        stops_unread: whether its answer stops without a reader.
        turn_id: the id of the stored turn that answers it, None before that.
        began: monotonic time in seconds.
        readers: number of responses that are being sent.
    """

    def __init__(
        self, attempt_id: str, retries: Retries, *, digest: str, has_key: bool, is_findable: bool
    ) -> None:
        self.id = attempt_id
        self.digest = digest
        self.has_key = has_key
        self.is_findable = is_findable
        self.stops_unread = True
        self.turn_id: str | None = None
        self.began = asyncio.get_running_loop().time()
        self.readers = 0
        self._retries = retries
        self._stream: Callable[[], Stream | None] = _no_stream
        self._asking: asyncio.Task[Stream] | None = None
        self._answered_at: float | None = None
        self._stopping: asyncio.TimerHandle | None = None
        self._is_abandoned = False

    @property
    def new_turn_id(self) -> str:
        """The id of the turn that the request adds to a conversation."""
        return f"key-{self.id[:40]}"

    @property
    def is_answered(self) -> bool:
        """Whether a complete answer was sent whole."""
        return self._answered_at is not None

    def can_be_retried(self, now: float) -> bool:
        """Whether a request without a key may be this one sent again."""
        return self._answered_at is None or now - self._answered_at <= RETRY_S

    async def begin(self, ask: Ask) -> Stream:
        """Ask the question, unless it was asked and has not failed; count a reader.

        A client that disconnects does not end the asking. Raises what ``ask`` raises.
        """
        self.add_reader()
        if (stream := self._stream()) and not has_failed(stream.log.end):
            return stream
        if self._asking is None:
            self._asking = asyncio.create_task(ask(), name="ask through a door")
            self._asking.add_done_callback(self._on_asked)
        return await asyncio.shield(self._asking)

    def add_reader(self) -> None:
        """Count a response; the answer goes on while it has a reader."""
        self.readers += 1
        self._is_abandoned = False
        if self._stopping is not None:
            self._stopping.cancel()
            self._stopping = None

    def _on_asked(self, asked: asyncio.Task[Stream]) -> None:
        self._asking = None
        if asked.cancelled() or asked.exception() is not None:
            return  # refused: the same request asks again
        stream = asked.result()
        self._stream = ref(stream)  # the chat keeps it as long as it can be resumed
        self._answered_at = None
        self._retries.record_stream(self, stream)
        if self._is_abandoned:
            stream.stop_answer()

    def end_response(
        self, *, is_complete: bool, has_begun: bool, is_resumable: bool = False
    ) -> None:
        """End a response to the request.

        Args:
            is_complete: all of it was sent.
            has_begun: a stream of events has begun, which clients don't ask for again.
            is_resumable: the client knows the name of the stream, to read on from it.
        """
        self.readers -= 1
        loop = asyncio.get_running_loop()
        stream = self._stream()
        if is_complete and stream and not has_failed(stream.log.end):
            self._answered_at = loop.time()
        is_asked = stream is not None or self._asking is not None
        if self.readers or is_complete or not is_asked or not self.stops_unread:
            return
        wait_s = BROKEN_STREAM_S if has_begun else RETRY_S
        may_return = self.is_findable or (has_begun and is_resumable)
        self._stopping = loop.call_later(wait_s if may_return else 0, self._stop)

    def _stop(self) -> None:
        self._stopping = None
        self._is_abandoned = True
        self._retries.forget(self)
        if stream := self._stream():
            stream.stop_answer()


def has_failed(end: End | None) -> bool:
    """Whether a retry of the request asks again: the answer failed, and was not stopped."""
    return end is not None and (end.error is not None or end.reason == "interrupted")


class Retries:
    """The requests that may be sent again."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[Attempt, None] = OrderedDict()  # the oldest first
        self._equal: dict[str, dict[Attempt, None]] = {}
        self._of_streams: WeakValueDictionary[str, Attempt] = WeakValueDictionary()

    def attempt_for(self, scope: Scope, chat: ChatService, body: bytes) -> Attempt:
        """Return the attempt of a request: that of the same request before it, or a new one.

        Raises:
            BadMessage: its key is too long.
        """
        headers = Headers(scope=scope)
        key = headers.get("idempotency-key")
        count = headers.get("x-stainless-retry-count")
        if key is not None and not 0 < len(key) <= MAX_KEY_CHARS:
            raise BadMessage(f"Idempotency-Key: expected 1 to {MAX_KEY_CHARS} characters.")
        identity = repr((chat.caller.user_id, scope["path"], key)).encode()
        digest = hashlib.sha256(identity + body).hexdigest()
        if key is not None:
            found = next(iter(self._equal.get(digest, ())), None)
            return found or self._add(digest, digest, has_key=True)
        if count not in (None, "0") and (retried := self._find_retried(digest)):
            return retried
        return self._add(digest, secrets.token_hex(20), is_findable=count is not None)

    def attempt_of(self, stream: Stream) -> Attempt | None:
        """Return the request that a stream answers, None if it is forgotten."""
        return self._of_streams.get(stream.name)

    def record_stream(self, attempt: Attempt, stream: Stream) -> None:
        """Record which stream answers a request."""
        self._of_streams[stream.name] = attempt

    def _find_retried(self, digest: str) -> Attempt | None:
        """Return the attempt of a request that is sent again without a key.

        One that was not answered is preferred, such as one that was refused, then one without a
        reader.
        """
        now = asyncio.get_running_loop().time()
        usable = [one for one in self._equal.get(digest, ()) if one.can_be_retried(now)]
        return min(usable, key=lambda one: (one.is_answered, one.readers, -one.began), default=None)

    def _add(
        self, digest: str, attempt_id: str, *, has_key: bool = False, is_findable: bool = True
    ) -> Attempt:
        attempt = Attempt(attempt_id, self, digest=digest, has_key=has_key, is_findable=is_findable)
        if is_findable:
            self._forget_old(attempt.began)
            self._attempts[attempt] = None
            self._equal.setdefault(digest, {})[attempt] = None
        return attempt

    def _forget_old(self, now: float) -> None:
        while self._attempts:
            oldest = next(iter(self._attempts))
            if now - oldest.began <= KEPT_S and len(self._attempts) < MAX_ATTEMPTS:
                return
            self.forget(oldest)

    def forget(self, attempt: Attempt) -> None:
        """Forget a request: the same one asks a new question."""
        self._attempts.pop(attempt, None)
        equal = self._equal.get(attempt.digest, {})
        equal.pop(attempt, None)
        if not equal:
            self._equal.pop(attempt.digest, None)


def _no_stream() -> None:
    return None
