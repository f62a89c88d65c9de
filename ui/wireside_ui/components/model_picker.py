"""Which model answers: a menu of those that the server offers, or why there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nicegui.element import Element

from wireside.invisible_text import seen
from wireside.messages import ModelInfo


class ModelPicker(Element, component="wireside_model_picker.js", esm={"wireside-kit": "kit"}):
    """Shows and sets the model of the next question; the composer stores and sends it.

    Until ``show`` or ``show_problem`` it says that it looks for models.
    """

    def __init__(
        self,
        *,
        models: Sequence[ModelInfo],
        words: Mapping[str, str],
        on_retry: Callable[[], None],
    ) -> None:
        """``models`` may be empty while they are not known."""
        super().__init__()
        self._props["models"] = _plain(models)
        self._props["words"] = dict(words)
        self.on("retry", on_retry)

    def show(self, models: Sequence[ModelInfo]) -> None:
        """Offer these models; the first one is the default."""
        self.run_method("setModels", _plain(models))

    def show_problem(self, sentence: str) -> None:
        """Say why there are no models; a person can ask to look again."""
        self.run_method("setProblem", sentence)


def _plain(models: Sequence[ModelInfo]) -> list[dict[str, str | bool]]:
    return [
        {"id": model.id, "name": seen(model.name), "canChat": model.can_chat} for model in models
    ]
