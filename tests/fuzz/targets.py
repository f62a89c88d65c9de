"""Fuzz targets: each one takes bytes and raises if the code violates a property."""

from __future__ import annotations

import html as html_text
import ipaddress
import json
import math
import re
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from tests.fuzz import words
from tests.fuzz.connection_model import Model
from tests.fuzz.dice import Dice
from wireside.errors import BadJson, BadMessage, WiresideError
from wireside.messages import ReasoningDelta, TextDelta, ToolDelta
from wireside.openai_wire.decode import Completion
from wireside.openai_wire.errors import (
    failure_for,
    is_error,
    problem_in,
    refit_for,
    retry_after_in,
    without_secrets,
)
from wireside.openai_wire.sse import EventTooLong, SseDecoder
from wireside.protocol import frames
from wireside.protocol.frames import (
    BatchFrame,
    ChatFrame,
    Heartbeat,
    PingFrame,
    RefusedFrame,
    ResumeFrame,
)
from wireside.protocol.handshake import Accept, Handshake, HandshakePolicy, Refuse
from wireside.protocol.sanitize import ScriptEscaper
from wireside.protocol.strict_json import MAX_NESTING, parse_object
from wireside.providers.model_list import models_in

MAX_CHARS = 200


def _text(dice: Dice) -> str:
    """A text frame: of words, or any characters (a socket accepts only UTF-8)."""
    if dice.byte() % 8:
        return words.frame(dice).encode("utf-8", "replace").decode()
    return dice.rest().decode("utf-8", "replace")


# ---- the protocol -----------------------------------------------------------------------------


def check_frames(data: bytes) -> None:
    """A frame is parsed, or refused with an error message."""
    text = _text(Dice(data))
    frame = frames.parse_client_frame(text, max_message_chars=MAX_CHARS)
    if isinstance(frame, RefusedFrame):
        assert frame.messages >= 1
        assert frame.id is None or frame.level == 2
        for level in (1, 2):
            told = json.loads(frames.ErrorFrame.of(frame.error, level=level, id=frame.id).encode())
            assert told["message"]
            assert len(told["message"]) < 400
            assert told["message"].isprintable()
            assert level == 2 or set(told) == {"type", "message"}
        return
    assert frames.parse_client_frame(frame.encode(), max_message_chars=MAX_CHARS) == frame
    if isinstance(frame, Heartbeat):
        assert len(text) <= 64 or json.loads(text)["type"].isascii()
        assert frame.reply is None or len(frame.reply.encode()) < 20
        return
    fields = msgspec.json.decode(text.encode())  # a second parser reads the same values
    assert fields["type"] == frame.type
    assert isinstance(frame, PingFrame) or frame.id == fields.get("id")
    match frame:
        case ChatFrame():
            if frame.message or not frame.attachments:  # files alone are a question too
                _holds_message(frame.message)
            assert frame.message == fields["message"]
            assert frame.temperature is None or 0 <= frame.temperature <= 2
            assert frame.max_tokens is None or 1 <= frame.max_tokens <= 1_000_000
            assert frame.key is None or 1 <= len(frame.key) <= 64
            assert 0 <= frame.offset < 2**53
            assert type(frame.offset) is int
            assert not (frame.messages and frame.conversation)
            assert [(m.role, m.text) for m in frame.messages] == (
                [(m["role"], m["content"]) for m in fields.get("messages") or ()]
                if frame.id
                else []
            )
            assert sum(len(m.text) for m in frame.messages) <= frames.CONTEXT_CHARS * MAX_CHARS
        case BatchFrame():
            assert 1 <= len(frame.messages) <= frames.MAX_BATCH
            for message in frame.messages:
                _holds_message(message)
            assert len(frame.offsets) <= len(frame.messages)
            assert all(type(offset) is int and 0 <= offset < 2**53 for offset in frame.offsets)
            assert len(frame.chats()) == len(frame.messages)
        case PingFrame():
            pong = json.loads(frames.PongFrame(t=frame.t).encode())
            assert pong == {"type": "pong"} | ({} if frame.t is None else {"t": frame.t})
        case ResumeFrame():
            assert re.fullmatch(r"[A-Za-z0-9_\-.:]{1,64}", frame.id, re.ASCII)
            assert 0 <= frame.offset < 2**53
        case _:
            pass


def _holds_message(message: str) -> None:
    assert message.strip()
    assert len(message) <= MAX_CHARS


def check_server_frames(data: bytes) -> None:
    """A client parses a frame of the server, or gets one of the project's errors."""
    dice = Dice(data)
    text = words.server_frame(dice) if dice.byte() % 8 else _text(dice)
    text = text.encode("utf-8", "replace").decode()
    try:
        frame = frames.parse_server_frame(text)
    except (BadJson, BadMessage) as error:
        assert 0 < len(str(error)) < 400
        return
    assert frames.parse_server_frame(frame.encode()) == frame
    if not isinstance(frame, frames.KeepaliveReply):
        assert frame.type == json.loads(text, parse_int=str)["type"]


def check_json(data: bytes) -> None:
    """Accepted JSON is read the same by other parsers; refused JSON has a reason."""
    text = _text(Dice(data))
    try:
        value = parse_object(text)
    except BadJson as error:
        assert 0 < len(str(error)) < 200
        assert not _is_strict(text)
        return
    assert _is_strict(text)
    assert value == json.loads(text)


def _is_strict(text: str) -> bool:
    """Judge by the value, whereas the product judges by the text."""

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in members}) < len(members):
            raise ValueError("a key twice")
        return dict(members)

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()
        return isinstance(value, dict) and _depth(value) <= MAX_NESTING
    except (ValueError, RecursionError):
        return False


def _refuse(literal: str) -> None:
    raise ValueError(literal)


def _depth(value: object) -> float:
    if isinstance(value, float):
        return 0 if math.isfinite(value) else math.inf
    inner: Iterable[object] = ()
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, list):
        inner = value
    else:
        return 0
    return 1 + max(map(_depth, inner), default=0)


def check_connection(data: bytes) -> None:
    """For any client behaviour, in any order, each request gets exactly one last frame."""
    dice, model = Dice(data), Model()
    while not dice.is_empty:
        match dice.byte() % 16:
            case 0:
                model.end(dice.byte(), refused=True)
            case 1 | 2 | 3:
                model.end(dice.byte())
            case 4:
                model.later(dice.below(70))
            case 5:
                model.later(dice.below(5) / 2)
            case 6 if dice.byte() > 250:
                model.binary()
            case 7:
                model.neighbours(1 + dice.below(30))
            case _:
                model.receive(words.frame(dice))
    model.finish()


def check_handshake(data: bytes) -> None:
    """Any headers get a verdict, and no page of a foreign origin is accepted."""
    dice = Dice(data)

    def origin() -> str:
        return dice.pick(words.SCHEMES) + dice.pick(words.HOSTS)

    allowed = dice.some(("https://chat.example", "http://localhost:3000"), 2)
    public = dice.pick((None, "https://chat.example", "https://chat.example:8443/x"))
    trusted = dice.some(("chat.example", "localhost:8080", "::1"), 2)
    door = HandshakePolicy(
        host=dice.pick(("127.0.0.1", "::1", "0.0.0.0")),
        trusted_hosts=trusted,
        public_url=public,
        allowed_origins=allowed,
    )
    raw = dice.byte() % 8 == 0
    hosts = [dice.rest().decode("latin-1")] if raw else dice.some(words.HOSTS, 2)
    origins = [origin() for _ in range(dice.below(3))]
    handshake = Handshake(
        hosts=hosts,
        origins=origins,
        is_secure=bool(dice.byte() % 2),
        is_socket=bool(dice.byte() % 2),
        subprotocols=dice.some(("ai-chat", "x"), 2),
    )
    takes_allowed = bool(dice.byte() % 2)
    verdict = door.judge(handshake, takes_allowed=takes_allowed)
    if isinstance(verdict, Refuse):
        assert verdict.status in (400, 403)
        assert verdict.sentence
        return
    assert isinstance(door.judge_host(handshake), Accept)
    (host,) = hosts
    assert _name(host) in {"localhost", "chat.example"} or _is_this_machine(_name(host))
    if handshake.is_socket and not any(origins):
        return  # a program: browsers send no empty Origin
    assert len(origins) <= 1
    schemes = ("http://", "https://", *(("ws://", "wss://") if handshake.is_socket else ()))
    for text in origins:
        ours = {_name(host)} | ({"chat.example"} if public or takes_allowed else set())
        ours |= {"localhost"} if takes_allowed and allowed else set()
        # Programs may send their whole address as Origin.
        authority = text.partition("://")[2]
        assert _name(re.split(r"[/?#]", authority)[0] if handshake.is_socket else authority) in ours
        assert text.lower().startswith(schemes)


def _name(authority: str) -> str:
    return re.sub(r":\d+\Z", "", authority.lower()).removesuffix(".")


def _is_this_machine(name: str) -> bool:
    """Whether it is an address of 127.0.0.0/8, the same mapped to IPv6, or ::1."""
    try:
        address = ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return address == ipaddress.IPv6Address(1)
        address = address.ipv4_mapped
    return address in ipaddress.IPv4Network("127.0.0.0/8")


# ---- text -------------------------------------------------------------------------------------


def check_sanitize(data: bytes) -> None:
    """The escaped text does not depend on the cuts, and never contains the tag."""
    dice = Dice(data)
    text = "".join(dice.pick(words.TAGS) for _ in range(dice.below(24)))
    pieces = dice.cut(text)
    text += (tail := dice.rest().decode("utf-8", "replace"))
    escaper, out = ScriptEscaper(), ""
    for piece in (*pieces, tail):
        out += escaper.feed(str(piece))
        assert escaper.held <= 6
    out += escaper.flush()
    assert out == _escaped(text)
    assert "<script" not in out.translate(_LOWER)


_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def _escaped(text: str) -> str:
    """A reference implementation without regular expressions or state."""
    low = text.translate(_LOWER)
    return "".join(
        "&lt;" if char == "<" and low.startswith("<script", at) else char
        for at, char in enumerate(text)
    )


def check_markdown(data: bytes) -> None:
    """A streamed answer ends with the same safe HTML as the whole one, for any cuts."""
    from tests.fuzz.screen import MARKUP, streamed  # only this worker needs the import
    from wireside_ui.markdown.incremental import render

    dice = Dice(data)
    text = "".join(dice.pick(words.PIECES) for _ in range(dice.below(18)))
    every, pieces = 1 + dice.below(3), dice.cut(text)
    tail = dice.rest()[:24].decode("utf-8", "replace")
    shown = streamed([*map(str, pieces), *tail], every)
    assert shown == render(text + tail, MARKUP)
    shown.encode()
    tags = {tag.lower() for tag in re.findall(r"<([a-zA-Z][a-zA-Z0-9]*)", shown)}
    assert not tags & {"script", "iframe", "object", "style", "form", "link", "meta", "base"}
    assert not re.search(r"<[^>]*\son\w+\s*=", shown)
    for address in re.findall(r"(?:href|src)=\"([^\"]*)\"", shown):
        assert not html_text.unescape(address).strip().lower().startswith(("javascript:", "data:"))


# ---- provider responses ------------------------------------------------------------------------


def _sent(dice: Dice) -> list[bytes]:
    """A provider's bytes, in the pieces in which the network delivers them."""
    events = b""
    for _ in range(dice.below(10)):
        if dice.byte() % 3:
            events += b"data: " + dice.pick(words.CHUNKS) + b"\n\n"
        else:
            events += dice.pick(words.CHUNKS)
    for _ in range(dice.pick((0, 0, 1, 4))):
        at = dice.below(min(65_535, len(events)) + 1)
        events = events[:at] + bytes((dice.byte(),)) + events[at + dice.below(2) :]
    return [*map(bytes, dice.cut(events)), dice.rest()]


def check_sse(data: bytes) -> None:
    """Events do not depend on the cuts."""
    pieces = _sent(Dice(data))
    assert _events(pieces) == _events([b"".join(pieces)])
    single = [bytes((byte,)) for piece in pieces for byte in piece[:60]]
    assert _events(single) == _events([b"".join(single)])


def _events(pieces: list[bytes]) -> object:
    decoder = SseDecoder()
    try:
        found = [event for piece in pieces for event in decoder.feed(piece)]
        return found + decoder.flush()
    except EventTooLong:
        return "too long"


def check_completions(data: bytes) -> None:
    """Deltas hold whole characters, failures have codes, and cuts change nothing."""
    pieces = _sent(Dice(data))
    assert _answer(pieces) == _answer([b"".join(pieces)])
    Completion().whole(b"".join(pieces))


def _answer(pieces: list[bytes]) -> object:
    completion = Completion()
    deltas = [delta for piece in pieces for delta in completion.feed(piece)]
    deltas += completion.flush()
    kinds: list[list[str]] = []
    for delta in deltas:
        match delta:
            case TextDelta(text) | ReasoningDelta(text):
                assert text
                frames.encode_chunk("a", text, 1)
                if kinds and kinds[-1][0] == type(delta).__name__:
                    kinds[-1][1] += text
                else:
                    kinds.append([type(delta).__name__, text])
            case ToolDelta():
                frames.ToolFrame(
                    id="a",
                    offset=1,
                    name=delta.name,
                    call=delta.call,
                    state=delta.state,
                    arguments=delta.arguments,
                    result=delta.result,
                ).encode()
                kinds.append(["tool", f"{delta.call} {delta.name} {delta.arguments}"])
    usage = completion.usage
    reason = completion.reason or "interrupted"
    frames.DoneFrame(id="a", offset=1, reason=reason, usage=usage).encode()
    for tokens in (usage.input_tokens, usage.output_tokens):
        assert tokens is None or 0 <= tokens < 2**53
    return kinds, completion.reason, type(completion.failure), usage


def check_side_fields(data: bytes) -> None:
    """The text of a stream is complete, whatever other fields it has and however it is cut."""
    dice = Dice(data)
    words_sent = [f"w{number} " for number in range(2 + dice.below(5))]
    events = [_chunk_with(dice, word) for word in words_sent]
    for _ in range(dice.below(4)):
        events.insert(dice.below(len(events) + 1), dice.pick(_HEARTBEATS))
    end = dice.pick((b"\n\n", b"\r\n\r\n", b"\n", b"\r\r"))
    stream = end.join((*events, b"data: [DONE]", b""))
    completion = Completion()
    deltas = [delta for piece in dice.cut(stream) for delta in completion.feed(bytes(piece))]
    deltas += completion.flush()
    text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    found = re.findall(r"w\d(?= )", text)
    assert found == [word.strip() for word in words_sent], text
    assert completion.failure is None
    assert completion.reason is not None


def _chunk_with(dice: Dice, word: str) -> bytes:
    """Return a chunk with a word of text and arbitrary other fields."""
    places: dict[str, dict[str, str]] = {"": {}, "choice": {}, "delta": {}, "call": {}, "usage": {}}
    for _ in range(dice.below(7)):
        place = dice.pick(tuple(places))
        places[place][dice.pick(_SIDE_FIELDS[place])] = dice.pick(_SIDE_VALUES)
    delta = {"content": json.dumps(word), **places["delta"]}
    if places["call"]:
        delta["tool_calls"] = "[" + _object(places["call"]) + "]"
    choice = {"index": "0", **places["choice"], "delta": _object(delta)}
    junk = dice.pick(("", "", "null,", "7,", '"x",', "[],"))
    chunk = {**places[""], "choices": f"[{junk}{_object(choice)}]"}
    if places["usage"]:
        chunk["usage"] = _object(places["usage"])
    return b"data: " + _object(chunk).encode("utf-8", "surrogatepass")


def _object(fields: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"


_SIDE_FIELDS: dict[str, tuple[str, ...]] = {
    "": (
        *("id", "model", "object", "created", "usage", "system_fingerprint", "service_tier"),
        *("x_groq", "timings", "usage_metadata", "usageMetadata", "citations", "message", "detail"),
        *("msg", "error_msg", "errors", "code", "obfuscation", "provider"),
    ),
    "choice": (
        *("finish_reason", "logprobs", "message", "text", "usage", "stop_reason", "matched_stop"),
        *("native_finish_reason", "content_filter_results", "seed"),
    ),
    "delta": (
        *("role", "refusal", "tool_calls", "function_call", "reasoning", "reasoning_content"),
        *("reasoning_text", "thinking", "thinking_content", "reasoning_details", "images"),
        *("audio", "annotations", "reasoning_opaque", "provider_specific_fields", "name"),
    ),
    "call": ("index", "id", "type", "function", "name", "arguments", "custom", "extra_content"),
    "usage": ("prompt_tokens", "completion_tokens", "input_tokens", "tokens", "total_tokens"),
}
_HEARTBEATS = (
    *(b": keep-alive", b"data:", b"data: : keep-alive", b"data: null", b'data: {"choices":[]}'),
    *(b"event: ping\ndata: {}", b'data: {"choices":[{"index":1,"delta":{"content":"no"}}]}'),
)


def _is_shallow_json(text: str) -> bool:
    """Whether it is JSON of a moderate depth: other chunks yield no text."""
    try:
        json.loads(text, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return text.count("[") < 500


_SIDE_VALUES = tuple(
    text
    for text in (
        *words.VALUES,
        *(
            '{"name":"f","arguments":"{"}',
            '[{"type":"thinking","thinking":7}]',
            '"stop"',
            '"error"',
        ),
        *('{"url":"data:image/png;base64,AAAA"}', '[{"image_url":7}]', '{"transcript":"x"}'),
        *(
            '[{"index":0,"id":7,"function":"f"}]',
            '{"content":"x"}',
            '{"usage":{"prompt_tokens":"1"}}',
        ),
    )
    if _is_shallow_json(text)
)


def check_failures(data: bytes) -> None:
    """Any error of a server becomes one of the project's errors, with its own message."""
    dice = Dice(data)
    inside = ",".join(
        f'"{dice.pick(_ERROR_KEYS)}":{dice.pick((*words.VALUES, *_ERROR_WORDS))}'
        for _ in range(dice.below(6))
    )
    for body in ("{" + inside + "}", '{"error":{' + inside + "}}", dice.rest().decode("latin-1")):
        try:
            document: object = json.loads(body)
        except (ValueError, RecursionError):
            document = body
        problem = problem_in(document)
        status = dice.pick((None, 200, 302, 400, 401, 403, 404, 413, 422, 429, 500, 504, 999))
        failure = failure_for(status, problem, model=dice.pick(("m", "x" * 500)))
        assert isinstance(failure.error, WiresideError)
        frames.ErrorFrame.of(failure.error, level=2, id="a").encode()
        assert len(str(failure.error)) < 400
        is_error(document)
        roles = [{"role": role} for role in ("system", "user", "user")]
        body_sent = {"stream": True, "stream_options": {}, "max_tokens": 1, "messages": roles}
        refit_for(dice.pick((None, 400, 500)), problem, body_sent)
        without_secrets(problem.text, "sk-key")
    headers = {"retry-after": dice.pick((*words.VALUES, "Wed, 21 Oct 2099 07:28:00 GMT", "-5"))}
    wait = retry_after_in(headers, 1e9)
    assert wait is None or (wait >= 0 and math.isfinite(wait))


_ERROR_KEYS = (
    *("message", "code", "type", "param", "status", "status_code", "detail", "error"),
    *("errors", "base_resp", "status_msg", "error_msg", "msg", "metadata", "details", "fault"),
)
_ERROR_WORDS = (
    *('"model_not_found"', '"insufficient_quota"', '"context_length_exceeded"', "429", '"429"'),
    *('"Loading model"', '"out of memory"', '"does not support chat"', "1004", '"must alternate"'),
    *('"stream is not supported"', '"System role not supported"', '"Please retry in 3.5s"'),
    *('"max_tokens is not supported"', '"Bearer sk-abcdefgh"', '"²"', '"٤٢٩"', f'"{"9" * 5_000}"'),
)


def check_models(data: bytes) -> None:
    """A list of models without duplicates whose names fit into a frame, or ``ValueError``."""
    dice = Dice(data)
    entries = [
        "{"
        + ",".join(
            f'"{dice.pick(_MODEL_KEYS)}":{dice.pick((*words.VALUES, *_MODEL_WORDS))}'
            for _ in range(dice.below(6))
        )
        + "}"
        for _ in range(dice.below(4))
    ]
    listed = "[" + ",".join([*entries, *dice.some(words.VALUES, 1)]) + "]"
    body = dice.pick((listed, '{"data":' + listed + "}", '{"models":' + listed + "}"))
    raw = dice.byte() % 8 == 0
    try:
        found = models_in(dice.rest() if raw else body.encode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):  # expected by its only caller
        return
    assert len({model.id for model in found}) == len(found)
    for model in found:
        msgspec.json.encode((model.id, model.name, model.owner, model.context_tokens))
        assert model.id.strip()
        assert model.context_tokens is None or 0 < model.context_tokens < 2**53


_MODEL_KEYS = (
    "id",
    "model",
    "name",
    "owned_by",
    "created",
    "context_length",
    "meta",
    "display_name",
    "key",
    "type",
    "capabilities",
    "architecture",
    "output_modalities",
    "modality",
)
_MODEL_WORDS = (
    '"openai"',
    '"gpt-4o"',
    '"gpt-5"',
    '"whisper-1"',
    '"*"',
    '["embedding"]',
    '{"modality":"text->image"}',
    '{"n_ctx_train":4096}',
    "1700000000",
)


# ---- files -------------------------------------------------------------------------------------


def check_importing(data: bytes) -> None:
    """A file yields conversations with values within their limits, or an error message."""
    from wireside.chat.library import MAX_TITLE_CHARS
    from wireside.transfer.imports import read_conversations

    dice = Dice(data)
    text = _file(dice) if dice.byte() % 8 else dice.rest()
    numbers = iter(range(10_000))
    try:
        result = read_conversations(text, new_id=lambda: f"new-{next(numbers)}", now=1e9)
    except BadMessage as error:
        assert 0 < len(str(error)) < 500
        return
    for imported in result.conversations:
        assert len(imported.info.title) <= MAX_TITLE_CHARS
        assert 0 <= imported.info.created_at <= 1e9
        assert len({turn.id for turn in imported.turns}) == len(imported.turns)
        for turn in imported.turns:
            turn.question.encode()
            assert 0 <= turn.created_at <= 1e9


def _file(dice: Dice) -> bytes:
    """A file of one of the two formats, with some of its values replaced."""
    template = dice.pick(_FILES)
    values = [dice.pick(words.VALUES) for _ in range(dice.below(5))]
    document = json.dumps(template)
    spots = [match.span() for match in re.finditer(r'(?<=: )("[^"]*"|[\d.]+|null|true)', document)]
    for text in values:
        start, end = dice.pick(spots)
        if end <= len(document):
            document = document[:start] + text + document[end:]
    return document.encode("utf-8", "surrogatepass")


_FILES: tuple[Any, ...] = (
    {
        "format": "wireside",
        "version": 1,
        "conversations": [
            {
                "title": "T",
                "created_at": "2026-01-01T00:00:00Z",
                "tags": ["a"],
                "turns": [
                    {
                        "id": "1",
                        "parent": None,
                        "question": "q",
                        "created_at": 1.0,
                        "options": {"system": "s", "temperature": 0.5, "max_tokens": 7},
                        "feedback": {"verdict": "up", "words": "w"},
                        "answer": [
                            {
                                "model": "m",
                                "reason": "stop",
                                "usage": {"input_tokens": 1, "output_tokens": 2},
                                "parts": [
                                    {"type": "text", "text": "a"},
                                    {"type": "tool", "call": "c", "name": "n", "state": "done"},
                                ],
                            }
                        ],
                    }
                ],
            }
        ],
    },
    [
        {
            "title": "T",
            "create_time": 1700000000.5,
            "current_node": "b",
            "mapping": {
                "r": {"id": "r", "parent": None, "children": ["a"], "message": None},
                "a": {
                    "id": "a",
                    "parent": "r",
                    "children": ["b"],
                    "message": {
                        "author": {"role": "user"},
                        "create_time": 1.0,
                        "content": {"content_type": "text", "parts": ["Hi"]},
                    },
                },
                "b": {
                    "id": "b",
                    "parent": "a",
                    "children": [],
                    "message": {
                        "author": {"role": "assistant"},
                        "create_time": 2.0,
                        "content": {"content_type": "text", "parts": ["Hello"]},
                        "metadata": {"model_slug": "m"},
                    },
                },
            },
        }
    ],
)


@dataclass(frozen=True)
class Target:
    """A fuzz target; ``share`` is its number of inputs per 1,000."""

    check: Callable[[bytes], None]
    share: int
    max_len: int = 256
    modules: tuple[str, ...] = ("wireside.protocol",)


_FAILED = ("wireside.openai_wire.errors", "wireside.providers.model_list")
_SENT = (
    *("wireside.openai_wire.sse", "wireside.openai_wire.decode"),
    "wireside.openai_wire.reasoning_tags",
)
_IMPORTS = (
    *("wireside.transfer.imports", "wireside.transfer.import_file"),
    *("wireside.transfer.turn_tree", "wireside.transfer.untyped"),
    *("wireside.transfer.formats.chatgpt", "wireside.transfer.formats.claude"),
    *("wireside.transfer.formats.deepseek", "wireside.transfer.formats.foreign"),
    *("wireside.transfer.formats.librechat", "wireside.transfer.formats.open_webui"),
    *("wireside.transfer.formats.parts", "wireside.transfer.formats.wireside"),
)

TARGETS = {
    "frames": Target(check_frames, 380),
    "server_frames": Target(check_server_frames, 20),
    "json": Target(check_json, 190),
    "connection": Target(check_connection, 25, 160),
    "handshake": Target(check_handshake, 140),
    "sanitize": Target(check_sanitize, 130),
    "sse": Target(check_sse, 25, 300, _SENT),
    "completions": Target(check_completions, 40, 300, _SENT),
    "side_fields": Target(check_side_fields, 20, 256, _SENT),
    "failures": Target(check_failures, 8, 96, _FAILED),
    "models": Target(check_models, 8, 96, _FAILED),
    "importing": Target(check_importing, 12, 256, _IMPORTS),
    "markdown": Target(check_markdown, 2, 200, ("wireside_ui.markdown.incremental",)),
}
assert sum(target.share for target in TARGETS.values()) == 1_000
