"""REST routes for folders of conversations: list, create, rename and delete."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from wireside.api.dependencies import CallerLibrary
from wireside.api.errors import PROBLEM, PROBLEMS
from wireside.api.policy import API, with_policy
from wireside.api.routes.prompts import Name
from wireside.records import Folder

Id = Annotated[str, Path(max_length=64)]


class FolderView(BaseModel):
    """A folder of conversations."""

    id: str
    name: str
    created_at: datetime


class FolderList(BaseModel):
    """The user's folders, ordered by name."""

    folders: list[FolderView]


class FolderName(BaseModel):
    """The name of a folder, which no other folder of the user has."""

    model_config = ConfigDict(strict=True)

    name: Name


class FolderRoutes:
    """Routes under ``/api/folders``."""

    def build_router(self) -> APIRouter:
        """Return the router."""
        router = APIRouter(prefix="/api/folders", tags=["folders"], responses={**PROBLEMS})
        router.get("")(self.list)
        router.post("", status_code=201)(self.create)
        router.patch("/{folder_id}", responses={409: PROBLEM})(self.rename)
        router.delete("/{folder_id}", status_code=204)(self.delete)
        return with_policy(router, API)

    async def list(self, library: CallerLibrary) -> FolderList:
        """List the user's folders, ordered by name."""
        return FolderList(folders=[_view(one) for one in await library.folders.list_folders()])

    async def create(self, library: CallerLibrary, new: FolderName) -> FolderView:
        """Create a folder, or return the one of that name."""
        return _view(await library.folders.create(new.name))

    async def rename(self, library: CallerLibrary, folder_id: Id, new: FolderName) -> FolderView:
        """Rename a folder."""
        return _view(await library.folders.rename(folder_id, new.name))

    async def delete(self, library: CallerLibrary, folder_id: Id) -> Response:
        """Delete a folder. Its conversations are kept, in no folder."""
        await library.folders.delete(folder_id)
        return Response(status_code=204)


def _view(folder: Folder) -> FolderView:
    return FolderView(
        id=folder.id,
        name=folder.name,
        created_at=datetime.fromtimestamp(folder.created_at, UTC),
    )
