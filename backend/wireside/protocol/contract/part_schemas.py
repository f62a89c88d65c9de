"""JSON Schema of the data of ``part`` frames, by kind (docs/protocol.md, "Parts")."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}


def _data(description: str, /, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
    }


PART_DATA: Final[dict[str, Schema]] = {
    "image": _data(
        "An image; `url` is of `https:`, `data:` or a path of the server.",
        url=_TEXT,
        media_type=_TEXT,
        name=_TEXT,
    ),
    "file": _data(
        "A file to download.",
        url=_TEXT,
        media_type=_TEXT,
        name=_TEXT,
        size_bytes={"type": ["integer", "null"], "minimum": 0},
    ),
    "step": _data(
        "A state of a step; `parent` is the id of the step around it, `seconds` its duration.",
        id=_TEXT,
        name=_TEXT,
        state={"enum": ["running", "done", "failed"]},
        input=_TEXT,
        output=_TEXT,
        parent=_TEXT,
        seconds={"type": ["number", "null"], "minimum": 0},
    ),
    "source": _data("A source; `text` is an excerpt.", title=_TEXT, url=_TEXT, text=_TEXT),
    "table": _data(
        "A table; `total` is the number of its rows, which may be more than `rows` has.",
        columns={"type": "array", "items": _TEXT},
        rows={
            "type": "array",
            "items": {
                "type": "array",
                "items": {"type": ["string", "number", "boolean", "null"]},
            },
        },
        total=_COUNT,
    ),
    "figure": _data("A figure of Plotly.", figure={"type": "object"}, name=_TEXT),
    "view": _data(
        "A view of the server's page; other clients show the text of the part.",
        name=_TEXT,
        data={"type": "object"},
    ),
    "question": _data(
        "A question to the user; `answer` is null while it is open.",
        id=_TEXT,
        type={"type": "string", "examples": ["approve", "choose", "form", "text", "file"]},
        prompt=_TEXT,
        answer={},
    ),
}
"""The shape of ``data`` by ``kind``. Other kinds have shapes of their own."""


def part_data_schemas() -> dict[str, Schema]:
    """Return the schemas of the data, by the names to which ``data_by_kind`` refers."""
    return {_name(kind): schema for kind, schema in PART_DATA.items()}


def data_by_kind() -> list[Schema]:
    """Return the conditions of a ``part`` frame: which data its kind has."""
    return [
        {
            "if": {"properties": {"kind": {"const": kind}}},
            "then": {"properties": {"data": {"$ref": f"#/$defs/{_name(kind)}"}}},
        }
        for kind in PART_DATA
    ]


def _name(kind: str) -> str:
    return f"{kind.capitalize()}Data"
