"""Scripts of the lab's answers: immutable values, which ``server.py`` plays.

A ``Script`` is an HTTP head and a list of steps. The functions create whole answers; the methods
return copies with a fault at a chosen position, in tokens or in bytes of the body.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from wireside.messages import Delta, Finished, ReasoningDelta, TextDelta, ToolDelta, Usage
from wireside.openai_wire import encode
from wireside.openai_wire.encode import CompletionEncoder

CREATED = 1_700_000_000
"""Time of every answer and model, in Unix seconds."""

INPUT_TOKENS = 7
"""Tokens of every question, in the usage of an answer."""

_WORDS = (
    *("wire", "side", "Fluß", "naïve", "поток", "流れ", "ذاكرة", "🙂", "👩‍🚀", "𝄞", "e\u0301"),
    *("<scr", "ipt>", "</", "script", "&amp;", '"quoted"', "`code`", "**bold**", "- item"),
    *("\n", "\n\n", "\u200b"),
)
"""Split so that consecutive tokens form words, tags and emoji that no single token contains."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Sends nothing for ``seconds``; None waits until ``FakeOpenAI.go_on``."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Ends the connection: ``fin`` closes it in the middle of the body, ``rst`` resets it."""

    how: Literal["fin", "rst"] = "fin"


@dataclass(frozen=True, slots=True)
class Repeat:
    """Sends ``data`` repeatedly, every ``every_s`` seconds (0: as fast as it is read)."""

    data: bytes
    every_s: float = 0.0


Step = bytes | Wait | Cut | Repeat


@dataclass(frozen=True)
class Script:
    """One HTTP answer.

    ``pace_s`` is the time between steps, ``wait_s`` the time before the head (None: no answer is
    ever sent), both in seconds. ``framing`` is how the body ends: by a chunk of length 0, by
    ``Content-Length`` or by the end of the connection. ``refusal`` ends the connection instead of
    an answer. ``split`` is the size of each write in bytes; 0 does not split the body. ``first`` is
    the index in ``body`` of the first of ``tokens``.
    """

    body: tuple[Step, ...] = ()
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "text/event-stream; charset=utf-8"
    framing: Literal["chunked", "length", "close"] = "chunked"
    pace_s: float = 0.0
    wait_s: float | None = 0.0
    refusal: Cut | None = None
    split: int = 0
    first: int = 0
    tokens: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        """The whole visible text of the answer without faults."""
        return "".join(self.tokens)

    def paced(self, tokens_per_s: float) -> Script:
        """Return the script with a rate of ``tokens_per_s`` steps per second."""
        return replace(self, pace_s=1 / tokens_per_s)

    def slow_head(self, seconds: float | None) -> Script:
        """Return the script with a delay before the head; None sends no answer at all."""
        return replace(self, wait_s=seconds)

    def unanswered(self, how: Literal["fin", "rst"] = "fin") -> Script:
        """Return a script that ends the connection after the request, without an answer."""
        return replace(self, refusal=Cut(how))

    def in_pieces(self, size: int = 1) -> Script:
        """Return the script in writes of ``size`` bytes, which also split characters."""
        return replace(self, split=size)

    def with_crlf(self) -> Script:
        """Return the script with CRLF line ends."""
        return self._with_bytes(lambda data: data.replace(b"\n", b"\r\n"))

    def with_bom(self) -> Script:
        """Return the script with a byte order mark at the beginning of the body."""
        return replace(self, body=(b"\xef\xbb\xbf", *self.body), first=self.first + 1)

    def gzipped(self) -> Script:
        """Return the script with a compressed body; steps other than bytes are dropped."""
        data = gzip.compress(b"".join(step for step in self.body if isinstance(step, bytes)))
        return replace(
            self, body=(data,), headers=(*self.headers, ("Content-Encoding", "gzip")), tokens=()
        )

    def closing(self) -> Script:
        """Return the script with a body that ends with the connection, as simple servers do."""
        return replace(self, framing="close")

    def insert(self, token: int, *steps: Step) -> Script:
        """Return the script with ``steps`` before a token (negative: counted from the end)."""
        at = self._place(token)
        return replace(self, body=(*self.body[:at], *steps, *self.body[at:]))

    def up_to(self, token: int, *steps: Step) -> Script:
        """Return the part of the script before a token, followed by ``steps``."""
        return replace(self, body=(*self.body[: self._place(token)], *steps))

    def cut(self, token: int, how: Literal["fin", "rst"] = "fin") -> Script:
        """Return the script with the connection ending before a token."""
        return self.up_to(token, Cut(how))

    def cut_in_character(self, token: int, how: Literal["fin", "rst"] = "fin") -> Script:
        """Return the script with the connection ending before a token, inside a character "é"."""
        data = text_event("é")
        return self.up_to(token, data[: data.index("é".encode()) + 1], Cut(how))

    def cut_at_byte(self, count: int, how: Literal["fin", "rst"] = "fin") -> Script:
        """Return a script that ends after ``count`` bytes of the body; waits are dropped."""
        data = b"".join(step for step in self.body if isinstance(step, bytes))
        return replace(self, body=(data[:count], Cut(how)))

    def stalled(self, token: int, seconds: float | None = None) -> Script:
        """Return the script with a pause before a token; None pauses until ``go_on``."""
        return self.insert(token, Wait(seconds))

    def only_keepalives(self, token: int, every_s: float = 0.02) -> Script:
        """Return the script that sends only comments from a token on."""
        return self.up_to(token, Repeat(encode.comment("keepalive"), every_s))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps as written: framed, and joined where no time passes between them."""
        steps: list[Step] = []
        for step in self._split():
            if not isinstance(step, (bytes, Repeat)):
                steps.append(step)
            elif isinstance(step, Repeat):
                steps.append(Repeat(self._framed(step.data), step.every_s))
            elif not self.pace_s and not self.split and steps and isinstance(steps[-1], bytes):
                steps[-1] += step
            else:
                steps.append(step)
        framed = [self._framed(step) if isinstance(step, bytes) else step for step in steps]
        if self.framing == "chunked":
            framed.append(b"0\r\n\r\n")
        elif self.framing == "close":
            framed.append(Cut("fin"))
        return tuple(framed)

    @cached_property
    def head(self) -> bytes:
        """The status line and the headers."""
        headers = [("Content-Type", self.content_type), *self.headers]
        if self.framing == "chunked":
            headers.append(("Transfer-Encoding", "chunked"))
        elif self.framing == "length":
            length = sum(len(step) for step in self.body if isinstance(step, bytes))
            headers.append(("Content-Length", str(length)))
        else:
            headers.append(("Connection", "close"))
        lines = [f"HTTP/1.1 {self.status} Lab", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join((*lines, "", "")).encode()

    def _place(self, token: int) -> int:
        return self.first + (token if token >= 0 else len(self.tokens) + token)

    def _with_bytes(self, change: Any) -> Script:
        return replace(
            self, body=tuple(change(s) if isinstance(s, bytes) else s for s in self.body)
        )

    def _split(self) -> Iterable[Step]:
        for step in self.body:
            if isinstance(step, bytes) and self.split:
                for at in range(0, len(step), self.split):
                    yield step[at : at + self.split]
            else:
                yield step

    def _framed(self, data: bytes) -> bytes:
        if self.framing != "chunked" or not data:
            return data
        return b"%x\r\n%b\r\n" % (len(data), data)


# Whole answers


def tokens(count: int, seed: int = 1) -> tuple[str, ...]:
    """Return numbered tokens, determined by ``seed``: letters of many scripts, emoji, markup.

    Each contains its number, which shows lost, duplicated and swapped tokens in a text.
    """
    rng = random.Random(seed)
    return tuple(f"{rng.choice(_WORDS)}{number} " for number in range(count))


def answer(
    text: int | str | Sequence[str] = 300,
    *,
    seed: int = 1,
    model: str = "lab-1",
    rate: float | None = None,
    reasoning: Sequence[str] = (),
    reasoning_field: str = "reasoning_content",
    tool_calls: Sequence[tuple[str, str]] = (),
    finish: str | None = "stop",
    usage: bool = True,
    done: bool = True,
) -> Script:
    """Return a streamed answer.

    ``text`` is a number of ``tokens``, the tokens themselves, or one string. ``rate`` is in tokens
    per second; None sends everything at once. ``tool_calls`` are names and arguments.
    ``finish=None`` omits the finish reason, ``usage=False`` the chunk with the usage, and
    ``done=False`` the final ``[DONE]``.
    """
    words = _tokens(text, seed)
    encoder = encoder_for(model, reasoning_field)
    chunks = [encoder.opening(), *map(encoder.reasoning, reasoning)]
    first = len(chunks)
    chunks += map(encoder.text, words)
    for number, (name, arguments) in enumerate(tool_calls):
        call = ToolDelta(f"call_lab_{number}", name, "running", arguments)
        parts = [arguments[at : at + 5] for at in range(0, len(arguments), 5)]
        chunks += encoder.tool_call(number, call, pieces=parts)
    if finish is not None:
        chunks.append(encoder.finish(finish))
    if usage:
        chunks.append(encoder.usage(Usage(INPUT_TOKENS, len(words))))
    events = [encode.event(chunk) for chunk in chunks]
    if done:
        events.append(encode.DONE)
    return Script(tuple(events), pace_s=1 / rate if rate else 0.0, first=first, tokens=words)


def interleaved(*, rate: float | None = None, model: str = "lab-1") -> Script:
    """Return text, a tool call, text, reasoning and text, in this order."""
    deltas: list[Delta] = [
        *map(TextDelta, ("Let me ", "look ", "outside.")),
        ToolDelta("call_lab_0", "weather", "requested", '{"city": "Zürich"}'),
        *map(TextDelta, ("The sky ", "is grey.")),
        *map(ReasoningDelta, ("Grey, ", "so: ")),
        *map(TextDelta, ("It will ", "rain.")),
        Finished("stop", Usage(INPUT_TOKENS, 9)),
    ]
    events = [encode.event(chunk) for chunk in encoder_for(model).chunks(deltas)]
    return Script((*events, encode.DONE), pace_s=1 / rate if rate else 0.0)


def endless(rate: float | None = None, model: str = "lab-1") -> Script:
    """Return an endless answer; ``rate`` is in tokens per second, None: as fast as it is read."""
    return Script((Repeat(text_event("on and ", model), 1 / rate if rate else 0.0),))


def completion(text: int | str | Sequence[str] = 300, *, model: str = "lab-1") -> Script:
    """Return a whole answer as one JSON document, as servers without streaming send it."""
    words = _tokens(text, 1)
    end = Finished("stop", Usage(INPUT_TOKENS, len(words)))
    document = encoder_for(model).whole([*map(TextDelta, words), end])
    return replace(json_page(document), tokens=words)


def failure(
    status: int,
    message: str = "The lab fails as requested.",
    *,
    code: str | None = None,
    kind: str = "lab_error",
    param: str | None = None,
    retry_after: str | float | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> Script:
    """Return an HTTP error in OpenAI's format; ``retry_after`` is the header's value."""
    if retry_after is not None:
        headers = (*headers, ("Retry-After", str(retry_after)))
    body = encode.error_body(message, kind=kind, code=code, param=param)
    return replace(json_page(body, status), headers=tuple(headers))


def json_page(document: object, status: int = 200) -> Script:
    """Return a response with any JSON document."""
    return page(json.dumps(document), status, "application/json")


def page(
    body: str = "<!doctype html><title>It works!</title>",
    status: int = 200,
    content_type: str = "text/html; charset=utf-8",
) -> Script:
    """Return a page, HTML by default, as sent by proxies or at a wrong URL."""
    return Script((body.encode(),), status, content_type=content_type, framing="length")


# Pieces of answers


def event(data: object, name: str = "") -> bytes:
    """Return one server-sent event; ``data`` is sent as JSON, a string unchanged."""
    return encode.event(data, name)


def text_event(text: str, model: str = "lab-1") -> bytes:
    """Return the event for one token."""
    return encode.event(encoder_for(model).text(text))


def error_event(message: str = "The lab broke.", *, name: str = "", **error: object) -> bytes:
    """Return the event for an error in the middle of a stream."""
    return event({"error": {"message": message, **error}}, name)


def encoder_for(
    model: str = "lab-1", reasoning_field: str = "reasoning_content"
) -> CompletionEncoder:
    """Return the encoder of the lab's answers."""
    return CompletionEncoder(
        id="chatcmpl-lab", model=model, created=CREATED, reasoning_field=reasoning_field
    )


def _tokens(text: int | str | Sequence[str], seed: int) -> tuple[str, ...]:
    if isinstance(text, int):
        return tokens(text, seed)
    return (text,) if isinstance(text, str) else tuple(text)
