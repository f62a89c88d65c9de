"""JSON Schema of the frames of clients, as strict as the parser where a schema can be.

A schema can't say that the texts of a context have a total length, that a batch has at most one
offset for each message, or that ``1.0`` is no whole number here. The parser refuses these too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from wireside.messages import Role
from wireside.protocol.contract.documents import Schema, described, frame_schema
from wireside.protocol.frames.client import (
    BatchFrame,
    CancelFrame,
    ChatFrame,
    PingFrame,
    ResumeFrame,
)
from wireside.protocol.frames.fields import ID
from wireside.protocol.frames.heartbeats import KEEPALIVE_TYPES
from wireside.protocol.frames.limits import (
    MAX_ATTACHMENTS,
    MAX_BATCH,
    MAX_CONTEXT,
    MAX_ECHO_CHARS,
    MAX_FRAME_BYTES,
    MAX_NAME_CHARS,
    MAX_PARALLEL,
    MIN_FRAME_BYTES,
)

_ANSWER_ONLY: Final = ("part", "answer")
"""Fields of ``ChatFrame`` that belong to the frame ``answer``, which is parsed as a chat."""


def client_schemas(max_message_chars: int) -> dict[str, Schema]:
    """Return the schemas of the frames that clients send, by name.

    ``max_message_chars`` is the server's limit for one message. Names that end with ``Level1`` are
    those of frames without ``id``. A null counts as absent, and unknown keys are ignored.
    """
    chars = max_message_chars
    chat = _names(ChatFrame, without=_ANSWER_ONLY)
    return {
        "ChatLevel1": _level_1("chat", ChatFrame, {"message": _message(chars), "model": _name()}),
        "Chat": {
            **_level_2("chat", ChatFrame, _fields(chat, chars), required=("message",)),
            "allOf": [
                _blank_needs_attachments(),
                _context_excludes_conversation(),
            ],
        },
        "BatchLevel1": _level_1(
            "batch", BatchFrame, {"messages": _messages(chars), "model": _name()}
        ),
        "Batch": {
            **_level_2(
                "batch",
                BatchFrame,
                {**_fields(_names(BatchFrame), chars), "messages": _messages(chars)},
                required=("messages",),
            ),
            "allOf": [_conversation_excludes_parallel()],
        },
        "Answer": _answer(chars),
        "Ping": frame_schema(
            "ping", _fields(_names(PingFrame), chars), required=(), description=described(PingFrame)
        ),
        "CancelLevel1": _level_1("cancel", CancelFrame, {}),
        "Cancel": _level_2("cancel", CancelFrame, _fields(_names(CancelFrame), chars)),
        "Resume": _level_2(
            "resume",
            ResumeFrame,
            _fields(_names(ResumeFrame), chars),
            required=("stream", "offset"),
        ),
        "ClientPong": frame_schema(
            "pong", {}, required=(), description="A keepalive of a client library; no response."
        ),
        "Heartbeat": _heartbeat(),
        "ContextMessage": _context_message(),
    }


# ---- frames --------------------------------------------------------------------------------------


def _level_1(kind: str, frame: type, properties: Mapping[str, Schema]) -> Schema:
    required = [name for name in ("message", "messages") if name in properties]
    # without an id, the parser reads no other field
    given = {
        name: schema if name in required else _optional(schema)
        for name, schema in properties.items()
    }
    no_id = {"type": "null", "description": "Absent on level 1."}
    return frame_schema(
        kind, {"id": no_id, **given}, required=required, description=described(frame)
    )


def _level_2(
    kind: str, frame: type, properties: Mapping[str, Schema], *, required: Iterable[str] = ()
) -> Schema:
    needed = ("id", *required)
    given = {
        name: schema if name in needed else _optional(schema) for name, schema in properties.items()
    }
    return frame_schema(kind, given, required=needed, description=described(frame))


def _answer(chars: int) -> Schema:
    names = ("id", "conversation", "part", "value")
    return frame_schema(
        "answer",
        {
            **_fields(names, chars),
            "max_frame_bytes": _optional(_fields(("max_frame_bytes",), chars)["max_frame_bytes"]),
        },
        required=names,
        description="The answer to a question of a conversation; the stored answer continues.",
    )


def _heartbeat() -> Schema:
    types = "|".join(_in_any_case(name) for name in sorted(KEEPALIVE_TYPES))
    return {
        "type": "object",
        "description": "A keepalive of a client library; the response is `pong`.",
        "properties": {"type": {"type": "string", "pattern": f"^(?:{types})$"}},
        "required": ["type"],
    }


def _in_any_case(word: str) -> str:
    """Return a pattern of the texts whose ``lower()`` is ``word``, the Kelvin sign included."""
    cases = {"k": "[Kk\u212a]"}
    return "".join(
        cases.get(char, f"[{char.upper()}{char}]") if char.isalpha() else char for char in word
    )


def _context_message() -> Schema:
    return {
        "type": "object",
        "description": "A turn before the question.",
        "properties": {
            "role": {"enum": list(get_args(Role))},
            "content": {"type": "string", "pattern": NOT_BLANK},
        },
        "required": ["role", "content"],
    }


def _blank_needs_attachments() -> Schema:
    with_files = {
        "properties": {"attachments": {"type": "array", "minItems": 1}},
        "required": ["attachments"],
    }
    return {"if": {"not": with_files}, "then": {"properties": {"message": {"pattern": NOT_BLANK}}}}


def _context_excludes_conversation() -> Schema:
    with_context = {
        "properties": {"messages": {"type": "array", "minItems": 1}},
        "required": ["messages"],
    }
    return {"if": with_context, "then": {"properties": {"conversation": {"type": "null"}}}}


def _conversation_excludes_parallel() -> Schema:
    in_conversation = {
        "properties": {"conversation": {"type": "string"}},
        "required": ["conversation"],
    }
    return {
        "if": in_conversation,
        "then": {"properties": {"parallel": {"type": ["integer", "null"], "maximum": 1}}},
    }


# ---- fields --------------------------------------------------------------------------------------


def _names(frame: Any, *, without: Iterable[str] = ()) -> list[str]:
    return [field.name for field in dataclasses.fields(frame) if field.name not in without]


def _fields(names: Iterable[str], chars: int) -> dict[str, Schema]:
    """Return the schemas of fields; each has one meaning in all frames."""
    schemas = _FIELDS | {
        "message": _text(chars, "The question; not blank, unless it has attachments."),
        "system": _text(chars, "Replaces the server's system prompt."),
        "messages": {
            "type": "array",
            "items": {"$ref": "#/$defs/ContextMessage"},
            "maxItems": MAX_CONTEXT,
            "description": "The turns before the question, if it is not stored.",
        },
    }
    return {name: schemas[name] for name in names}


def _optional(schema: Schema) -> Schema:
    """Return a schema that accepts null too."""
    kinds = schema["type"]
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return {**schema, "type": [*kinds, *(() if "null" in kinds else ("null",))]}


def _text(max_chars: int, description: str) -> Schema:
    return {"type": "string", "maxLength": max_chars, "description": description}


def _message(chars: int) -> Schema:
    return {**_text(chars, "The question; not blank."), "pattern": NOT_BLANK}


def _messages(chars: int) -> Schema:
    return {
        "type": "array",
        "items": _message(chars),
        "minItems": 1,
        "maxItems": MAX_BATCH,
        "description": "The questions.",
    }


def _name(description: str = "A model; the server's default if absent.") -> Schema:
    return _text(MAX_NAME_CHARS, description)


def _whole(minimum: int, maximum: int, description: str) -> Schema:
    return {
        "type": "integer",
        "minimum": minimum,
        "maximum": maximum,
        "description": description,
    }


def _offset(description: str) -> Schema:
    return _whole(0, 2**53 - 1, description)


def _spaces() -> str:
    """Return the characters of which a blank text consists, as ranges of a character class."""
    codes = [code for code in range(0x3001) if chr(code).isspace()]
    starts = [code for code in codes if code - 1 not in codes]
    ends = [code for code in codes if code + 1 not in codes]
    return "".join(f"\\u{start:04x}-\\u{end:04x}" for start, end in zip(starts, ends, strict=True))


NOT_BLANK: Final = f"[^{_spaces()}]"
"""Pattern of a text that is not blank. Engines disagree on ``\\s``, so it lists the characters."""

_FIELDS: Final[dict[str, Schema]] = {
    "id": {
        "type": "string",
        "pattern": f"^{ID.pattern}$",
        "description": "Names the request on this connection; all frames about it carry it.",
    },
    "model": _name(),
    "key": {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "description": "Names the request beyond the connection: sent again, it is answered once.",
    },
    "conversation": _name('The conversation that stores the question; "new" creates one.'),
    "temperature": {
        "type": "number",
        "minimum": 0,
        "maximum": 2,
        "description": "The model's temperature.",
    },
    "max_tokens": _whole(1, 1_000_000, "The most tokens of the answer."),
    "attachments": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS},
        "maxItems": MAX_ATTACHMENTS,
        "description": "The ids of uploads; a setting allows fewer of them.",
    },
    "steer": {
        "type": "boolean",
        "description": "Whether an answer that runs in the conversation ends where it is.",
    },
    "sanitize": {"type": "boolean", "description": "Whether `<script` is escaped in the answer."},
    "offset": _offset("The position in the answer to begin at; of a chat, only with `key`."),
    "offsets": {
        "type": "array",
        "items": _offset("A position in an answer."),
        "maxItems": MAX_BATCH,
        "description": "The positions to begin at, at most one for each message; with `key`.",
    },
    "parallel": _whole(1, MAX_PARALLEL, "How many questions are answered at once."),
    "index": _whole(0, MAX_BATCH - 1, "The position of one question of a batch."),
    "options": {
        "type": "object",
        "description": "The model's own options, as `GET /api/models` describes them.",
    },
    "max_frame_bytes": _whole(
        MIN_FRAME_BYTES, MAX_FRAME_BYTES, "The largest frame of the answer, in bytes."
    ),
    "stream": _name("The stream to continue, from a `start` frame."),
    "part": _name("The id of the open question."),
    "value": {
        "type": ["string", "number", "boolean", "object", "array"],
        "description": "The answer, of the type that the question wants.",
    },
    "t": {
        "type": ["string", "number", "null"],
        "maxLength": MAX_ECHO_CHARS,
        "description": "Any text or number, echoed in `pong`.",
    },
}
