"""JSON Schema of the frames of the server, from the msgspec structs that encode them.

Frames of level 1 have no other keys, ever. On level 2, a newer server may add keys, types, and
values of ``reason``, ``state`` and ``code``, so the schemas accept them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, get_args

import msgspec

from wireside.errors import WiresideError
from wireside.messages import FinishReason
from wireside.parts import ToolState
from wireside.protocol.contract.documents import Schema, described
from wireside.protocol.contract.part_schemas import data_by_kind, part_data_schemas
from wireside.protocol.frames.limits import MAX_SENTENCE_CHARS
from wireside.protocol.frames.server import (
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    JsonFrame,
    StreamState,
)

_FRAMES: Final = get_args(JsonFrame)

_LEVEL_1: Final[dict[type, tuple[str, ...]]] = {
    ChunkFrame: ("content",),
    DoneFrame: (),
    ErrorFrame: ("message",),
}
"""The frames that differ by level, and their fields on level 1."""

_ALWAYS_ON_LEVEL_2: Final[dict[type, tuple[str, ...]]] = {
    ChunkFrame: ("id", "offset"),
    DoneFrame: ("id", "offset", "reason", "usage"),
    ErrorFrame: ("code", "retryable"),
}
"""Fields of these frames that level 1 lacks and level 2 always has."""


def server_schemas() -> dict[str, Schema]:
    """Return the schemas of the frames that the server sends, by name.

    Names that end with ``Level1`` are those of frames without ``id``.
    """
    _, structs = msgspec.json.schema_components(_FRAMES, ref_template="#/$defs/{name}")
    schemas: dict[str, Schema] = {}
    for frame in _FRAMES:
        struct = structs[frame.__name__]
        name = frame.__name__.removesuffix("Frame")
        if frame in _LEVEL_1:
            schemas[f"{name}Level1"] = _level_1(frame, struct)
        schemas[name] = _level_2(frame, struct)
    schemas["Part"]["allOf"] = data_by_kind()
    schemas["UnknownFrame"] = _unknown_frame()
    return {**schemas, "Usage": _usage(structs["Usage"]), **part_data_schemas()}


def _level_1(frame: type, struct: Schema) -> Schema:
    names = _LEVEL_1[frame]
    return {
        "type": "object",
        "description": described(frame),
        "properties": {"type": _const(struct), **_properties(struct, names)},
        "required": ["type", *names],
        "additionalProperties": False,
    }


def _level_2(frame: type, struct: Schema) -> Schema:
    names = [name for name in struct["properties"] if name != "type"]
    required = [*struct["required"], *_ALWAYS_ON_LEVEL_2.get(frame, ())]
    return {
        "type": "object",
        "description": described(frame),
        "properties": {"type": _const(struct), **_properties(struct, names)},
        "required": [name for name in struct["properties"] if name in required],
    }


def _const(struct: Schema) -> Schema:
    (kind,) = struct["properties"]["type"]["enum"]
    return {"const": kind}


def _properties(struct: Schema, names: Iterable[str]) -> dict[str, Schema]:
    """Return fields as they are sent: one that has its default is absent, so never null."""
    state = _STATES.get(struct["title"])
    properties = {}
    for name in names:
        schema = {key: value for key, value in struct["properties"][name].items() if key in _KEPT}
        others = [one for one in schema.pop("anyOf", ()) if one.get("type") != "null"]
        schema |= others[0] if len(others) == 1 else {"anyOf": others} if others else {}
        if name == "state" and state is not None:
            schema |= _open_enum(state)
        properties[name] = schema | _ABOUT.get(name, {})
    return properties


_KEPT: Final = ("type", "anyOf", "$ref")


def _usage(struct: Schema) -> Schema:
    count = {"type": ["integer", "null"], "minimum": 0}
    return {
        "type": "object",
        "description": "Tokens of an answer; null where the model does not report them.",
        "properties": dict.fromkeys(struct["properties"], count),
        "required": list(struct["properties"]),
    }


def _unknown_frame() -> Schema:
    known = [frame.__struct_config__.tag for frame in _FRAMES]
    return {
        "type": "object",
        "description": "A frame of a newer server on level 2. Clients ignore it.",
        "properties": {"type": {"type": "string", "not": {"enum": known}}},
        "required": ["type"],
    }


def _open_enum(values: Sequence[str]) -> Schema:
    """Return a text with known values, to which a newer server may add."""
    return {"anyOf": [{"enum": list(values)}, {"type": "string"}]}


def _codes(error: type[WiresideError] = WiresideError) -> Iterator[str]:
    yield error.code
    for kind in error.__subclasses__():
        if kind.__module__ == error.__module__:  # tests and applications define others
            yield from _codes(kind)


_STATES: Final[dict[str, Sequence[str]]] = {
    "ToolFrame": get_args(ToolState),
    "ResumedFrame": get_args(StreamState),
}

_ABOUT: Final[dict[str, dict[str, Any]]] = {
    "id": {"description": "The id of the request."},
    "content": {"description": "The next piece of the text."},
    "offset": {
        "minimum": 0,
        "description": "The position in the answer after this frame, for `resume`.",
    },
    "head": {"minimum": 0, "description": "The current end of the answer."},
    "index": {"minimum": 0, "description": "The position of the question in its batch, from 0."},
    "stream": {"description": "Names the answer, for `resume`."},
    "model": {"description": "The model that answers."},
    "conversation": {"description": "The conversation that stores the answer; absent if none."},
    "reason": {
        **_open_enum(get_args(FinishReason)),
        "description": "Why the answer ended.",
    },
    "code": {**_open_enum(sorted(set(_codes()))), "description": "What went wrong."},
    "message": {
        "maxLength": MAX_SENTENCE_CHARS + 1,
        "description": "What went wrong, as a sentence for a person.",
    },
    "retryable": {"description": "Whether the same request may succeed later."},
    "retry_after": {"minimum": 0, "description": "Seconds to wait, where known."},
    "saved": {"description": "False if the answer is only in the server's memory."},
    "name": {"description": "The name of the tool."},
    "call": {"description": "Identifies the call in all of its states."},
    "arguments": {"description": "JSON as the model wrote it; may be incomplete while running."},
    "result": {"description": "The result; absent until available."},
    "truncated": {"description": "Whether something was cut or left out to fit the frame."},
    "kind": {"description": "Names the shape of `data`."},
    "part": {"description": "If present, the frame replaces the earlier one with this value."},
    "text": {"description": "The part as text, for clients that don't know its kind."},
    "data": {"description": "The part, in the shape that `kind` names."},
    "t": {"description": "The `t` of the ping."},
}
