"""JSON Schema documents: named schemas, and one that accepts any of them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wireside.protocol.contract.examples import EXAMPLES

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def described(frame: type) -> str:
    """Return the description of a frame: the first sentence of its docstring, as Markdown."""
    text = " ".join(inspect.cleandoc(frame.__doc__ or "").replace("``", "`").split())
    return text.partition(". ")[0].removesuffix(".") + "."


def frame_schema(
    kind: str, properties: Mapping[str, Schema], *, required: Sequence[str], description: str
) -> Schema:
    """Return the schema of an object with the ``type`` ``kind``."""
    return {
        "type": "object",
        "description": description,
        "properties": {"type": {"const": kind}, **properties},
        "required": ["type", *required],
    }


def schema_document(title: str, schemas: Mapping[str, Schema]) -> Schema:
    """Return a JSON Schema document that accepts a value if any of the schemas does."""
    return {
        "$schema": DIALECT,
        "title": title,
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in schemas if name in EXAMPLES],
        "$defs": with_examples(schemas),
    }


def with_examples(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the schemas of frames with their examples."""
    return {
        name: {**schema, "examples": list(EXAMPLES[name])} if name in EXAMPLES else schema
        for name, schema in schemas.items()
    }
