"""Reads the fields of a request in OpenAI's API, and the contents of its messages. No I/O.

Null counts as absent everywhere. A field that is wrong raises ``BadField``, which names it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wireside.errors import BadMessage
from wireside.parts import RASTER_DATA_URL as IMAGE_URL
from wireside.parts import UPLOAD, FilePart, ImagePart, Part, TextPart

MAX_ITEMS: Final = 4_000
"""Maximum number of messages, tools or parts in one list."""

MAX_TOOL_NAME_CHARS: Final = 64

NO_FETCH: Final = (
    "this server loads nothing from other addresses; send the content as a data: URL in base64"
)

ANY_OBJECT: Final = {"type": "object", "properties": {}}
"""The schema of a tool without parameters."""


class BadField(BadMessage):
    """A field of a request is wrong; ``param`` is its path, such as ``messages[0].content``."""

    def __init__(self, param: str, problem: str) -> None:
        super().__init__(f"{param}: {problem}." if param else f"{problem}.")
        self.param = param or None


class WireFields:
    """The fields of a JSON object. Each method returns None for a field that is absent.

    Args:
        value: the object.
        path: the path of the object in the request, "" for the request itself.
    """

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            raise BadField(path, "expected an object")
        self._values: dict[str, Any] = value
        self.path = path

    def param(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Whether a field is set."""
        return self._values.get(name) is not None

    def get(self, name: str) -> Any:
        """Return a field of any type."""
        return self._values.get(name)

    def names(self) -> list[str]:
        """Return the names of the fields that are set."""
        return [name for name, value in self._values.items() if value is not None]

    def text(self, name: str) -> str | None:
        """Return a string."""
        value: str | None = self._of(name, str, "a string")
        return value

    def needed_text(self, name: str) -> str:
        """Return a string that must be there."""
        value = self.text(name)
        if value is None:
            raise BadField(self.param(name), "is missing")
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean, False if it is absent."""
        return self._of(name, bool, "true or false") or False

    def items(self, name: str) -> list[Any]:
        """Return a list, empty if it is absent."""
        values: list[Any] = self._of(name, list, "a list") or []
        if len(values) > MAX_ITEMS:
            raise BadField(self.param(name), f"has more than {MAX_ITEMS:,} items")
        return values

    def objects(self, name: str) -> list[WireFields]:
        """Return a list of objects."""
        path = self.param(name)
        return [WireFields(value, f"{path}[{i}]") for i, value in enumerate(self.items(name))]

    def object(self, name: str) -> WireFields | None:
        """Return an object."""
        return WireFields(self.get(name), self.param(name)) if self.has(name) else None

    def number(self, name: str, *, low: float, high: float) -> float | None:
        """Return a number within bounds."""
        value = self.get(name)
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            raise BadField(self.param(name), f"expected a number from {low:g} to {high:g}")
        return float(value)

    def whole_number(self, name: str) -> int | None:
        """Return a whole number of at least 1."""
        value = self.get(name)
        if value is None:
            return None
        if type(value) is not int or not 1 <= value < 2**31:
            raise BadField(self.param(name), "expected a whole number of at least 1")
        return value

    def refuse(self, names: Mapping[str, str]) -> None:
        """Raise ``BadField`` for a field that is set and that nothing here can honour.

        The values of ``names`` say why. False, 0 and empty values ask for nothing.
        """
        for name, why in names.items():
            if self._values.get(name):
                raise BadField(self.param(name), why)

    def _of(self, name: str, kind: type, wanted: str) -> Any:
        value = self._values.get(name)
        if value is not None and type(value) is not kind:
            raise BadField(self.param(name), f"expected {wanted}")
        return value


def read_metadata(fields: WireFields) -> dict[str, str]:
    """Return the ``metadata`` of a request: at most 16 strings by name."""
    given = fields.object("metadata")
    if given is None:
        return {}
    names = given.names()
    if len(names) > 16:
        raise BadField(given.path, "at most 16 entries fit")
    for name in names:
        if len(name) > 64 or len(given.needed_text(name)) > 512:
            raise BadField(given.param(name)[:200], "names have 64 characters at most, values 512")
    return {name: given.needed_text(name) for name in names}


def read_content(holder: WireFields, name: str) -> tuple[Part, ...]:
    """Return the content of a message: a string, or a list of parts of either API."""
    value = holder.get(name)
    if value is None:
        return ()
    if isinstance(value, str):
        return (TextPart(value),) if value else ()
    return tuple(_part(part) for part in holder.objects(name))


def _part(part: WireFields) -> Part:
    kind = part.needed_text("type")
    match kind:
        case "text" | "input_text" | "output_text" | "refusal" | "summary_text" | "reasoning_text":
            return TextPart(part.needed_text("refusal" if kind == "refusal" else "text"))
        case "image_url":
            image = part.object("image_url")
            if image is None:
                raise BadField(part.param("image_url"), "is missing")
            return _image(image, "url")
        case "input_image":
            if part.has("file_id"):
                return ImagePart(url=UPLOAD + part.needed_text("file_id"))
            return _image(part, "image_url")
        case "file":
            file = part.object("file")
            if file is None:
                raise BadField(part.param("file"), "is missing")
            return _file(file)
        case "input_file":
            return _file(part)
        case "input_audio":
            raise BadField(part.path, "sound is not supported")
        case _:
            raise BadField(part.param("type"), f"{kind[:40]!r} is not a kind of content")


def _image(holder: WireFields, name: str) -> ImagePart:
    url = holder.needed_text(name)
    if url.lower().startswith(("http:", "https:")):
        raise BadField(holder.param(name), NO_FETCH)
    if not IMAGE_URL.fullmatch(url):
        raise BadField(
            holder.param(name), "expected a data: URL of a PNG, JPEG, GIF or WebP image in base64"
        )
    return ImagePart(url=url, media_type=url[5 : url.index(";")])


def _file(file: WireFields) -> FilePart:
    name = file.text("filename") or ""
    if file.has("file_id"):
        return FilePart(url=UPLOAD + file.needed_text("file_id"), name=name)
    if file.has("file_url"):
        raise BadField(file.param("file_url"), NO_FETCH)
    data = file.needed_text("file_data")
    if not data.startswith("data:"):
        data = f"data:application/octet-stream;base64,{data}"
    if ";base64," not in data[:200]:
        raise BadField(file.param("file_data"), "expected a data: URL in base64")
    return FilePart(url=data, name=name or "file")


def read_tools(tools: Sequence[WireFields], *, nested: bool) -> list[dict[str, Any]]:
    """Return the tools of a request, as ``requests.encode_tools`` writes them.

    ``nested``: the function is an object of its own, as in chat completions.
    """
    found: list[dict[str, Any]] = []
    for tool in tools:
        kind = tool.text("type") or "function"
        if kind != "function":
            raise BadField(
                tool.param("type"),
                f"tools of the type {kind[:40]!r} are not supported; this server's own tools need"
                " no entry here, and tools of the client are functions",
            )
        function = tool.object("function") if nested else tool
        if function is None:
            raise BadField(tool.param("function"), "is missing")
        found.append({"type": "function", "function": _function(function)})
    return found


def _function(function: WireFields) -> dict[str, Any]:
    name = function.needed_text("name")
    if not name or len(name) > MAX_TOOL_NAME_CHARS:
        raise BadField(function.param("name"), f"expected 1 to {MAX_TOOL_NAME_CHARS} characters")
    schema = function.object("parameters")
    spec: dict[str, Any] = {
        "name": name,
        "description": function.text("description") or "",
        "parameters": function.get("parameters") if schema is not None else ANY_OBJECT,
    }
    if function.has("strict"):
        spec["strict"] = function.flag("strict")
    return spec


def read_stop(fields: WireFields) -> None:
    """Check ``stop``: a string, or at most four. Raises ``BadField``."""
    stop = fields.get("stop")
    items = [stop] if isinstance(stop, str) else stop or []
    is_right = isinstance(items, list) and all(isinstance(one, str) for one in items)
    if not is_right or len(items) > 4:
        raise BadField("stop", "expected a string, or a list of at most four")


def json_of(value: object) -> str:
    """Return a value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
