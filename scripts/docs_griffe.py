"""Reads the docstrings of the API reference: marks of reStructuredText become those of Markdown."""

from __future__ import annotations

from typing import Any

from griffe import Extension, Object


class MarkdownDocstrings(Extension):  # type: ignore[misc]
    """Removes the second colon in front of an example."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of an object that was found."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("::\n", ":\n")
