"""``/v1/models``: the models that the caller may use."""

from __future__ import annotations

import time
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope

from wireside.api.middleware.root_path import route_path
from wireside.doors.door import Door
from wireside.openai_wire.encode import model_list

PREFIX: Final = "/v1/models/"


class ModelList:
    """Lists models, and retrieves one by its name or an alias."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._since = int(time.time())

    async def list_all(self, scope: Scope, _: Receive) -> ASGIApp:
        """Return the list, the default first."""
        models = await self._door.chat_of(scope).models()
        return JSONResponse(model_list(models, created=self._since))

    async def retrieve(self, scope: Scope, _: Receive) -> ASGIApp:
        """Return one model; for an alias, the model that answers. Raises ``UnknownModel``."""
        chat = self._door.chat_of(scope)
        name = route_path(scope).removeprefix(PREFIX)
        model = await chat.resolve_model(name)
        listed = [one for one in await chat.models() if one.id == model]
        found = model_list(listed, created=self._since)["data"]
        entry = {"id": model, "object": "model", "created": self._since, "owned_by": ""}
        return JSONResponse(found[0] if found else entry)
