"""REST routes for prompts: list, create, change, delete, export and import."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from wireside.api.dependencies import CallerChat
from wireside.api.errors import PROBLEMS
from wireside.api.policy import API, LARGE_BODY_BYTES, route_policy, with_policy
from wireside.chat.saved import MAX_NAME_CHARS, MAX_PROMPT_CHARS, Prompts
from wireside.records import Prompt
from wireside.transfer.prompts_file import read_prompts, write_prompts

Id = Annotated[str, Path(max_length=64)]

# The service enforces these limits. Here they are only documented, so that the error sentences are
# those of the service.
Name = Annotated[
    str, Field(json_schema_extra={"minLength": 1, "maxLength": MAX_NAME_CHARS, "pattern": r"\S"})
]
Text = Annotated[
    str, Field(json_schema_extra={"minLength": 1, "maxLength": MAX_PROMPT_CHARS, "pattern": r"\S"})
]

_FILE = {"required": True, "content": {"application/json": {"schema": {}}}}
_DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}}, "description": "The file."}
}


class PromptView(BaseModel):
    """A prompt. `{{name}}` in its text is a variable that the page asks for."""

    id: str
    name: str
    text: str
    shared: bool = Field(description="Whether all users see it.")
    own: bool
    editable: bool
    updated_at: datetime


class PromptList(BaseModel):
    """The user's prompts and the shared ones, ordered by name."""

    prompts: list[PromptView]


class NewPrompt(BaseModel):
    """Fields of a new prompt. Only administrators share."""

    model_config = ConfigDict(strict=True)

    name: Name
    text: Text
    shared: bool = False


class PromptChanges(BaseModel):
    """Changes to a prompt. Fields that are absent stay as they are."""

    model_config = ConfigDict(strict=True)

    name: Name | None = None
    text: Text | None = None
    shared: bool | None = None


class ImportedPrompts(BaseModel):
    """The number of prompts that the user did not have before."""

    imported: int


class PromptRoutes:
    """Routes under ``/api/prompts``."""

    def build_router(self) -> APIRouter:
        """Return the router. Fixed paths come before those with a parameter."""
        router = APIRouter(prefix="/api/prompts", tags=["prompts"], responses={**PROBLEMS})
        router.get("")(self.list)
        router.post("", status_code=201)(self.create)
        router.get("/export", response_class=Response, responses=_DOWNLOAD)(self.export)
        router.post("/import", openapi_extra={"requestBody": _FILE})(self.import_file)
        router.patch("/{prompt_id}")(self.change)
        router.delete("/{prompt_id}", status_code=204)(self.delete)
        return with_policy(router, API)

    async def list(self, chat: CallerChat) -> PromptList:
        """List the user's prompts and the shared ones, ordered by name."""
        prompts = await chat.prompts.list_items()
        return PromptList(prompts=[_view(chat.prompts, prompt) for prompt in prompts])

    async def create(self, chat: CallerChat, new: NewPrompt) -> PromptView:
        """Create a prompt; with `shared`, as an administrator, for all users."""
        prompt = await chat.prompts.create(new.name, new.text, is_shared=new.shared)
        return _view(chat.prompts, prompt)

    async def export(self, chat: CallerChat) -> Response:
        """Export the user's own prompts as a JSON file, which `import` reads."""
        own = [one for one in await chat.prompts.list_items() if chat.prompts.is_own(one)]
        headers = {"Content-Disposition": "attachment; filename=prompts.json"}
        return Response(write_prompts(own), media_type="application/json", headers=headers)

    @route_policy(replace(API, max_body_bytes=LARGE_BODY_BYTES))
    async def import_file(self, chat: CallerChat, request: Request) -> ImportedPrompts:
        """Import a file of prompts: an export of Wireside, or of Open WebUI.

        All of it is imported, or nothing. Prompts that the user has already are left out.
        """
        chat.caller.require("chat")
        entries = read_prompts(await request.body())
        return ImportedPrompts(imported=await chat.prompts.add_imported(entries))

    async def change(self, chat: CallerChat, prompt_id: Id, changes: PromptChanges) -> PromptView:
        """Change a prompt: an own one, or a shared one as an administrator."""
        named = {"name": changes.name, "text": changes.text, "is_shared": changes.shared}
        given = {name: value for name, value in named.items() if value is not None}
        return _view(chat.prompts, await chat.prompts.change(prompt_id, given))

    async def delete(self, chat: CallerChat, prompt_id: Id) -> Response:
        """Delete a prompt: an own one, or a shared one as an administrator."""
        await chat.prompts.remove(prompt_id)
        return Response(status_code=204)


def _view(prompts: Prompts, prompt: Prompt) -> PromptView:
    return PromptView(
        id=prompt.id,
        name=prompt.name,
        text=prompt.text,
        shared=prompt.is_shared,
        own=prompts.is_own(prompt),
        editable=prompts.may_change(prompt),
        updated_at=datetime.fromtimestamp(prompt.updated_at, UTC),
    )
