"""The classes of options and state: their values in JSON, and the schema of options."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wireside.errors import BadMessage
from wireside.extension.tools import first_problem

if TYPE_CHECKING:
    import pydantic


@lru_cache(maxsize=64)
def schema_of(kind: type | None) -> str:
    """Return the JSON Schema of a dataclass or pydantic model as JSON text, "" for None.

    Raises:
        TypeError: the class is neither, or JSON can't represent a field.
    """
    if kind is None:
        return ""
    import pydantic

    try:
        schema = _adapter(kind).json_schema()
    except pydantic.errors.PydanticUserError as error:
        reason = str(error).partition("\n")[0]
        raise TypeError(f"The options {kind.__name__!r} have no JSON Schema: {reason}") from error
    if schema.get("type") != "object":
        raise TypeError(f"The options {kind.__name__!r} must be a dataclass or a pydantic model.")
    _add_made_defaults(kind, schema.get("properties", {}))
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


def options_from(kind: type | None, text: str) -> Any:
    """Return the options of a question; None for a handler without options.

    Args:
        kind: the class.
        text: the JSON text of an object, "" for the defaults.

    Raises:
        BadMessage: a value does not fit, or there is no such option; the text names it.
    """
    values = json.loads(text or "{}")
    if kind is None:
        if values:
            raise BadMessage("options: this model has no options.")
        return None
    schema = json.loads(schema_of(kind))
    known = schema.get("properties", {})
    if isinstance(values, Mapping) and not schema.get("additionalProperties"):
        for name in values:
            if name not in known:
                names = ", ".join(known)
                raise BadMessage(f"options.{name[:100]}: there is no such option, but {names}.")
    return build(kind, values, name="options")


def build(kind: type, values: Any, *, name: str) -> Any:
    """Return a dataclass or pydantic model of JSON values; unknown fields are ignored.

    Raises:
        BadMessage: a value does not fit.
    """
    import pydantic

    if not isinstance(values, Mapping):
        raise BadMessage(f"{name}: this must be an object.")
    if is_dataclass(kind):
        known = {field.name for field in fields(kind)}
        values = {key: value for key, value in values.items() if key in known}
    try:
        return _adapter(kind).validate_python(dict(values))
    except pydantic.ValidationError as error:
        raise BadMessage(f"{name}.{first_problem(error)}.") from None


def _add_made_defaults(kind: type, properties: dict[str, dict[str, Any]]) -> None:
    """Add the defaults that factories return, such as those of lists: pydantic leaves them out."""
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    for name, factory in _default_factories(kind):
        if name in properties and "default" not in properties[name]:
            with suppress(PydanticSerializationError):
                properties[name]["default"] = to_jsonable_python(factory())


def _default_factories(kind: type) -> Iterator[tuple[str, Callable[[], Any]]]:
    if is_dataclass(kind):
        for field in fields(kind):
            if field.default_factory is not MISSING:
                yield field.name, field.default_factory
    for name, info in getattr(kind, "model_fields", {}).items():
        if info.default_factory and not info.default_factory_takes_validated_data:
            yield info.alias or name, info.default_factory


@lru_cache(maxsize=64)
def _adapter(kind: type) -> pydantic.TypeAdapter[Any]:
    import pydantic

    return pydantic.TypeAdapter(kind)
