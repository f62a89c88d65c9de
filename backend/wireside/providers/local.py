"""The embedded model: a child process that is started, watched, restarted and ended here.

The child (``local_server.py``) serves an OpenAI-compatible API on loopback, behind a key that only
we know. The talk with it is an OpenAI-compatible provider's, made by the factory we are handed.
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
from wireside.messages import Delta, Finished, Message, ModelInfo, ModelRequest
from wireside.ports import Clock, Provider
from wireside.providers import local_server
from wireside.providers.local_server import LocalServerOptions
from wireside.providers.weights import NO_RUNTIME, has_runtime

_log = structlog.get_logger(__name__)

MODEL = "SmolLM2-135M-Instruct"
SYSTEM = "You are a helpful assistant. Answer plainly and briefly."
"""For requests without a system message; the model's own one makes it worse ("trained by …")."""

NO_WEIGHTS = (
    "The embedded model's weights are not on this computer yet. Whoever runs this server: run "
    "`wireside pull`, or set OPENAI_API_KEY or OPENAI_BASE_URL to use another model."
)
STOPPED = "The embedded model stopped in the middle of this answer; it starts again when you retry."
NO_START = "The embedded model could not start; the server's log says why."
CLOSED = "The server is shutting down."

COMMAND = (sys.executable, "-P", local_server.__file__)
"""Runs the file rather than the module: it needs nothing of this package, and starts at once."""

LAST_WORDS_BYTES = 2048
"""How much of the end of the child's standard error is kept for the log."""

HANG_UP_S = 0.005
"""llama.cpp closes the connection behind each streamed answer, though it promised to keep it. The
client needs this moment to see that, or the next question would be sent into a closed one."""

Connect = Callable[[str, str], Provider]
"""Makes a provider of a base URL (up to ``/v1``) and a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLimits:
    """Bounds of the embedded model.

    ``max_tokens`` ends an answer whose request sets no bound of its own: a small model may babble
    without end. ``waiting`` answers may wait for each that is made; more are refused.
    """

    context_tokens: int = 4096
    parallel: int = 2
    max_tokens: int = 1024
    waiting: int = 8
    start_s: float = 60
    end_s: float = 2


class LocalProvider:
    """Implements ``ports.Provider`` with the model in ``weights``, a .gguf file.

    The child starts with the first answer, or with ``warm_up()``. After a crash the next request
    starts it anew; if it keeps crashing, requests are refused for a while that grows (``Backoff``).
    """

    def __init__(
        self,
        weights: Path,
        connect: Connect,
        limits: LocalLimits = LocalLimits(),
        *,
        command: Sequence[str] = COMMAND,
        now: Clock = time.monotonic,
    ) -> None:
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
        """The child's process id while it can answer."""
        return self._child.process.pid if self._child else None

    async def models(self) -> Sequence[ModelInfo]:
        """Return the one model. Raises ``NotConfigured`` while its weights are missing."""
        self._check_weights()
        return (
            ModelInfo(
                id=MODEL, name=MODEL, owner="embedded", context_tokens=self._limits.context_tokens
            ),
        )

    async def warm_up(self) -> None:
        """Load the model and what talks to it, so that the first answer need not wait.

        A failure is logged, and told by the first answer.
        """
        with suppress(WiresideError):
            child = await self._ready()
            await child.provider.models()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Answer as ``ports.Provider`` says; ``NotConfigured`` while the weights are missing."""
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
        """Answer; where the child turns out to be dead before a word was said, by another one."""
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
                if child.heard_at <= heard_at:  # nor has any other answer heard from it since
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
        """End a child that is stuck; what else waits for it ends as after a crash."""
        child.kill()
        if self._child is child:
            self._child = None

    async def aclose(self) -> None:
        """End the child. Answers that still run end with ``ProviderUnavailable``."""
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
        """Return the running child; all who ask meanwhile wait for the same start."""
        if self._is_closed:
            raise ProviderUnavailable(CLOSED)
        if self._child is not None and self._child.is_running:
            return self._child
        if self._starting is None:
            self._check_start()
            self._starting = asyncio.create_task(self._start(), name="start the embedded model")
            self._starting.add_done_callback(self._started)
        # Never cancelled, so a cancellation that comes out of here is the caller's own.
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
            start.exception()  # looked at here too: everyone who waited may have gone

    async def _start(self) -> _Child:
        began = self._now()
        key = secrets.token_urlsafe(32)
        self._newborn = child = await _Child.spawn(self._command)
        try:
            if self._is_closed:
                raise ConnectionError("closed before the child was told anything")
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
        )

    async def _watch(self, child: _Child) -> None:
        """Wait for the child's end, so that the next request starts another."""
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
    if any(message.role == "system" for message in request.messages):
        return request
    return replace(request, messages=(Message("system", SYSTEM), *request.messages))


class Backoff:
    """How long nobody tries again after failures: not at all after the first, then 1, 2, 4 … 30 s.

    ``CALM_S`` seconds without a failure make it forget.
    """

    CALM_S = 60
    LONGEST_S = 30

    def __init__(self) -> None:
        self._failures = 0
        self._last = 0.0

    def failed(self, now: float) -> None:
        """Count a failure at ``now``, in seconds of any clock that only grows."""
        self._failures = 1 if now - self._last > self.CALM_S else self._failures + 1
        self._last = now

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next try; 0 if it may come now."""
        if self._failures < 2:
            return 0
        pause_s = min(2.0 ** (self._failures - 2), self.LONGEST_S)
        return max(0.0, self._last + pause_s - now)


class _Child:
    """One process, its last words, and the provider that talks to it once it listens."""

    provider: Provider
    heard_at = 0.0

    def __init__(self, process: Process) -> None:
        self.process = process
        self._last_words = b""
        self.listener = asyncio.create_task(self._listen(), name="embedded model's messages")

    @classmethod
    async def spawn(cls, command: Sequence[str]) -> _Child:
        """Start the process. Its standard input stays open: it ends when that does."""
        return cls(
            await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        )

    async def introduce(self, options: LocalServerOptions) -> str:
        """Tell the child its options and return its address; ``ValueError`` if it has ended."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(options.to_line())
        await self.process.stdin.drain()
        address = json.loads(await self.process.stdout.readline())["address"]
        return str(address)

    @property
    def is_running(self) -> bool:
        """Whether the process's end has not been seen yet."""
        return self.process.returncode is None

    async def has_ended(self) -> bool:
        """Whether the process is gone. A broken connection may be seen shortly before its end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self.process.wait()
        return not self.is_running

    async def end(self, wait_s: float) -> None:
        """Close the child's input, which ends it; kill it if it is not gone after ``wait_s``."""
        assert self.process.stdin
        self.process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.process.wait()
        self.kill()
        await self.process.wait()
        await self.listener

    def kill(self) -> None:
        """End the process at once; none is no error."""
        with suppress(ProcessLookupError):
            self.process.kill()

    @property
    def last_words(self) -> str:
        """What the process wrote last on its standard error."""
        return self._last_words.decode(errors="replace").strip()

    async def _listen(self) -> None:
        assert self.process.stderr
        while words := await self.process.stderr.read(LAST_WORDS_BYTES):
            self._last_words = (self._last_words + words)[-LAST_WORDS_BYTES:]
