"""Compares two contracts: a sentence for each change that breaks a client.

What a client sends must stay accepted: nothing that it may send is refused or ignored now. What the
server sends must stay readable: all fields that a client knows are still there, with values that it
knows. New frames, fields, routes and optional parameters are compatible.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Schema = dict[str, Any]
Contract = dict[str, dict[str, Any]]
Sender = Literal["client", "server"]

UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
ANY: Schema = {}
"""A schema that accepts any value."""

METHODS = ("get", "put", "post", "patch", "delete", "head")


def breaks(old: Contract, new: Contract) -> list[str]:
    """Return a sentence for each change between two contracts that breaks a client."""
    return list(dict.fromkeys(_breaks(old, new)))  # each type of a value has the same limits


def _breaks(old: Contract, new: Contract) -> Iterator[str]:
    for name, sender in (
        ("client-frames.schema.json", "client"),
        ("server-frames.schema.json", "server"),
    ):
        yield from frame_breaks(old[name], new[name], sender)  # type: ignore[arg-type]
    yield from address_breaks(old["asyncapi.json"], new["asyncapi.json"])
    yield from route_breaks(old["openapi.json"], new["openapi.json"])


# ---- documents -----------------------------------------------------------------------------------


def frame_breaks(old: Schema, new: Schema, sender: Sender) -> Iterator[str]:
    """Compare the frames that one side sends."""
    comparison = Comparison(old, new, sender)
    names = [_names(document) for document in (old, new)]
    for name in names[0]:
        if name not in names[1]:
            yield f"{name}: the frame of the {sender} was removed."
        else:
            yield from comparison.compare(old["$defs"][name], new["$defs"][name], name)
    if sender == "server":
        added = [name for name in names[1] if name not in names[0] and name.endswith("Level1")]
        yield from (f"{name}: level 1 has no new frames." for name in added)


def _names(document: Schema) -> list[str]:
    return [one["$ref"].rpartition("/")[2] for one in document["anyOf"]]


def address_breaks(old: Schema, new: Schema) -> Iterator[str]:
    """Compare the addresses of WebSockets."""
    addresses = [
        {channel["address"] for channel in document["channels"].values()} for document in (old, new)
    ]
    for address in sorted(addresses[0] - addresses[1]):
        yield f"{address}: the WebSocket was removed."


def route_breaks(old: Schema, new: Schema) -> Iterator[str]:
    """Compare the routes of the REST API."""
    for path, operations in old["paths"].items():
        for method in METHODS:
            if method not in operations:
                continue
            where = f"{method.upper()} {path}"
            if (now := new["paths"].get(path, {}).get(method)) is None:
                yield f"{where}: the route was removed."
                continue
            before = operations[method]
            yield from _parameter_breaks(before, now, where, Comparison(old, new, "client"))
            yield from _body_breaks(before, now, where, Comparison(old, new, "client"))
            yield from _response_breaks(before, now, where, Comparison(old, new, "server"))


def _parameter_breaks(
    old: Schema, new: Schema, where: str, comparison: Comparison
) -> Iterator[str]:
    before, now = (
        {(one["in"], one["name"]): one for one in operation.get("parameters", ())}
        for operation in (old, new)
    )
    for key, parameter in before.items():
        place = f"{where}: the parameter {key[1]}"
        if key not in now:
            yield f"{place} was removed."
        else:
            yield from comparison.compare(
                parameter.get("schema", ANY), now[key].get("schema", ANY), place
            )
    for key, parameter in now.items():
        if parameter.get("required") and not before.get(key, {}).get("required"):
            yield f"{where}: the parameter {key[1]} is now required."


def _body_breaks(old: Schema, new: Schema, where: str, comparison: Comparison) -> Iterator[str]:
    before, now = old.get("requestBody", {}), new.get("requestBody", {})
    if now.get("required") and not before.get("required"):
        yield f"{where}: a body is now required."
    yield from _content_breaks(before, now, f"{where}: the body", comparison)


def _response_breaks(old: Schema, new: Schema, where: str, comparison: Comparison) -> Iterator[str]:
    for status, response in old["responses"].items():
        if (now := new["responses"].get(status)) is not None:
            place = f"{where}: the response {status}"
            yield from _content_breaks(response, now, place, comparison)
        elif status.startswith("2"):
            yield f"{where}: the response {status} was removed."


def _content_breaks(old: Schema, new: Schema, where: str, comparison: Comparison) -> Iterator[str]:
    for media_type, content in old.get("content", {}).items():
        if (now := new.get("content", {}).get(media_type)) is None:
            yield f"{where} as {media_type} was removed."
        else:
            yield from comparison.compare(content.get("schema", ANY), now.get("schema", ANY), where)


# ---- schemas -------------------------------------------------------------------------------------


@dataclass
class Comparison:
    """Compares schemas of two documents, of values that one side sends."""

    old_document: Schema
    new_document: Schema
    sender: Sender
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def compare(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        """Yield a sentence for each change that breaks a client."""
        old, new = _target(old, self.old_document), _target(new, self.new_document)
        if old == new and not _refers(old):
            return
        if (id(old), id(new)) in self._seen:  # a schema that refers to itself, or was compared
            return
        self._seen.add((id(old), id(new)))
        yield from self._conditions(old, new, where)
        sent, accepted = self._ordered(
            _forms(old, self.old_document), _forms(new, self.new_document)
        )
        for form in sent:
            fitting = [one for one in accepted if _fits(form, one)]
            if not fitting:
                yield f"{where} {self._now(_kind(form))}."
            elif len(fitting) == 1:
                yield from self._compare_forms(*self._ordered(form, fitting[0]), where)
            elif not any(self._is_compatible(form, one) for one in fitting):
                yield f"{where} {self._now('one of its forms')}."

    def _is_compatible(self, sent: Schema, accepted: Schema) -> bool:
        trial = replace(self, _seen=set(self._seen))
        return not any(trial._compare_forms(*self._ordered(sent, accepted), ""))

    def _ordered(self, old: Any, new: Any) -> tuple[Any, Any]:
        """Return what may be sent and what is accepted; or, of these two, old and new."""
        return (old, new) if self.sender == "client" else (new, old)

    def _now(self, value: str) -> str:
        return f"no longer accepts {value}" if self.sender == "client" else f"may now be {value}"

    def _compare_forms(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        """Compare schemas of one type, without alternatives."""
        sent, accepted = self._ordered(old, new)
        yield from self._values(sent, accepted, where)
        yield from self._bounds(sent, accepted, where)
        if "items" in old:
            yield from self.compare(old["items"], new.get("items", ANY), f"{where}[]")
        yield from self._fields(old, new, where)

    def _values(self, sent: Schema, accepted: Schema, where: str) -> Iterator[str]:
        known = _values_of(accepted)
        if known is None:
            return
        values = _values_of(sent)
        if values is None:
            yield f"{where} {self._now('any other value')}."
            return
        for value in values:
            if value not in known:
                yield f"{where} {self._now(repr(value))}."

    def _bounds(self, sent: Schema, accepted: Schema, where: str) -> Iterator[str]:
        for name in UPPER:
            if accepted.get(name, math.inf) < sent.get(name, math.inf):
                yield f"{where}: {name} was {self._change(sent, accepted, name)}."
        for name in LOWER:
            if accepted.get(name, -math.inf) > sent.get(name, -math.inf):
                yield f"{where}: {name} was {self._change(sent, accepted, name)}."
        for name in ("pattern", "format"):
            if name in accepted and accepted[name] != sent.get(name):
                yield f"{where}: {name} was {self._change(sent, accepted, name)}."

    def _change(self, sent: Schema, accepted: Schema, name: str) -> str:
        old, new = (schema.get(name, "not limited") for schema in self._ordered(sent, accepted))
        return f"{old} and is {new}"

    def _fields(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        before, now = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            if name not in now:
                yield f"{where}.{name} was removed."
            else:
                yield from self.compare(schema, now[name], f"{where}.{name}")
        required = [set(schema.get("required", ())) for schema in (old, new)]
        if self.sender == "client":
            yield from (f"{where}.{name} is now required." for name in required[1] - required[0])
        else:
            missing = (required[0] - required[1]) & now.keys()
            yield from (f"{where}.{name} may now be absent." for name in sorted(missing))
        yield from self._other_fields(old, new, where)

    def _other_fields(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        sent, accepted = self._ordered(old, new)
        if accepted.get("additionalProperties") is not False:
            return
        added = set(sent.get("properties", ())) - set(accepted["properties"])
        if self.sender == "server":
            yield from (f"{where}.{name} is new in a frame of level 1." for name in sorted(added))
        if sent.get("additionalProperties") is not False:
            yield f"{where} {self._now('an object with other fields')}."

    def _conditions(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        """Compare ``allOf``: a client meets no new condition, a server keeps the old ones."""
        sent, accepted = self._ordered(old, new)
        for condition in accepted.get("allOf", ()):
            if condition not in sent.get("allOf", ()):
                change = "there is a new" if self.sender == "client" else "it no longer keeps a"
                yield f"{where}: {change} condition {condition}."


def _target(schema: Schema, document: Schema) -> Schema:
    """Return the schema to which a reference points."""
    while "$ref" in schema:
        found: Any = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        schema = found
    return schema


def _refers(schema: Any) -> bool:
    match schema:
        case dict():
            return "$ref" in schema or any(map(_refers, schema.values()))
        case list():
            return any(map(_refers, schema))
        case _:
            return False


def _forms(schema: Schema, document: Schema) -> list[Schema]:
    """Return the alternatives of a schema; each has at most one type."""
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "allOf")}
    forms = []
    for alternative in schema.get("anyOf") or schema.get("oneOf") or [{}]:
        form = {**rest, **_target(alternative, document)}
        if "anyOf" in form or "oneOf" in form:
            forms += _forms(form, document)
        elif isinstance(form.get("type"), list):
            forms += [{**form, "type": kind} for kind in form["type"]]
        else:
            forms.append(form)
    return forms


def _values_of(schema: Schema) -> list[Any] | None:
    """Return the values that a schema lists; None if it lists none."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _type_of(schema: Schema) -> str | None:
    values = _values_of(schema)
    if "type" not in schema and values and all(isinstance(value, str) for value in values):
        return "string"
    return schema.get("type")


def _fits(sent: Schema, accepted: Schema) -> bool:
    """Return whether values of one schema's type are of the other's type."""
    kinds = _type_of(sent), _type_of(accepted)
    return kinds[1] is None or kinds[0] == kinds[1] or kinds == ("integer", "number")


def _kind(schema: Schema) -> str:
    kind = _type_of(schema)
    names = {None: "any value", "null": "null", "integer": "an integer", "object": "an object"}
    return names.get(kind) or ("a list" if kind == "array" else f"a {kind}")
