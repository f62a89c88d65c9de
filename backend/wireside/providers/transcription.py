"""Transcribes audio files by a model of the configured service."""

from __future__ import annotations

from collections.abc import Mapping

from wireside.ports.transcription import Transcriber
from wireside.providers.openai import OpenAIProvider


class ModelTranscriber(Transcriber):
    """Transcribes by one model.

    Args:
        provider: the service.
        model: the id of the model.
        extensions: the extension of a file's name by its type: services look at the name.
    """

    def __init__(
        self, provider: OpenAIProvider, model: str, *, extensions: Mapping[str, str]
    ) -> None:
        self._provider = provider
        self.model = model
        self._extensions = extensions

    async def transcribe(self, content: bytes, media_type: str) -> str:
        """See ``Transcriber``. The service does not get the name of the user's file."""
        file = (f"audio.{self._extensions[media_type]}", content, media_type)
        return await self._provider.transcribe(self.model, file)
