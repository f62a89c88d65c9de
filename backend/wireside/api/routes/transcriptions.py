"""REST route for recordings of a microphone: their text."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from wireside.api.dependencies import CallerChat
from wireside.api.errors import PROBLEMS
from wireside.api.policy import API, with_policy
from wireside.files.service import MAX_RECORDING_BYTES

_BODY = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


class Transcription(BaseModel):
    """What is spoken in a recording."""

    text: str = Field(description="Empty if there is no speech in it.")


class TranscriptionRoutes:
    """The route ``/api/transcriptions``."""

    def build_router(self) -> APIRouter:
        """Return the router."""
        router = APIRouter(prefix="/api", tags=["files"], responses={**PROBLEMS})
        router.post("/transcriptions", openapi_extra={"requestBody": _BODY})(self.transcribe)
        return with_policy(router, replace(API, max_body_bytes=MAX_RECORDING_BYTES))

    async def transcribe(self, chat: CallerChat, request: Request) -> Transcription:
        """Transcribe a recording: FLAC, M4A, MP3, Ogg, WAV or WebM, as the body.

        It needs a transcription model, is not kept, and counts as a message.
        """
        return Transcription(text=await chat.transcribe(await request.body()))
