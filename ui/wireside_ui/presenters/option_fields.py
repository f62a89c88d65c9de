"""The fields of a form for a model's own options, from their JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def option_fields(schema_text: str) -> list[dict[str, Any]]:
    """Return the fields of a form.

    An option that is neither text, number, switch, choice nor a list of these, such as an object,
    has no field; it keeps its default.

    Args:
        schema_text: the JSON Schema of an object, "" for no options.
    """
    if not schema_text:
        return []
    schema = json.loads(schema_text)
    required = schema.get("required", ())
    fields = []
    for name, given in schema.get("properties", {}).items():
        found = _field(given, schema.get("$defs", {}))
        if found is None:
            continue
        default = given.get("default")
        fields.append(
            {
                "name": name,
                "label": given.get("title") or name.replace("_", " ").capitalize(),
                "about": given.get("description", ""),
                "default": default,
                "required": name in required,
                **found,
            }
        )
    return fields


def _field(given: Schema, definitions: Schema) -> dict[str, Any] | None:
    """Return type, choices and bounds of an option; None if a form can't show it."""
    schema = _resolved(given, definitions)
    if schema is None:
        return None
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        return {"type": "choice", "choices": [_choice(value) for value in values]}
    match schema.get("type"):
        case "boolean":
            return {"type": "switch"}
        case "integer":
            return {"type": "number", "isWhole": True, **_bounds(schema, 1)}
        case "number":
            return {"type": "number", "isWhole": False, **_bounds(schema, 0)}
        case "string":
            return {"type": "text", "maxChars": schema.get("maxLength")}
        case "array":
            return _list(schema, definitions)
        case _:
            return None


def _list(schema: Schema, definitions: Schema) -> dict[str, Any] | None:
    """Return the field of a list: several of given choices, or texts or numbers."""
    if "prefixItems" in schema:  # a tuple: each place has a meaning of its own
        return None
    lengths = {"low": schema.get("minItems"), "high": schema.get("maxItems")}
    match _field(schema.get("items", {}), definitions):
        case {"type": "choice", "choices": choices}:
            return {"type": "choices", "choices": choices, **lengths}
        case {"type": "text" | "number"} as item:
            is_unique = bool(schema.get("uniqueItems"))
            return {"type": "entries", "item": item, "isUnique": is_unique, **lengths}
        case _:
            return None


def _resolved(schema: Schema, definitions: Schema) -> Schema | None:
    """Return a schema without references, and without the None of an optional value."""
    for _ in range(5):
        if "$ref" in schema:
            schema = definitions.get(str(schema["$ref"]).rpartition("/")[2], {})
        elif "anyOf" in schema or "allOf" in schema:
            kinds = schema.get("anyOf") or schema.get("allOf") or ()
            values = [kind for kind in kinds if kind.get("type") != "null"]
            if len(values) != 1:
                return None
            schema = values[0]
        else:
            return schema
    return None


def _choice(value: Any) -> dict[str, Any]:
    return {"value": value, "label": value if isinstance(value, str) else json.dumps(value)}


def _bounds(schema: Schema, step: int) -> dict[str, Any]:
    """Return the inclusive bounds; an exclusive one of whole numbers is ``step`` away."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    if high is None and "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    return {"low": low, "high": high}
