"""The model picker: a menu of the available models, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui.element import Element

from wireside.invisible_text import seen
from wireside.messages import ModelInfo
from wireside_ui.components.kit import KIT
from wireside_ui.presenters.option_fields import option_fields


class ModelPicker(Element, component="wireside_model_picker.js", esm=KIT):
    """Shows and sets the model of the next question; the composer stores and sends it.

    Shows a loading message until ``show`` or ``show_problem`` is called.
    """

    def __init__(
        self,
        *,
        models: Sequence[ModelInfo],
        words: Mapping[str, str],
        on_retry: Callable[[], None],
    ) -> None:
        """Create the picker; ``models`` may be empty until they are known."""
        super().__init__()
        self._props["models"] = _plain(models)
        self._props["words"] = dict(words)
        self.on("retry", on_retry)

    def show(self, models: Sequence[ModelInfo]) -> None:
        """Show these models in the menu; the first one is the default."""
        self.run_method("setModels", _plain(models))

    def show_problem(self, sentence: str) -> None:
        """Show why there are no models, with a way to retry."""
        self.run_method("setProblem", sentence)


def _plain(models: Sequence[ModelInfo]) -> list[dict[str, Any]]:
    return [
        {
            "id": model.id,
            "name": seen(model.name),
            "canChat": model.can_chat,
            "canSee": model.can_see,
            "description": " · ".join(
                seen(text) for text in (model.provider, model.description) if text
            ),
            "icon": model.icon,
            "options": option_fields(model.options),
            "starters": [seen(text) for text in model.starters],
        }
        for model in models
    ]
