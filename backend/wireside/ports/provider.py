"""The interface of model providers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from wireside.messages import Delta, ModelInfo, ModelRequest


class Provider(Protocol):
    """A source of answers: an OpenAI-compatible server, the embedded model or your own code.

    A subclass implements ``models`` and ``stream``; the other members have defaults.
    """

    @property
    def kind(self) -> str:
        """The provider's name in health responses and traces, such as ``openai``."""
        return type(self).__name__

    async def warm_up(self) -> None:
        """Do slow start-up work once, so that the first question is not delayed by it.

        Raises only errors that the first answer would report as well.
        """
        return

    async def models(self) -> Sequence[ModelInfo]:
        """Return the available models, the default first. Raises ``ProviderError``."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Stream an answer: text, reasoning and tool deltas, then exactly one ``Finished``.

        Deltas that arrived together may be joined. Closing the generator, or cancelling the task
        that iterates over it, closes the upstream response before it returns.

        Raises:
            ProviderError, UnknownModel, NotConfigured, BadMessage, Overloaded: before or after some
                deltas.
        """
        ...

    async def aclose(self) -> None:
        """Close connections and processes. Running streams end with an error."""
        return
