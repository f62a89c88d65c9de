"""What the outside must offer, on one page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from wireside.messages import Delta, ModelInfo, ModelRequest

Clock = Callable[[], float]
"""Seconds that only grow (``time.monotonic``); passed in wherever time decides something."""


class Provider(Protocol):
    """Somebody who answers: an OpenAI-compatible server, the embedded model, a script."""

    async def warm_up(self) -> None:
        """Do what is slow once, so that the first question need not wait. Raises nothing that the
        first answer would not tell.
        """
        ...

    async def models(self) -> Sequence[ModelInfo]:
        """Return the models on offer, the default first. Raises ``ProviderError``."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Answer: text, reasoning and tool deltas, then exactly one ``Finished``.

        Deltas that arrived together may come joined. Raises ``ProviderError``, ``UnknownModel``,
        ``NotConfigured``, ``BadMessage`` or ``Overloaded``, before or after some deltas. Closing
        the generator, or cancelling the task that iterates it, closes the upstream response
        before it returns.
        """
        ...

    async def aclose(self) -> None:
        """Free connections and processes. Streams that still run end with an error."""
        ...
