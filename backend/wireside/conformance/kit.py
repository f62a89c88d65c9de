"""What a check uses: connections, handshakes, and answers that several checks judge."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from wireside.conformance.address import Address
from wireside.conformance.connection import FrameTranscript, RecordedConnection, open_connection
from wireside.conformance.frames import Frame, text_of
from wireside.conformance.raw_http import RawReply, handshake, request
from wireside.conformance.results import NotApplicable, RateLimitReached, Violation

SHORT_QUESTION: Final = "Write two short sentences about the sea, each with the emoji 🌊."
"""Its answer has characters outside of the basic plane, if the model follows the instruction."""

LONG_QUESTION: Final = "Count from one to three hundred in words, one per line."

SHORT_TOKENS: Final = 80
LONG_TOKENS: Final = 400
"""``max_tokens`` of the questions of level 2: a model of its own kind costs money."""

MANY_FRAMES: Final = 20
MANY_S: Final = 1.0
"""More frames and seconds than these after a frame was sent show that it had no effect yet.

A model that answers at once may have written everything before.
"""

Run = Callable[["Kit"], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformanceCheck:
    """One rule of the protocol and the function that checks it.

    ``run`` raises ``Violation``, or ``NotApplicable`` if this server can't show the rule.
    """

    name: str
    section: str
    rule: str
    level: Literal[1, 2]
    run: Run = field(repr=False)


def check(
    name: str, *, section: str, rule: str, level: Literal[1, 2] = 2
) -> Callable[[Run], ConformanceCheck]:
    """Declare a check: a decorator of its function."""

    def declare(run: Run) -> ConformanceCheck:
        return ConformanceCheck(name=name, section=section, rule=rule, level=level, run=run)

    return declare


@dataclass(frozen=True, slots=True)
class ReceivedAnswer:
    """The frames of one request, and those between its last one and the next pong."""

    frames: Sequence[Frame]
    later: Sequence[Frame]

    @property
    def text(self) -> str:
        """The text of the answer."""
        return text_of(self.frames)

    @property
    def stream(self) -> str:
        """Name of its stream, from ``start``. Raises ``Violation`` without one."""
        first = self.frames[0]
        if first.type != "start" or not isinstance(first.get("stream"), str):
            raise Violation("`start` with `stream` as the first frame", first.text)
        return str(first.get("stream"))

    @property
    def head(self) -> int:
        """Position after the answer, from its ``done``."""
        return int(self.frames[-1].get("offset"))


class Kit:
    """Connects checks to the server under test.

    Args:
        address: the server's WebSocket.
        key: an API key, sent as a bearer token; None without accounts.
        model: the model to ask; None for the server's default.
        timeout_s: longest wait for a response, in seconds.
    """

    def __init__(
        self, address: Address, *, key: str | None, model: str | None, timeout_s: float
    ) -> None:
        self.address = address
        self.key = key
        self.timeout_s = timeout_s
        self.transcript = FrameTranscript()
        self._model = {} if model is None else {"model": model}
        self._answers: dict[int, ReceivedAnswer | Violation] = {}

    @property
    def authorization(self) -> dict[str, str]:
        """The header field of the key; empty without one."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    @asynccontextmanager
    async def connection(
        self,
        query: str = "",
        *,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        compression: str | None = "deflate",
    ) -> AsyncIterator[RecordedConnection]:
        """Open a connection; ``headers`` replaces the key."""
        async with open_connection(
            self.address,
            self.transcript,
            headers=self.authorization if headers is None else headers,
            timeout_s=self.timeout_s,
            query=query,
            subprotocols=subprotocols,
            compression=compression,
        ) as connection:
            yield connection

    async def handshake(
        self, headers: Mapping[str, str] | None = None, *, target: str | None = None
    ) -> RawReply:
        """Send a handshake with further header fields and return the response."""
        target = self.address.path if target is None else target
        named = re.sub(r"ticket\.[^,\s']+", "ticket.…", str(dict(headers or {})))
        self.transcript.add(f"→ handshake {target} {named}")
        reply = await handshake(
            self.address,
            target=target,
            headers=self.authorization | dict(headers or {}),
            timeout_s=self.timeout_s,
        )
        self.transcript.add(f"← {reply}")
        return reply

    async def request(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> RawReply:
        """Send an HTTP request and return the response."""
        self.transcript.add(f"→ {method} {target}")
        reply = await request(
            self.address,
            target=target,
            method=method,
            headers=headers,
            body=body,
            timeout_s=self.timeout_s,
        )
        self.transcript.add(f"← HTTP {reply.status}")
        return reply

    # ---- questions -----------------------------------------------------------------------------

    def question(self, message: str = SHORT_QUESTION, **fields: Any) -> dict[str, Any]:
        """Return a ``chat`` of level 1."""
        return {"type": "chat", "message": message, **self._model, **fields}

    def short(self, request_id: str, **fields: Any) -> dict[str, Any]:
        """Return a ``chat`` of level 2 with a short answer."""
        return self.question(SHORT_QUESTION, id=request_id, max_tokens=SHORT_TOKENS) | fields

    def long(self, request_id: str, **fields: Any) -> dict[str, Any]:
        """Return a ``chat`` of level 2 whose answer takes a while."""
        return self.question(LONG_QUESTION, id=request_id, max_tokens=LONG_TOKENS) | fields

    def batch(self, messages: Sequence[str], **fields: Any) -> dict[str, Any]:
        """Return a ``batch``."""
        return {"type": "batch", "messages": list(messages), **self._model, **fields}

    def new_key(self) -> str:
        """Return a random key for a request."""
        return secrets.token_hex(16)

    async def answer(self, level: Literal[1, 2]) -> ReceivedAnswer:
        """Return an answer of this level, which is requested once for all checks."""
        if level not in self._answers:
            try:
                self._answers[level] = await self._ask(level)
            except RateLimitReached:
                raise
            except Violation as violation:
                self._answers[level] = violation
        found = self._answers[level]
        if isinstance(found, Violation):
            raise found
        for frame in found.frames:
            self.transcript.add(f"← {frame.text}")
        return found

    async def written_answer(self, level: Literal[1, 2]) -> ReceivedAnswer:
        """Return an answer with some text. Raises ``NotApplicable`` if the model gave none."""
        found = await self.answer(level)
        if not found.text:
            raise NotApplicable(f"The model gave no text: {found.frames[-1].text}")
        return found

    async def _ask(self, level: Literal[1, 2]) -> ReceivedAnswer:
        async with self.connection() as connection:
            if level == 1:
                await connection.send(self.question())
                frames = await connection.receive_request()
            else:
                await connection.send(self.short("answer"))
                frames = await connection.receive_request("answer")
            return ReceivedAnswer(frames, await connection.fence(level=level))
