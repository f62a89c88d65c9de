"""Chat completions as OpenAI-compatible servers really send them: bytes in, deltas out. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from wireside.messages import Delta, FinishReason, ReasoningDelta, TextDelta, ToolDelta, Usage
from wireside.providers.sse import Event, EventTooLong, SseDecoder

DONE = b"[DONE]"

MAX_NAME = 200
"""Characters of a name that are kept."""

MAX_CALLS = 1_000
MAX_CALL_CHARS = 1024 * 1024
"""Of the tool calls of an answer, ids and arguments together: nobody sees them before it ends."""

REASONS: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "error": "interrupted",
}
"""All others, known (``stop``, ``tool_calls``, ``function_call``) or not, are a plain stop."""


class Malformed(ValueError):
    """What came is no completion."""


class ErrorSent(Exception):
    """The server sent an error inside its answer; ``body`` is it, JSON or text."""

    def __init__(self, body: object) -> None:
        super().__init__("the server sent an error")
        self.body = body


class Completion:
    """One answer while it is read.

    ``feed`` joins what came together: one text delta, however many tokens were in the read. What
    goes wrong is in ``failure`` then (``Malformed``, ``ErrorSent``, ``EventTooLong``), behind the
    deltas that came before it; nothing is taken after it. ``activity`` counts what a model wrote
    (text, reasoning, parts of tool calls, its end), so that keep-alives and empty chunks can be
    told from it. ``reason`` is None until the model has ended. ``model`` and ``id`` are what the
    server calls them, "" until it does.
    """

    def __init__(self) -> None:
        self.activity = 0
        self.reason: FinishReason | None = None
        self.usage = Usage()
        self.model = ""
        self.id = ""
        self.is_done = False
        self.failure: Malformed | ErrorSent | EventTooLong | None = None
        self._sse = SseDecoder()
        self._calls: list[_OpenCall] = []
        self._call_chars = 0
        self._last_calls: dict[int, _OpenCall] = {}
        self._known_calls: dict[tuple[int, str], _OpenCall] = {}
        self._half_pair = ""

    def feed(self, data: bytes) -> list[Delta]:
        """Take a piece of an event stream."""
        try:
            events = self._sse.feed(data)
        except EventTooLong as error:
            self.failure = error
            return []
        return self._take(events)

    def flush(self) -> list[Delta]:
        """Take the end of the event stream. An event that was cut off is left out."""
        if self.failure is not None:
            return []
        deltas = self._take(self._sse.flush())
        if isinstance(self.failure, Malformed):
            self.failure = None
        return deltas

    def whole(self, data: bytes) -> list[Delta]:
        """Take an answer that came as JSON: one document, or a stream that only says it is."""
        if data.lstrip().startswith((b"data:", b"event:", b":")):
            return self.feed(data) + self.flush()
        return self._take([Event(data)])

    def _take(self, events: list[Event]) -> list[Delta]:
        deltas: list[Delta] = []
        if self.failure is not None or self.is_done:
            return deltas
        texts: list[str] = []  # the run of text that goes on
        for event in events:
            if event.data == DONE:
                self.is_done = True
                break
            try:
                choice = self._choice(event)
                if choice is None:
                    continue
                if (part := choice.delta or choice.message) is not None:
                    self._take_part(part, texts, deltas)
            except (Malformed, ErrorSent) as error:
                self.failure = error
                break
            except RecursionError:
                self.failure = Malformed("nested too deep")
                break
            if choice.finish_reason is not None and self.reason is None:
                self._finish(choice.finish_reason, texts, deltas)
        self._join(texts, deltas)
        return deltas

    def _choice(self, event: Event) -> _Choice | None:
        try:
            chunk = _decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            chunk = self._decoded_leniently(event.data)
        if chunk.usage is not None:
            usage = chunk.usage
            self.usage = Usage(_count(usage.prompt_tokens), _count(usage.completion_tokens))
        self.model = self.model or _name(chunk.model)
        self.id = self.id or _name(chunk.id)
        if chunk.error or event.name == b"error":
            raise ErrorSent(chunk.error or _json(event.data))
        if chunk.choices is UNSET:
            if chunk.usage is None and not event.name and chunk.looks_like_an_error:
                raise ErrorSent(_json(event.data))
            return None
        for choice in chunk.choices or ():
            if not choice.index:  # others are alternatives that nobody asked for
                return choice
        return None

    def _decoded_leniently(self, data: bytes) -> _Chunk:
        """Read what strict JSON refuses: halves of surrogate pairs, stray bytes, "1" for 1."""
        try:
            document = json.loads(data.decode(errors="replace"))
            chunk = msgspec.convert(document, _Chunk, strict=False)
        except (ValueError, RecursionError) as error:
            raise Malformed("not a chunk of a completion") from error
        for choice in chunk.choices or ():
            for part in (choice.delta, choice.message):
                if part is not None:
                    self._mend(part)
        return chunk

    def _mend(self, part: _Part) -> None:
        """Join surrogates; some servers cut a character between them. Lone ones are replaced."""
        for field in ("content", "reasoning_content", "reasoning", "refusal"):
            if text := _text(getattr(part, field)):
                setattr(part, field, self._with_whole_pairs(text))

    def _with_whole_pairs(self, text: str) -> str:
        text = self._half_pair + text
        self._half_pair = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        text = text.removesuffix(self._half_pair)
        return _without_surrogates(text)

    def _take_part(self, part: _Part, texts: list[str], deltas: list[Delta]) -> None:
        content = part.content
        if type(content) is str and content:  # nearly every part there is
            texts.append(content)
        elif content:
            texts.append(_text(content))
        if not (
            part.reasoning_content
            or part.reasoning
            or part.refusal
            or part.tool_calls
            or part.function_call
        ):
            return
        if reasoning := _text(part.reasoning_content) or _text(part.reasoning):
            visible = texts.pop() if content else ""
            self._join(texts, deltas)
            self.activity += 1
            _append_reasoning(reasoning, deltas)
            texts += filter(None, (visible,))
        if part.refusal:
            texts.append(part.refusal)
        for call in part.tool_calls or ():
            self._take_call(call)
        if part.function_call is not None:  # the older form of a tool call, one an answer
            self._take_call(_Call(index=0, function=part.function_call))

    def _take_call(self, call: _Call) -> None:
        self.activity += 1
        open_call = self._open_call(call)
        if call.id:
            open_call.id = call.id
            if call.index is not None:
                self._known_calls[call.index, call.id] = open_call
        function = call.function or _Function()
        open_call.name = (open_call.name + (function.name or ""))[:MAX_NAME]
        arguments = function.arguments
        piece = "" if arguments is None else arguments
        if not isinstance(piece, str):
            piece = json.dumps(piece)
        self._call_chars += len(call.id or "") + len(piece)
        if len(self._calls) > MAX_CALLS or self._call_chars > MAX_CALL_CHARS:
            raise Malformed("too much in its tool calls")
        if piece:
            open_call.arguments.append(piece)

    def _open_call(self, call: _Call) -> _OpenCall:
        if call.index is None:  # servers without index go on with the last one
            if self._calls and (not call.id or call.id == self._calls[-1].id):
                return self._calls[-1]
        elif (last := self._last_calls.get(call.index)) is not None:
            if not call.id or last.id is None:
                return last
            if known := self._known_calls.get((call.index, call.id)):
                return known
        opened = _OpenCall()
        self._calls.append(opened)
        if call.index is not None:
            self._last_calls[call.index] = opened
        return opened

    def _finish(self, reason: str, texts: list[str], deltas: list[Delta]) -> None:
        self.reason = REASONS.get(reason, "stop")
        self.activity += 1
        self._join(texts, deltas)
        if self.reason != "interrupted":
            deltas.extend(self._proposed_calls())

    def _join(self, texts: list[str], deltas: list[Delta]) -> None:
        if text := "".join(texts):
            self.activity += 1
            deltas.append(TextDelta(text))
        texts.clear()

    def _proposed_calls(self) -> Iterator[ToolDelta]:
        for number, call in enumerate(self._calls, start=1):
            if call.name:
                texts = (call.id or f"call_{number}", call.name, "".join(call.arguments))
                call_id, name, arguments = map(_without_surrogates, texts)
                yield ToolDelta(call_id, name, "done", arguments)


def _append_reasoning(text: str, deltas: list[Delta]) -> None:
    if deltas and isinstance(last := deltas[-1], ReasoningDelta):
        deltas[-1] = ReasoningDelta(last.text + text)
    else:
        deltas.append(ReasoningDelta(text))


def _without_surrogates(text: str) -> str:
    """Join halves of pairs and replace lone ones, which no frame could carry."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _OpenCall:
    """A tool call whose pieces still come."""

    def __init__(self) -> None:
        self.id: str | None = None
        self.name = ""
        self.arguments: list[str] = []


class _Function(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Part(Struct):
    """``delta`` of a chunk or ``message`` of a whole completion."""

    content: str | list[Any] | dict[str, Any] | None = None
    reasoning_content: str | list[Any] | dict[str, Any] | None = None
    reasoning: str | list[Any] | dict[str, Any] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None


class _Choice(Struct):
    index: int | None = None
    delta: _Part | None = None
    message: _Part | None = None
    finish_reason: str | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Chunk(Struct):
    choices: list[_Choice] | UnsetType | None = UNSET
    usage: _Usage | None = None
    id: Any = None
    model: Any = None
    error: Any = None
    object: Any = None
    message: Any = None
    detail: Any = None

    @property
    def looks_like_an_error(self) -> bool:
        return bool(self.object == "error" or self.message or self.detail)


_decode = msgspec.json.Decoder(_Chunk).decode


def _count(tokens: int | None) -> int | None:
    """Return a number of tokens; None where it can't be one, or is none that a client can hold."""
    return tokens if tokens is not None and 0 <= tokens < 2**53 else None


def _name(value: object) -> str:
    """Return what a server calls something; "" where it is no name."""
    return _without_surrogates(value[:MAX_NAME]) if isinstance(value, str) else ""


def _json(data: bytes) -> object:
    try:
        return cast("object", json.loads(data))
    except ValueError:
        return data.decode(errors="replace")


def _text(content: object) -> str:
    """Return the text of a content: a string, or a list of parts as some servers send."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text(part) for part in content)
    if isinstance(content, dict):
        return _text(content.get("text") or content.get("content"))
    return ""
