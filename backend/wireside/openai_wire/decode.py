"""Parses the chat completions of OpenAI-compatible servers: bytes in, deltas out. No I/O.

An event stream is split into events (``sse``), each event is decoded into a ``_Chunk``, and its
first choice is converted into deltas; text is split into text and reasoning
(``reasoning_tags``). A chunk of the expected types is decoded by msgspec; others are decoded
leniently, field by field (``_chunk_of``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Struct, UnsetType

from wireside.messages import (
    Delta,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    Usage,
)
from wireside.openai_wire.reasoning_tags import (
    KNOWN_TAGS,
    ReasoningSplitter,
    ReasoningTags,
    TagPair,
)
from wireside.openai_wire.sse import Event, EventTooLong, SseDecoder

MAX_NAME = 200
"""Maximum length of a name; the rest is dropped."""

MAX_CALLS = 1_000
MAX_CALL_CHARS = 1024 * 1024
"""Maximum length of all ids and arguments of an answer's tool calls.

They are not shown before the answer ends.
"""

MAX_DOCUMENT_BYTES = 256 * 1024
"""Maximum size of a JSON document that is sent as a stream."""

MAX_LINK_CHARS = 2_000
"""Maximum length of an image's URL; longer ones are not shown."""

PICTURE = "[image]"
"""Placeholder for an image sent as data: an answer is text, and the page loads no ``data:`` URL."""
SOUND = "[audio]"

NO_REASON = frozenset(
    ("", "null", "none", "nil", "undefined", "false", "unknown", "unspecified")
    + ("in_progress", "not_finished", "unfinished", "incomplete")
)
"""Finish reasons that servers send in chunks before the last one."""

REASONS: dict[str, FinishReason] = {
    **dict.fromkeys(
        ("length", "max_tokens", "max_output_tokens", "model_length", "token_limit", "max_length")
        + ("model_context_window_exceeded", "context_length_exceeded", "length_limit"),
        "length",
    ),
    **dict.fromkeys(
        ("content_filter", "content_filtered", "safety", "image_safety")
        + ("recitation", "blocklist", "prohibited_content", "spii", "guardrail_intervened")
        + ("refusal", "sensitive", "moderation", "flagged", "filtered", "blocked", "risk"),
        "content_filter",
    ),
    **dict.fromkeys(
        ("error", "abort", "aborted", "cancel", "cancelled", "canceled", "interrupted")
        + ("network_error", "timeout", "timed_out", "insufficient_system_resource", "server_error")
        + ("malformed_function_call", "failed", "internal_error", "preempted"),
        "interrupted",
    ),
}
"""Finish reasons by name; any other one, such as ``tool_calls``, counts as ``stop``."""

INPUT_TOKENS = (
    *("prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "prompt_token_count"),
    *("promptTokenCount", "prompt_eval_count", "prompt_n"),
)
OUTPUT_TOKENS = (
    *("completion_tokens", "output_tokens", "completionTokens", "outputTokens"),
    *("candidates_token_count", "candidatesTokenCount", "eval_count", "predicted_n"),
)
REASONING_FIELDS = (
    *("reasoning_content", "reasoning", "reasoning_text", "thinking", "thinking_content"),
    "reasoning_details",
)
"""By precedence: some servers send the same text in two of these fields."""

_KEEP_ALIVE = re.compile(
    rb'[^\w{["]*\[?(keep[-_ ]?alive|ping|pong|heartbeat|null|true|false|\d+|"")?\s*\]?[^\w{["]*',
    re.IGNORECASE,
)
MAX_KEEP_ALIVE_BYTES = 64
MAX_DIGITS = 40
_DONE = re.compile(rb'\s*(?:data:\s*)*"?\[?DONE\]?"?\s*', re.IGNORECASE)
_WRAPPED = re.compile(rb"\s*(?:data:\s*)+")
"""Matches the beginning of an event that a gateway has wrapped into another one's data."""

END_EVENTS = frozenset((b"done", b"end", b"complete", b"completed", b"message_stop"))
"""Names of the last event, for services that send no ``[DONE]``."""

_SUCCESS = re.compile(r"(ok|success|succeeded|successful)?\W*", re.IGNORECASE)
"""Matches the message of a response that is not an error."""


class Malformed(ValueError):
    """The data is not a completion. ``said`` is the data if it is plain text, else empty."""

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message)
        self.said = said


class ErrorSent(Exception):
    """The server sent an error inside its answer; ``body`` is the parsed JSON, or the text."""

    def __init__(self, body: object) -> None:
        super().__init__("the server sent an error")
        self.body = body


class Completion:
    """Incremental parser of one answer.

    ``feed`` joins text: it returns one delta per read, however many tokens the read contains.
    ``flush`` parses the end of the stream and returns the last deltas. A failure is stored in
    ``failure`` (``Malformed``, ``ErrorSent``, ``EventTooLong``); the deltas before it are returned,
    later input is ignored. Text takes precedence: an unreadable field in the same chunk counts as
    missing.

    Attributes:
        activity: counts the model's output (text, reasoning, parts of tool calls, the finish
            reason), as opposed to keep-alives and empty chunks.
        reason: finish reason; None until the model has ended. It is reset by further output, since
            some servers send a reason in each chunk.
        is_sure: whether the end is certain: the finish reason came after the output, not with it,
            or the usage followed it. Later failures are ignored then.
        model: the model's name as sent by the server, "" before that.
        id: the answer's id as sent by the server, "" before that.

    ``tags`` enclose reasoning in the text; ``inside`` and ``unopened`` are as in
    ``ReasoningSplitter``.
    """

    def __init__(self, tags: ReasoningTags = KNOWN_TAGS, *, inside: TagPair | None = None) -> None:
        self.activity = 0
        self.reason: FinishReason | None = None
        self.is_sure = False
        self.usage = Usage()
        self.cached_tokens: int | None = None
        self.model = ""
        self.id = ""
        self.is_done = False
        self.failure: Malformed | ErrorSent | EventTooLong | None = None
        self._sse = SseDecoder()
        self._tags = tags
        self._splitter = ReasoningSplitter(tags, inside=inside)
        self._has_ended = False
        self._has_answer = False  # text or tool calls
        self._has_reasoning = False
        self._timings = Usage()
        self._texts: list[str] = []  # all content so far
        self._has_deltas = False
        self._needs_paragraph = False
        self._media: set[int] = set()  # hashes of the media shown so far
        self._calls: list[_OpenCall] = []
        self._call_chars = 0
        self._has_new_call = False
        self._space_after_call: list[TextDelta | ReasoningDelta] = []
        self._last_calls: dict[int, _OpenCall] = {}
        self._known_calls: dict[tuple[int, str], _OpenCall] = {}
        self._half_pair = ""
        self._head: bytearray | None = bytearray()  # start of the stream, until it has output

    @property
    def unopened(self) -> TagPair | None:
        """The pair whose closing tag was sent without the opening one."""
        return self._splitter.unopened

    @property
    def was_not_inside(self) -> bool:
        """Whether the answer did not begin inside reasoning, contrary to ``inside``."""
        return self._splitter.was_not_inside

    def feed(self, data: bytes) -> list[Delta]:
        """Parse a chunk of an event stream."""
        if self._head is not None:
            self._keep_head(data)
        try:
            events = self._sse.feed(data)
        except EventTooLong as error:
            deltas = self._take(error.events)
            if self.failure is None and not self.is_done:
                self._fail(error)
            return deltas + (self._end() if self.is_done else self.cut())
        return self._take(events)

    def flush(self) -> list[Delta]:
        """Parse the end of the event stream. A truncated event is ignored."""
        if self.failure is not None:
            return []
        deltas = self._take(self._sse.flush())
        if isinstance(self.failure, Malformed):
            self.failure = None
        has_output = bool(deltas or self.activity or self.reason)
        if self._head and not (has_output or self.failure or self.is_done):
            return self._flush_document(bytes(self._head))
        return deltas + self._end()

    def _keep_head(self, data: bytes) -> None:
        """Buffer the beginning of what may be a multi-line JSON document sent as a stream."""
        assert self._head is not None
        self._head += data if self._head else data.lstrip()  # in place: reads may be single bytes
        is_document = not self._head or self._head.startswith((b"{", b"["))
        if self.activity or not is_document or len(self._head) > MAX_DOCUMENT_BYTES:
            self._head = None

    def _flush_document(self, document: bytes) -> list[Delta]:
        self._head = None
        deltas = self.whole(document)
        if isinstance(self.failure, Malformed):
            self.failure = None
        return deltas

    def whole(self, data: bytes) -> list[Delta]:
        """Parse an answer of type JSON: one document, or an event stream despite its type."""
        if data.lstrip().startswith((b"data:", b"event:", b":", b"id:")):
            return self.feed(data) + self.flush()
        self._splitter = ReasoningSplitter(self._tags, is_whole=True)
        deltas = self._take(_documents_in(data))
        if self.failure is None:
            self.is_done = True
        elif isinstance(self.failure, Malformed) and data.count(b"\n{") and not deltas:
            self.failure = None  # one document per line
            return self.feed(data) + self.flush()
        return deltas + self._end()

    def _take(self, events: list[Event]) -> list[Delta]:
        deltas: list[Delta] = []
        if self.failure is not None or self.is_done:
            return deltas
        texts: list[str] = []  # consecutive text, joined into one delta
        for event in events:
            if event.data[:1] != b"{" and _DONE.fullmatch(event.data):
                self.is_done = True
            if self.is_done:
                break
            try:
                self._take_event(event, texts, deltas)
            except (Malformed, ErrorSent) as error:
                self._fail(error)
                break
            except RecursionError:
                self._fail(Malformed("nested too deep"))
                break
        self._join(texts, deltas)
        if self.is_done:
            deltas += self._end()
        elif self.failure is not None:
            deltas += self.cut()
        return deltas

    def _fail(self, failure: Malformed | ErrorSent | EventTooLong) -> None:
        if self.is_sure:  # the answer is complete, and not affected by the failure
            self.is_done = True
        else:
            self.failure = failure

    def _take_event(self, event: Event, texts: list[str], deltas: list[Delta]) -> None:
        choice = self._choice(event)
        if event.name and event.name.lower() in END_EVENTS:
            self.is_done = True
        if choice is None:
            return
        activity, count = self.activity, len(texts)
        if choice.delta is not None:
            self._has_deltas = True
            self._take_part(choice.delta, texts, deltas)
        wrote = activity != self.activity or count != len(texts)
        if choice.message is not None and not wrote:
            self._take_message(choice.message, texts, deltas)
            wrote = activity != self.activity or count != len(texts)
        if choice.text and isinstance(choice.text, str) and not wrote:
            self._add_text(choice.text, texts)  # the older completions API
            wrote = True
        if wrote:
            self.reason = None
            self.is_sure = False
        if choice.finish_reason and (reason := _reason_in(choice.finish_reason)) is not None:
            if self.reason in (None, "stop"):
                self.reason = reason
            self.is_sure = not wrote and self._has_answer and reason != "interrupted"
            self.activity += 1
        if choice.error:
            raise ErrorSent({"error": choice.error})

    def _choice(self, event: Event) -> _Choice | None:
        chunk = self._chunk(event)
        if chunk is None:
            return None
        if not self.id:
            self.model = self.model or _name(chunk.model)
            self.id = _name(chunk.id)
        if chunk.has_usage:
            self._take_usage(chunk)
        if chunk.error or event.name or chunk.base_resp or chunk.choices is UNSET:
            _check_for_error(chunk, event)
        choices = chunk.choices
        if not choices:
            self.is_sure = self.is_sure or (
                isinstance(chunk.usage, dict) and self.reason is not None
            )
            return None
        for choice in choices:
            if not choice.index or not _index(choice.index):  # others are alternative answers
                if choice.usage:
                    self._take_usage(choice)
                return choice
        return None

    def _chunk(self, event: Event) -> _Chunk | None:
        """Decode an event's data; returns None for a heartbeat."""
        data = event.data
        try:
            return _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        if wrapped := _WRAPPED.match(data):
            return self._chunk(Event(data[wrapped.end() :], event.name))
        if event.name == b"error":
            return _Chunk(error=_json(data) or "error")
        if _carries_nothing(data):
            return None
        try:
            document = json.loads(data.decode(errors="replace"), parse_int=_whole_number)
        except RecursionError as error:
            raise Malformed("nested too deep") from error
        except ValueError as error:
            text = data.decode(errors="replace").strip()
            is_text = not text.startswith(("{", "["))
            raise Malformed("not a chunk of a completion", text if is_text else "") from error
        chunk = _chunk_of(document)
        for choice in chunk.choices or ():
            for part in (choice.delta, choice.message):
                if part is not None:
                    self._mend(part)
        return chunk

    def _mend(self, part: _Part) -> None:
        """Join surrogate pairs that a server split over two chunks; replace unpaired ones."""
        for field in ("content", *REASONING_FIELDS, "refusal"):
            value = getattr(part, field)
            if isinstance(value, str) and value:
                setattr(part, field, self._with_whole_pairs(value))
            elif value:
                setattr(part, field, _map_texts(value, self._with_whole_pairs))

    def _with_whole_pairs(self, text: str) -> str:
        text = self._half_pair + text
        self._half_pair = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        text = text.removesuffix(self._half_pair)
        return without_surrogates(text)

    def _take_usage(self, source: _Chunk | _Choice) -> None:
        for dress in (source.usage, *(_of(source, name) for name in _USAGE_FIELDS)):
            if isinstance(dress, dict):
                self.usage = _updated(self.usage, _usage_in(dress))
                self.cached_tokens = _cached_in(dress) or self.cached_tokens
        if isinstance(timings := _of(source, "timings"), dict):
            self._timings = _updated(self._timings, _usage_in(timings))

    def _take_part(self, part: _Part, texts: list[str], deltas: list[Delta]) -> None:
        content = part.content
        if type(content) is str and part.has_text_only:  # fast path: nearly every part
            if content:
                self._add_text(content, texts)
            return
        reasoning = next(
            (text for name in REASONING_FIELDS if (text := _reasoning_of(getattr(part, name)))),
            "",
        )
        self._take_reasoning(reasoning, texts, deltas)
        self._take_content(content, texts, deltas)
        if isinstance(part.refusal, str):
            self._add_text(part.refusal, texts)
        for picture in _list(part.images):
            self._add_media(picture, PICTURE, texts)
        self._take_audio(part.audio, texts)
        if part.tool_calls or part.function_call:  # the text so far was written before the call
            self._join(texts, deltas)
            self._add(self._splitter.pause(), deltas)
        for call in _list(part.tool_calls):
            self._take_call(call)
        if isinstance(part.function_call, dict):  # the older form, one tool call per answer
            self._take_call({"index": 0, "function": part.function_call})
        if part.reasoning_details or part.reasoning_opaque:  # may be encrypted
            self.activity += 1

    def _take_message(self, part: _Part, texts: list[str], deltas: list[Delta]) -> None:
        """Parse a whole message, and skip the part of it that has been parsed already.

        An answer that is not streamed consists of it. In a stream it may repeat the answer at the
        end, or contain the answer so far in each chunk.
        """
        content = _visible(part.content)
        so_far = "".join((*self._texts, *texts))
        if so_far and content.startswith(so_far):
            part.content = content[len(so_far) :]
        elif self._has_deltas and so_far:
            part.content = None
        if self._has_deltas:
            if self._has_reasoning:
                for name in REASONING_FIELDS:
                    setattr(part, name, None)
            if self._calls:
                part.tool_calls = part.function_call = None
        self._take_part(part, texts, deltas)

    def _take_content(self, content: object, texts: list[str], deltas: list[Delta]) -> None:
        """Parse content: text, or a list of parts (text, reasoning, images) from some servers."""
        if isinstance(content, str):
            self._add_text(content, texts)
        elif type(content) in (int, float):  # some gateways convert "42" to a number
            self._add_text(str(content), texts)
        elif isinstance(content, list):
            for part in content:
                self._take_content(part, texts, deltas)
        elif isinstance(content, dict):
            kind = content.get("type")
            if kind in ("thinking", "reasoning", "reasoning_text", "thought"):
                self._take_reasoning(_reasoning_of(content), texts, deltas)
            elif _is_picture(content):
                self._add_media(content, PICTURE, texts)
            elif kind in ("audio", "output_audio"):
                self._take_audio(content.get("audio") or content, texts)
            else:
                inside = content.get("text") or content.get("content") or content.get("refusal")
                self._take_content(inside, texts, deltas)

    def _take_reasoning(self, text: str, texts: list[str], deltas: list[Delta]) -> None:
        if text:
            self._join(texts, deltas)
            self._has_reasoning = True
            self._splitter.saw_reasoning()
            self.activity += 1
            self._append(ReasoningDelta(text), deltas)

    def _take_audio(self, audio: object, texts: list[str]) -> None:
        if isinstance(audio, dict):
            if transcript := audio.get("transcript"):
                self._media.add(hash(SOUND))
                self._add_text(_visible(transcript), texts)
            elif audio.get("data") and hash(SOUND) not in self._media:
                self._media.add(hash(SOUND))
                self._add_mark(SOUND, texts)

    def _add_text(self, text: str, texts: list[str]) -> None:
        if text:
            if self._needs_paragraph:
                self._needs_paragraph = False
                text = text if text.startswith("\n") else "\n\n" + text
            texts.append(text)
            self._has_answer = True

    def _add_media(self, media: object, mark: str, texts: list[str]) -> None:
        """Add an image: as Markdown if it has a URL, else as ``mark``."""
        address = without_surrogates(_address_in(media))
        seen = hash(address or repr(media))
        if seen in self._media:
            return
        self._media.add(seen)
        is_link = address.startswith(("https://", "http://")) and len(address) <= MAX_LINK_CHARS
        self._add_mark(f"![]({quote(address, safe=_SAFE)})" if is_link else mark, texts)

    def _add_mark(self, mark: str, texts: list[str]) -> None:
        if self._has_answer:
            self._needs_paragraph = True
        self._add_text(mark, texts)
        self._needs_paragraph = True

    def _take_call(self, call: object) -> None:
        if not isinstance(call, dict):
            return
        self.activity += 1
        self._has_answer = self._has_new_call = True
        index, call_id = _index(call.get("index")), _id(call.get("id"))
        name, piece = _function_in(call)
        open_call = self._open_call(index, call_id, name, piece)
        if call_id:
            open_call.id = call_id
            if index is not None:
                self._known_calls[index, call_id] = open_call
        self._call_chars += len(call_id) + len(piece)
        if len(self._calls) > MAX_CALLS or self._call_chars > MAX_CALL_CHARS:
            raise Malformed("too much in its tool calls")
        open_call.add(name, piece)

    def _open_call(self, index: int | None, call_id: str, name: str, piece: str) -> _OpenCall:
        if index is None:  # servers that send no index continue the last call
            last = self._calls[-1] if self._calls else None
            goes_on = last is not None and call_id in ("", last.id)
        else:
            last = self._last_calls.get(index)
            goes_on = last is not None and (not call_id or last.id is None)
            if not goes_on and (known := self._known_calls.get((index, call_id))):
                return known
        if last is not None and goes_on and (call_id or not last.is_over(name, piece)):
            return last
        opened = _OpenCall()
        self._calls.append(opened)
        if index is not None:
            self._last_calls[index] = opened
        return opened

    def _join(self, texts: list[str], deltas: list[Delta]) -> None:
        if text := "".join(texts):
            self.activity += 1
            self._texts.append(text)
            split = self._splitter.feed(text)
            is_one = len(split) == 1 and type(split[0]) is TextDelta
            if is_one and not deltas and not self._has_new_call:
                deltas.append(split[0])
            else:
                self._add(split, deltas)
        texts.clear()

    def _add(self, split: list[Delta], deltas: list[Delta]) -> None:
        for delta in split:
            if isinstance(delta, ToolDelta):  # in the harmony format
                self._take_call({"id": "", "name": delta.name, "arguments": delta.arguments})
            elif isinstance(delta, TextDelta | ReasoningDelta):
                self._append(delta, deltas)

    def _append(self, delta: TextDelta | ReasoningDelta, deltas: list[Delta]) -> None:
        if self._has_new_call:
            if delta.text.isspace():  # more of the call may follow
                self._space_after_call.append(delta)
                return
            self._has_new_call = False
            deltas.extend(self._proposed_calls())  # they came before it
            self._append_space(deltas)
        _append(delta, deltas)

    def _append_space(self, deltas: list[Delta]) -> None:
        for space in self._space_after_call:
            _append(space, deltas)
        self._space_after_call.clear()

    def cut(self) -> list[Delta]:
        """Return the buffered deltas of an answer that is cut off."""
        deltas: list[Delta] = []
        self._add(self._splitter.flush(), deltas)
        self._append_space(deltas)
        return deltas

    def _end(self) -> list[Delta]:
        """Return the last deltas of the answer; sets ``reason`` and ``usage``."""
        if self._has_ended:
            return []
        self._has_ended = True
        deltas = self.cut()
        if self.reason is None and self.is_done and self.failure is None and self.activity:
            self.reason = "stop"  # some servers send none
        self.usage = _updated(self._timings, self.usage)
        if self.reason not in (None, "interrupted") and self.failure is None:
            deltas.extend(self._proposed_calls())
        return deltas

    def _proposed_calls(self) -> Iterator[ToolDelta]:
        """Yield the calls that have changed since they were last returned."""
        for number, call in enumerate(self._calls, start=1):
            if call.name:
                key = call.sent.call if call.sent else call.id or f"call_{number}"
                texts = (key, call.name, "".join(call.arguments))
                call_id, name, arguments = map(without_surrogates, texts)
                delta = ToolDelta(call_id, name, "requested", arguments)
                if delta != call.sent:
                    call.sent = delta
                    yield delta


def _check_for_error(chunk: _Chunk, event: Event) -> None:
    """Raise ``ErrorSent`` if a chunk is an error in any of the known forms."""
    if _is_error(chunk.error) or event.name == b"error":
        raise ErrorSent({"error": chunk.error} if chunk.error else _json(event.data))
    if _status_in(chunk.base_resp):
        raise ErrorSent(_json(event.data))
    is_bare = chunk.choices is UNSET and chunk.usage is None and not event.name
    if is_bare and chunk.looks_like_an_error:
        raise ErrorSent(_json(event.data))


def _append(delta: TextDelta | ReasoningDelta, deltas: list[Delta]) -> None:
    if deltas:
        last = deltas[-1]
        if isinstance(last, (TextDelta, ReasoningDelta)) and type(last) is type(delta):
            deltas[-1] = type(delta)(last.text + delta.text)
            return
    deltas.append(delta)


def without_surrogates(text: str) -> str:
    """Join surrogate pairs and replace unpaired ones, which a frame can't carry."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _OpenCall:
    """An incomplete tool call."""

    def __init__(self) -> None:
        self.id: str | None = None
        self.name = ""
        self.arguments: list[str] = []
        self._chars = 0
        self.sent: ToolDelta | None = None

    def add(self, name: str, piece: str) -> None:
        """Append a chunk; some servers repeat the name, or all arguments so far."""
        if name != self.name:
            is_longer = bool(self.name) and name.startswith(self.name)
            self.name = (name if is_longer else self.name + name)[:MAX_NAME]
        if piece.startswith("{") and len(piece) >= self._chars > 0:
            so_far = "".join(self.arguments)
            if so_far.startswith("{") and piece.startswith(so_far):
                self.arguments.clear()
                self._chars = 0
        if piece:
            self.arguments.append(piece)
            self._chars += len(piece)

    def is_over(self, name: str, piece: str) -> bool:
        """Whether a chunk without an id begins another call."""
        if not (name and self.name and self._chars):
            return False
        so_far = "".join(self.arguments)
        return name != self.name or (
            piece.startswith("{") and not piece.startswith(so_far) and _is_json(so_far)
        )


class _Part(Struct):
    """``delta`` of a chunk or ``message`` of a whole completion. Fields may be of any type."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_text: Any = None
    thinking: Any = None
    thinking_content: Any = None
    reasoning_details: Any = None
    reasoning_opaque: Any = None
    refusal: Any = None
    images: Any = None
    audio: Any = None
    tool_calls: Any = None
    function_call: Any = None

    @property
    def has_text_only(self) -> bool:
        return not (
            self.reasoning_content
            or self.reasoning
            or self.tool_calls
            or self.reasoning_details
            or self.refusal
            or self.reasoning_text
            or self.thinking
            or self.thinking_content
            or self.reasoning_opaque
            or self.images
            or self.audio
            or self.function_call
        )


class _Choice(Struct):
    index: Any = None
    delta: _Part | None = None
    message: _Part | None = None
    text: Any = None
    finish_reason: Any = None
    usage: Any = None
    error: Any = None


_USAGE_FIELDS = ("x_groq", "usage_metadata", "usageMetadata")


class _Chunk(Struct):
    choices: list[_Choice] | UnsetType | None = UNSET
    usage: Any = None
    id: Any = None
    model: Any = None
    error: Any = None
    object: Any = None
    message: Any = None
    detail: Any = None
    code: Any = None
    msg: Any = None
    error_msg: Any = None
    errors: Any = None
    base_resp: Any = None
    timings: Any = None
    x_groq: Any = None
    usage_metadata: Any = None
    usageMetadata: Any = None  # noqa: N815 (Gemini's own name)

    @property
    def has_usage(self) -> bool:
        return bool(
            self.usage or self.timings or self.x_groq or self.usage_metadata or self.usageMetadata
        )

    @property
    def looks_like_an_error(self) -> bool:
        said = (self.message, self.detail, self.msg, self.error_msg, self.errors)
        return self.object == "error" or any(
            value and not _is_part(value) and not _is_success(value) for value in said
        )


_decode = msgspec.json.Decoder(_Chunk).decode


def _whole_number(text: str) -> int | None:
    return int(text) if len(text) <= MAX_DIGITS else None  # Python rejects very long integers


def _carries_nothing(data: bytes) -> bool:
    """Whether data is a heartbeat: empty, a comment, such as ``ping``, or JSON without objects."""
    if data.lstrip().startswith(b":"):
        return True
    return len(data) <= MAX_KEEP_ALIVE_BYTES and _KEEP_ALIVE.fullmatch(data) is not None


def _chunk_of(document: object) -> _Chunk:
    """Convert JSON with unexpected types into a chunk. Raises ``Malformed``."""
    if isinstance(document, list):
        document = next((item for item in document if isinstance(item, dict)), None)
    if not isinstance(document, dict):
        raise Malformed("not a chunk of a completion")
    chunk = _Chunk(**{name: document.get(name) for name in _CHUNK_FIELDS})
    if "choices" in document:
        choices = document["choices"]
        if isinstance(choices, dict) and not _KEYS_OF_CHOICE & choices.keys():
            choices = list(choices.values())
        chunk.choices = [_choice_of(item) for item in _list(choices) if isinstance(item, dict)]
    return chunk


def _choice_of(document: dict[str, Any]) -> _Choice:
    choice = _Choice(**{name: document.get(name) for name in _CHOICE_FIELDS})
    choice.delta = _part_of(document.get("delta"))
    choice.message = _part_of(document.get("message"))
    return choice


def _part_of(value: object) -> _Part | None:
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict)), None)
    if isinstance(value, str) and value:
        return _Part(content=value)
    if not isinstance(value, dict):
        return None
    return _Part(**{name: value.get(name) for name in _Part.__struct_fields__})


_CHUNK_FIELDS = tuple(name for name in _Chunk.__struct_fields__ if name != "choices")
_CHOICE_FIELDS = ("index", "text", "finish_reason", "usage", "error")
_KEYS_OF_CHOICE = {"delta", "message", "text", "finish_reason"}


def _of(source: object, name: str) -> object:
    value = getattr(source, name, None)
    return value.get("usage") if name == "x_groq" and isinstance(value, dict) else value


def _list(value: object) -> list[Any]:
    """Return a list; a single value becomes a list of one."""
    if isinstance(value, list):
        return value
    return [value] if value else []


def _is_part(value: object) -> bool:
    return isinstance(value, dict) and "content" in value


def _is_error(value: object) -> bool:
    """Whether a field ``error`` describes an error; some servers send an empty one per chunk."""
    if isinstance(value, dict):
        return any(
            item and not (name in ("message", "msg") and _is_success(item))
            for name, item in value.items()
        )
    return bool(value)


def _is_success(said: object) -> bool:
    return isinstance(said, str) and _SUCCESS.fullmatch(said.strip()) is not None


def _documents_in(data: bytes) -> list[Event]:
    """Return the chunks of a JSON body; Vertex sends an array of them."""
    if data.lstrip().startswith(b"["):
        try:
            documents = json.loads(data)
        except (ValueError, RecursionError):
            return [Event(data)]
        if all(isinstance(document, dict) and "choices" in document for document in documents):
            return [Event(json.dumps(document).encode()) for document in documents]
    return [Event(data)]


def _status_in(base_resp: object) -> bool:
    """Whether MiniMax's own status, sent with HTTP 200, is an error."""
    status = base_resp.get("status_code") if isinstance(base_resp, dict) else None
    return bool(status) and status != "0"


_SEPARATORS = re.compile(r"[-\s]+|(?<=[a-z])(?=[A-Z])")


def _reason_in(value: object) -> FinishReason | None:
    if isinstance(value, dict):
        value = value.get("type") or value.get("reason")
    if not isinstance(value, str):
        return None
    said = _SEPARATORS.sub("_", value.strip()).lower().removeprefix("finish_reason_")
    return None if said in NO_REASON else REASONS.get(said, "stop")


def _index(value: object) -> int | None:
    """Return an index; None if ``value`` is not a valid one."""
    number = _count(value)
    return number if number is not None and number < MAX_CALLS * 10 else None


def _id(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _function_in(call: dict[str, Any]) -> tuple[str, str]:
    """Return the name and the arguments of a tool call in any of the known forms."""
    function = call.get("function") or call.get("custom") or call
    if isinstance(function, str):
        function = {**call, "name": function}
    if not isinstance(function, dict):
        return "", ""
    name = function.get("name")
    arguments = next(
        (
            value
            for key in ("arguments", "input", "parameters", "args")
            if (value := function.get(key)) is not None
        ),
        "",
    )
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments)
    return name if isinstance(name, str) else "", arguments


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _usage_in(dress: dict[str, Any]) -> Usage:
    for inner in ("tokens", "billed_units"):  # Cohere
        if isinstance(dress.get(inner), dict):
            dress = {**dress[inner], **dress}
    return Usage(_first_count(dress, INPUT_TOKENS), _first_count(dress, OUTPUT_TOKENS))


def _cached_in(dress: dict[str, Any]) -> int | None:
    """Return how many input tokens the service had cached; None if it does not report it."""
    for name in ("prompt_tokens_details", "input_tokens_details"):
        if isinstance(details := dress.get(name), dict):
            return _count(details.get("cached_tokens"))
    return _count(dress.get("prompt_cache_hit_tokens"))  # DeepSeek


def _first_count(dress: dict[str, Any], names: tuple[str, ...]) -> int | None:
    counts = (_count(dress.get(name)) for name in names)
    return next((count for count in counts if count is not None), None)


def _updated(old: Usage, new: Usage) -> Usage:
    """Merge two usages: None and zero do not replace a number."""
    return Usage(
        new.input_tokens or old.input_tokens if old.input_tokens else new.input_tokens,
        new.output_tokens or old.output_tokens if old.output_tokens else new.output_tokens,
    )


def _count(value: object) -> int | None:
    """Return a number of tokens; None if it is invalid, or 2**53 and more."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 17:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 2**53 else None


def _name(value: object) -> str:
    """Return a name, cut to ``MAX_NAME``; "" if it is not a string."""
    return without_surrogates(value[:MAX_NAME]) if isinstance(value, str) else ""


def _json(data: bytes) -> object:
    try:
        return cast("object", json.loads(data))
    except (ValueError, RecursionError):
        return data.decode(errors="replace")


def _visible(content: object) -> str:
    """Return the text of content: a string, or a list of parts as some servers send."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_visible(part) for part in content)
    if isinstance(content, dict) and content.get("type") not in ("thinking", "reasoning"):
        return _visible(content.get("text") or content.get("content"))
    return ""


_REASONING_KEYS = ("text", "thinking", "reasoning", "summary", "content", "reasoning_content")


def _reasoning_of(value: object) -> str:
    """Return the text of reasoning in any of the known forms."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_reasoning_of(part) for part in value)
    if isinstance(value, dict):
        texts = (_reasoning_of(value.get(key)) for key in _REASONING_KEYS)
        return next(filter(None, texts), "")
    return ""


def _map_texts(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_map_texts(item, change) for item in value]
    if isinstance(value, dict):
        return {
            key: item if key == "type" else _map_texts(item, change) for key, item in value.items()
        }
    return value


def _is_picture(part: dict[str, Any]) -> bool:
    kind = part.get("type")
    return (isinstance(kind, str) and "image" in kind) or any(
        part.get(key) for key in ("image_url", "inline_data", "inlineData", "image", "b64_json")
    )


def _address_in(media: object) -> str:
    """Return the URL of an image; "" if it has none."""
    if isinstance(media, str):
        return media.strip()
    if isinstance(media, dict):
        inside = (
            media.get(key) for key in ("image_url", "url", "uri", "file_uri", "image", "source")
        )
        return next(filter(None, map(_address_in, inside)), "")
    return ""


_SAFE = "/:?#[]@!$&'*+,;=%~"
