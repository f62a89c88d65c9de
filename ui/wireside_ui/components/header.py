"""The bar at the top: name, model picker, connection, colours, new chat, help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegui.element import Element

from wireside.messages import ModelInfo


class Header(Element, component="wireside_header.js"):
    """Everything in it works in the browser; the server only says which models there are.

    The chosen model and colours are the browser's (``localStorage``).
    """

    def __init__(self, *, name: str, base: str, words: Mapping[str, str]) -> None:
        super().__init__()
        self._props["name"] = name
        self._props["base"] = base
        self._props["words"] = dict(words)

    def show_models(self, models: Sequence[ModelInfo]) -> None:
        """Offer these models; the first one is the default."""
        self.run_method("setModels", [{"id": m.id, "name": m.name} for m in models])

    def show_problem(self, sentence: str) -> None:
        """Say why there are no models."""
        self.run_method("setProblem", sentence)
