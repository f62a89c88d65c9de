"""Views of a chat: functions that build NiceGUI elements from the data of a part."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any, Generic, ParamSpec, get_type_hints

from wireside.extension.parts import View

P = ParamSpec("P")


class ViewFunction(Generic[P]):
    """A view of a chat. Calling it returns a part, which a handler yields; ``build`` builds it.

    The part has the name of the view and its arguments as JSON. Each page that shows it calls the
    function again, with the arguments converted from JSON to the types of its parameters.
    """

    def __init__(self, function: Callable[P, Any], *, name: str, text: Callable[P, str] | str):
        self.name = name
        self._function = function
        self._text = text
        self._signature = inspect.signature(function)
        self._hints = _hints_of(function)
        for parameter in self._signature.parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise TypeError(f"The view {name!r} can't have the parameter {parameter}: name it.")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> View:
        """Return the part that shows this view with these arguments."""
        bound = self._signature.bind(*args, **kwargs)
        text = self._text if isinstance(self._text, str) else self._text(*args, **kwargs)
        return View(self.name, dict(bound.arguments), text)

    async def build(self, data: Mapping[str, Any]) -> None:
        """Create the elements, in NiceGUI's current slot.

        Raises:
            TypeError: the data has not the arguments of the function.
            ValueError: an argument does not fit the type of its parameter.
            Exception: the function has raised it.
        """
        bound = self._signature.bind(**{name: self._typed(name, data[name]) for name in data})
        found = self._function(*bound.args, **bound.kwargs)
        if isawaitable(found):
            await found

    def _typed(self, name: str, value: Any) -> Any:
        """Return an argument as its parameter wants it. An imported answer can have any data."""
        if name not in self._hints:
            return value
        import pydantic

        return pydantic.TypeAdapter(self._hints[name]).validate_python(value)


def _hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of the parameters; none if a name of them is unknown at run time."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        return {}
