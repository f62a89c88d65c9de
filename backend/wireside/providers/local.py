"""The provider for the embedded model: starts, monitors, restarts and ends its child process.

The child (``local_server.py``) serves an OpenAI-compatible API on loopback, protected by a random
key. Requests to it go through an OpenAI-compatible provider, which the given factory creates.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from wireside.errors import (
    NotConfigured,
    Overloaded,
    ProviderTimeout,
    ProviderUnavailable,
    UnknownModel,
    WiresideError,
)
from wireside.limits.backoff import Backoff
from wireside.messages import Delta, Finished, Message, ModelInfo, ModelRequest
from wireside.openai_wire.requests import text_only
from wireside.ports.clock import Clock
from wireside.ports.provider import Provider
from wireside.providers import local_server
from wireside.providers.local_server import LocalServerOptions
from wireside.providers.weights import NO_RUNTIME, has_runtime

_log = structlog.get_logger(__name__)

MODEL = "SmolLM2-135M-Instruct"
SYSTEM = "You are a helpful assistant. Answer plainly and briefly."
"""System prompt for requests without one; the model's own ("trained by …") lowers its quality."""

NO_WEIGHTS = (
    "The embedded model's weights are not on this computer yet. Administrator of this server: run "
    "`wireside pull`, or set OPENAI_API_KEY or OPENAI_BASE_URL to use another model."
)
STOPPED = "The embedded model stopped in the middle of this answer; it starts again when you retry."
NO_START = "The embedded model could not start; the server's log says why."
CLOSED = "The server is shutting down."

COMMAND = (sys.executable, "-P", local_server.__file__)
"""Runs the file, not the module: it imports nothing of this package, and so starts faster."""

LAST_WORDS_BYTES = 2048
"""Number of bytes of the end of the child's standard error that are kept for the log."""

HANG_UP_S = 0.005
"""Delay in seconds after an answer, so that the client detects a closed connection.

llama.cpp closes the connection after each streamed answer, although it announced keep-alive.
Without the delay, the next request would be sent on the closed connection.
"""

LOOK_S = 1.0
"""Seconds between two checks of a child that other processes use."""

Connect = Callable[[str, str], Provider]
"""Creates a provider from a base URL (up to ``/v1``) and a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLimits:
    """Limits of the embedded model.

    ``parallel`` is the number of concurrent answers; for each of them up to ``waiting`` requests
    are queued, more are refused. ``max_tokens`` applies to requests that set no limit: a small
    model may generate text without end. ``start_s`` and ``end_s`` are timeouts in seconds for the
    child's start and end.
    """

    context_tokens: int = 4096
    parallel: int = 2
    max_tokens: int = 1024
    waiting: int = 8
    start_s: float = 60
    end_s: float = 2


@dataclass(frozen=True, slots=True)
class SharedModel:
    """Where several processes reach the one that has the model: a port of loopback, and a key."""

    port: int
    api_key: str

    @property
    def address(self) -> str:
        """The URL of the model's process."""
        return f"http://127.0.0.1:{self.port}"


class LocalProvider:
    """Implements ``ports.provider.Provider`` with the model in ``weights``, a .gguf file.

    The child starts with the first answer, or with ``warm_up()``. After a crash the next request
    restarts it; if it keeps crashing, requests are refused for increasing periods (``Backoff``).
    """

    kind = "embedded"

    def __init__(
        self,
        weights: Path,
        connect: Connect,
        limits: LocalLimits = LocalLimits(),
        *,
        command: Sequence[str] = COMMAND,
        now: Clock = time.monotonic,
        shared: SharedModel | None = None,
        owns_child: bool = True,
    ) -> None:
        """Prepare the provider.

        Args:
            weights: the file of the model.
            connect: creates the provider of the child's API.
            limits: see ``LocalLimits``.
            command: starts the child.
            now: a monotonic clock.
            shared: where the child listens, for several processes.
            owns_child: this process starts it; otherwise another one does.
        """
        self._shared = shared
        self._owns_child = owns_child
        self._weights = weights
        self._connect = connect
        self._limits = limits
        self._command = command
        self._now = now
        self._backoff = Backoff()
        self._newborn: _Child | None = None
        self._child: _Child | None = None
        self._starting: asyncio.Task[_Child] | None = None
        self._watchers: set[asyncio.Task[None]] = set()
        self._open = 0
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """The child's process id; None while no child is ready."""
        return self._child.process.pid if self._child else None

    async def models(self) -> Sequence[ModelInfo]:
        """Return the only model. Raises ``NotConfigured`` if its weights are missing."""
        self._check_weights()
        return (
            ModelInfo(
                id=MODEL,
                name=MODEL,
                owner="embedded",
                context_tokens=self._limits.context_tokens,
                can_see=False,
            ),
        )

    async def warm_up(self) -> None:
        """Load the model and connect to it, to speed up the first answer.

        A failure is logged; the first answer reports it.
        """
        with suppress(WiresideError):
            child = await self._ready()
            await child.provider.models()

    async def keep_running_until_cancelled(self) -> None:
        """Start the child, again whenever it has ended; for other processes that use it."""
        while True:
            with suppress(WiresideError):
                await self._ready()
            await asyncio.sleep(LOOK_S)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Stream an answer. See ``ports.provider.Provider``.

        Raises ``NotConfigured`` if the weights are missing.
        """
        if request.model != MODEL:
            raise UnknownModel
        if self._open >= self._limits.parallel * (1 + self._limits.waiting):
            raise Overloaded
        self._open += 1
        try:
            async with aclosing(self._answer(_with_system(request))) as deltas:
                async for delta in deltas:
                    yield delta
        finally:
            self._open -= 1

    async def _answer(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Stream an answer; retries with a new child if the child died before the first delta."""
        has_begun = False
        for is_last_try in (False, True):
            child = await self._ready()
            heard_at = self._now()
            try:
                async with aclosing(child.provider.stream(request)) as deltas:
                    async for delta in deltas:
                        has_begun = True
                        child.heard_at = heard_at = self._now()
                        if isinstance(delta, Finished):
                            await asyncio.sleep(HANG_UP_S)
                        yield delta
                return
            except ProviderTimeout:
                if child.heard_at <= heard_at:  # no other answer has received data since, either
                    self._abandon(child)
                raise
            except ProviderUnavailable as error:
                if not await child.has_ended():
                    raise
                if self._is_closed:
                    raise ProviderUnavailable(CLOSED) from error
                if has_begun or is_last_try:
                    raise ProviderUnavailable(STOPPED) from error

    def _abandon(self, child: _Child) -> None:
        """Kill a child that hangs; its other answers end as after a crash."""
        child.kill()
        if self._child is child:
            self._child = None

    async def aclose(self) -> None:
        """End the child. Running answers end with ``ProviderUnavailable``."""
        self._is_closed = True
        if self._newborn is not None:
            self._newborn.kill()
        if self._starting is not None:
            await asyncio.wait({self._starting})
        if self._child is not None:
            await self._child.end(self._limits.end_s)
        if self._watchers:
            await asyncio.wait(self._watchers)

    async def _ready(self) -> _Child:
        """Return the running child; concurrent callers await the same start."""
        if self._is_closed:
            raise ProviderUnavailable(CLOSED)
        if self._child is not None and self._child.is_running:
            return self._child
        if self._starting is None:
            self._check_start()
            self._starting = asyncio.create_task(self._start(), name="start the embedded model")
            self._starting.add_done_callback(self._started)
        # The task is never cancelled, so a cancellation here is the caller's.
        return await asyncio.shield(self._starting)

    def _check_weights(self) -> None:
        if self._command == COMMAND and not has_runtime():
            raise NotConfigured(NO_RUNTIME)
        if not self._weights.is_file():
            raise NotConfigured(NO_WEIGHTS)

    def _check_start(self) -> None:
        self._check_weights()
        if (wait_s := self._backoff.wait_s(self._now())) > 0:
            raise ProviderUnavailable(NO_START, retry_after=wait_s)

    def _started(self, start: asyncio.Task[_Child]) -> None:
        self._starting = None
        if not start.cancelled():
            start.exception()  # retrieved, since all callers may have been cancelled

    async def _start(self) -> _Child:
        began = self._now()
        if self._shared is not None and not self._owns_child:
            self._child = _Elsewhere(
                self._connect(f"{self._shared.address}/v1", self._shared.api_key)
            )
            return self._child
        key = self._shared.api_key if self._shared else secrets.token_urlsafe(32)
        self._newborn = child = await _Child.spawn(self._command)
        try:
            if self._is_closed:
                raise ConnectionError("closed before anything was sent to the child")
            async with asyncio.timeout(self._limits.start_s):
                address = await child.introduce(self._options(key))
        except (TimeoutError, OSError, ValueError) as error:
            await child.end(0)
            raise self._failed_start(child, error) from error
        finally:
            self._newborn = None
        child.provider = self._connect(f"{address}/v1", key)
        self._child = child
        watcher = asyncio.create_task(self._watch(child), name="watch the embedded model")
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        _log.info("embedded_model_loaded", seconds=round(self._now() - began, 1))
        return child

    def _failed_start(self, child: _Child, error: Exception) -> ProviderUnavailable:
        if self._is_closed:
            return ProviderUnavailable(CLOSED)
        self._backoff.failed(self._now())
        _log.error(
            "embedded_model_did_not_start",
            reason="it was silent for too long" if isinstance(error, TimeoutError) else "it ended",
            last_words=child.last_words,
        )
        return ProviderUnavailable(NO_START)

    def _options(self, key: str) -> LocalServerOptions:
        return LocalServerOptions(
            weights=str(self._weights),
            model=MODEL,
            api_key=key,
            context_tokens=self._limits.context_tokens,
            parallel=self._limits.parallel,
            max_tokens=self._limits.max_tokens,
            port=self._shared.port if self._shared else 0,
        )

    async def _watch(self, child: _Child) -> None:
        """Wait until the child ends, so that the next request starts another one."""
        warming = asyncio.create_task(child.provider.warm_up(), name="warm up the talk with it")
        code = await child.process.wait()
        warming.cancel()
        if self._child is child:
            self._child = None
        if not self._is_closed:
            self._backoff.failed(self._now())
            await child.listener
            _log.error("embedded_model_ended", code=code, last_words=child.last_words)
        with suppress(WiresideError):
            await child.provider.aclose()


def _with_system(request: ModelRequest) -> ModelRequest:
    messages = tuple(text_only(message) for message in request.messages)
    if not any(message.role == "system" for message in messages):
        messages = (Message.of_text("system", SYSTEM), *messages)
    return replace(request, messages=messages)


class _Child:
    """The child process, the end of its standard error, and its provider once it listens."""

    provider: Provider
    heard_at = 0.0

    def __init__(self, process: Process) -> None:
        self.process = process
        self._last_words = b""
        self.listener = asyncio.create_task(self._listen(), name="embedded model's messages")

    @classmethod
    async def spawn(cls, command: Sequence[str]) -> _Child:
        """Start the process. It ends when its standard input is closed."""
        return cls(
            await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        )

    async def introduce(self, options: LocalServerOptions) -> str:
        """Send the child its options and return its URL. Raises ``ValueError`` if it has ended."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(options.to_line())
        await self.process.stdin.drain()
        address = json.loads(await self.process.stdout.readline())["address"]
        return str(address)

    @property
    def is_running(self) -> bool:
        """Whether the process has not been reported as ended."""
        return self.process.returncode is None

    async def has_ended(self) -> bool:
        """Return whether the process has ended; its connections may break up to 0.5 s earlier."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self.process.wait()
        return not self.is_running

    async def end(self, wait_s: float) -> None:
        """Close the child's standard input, which ends it; kill it after ``wait_s`` seconds."""
        assert self.process.stdin
        self.process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.process.wait()
        self.kill()
        await self.process.wait()
        await self.listener

    def kill(self) -> None:
        """Kill the process, if it still exists."""
        with suppress(ProcessLookupError):
            self.process.kill()

    @property
    def last_words(self) -> str:
        """The end of the process's standard error."""
        return self._last_words.decode(errors="replace").strip()

    async def _listen(self) -> None:
        assert self.process.stderr
        while words := await self.process.stderr.read(LAST_WORDS_BYTES):
            self._last_words = (self._last_words + words)[-LAST_WORDS_BYTES:]


class _Elsewhere(_Child):
    """The child of another process, which restarts it."""

    is_running = True  # for all that is known here

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    async def has_ended(self) -> bool:
        return False

    async def end(self, wait_s: float) -> None:
        await self.provider.aclose()

    def kill(self) -> None:
        pass
