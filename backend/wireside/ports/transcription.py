"""The interface of services that transcribe audio files."""

from __future__ import annotations

from typing import Protocol


class Transcriber(Protocol):
    """Transcribes audio files.

    Attributes:
        model: the id of the model that does it.
    """

    model: str

    async def transcribe(self, content: bytes, media_type: str) -> str:
        """Return the text that is spoken in an audio file; "" if there is none.

        Args:
            content: the file.
            media_type: one of ``files.media_types.AUDIO``.

        Raises:
            ProviderError, NotConfigured, BadMessage: the service does not transcribe it.
        """
        ...
