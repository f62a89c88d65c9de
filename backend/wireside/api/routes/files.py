"""REST routes for files: upload, read and delete."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import IO, Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from wireside.api.dependencies import CallerLibrary, OwnFiles
from wireside.api.errors import PROBLEMS
from wireside.api.policy import API, route_policy, with_policy
from wireside.errors import BadMessage, TooLarge
from wireside.files.media_types import IMAGES
from wireside.files.service import CallerFiles
from wireside.records import StoredFile

FORM_BYTES = 64 * 1024
"""What a form may have in addition to its file: boundaries, headers and other fields."""

Id = Annotated[str, Path(max_length=64)]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}},
    }
}
_ANY_FILE = {
    "required": True,
    "content": {"application/octet-stream": _BINARY, "multipart/form-data": _FORM},
}


class Upload(BaseModel):
    """A file. `attachments` of a `chat` frame on `/ws/ai-chat` refers to it by its id."""

    id: str
    name: str = Field(description="The name without folders and invisible characters.")
    media_type: str = Field(description="The type, determined from the content.")
    size_bytes: int
    created_at: datetime


class FileRoutes:
    """The routes ``/api/uploads`` and ``/api/files``."""

    def build_router(self) -> APIRouter:
        """Return the router."""
        router = APIRouter(prefix="/api", tags=["files"], responses={**PROBLEMS})
        router.post("/uploads", status_code=201, openapi_extra={"requestBody": _ANY_FILE})(
            self.upload
        )
        router.get("/files/{file_id}", response_class=StreamingResponse)(self.show)
        router.delete("/files/{file_id}", status_code=204)(self.delete)
        return with_policy(router, API)

    @route_policy(replace(API, max_body_bytes=None))  # read as a stream, within the files' limit
    async def upload(
        self, files: OwnFiles, request: Request, name: Annotated[str, Query(max_length=1_000)] = ""
    ) -> Upload:
        """Upload a file for a question: as the body, with `name`, or as `file` of a form.

        A file that no question refers to is deleted after a day, others with their conversation.
        """
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            return _upload_view(await _upload_of_form(files, request, name))
        return _upload_view(await files.upload_file(name or "file", request.stream()))

    async def show(self, library: CallerLibrary, request: Request, file_id: Id) -> Response:
        """Read a file of the user, or of a conversation that others share with the user.

        Browsers show images and download everything else.
        """
        file, files = await library.find_file(file_id), library.files
        headers = {
            "Cache-Control": "private, no-cache",
            "Content-Disposition": _disposition(file),
            # what a file contains never runs, even if a browser is made to open it
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cross-Origin-Resource-Policy": "same-origin",
            "ETag": f'"{file.sha256}"',
            "X-Content-Type-Options": "nosniff",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        headers["Content-Length"] = str(file.size_bytes)
        return StreamingResponse(
            await files.read_content(file), media_type=_served_type(file), headers=headers
        )

    async def delete(self, files: OwnFiles, file_id: Id) -> Response:
        """Delete an upload that no question refers to."""
        await files.remove_file(file_id)
        return Response(status_code=204)


class _FormParser(MultiPartParser):
    spool_max_size = 16 * 1024  # a stalled upload holds no more memory than that


async def _upload_of_form(files: CallerFiles, request: Request, name: str) -> StoredFile:
    """Keep the file of a form, which a temporary file holds until the form is complete."""
    stream = _limited_body(request, files.rules.max_bytes)
    parser = _FormParser(request.headers, stream, max_files=1, max_fields=8)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise BadMessage("The form is not readable; send one file as `file`.") from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadMessage("file: is missing in the form.")
        return await files.upload_file(name or file.filename or "file", _file_pieces(file.file))
    finally:
        await form.close()


async def _limited_body(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > max_bytes + FORM_BYTES:
            raise TooLarge(f"The file is too large: a file may have {max_bytes // 2**20:,} MB.")
        yield piece


async def _file_pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, FORM_BYTES):
        yield piece


def _served_type(file: StoredFile) -> str:
    """Return the type for browsers: never one that they would run."""
    if file.media_type.startswith("text/"):
        return "text/plain; charset=utf-8"
    return file.media_type


def _disposition(file: StoredFile) -> str:
    kind = "inline" if file.media_type in IMAGES else "attachment"
    return f"{kind}; filename*=UTF-8''{quote(file.name, safe='')}"


def _upload_view(file: StoredFile) -> Upload:
    return Upload(
        id=file.id,
        name=file.name,
        media_type=file.media_type,
        size_bytes=file.size_bytes,
        created_at=datetime.fromtimestamp(file.created_at, UTC),
    )
