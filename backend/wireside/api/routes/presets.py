"""REST routes for presets: list, create, change, delete, and the default of a user."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from wireside.api.dependencies import CallerChat
from wireside.api.errors import PROBLEMS
from wireside.api.policy import API, with_policy
from wireside.api.routes.prompts import Name
from wireside.chat.effort import Effort, effort_of, parameters_with
from wireside.chat.saved import Presets
from wireside.errors import BadMessage
from wireside.messages import Options
from wireside.records import Preset

MAX_VALUES_CHARS = 20_000

MAX_VALUES_DEPTH = 32
"""Lists and objects in each other; far fewer than the depth that JSON can't be written at."""

Id = Annotated[str, Path(max_length=64)]


class PresetOptions(BaseModel):
    """A model and settings; null selects the default."""

    model_config = ConfigDict(strict=True)

    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    system: Annotated[str, Field(max_length=20_000)] | None = Field(
        None, description="The instructions."
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    effort: Effort | None = Field(
        None, description="The reasoning effort, for models that have it."
    )
    values: dict[str, Any] | None = Field(None, description="The options of the model's own.")


class PresetView(PresetOptions):
    """A preset: a model and settings to begin a chat with."""

    id: str
    name: str
    shared: bool = Field(description="Whether all users see it.")
    own: bool
    editable: bool
    updated_at: datetime


class PresetList(BaseModel):
    """The user's presets and the shared ones, ordered by name."""

    presets: list[PresetView]
    default: str | None = Field(description="The one that the user begins new chats with.")


class NewPreset(PresetOptions):
    """Fields of a new preset. Only administrators share."""

    name: Name
    shared: bool = False


class PresetChanges(BaseModel):
    """Changes to a preset. Fields that are absent stay as they are."""

    model_config = ConfigDict(strict=True)

    name: Name | None = None
    shared: bool | None = None
    options: PresetOptions | None = Field(None, description="Replaces all options.")


class DefaultPreset(BaseModel):
    """The preset that a user begins new chats with; null for none."""

    model_config = ConfigDict(strict=True)

    preset: Annotated[str, Field(max_length=64)] | None


class PresetRoutes:
    """Routes under ``/api/presets``."""

    def build_router(self) -> APIRouter:
        """Return the router. Fixed paths come before those with a parameter."""
        router = APIRouter(prefix="/api/presets", tags=["presets"], responses={**PROBLEMS})
        router.get("")(self.list)
        router.post("", status_code=201)(self.create)
        router.put("/default", status_code=204)(self.set_default)
        router.patch("/{preset_id}")(self.change)
        router.delete("/{preset_id}", status_code=204)(self.delete)
        return with_policy(router, API)

    async def list(self, chat: CallerChat) -> PresetList:
        """List the user's presets and the shared ones, ordered by name."""
        presets = await chat.presets.list_items()
        default = await chat.presets.default_id()
        return PresetList(
            presets=[_view(chat.presets, preset) for preset in presets],
            default=default if any(preset.id == default for preset in presets) else None,
        )

    async def create(self, chat: CallerChat, new: NewPreset) -> PresetView:
        """Create a preset; with `shared`, as an administrator, for all users."""
        preset = await chat.presets.create(new.name, _options(new), is_shared=new.shared)
        return _view(chat.presets, preset)

    async def set_default(self, chat: CallerChat, default: DefaultPreset) -> Response:
        """Set the preset that the user begins new chats with, own or shared."""
        await chat.presets.set_default(default.preset)
        return Response(status_code=204)

    async def change(self, chat: CallerChat, preset_id: Id, changes: PresetChanges) -> PresetView:
        """Change a preset: an own one, or a shared one as an administrator."""
        given: dict[str, Any] = {}
        if changes.name is not None:
            given["name"] = changes.name
        if changes.shared is not None:
            given["is_shared"] = changes.shared
        if changes.options is not None:
            given["options"] = _options(changes.options)
        return _view(chat.presets, await chat.presets.change(preset_id, given))

    async def delete(self, chat: CallerChat, preset_id: Id) -> Response:
        """Delete a preset: an own one, or a shared one as an administrator."""
        await chat.presets.remove(preset_id)
        return Response(status_code=204)


def _options(given: PresetOptions) -> Options:
    return Options(
        model=given.model,
        system=given.system,
        temperature=given.temperature,
        max_tokens=given.max_tokens,
        values=_values_json(given.values) if given.values else "",
        parameters=parameters_with("", given.effort),
    )


def _values_json(values: dict[str, Any]) -> str:
    if is_deeper(values, MAX_VALUES_DEPTH):
        raise BadMessage(f"values: {MAX_VALUES_DEPTH} levels at most.")
    try:
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        text.encode()
    except ValueError as error:  # NaN, or half of a surrogate pair
        raise BadMessage("values: they are not JSON.") from error
    if len(text) > MAX_VALUES_CHARS:
        raise BadMessage(f"values: {MAX_VALUES_CHARS:,} characters of JSON at most.")
    return text


def _shown_values(text: str) -> dict[str, Any] | None:
    """Return stored values, or None if they can't be shown: the others of a list still can."""
    values = json.loads(text) if text else None
    return None if is_deeper(values, MAX_VALUES_DEPTH) else values


def is_deeper(value: object, max_depth: int) -> bool:
    """Return whether more than ``max_depth`` lists and objects contain each other."""
    level: list[Any] = [value]
    for _ in range(max_depth + 1):
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return False
        level = [
            inner for one in level for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return True


def _view(presets: Presets, preset: Preset) -> PresetView:
    options = preset.options
    return PresetView(
        id=preset.id,
        name=preset.name,
        model=options.model,
        system=options.system,
        temperature=options.temperature,
        max_tokens=options.max_tokens,
        effort=effort_of(options.parameters),
        values=_shown_values(options.values),
        shared=preset.is_shared,
        own=presets.is_own(preset),
        editable=presets.may_change(preset),
        updated_at=datetime.fromtimestamp(preset.updated_at, UTC),
    )
