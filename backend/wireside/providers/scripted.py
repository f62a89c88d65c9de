"""A model that says what it is told: for tests, ours and those of teams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass

from wireside.errors import ProviderUnavailable, WiresideError
from wireside.messages import Delta, Finished, ModelInfo, ModelRequest, TextDelta

Step = Delta | WiresideError | asyncio.Event | str
"""What happens next: a delta, an error that is raised, an event that is waited for, or text."""

MODEL = ModelInfo(id="scripted", name="Scripted")


@dataclass(slots=True)
class ScriptedStream:
    """One answer that was asked for: its request, and whether its generator has ended."""

    request: ModelRequest
    is_closed: bool = False


class ScriptedProvider:
    """Implements ``ports.Provider`` without a network and without a clock.

    Each request plays the next script; the last one serves all further requests. An ``Event`` in
    a script holds the answer back until it is set, so a test decides when time passes. A script
    that says no ``Finished`` and raises no error ends with ``Finished("stop")``::

        more = asyncio.Event()
        provider = ScriptedProvider(["Hel", more, "lo"], [ProviderRateLimited(retry_after=12)])
    """

    def __init__(
        self,
        *scripts: Iterable[Step],
        models: Sequence[ModelInfo] | WiresideError = (MODEL,),
    ) -> None:
        self._scripts = [tuple(script) for script in scripts] or [()]
        self._models = models
        self._closed = asyncio.Event()
        self.streams: list[ScriptedStream] = []
        self.lists_asked = 0

    @property
    def open_streams(self) -> int:
        """How many answers run now."""
        return sum(not stream.is_closed for stream in self.streams)

    async def models(self) -> Sequence[ModelInfo]:
        """Return the given models, or raise the given error."""
        self.lists_asked += 1
        if isinstance(self._models, WiresideError):
            raise self._models
        return self._models

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Play the next script."""
        script = self._scripts[min(len(self.streams), len(self._scripts) - 1)]
        self.streams.append(stream := ScriptedStream(request))
        try:
            for step in script:
                if isinstance(step, asyncio.Event):
                    await self._until(step)
                elif isinstance(step, WiresideError):
                    raise step
                else:
                    yield TextDelta(step) if isinstance(step, str) else step
                    if isinstance(step, Finished):
                        return
            yield Finished("stop")
        finally:
            stream.is_closed = True

    async def aclose(self) -> None:
        """End the answers that wait with ``ProviderUnavailable``."""
        self._closed.set()

    async def warm_up(self) -> None:
        """Nothing to warm."""

    async def _until(self, event: asyncio.Event) -> None:
        waits = {
            asyncio.ensure_future(event.wait()),
            asyncio.ensure_future(self._closed.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._closed.is_set():
            raise ProviderUnavailable("The server is shutting down.")
