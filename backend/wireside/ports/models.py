"""The interface of the list of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wireside.messages import ModelInfo


class Models(Protocol):
    """Lists the available models and resolves their names."""

    async def list_models(self) -> Sequence[ModelInfo]:
        """Return the available models, the default first. Raises ``WiresideError``."""
        ...

    async def resolve_model(self, name: str | None) -> str:
        """Return the model to use. Raises ``UnknownModel`` or another ``WiresideError``."""
        ...
