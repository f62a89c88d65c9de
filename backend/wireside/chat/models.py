"""The models that a caller may use.

The only place that decides it: lists and requests of all pages, sockets and routes get here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wireside.errors import Forbidden, UnknownModel
from wireside.identity import Caller, ModelAccess
from wireside.messages import ModelInfo
from wireside.ports.models import Models
from wireside.providers.catalog import is_name_of, unknown_model

NONE_OPEN = "No model of this server is open to your account. Ask its administrator."


class AccessRules(Protocol):
    """The callers that may use each model; a mapping of ids is one."""

    def get(self, model: str, /) -> ModelAccess | None:
        """Return the callers that may use a model; None: all."""
        ...


class CallerModels(Models):
    """The models of the server that one caller may use.

    Args:
        models: all models of the server.
        access: the callers of each restricted model.
        caller: the caller.
    """

    def __init__(self, models: Models, access: AccessRules, caller: Caller) -> None:
        self._models = models
        self._access = access
        self._caller = caller

    async def list_models(self) -> Sequence[ModelInfo]:
        """Return the models that the caller may use, the default first; none if there is none."""
        listed = await self._models.list_models()
        return [model for model in listed if self._may_list(model.id)] if self._access else listed

    async def resolve_model(self, name: str | None) -> str:
        """Return the model called ``name``; None means the first one that the caller may use.

        A model that the caller may not use does not exist for it: the first one that it may use
        answers for an alias of it.

        Raises:
            UnknownModel: there is no such model.
            Forbidden: ``name`` is None, and the caller may use no model.
            WiresideError: the models can't be listed.
        """
        if not self._access:
            return await self._models.resolve_model(name)
        try:
            model = await self._models.resolve_model(name)
        except UnknownModel:  # its sentence names all models
            raise unknown_model(name or "", await self.list_models()) from None
        if name is None or not is_name_of(name, model):
            return model if self._may_list(model) else await self._default()
        if self._may_list(model) or self._caller.is_stand_in:  # checked when it was asked
            return model
        raise unknown_model(name, await self.list_models())

    def _may_list(self, model: str) -> bool:
        access = self._access.get(model)
        return access is None or (not self._caller.is_stand_in and access.includes(self._caller))

    async def _default(self) -> str:
        offered = await self.list_models()
        if not offered:
            raise Forbidden(NONE_OPEN)
        return offered[0].id
