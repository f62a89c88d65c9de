"""A provider that plays scripted answers, for this project's tests and for users' tests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

from wireside.errors import ProviderUnavailable, WiresideError
from wireside.messages import Delta, Finished, ModelInfo, ModelRequest, TextDelta

Step = Delta | Exception | asyncio.Event | str
"""One step of a script: a delta, an error to raise, an event to wait for, or text."""

Script = Iterable[Step] | Callable[[ModelRequest], Iterable[Step]]
"""The steps of an answer, or a function that returns them for a request."""

MODEL = ModelInfo(id="scripted", name="Scripted")


class ScriptedCall:
    """One requested answer. A test that has given no script adds its steps while it runs."""

    def __init__(self, request: ModelRequest, steps: Iterable[Step] = ()) -> None:
        self.request = request
        self.is_closed = False
        """Whether the answer's generator has ended."""
        self.steps = deque(steps)
        """The steps that are yet to be played."""
        self.has_steps = asyncio.Event()

    def say(self, *steps: Step) -> None:
        """Add steps: text as a string, or any other."""
        self.steps.extend(steps)
        self.has_steps.set()

    def finish(self, finished: Finished | None = None) -> None:
        """End the answer, by default with ``Finished("stop")``."""
        self.say(finished or Finished("stop"))

    def fail(self, error: Exception) -> None:
        """End the answer with an error."""
        self.say(error)


class ScriptedProvider:
    """Implements ``ports.provider.Provider`` without a network or a clock.

    Each request plays the next script; the last one serves all further requests. An ``Event`` in
    a script suspends the answer until it is set, so that a test controls the timing. A script
    without ``Finished`` or an error ends with ``Finished("stop")``::

        more = asyncio.Event()
        provider = ScriptedProvider(["Hel", more, "lo"], [ProviderRateLimited(retry_after=12)])

    Without scripts, each answer plays what the test adds to its call::

        provider = ScriptedProvider()
        call = await provider.call(0)  # waits for the first request
        call.say("Hel", "lo")
        call.finish()

    ``listed`` are the models, or the error that reading them raises. While ``may_close`` is not
    set, generators do not end.
    """

    kind = "scripted"

    def __init__(
        self, *scripts: Script, models: Sequence[ModelInfo] | WiresideError = (MODEL,)
    ) -> None:
        self._scripts = scripts
        self.listed = models
        self.lists_asked = 0
        self.calls: list[ScriptedCall] = []
        self.may_close = asyncio.Event()
        self.may_close.set()
        self._was_called = asyncio.Event()
        self._closed = asyncio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether ``aclose`` was called."""
        return self._closed.is_set()

    @property
    def open_calls(self) -> int:
        """The number of running answers."""
        return sum(not call.is_closed for call in self.calls)

    async def call(self, number: int = 0) -> ScriptedCall:
        """Wait for the request of that number, from 0, and return its call."""
        while len(self.calls) <= number:
            self._was_called.clear()
            await self._was_called.wait()
        return self.calls[number]

    async def models(self) -> Sequence[ModelInfo]:
        """Return the given models, or raise the given error."""
        self.lists_asked += 1
        if isinstance(self.listed, WiresideError):
            raise self.listed
        return self.listed

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Play the next script, or what the test adds to the call."""
        call = ScriptedCall(request, self._steps_of(request))
        self.calls.append(call)
        self._was_called.set()
        try:
            while True:
                step = await self._next_step(call)
                if isinstance(step, asyncio.Event):
                    await self._until(step)
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield TextDelta(step) if isinstance(step, str) else step
                    if isinstance(step, Finished):
                        return
        finally:
            await self.may_close.wait()
            call.is_closed = True

    async def aclose(self) -> None:
        """End waiting answers with ``ProviderUnavailable``."""
        self._closed.set()

    async def warm_up(self) -> None:
        """Do nothing: there is no connection or process to prepare."""

    def _steps_of(self, request: ModelRequest) -> Iterable[Step]:
        if not self._scripts:
            return ()
        script = self._scripts[min(len(self.calls), len(self._scripts) - 1)]
        return (*(script(request) if callable(script) else script), Finished("stop"))

    async def _next_step(self, call: ScriptedCall) -> Step:
        while not call.steps:
            call.has_steps.clear()
            await self._until(call.has_steps)
        return call.steps.popleft()

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
