"""A provider that plays scripted answers, for this project's tests and for users' tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass

from wireside.errors import ProviderUnavailable, WiresideError
from wireside.messages import Delta, Finished, ModelInfo, ModelRequest, TextDelta

Step = Delta | WiresideError | asyncio.Event | str
"""One step of a script: a delta, an error to raise, an event to wait for, or text."""

MODEL = ModelInfo(id="scripted", name="Scripted")


@dataclass(slots=True)
class ScriptedStream:
    """One requested answer: its request, and whether its generator has ended."""

    request: ModelRequest
    is_closed: bool = False


class ScriptedProvider:
    """Implements ``ports.provider.Provider`` without a network or a clock.

    Each request plays the next script; the last one serves all further requests. An ``Event`` in
    a script suspends the answer until it is set, so that a test controls the timing. A script
    without ``Finished`` or an error ends with ``Finished("stop")``::

        more = asyncio.Event()
        provider = ScriptedProvider(["Hel", more, "lo"], [ProviderRateLimited(retry_after=12)])
    """

    kind = "scripted"

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
        """The number of running answers."""
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
        """End waiting answers with ``ProviderUnavailable``."""
        self._closed.set()

    async def warm_up(self) -> None:
        """Do nothing: there is no connection or process to prepare."""

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
