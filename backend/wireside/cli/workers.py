"""``wireside serve --workers N``: several servers on one port, under a supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final

from wireside.providers import weights
from wireside.server.worker import MODEL_VARIABLE
from wireside.settings.model import Settings

if TYPE_CHECKING:
    from wireside.providers.local import SharedModel

NO_SHARED_DATABASE: Final = (
    "Several workers share a PostgreSQL database; a SQLite file serves one server. Set"
    " WIRESIDE_DATABASE_URL=postgresql://…, to which `wireside move --to URL` copies the"
    " conversations, or leave out --workers."
)

STOP_MARGIN_S: Final = 20.0
"""Seconds beyond the longest drain after which a worker hangs; it ends itself before that."""

SILENT_TTLS: Final = 3
"""Times to live without a beat to the supervisor after which a worker hangs."""

MIN_SILENCE_S: Final = 15.0
"""Least time for that: a machine may be busy with the start of other workers."""

MAX_WORKERS: Final = 256

MAX_NAME: Final = 64
"""Characters of a replica's name, as in the setting."""

NO_WORKERS: Final = "This system can't pass connections between processes: leave out --workers."


def why_not(settings: Settings) -> str | None:
    """Return why these settings can't be served by several workers; None if they can."""
    if os.name == "nt":
        return NO_WORKERS
    url = settings.database_url
    if url is None or not url.get_secret_value().startswith("postgres"):
        return NO_SHARED_DATABASE
    return None


def machine_name(settings: Settings) -> str:
    """Return the name of this machine, short enough for the names of its workers."""
    return settings.effective_replica_name[: MAX_NAME - len(f"-w{MAX_WORKERS}")]


def serve_with_workers(
    settings: Settings,
    arguments: Sequence[str],
    count: int,
    *,
    inherited: Sequence[socket.socket],
    has_embedded_model: bool,
    announce: Callable[[str, str | None], None],
) -> int:
    """Run ``count`` workers until a signal; return the exit code.

    Args:
        settings: the settings of all workers.
        arguments: the arguments of this process, the program first.
        count: number of workers.
        inherited: listening sockets that the service manager has opened, if any.
        has_embedded_model: answers come from the embedded model, which the workers then share.
        announce: called with the address and the secret of the first link, if there is one, once
            all workers serve.

    Raises:
        CannotServe: the address can't be used.
    """
    from wireside.providers.local import SharedModel
    from wireside.server.run import drain_times, open_listener
    from wireside.server.supervisor import Supervisor

    environment = {**os.environ, "WIRESIDE_REPLICAS": "true"}
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        environment.pop(name, None)  # the supervisor is the service

    model = SharedModel(_free_port(), secrets.token_urlsafe(32)) if has_embedded_model else None
    if model is not None:
        environment[MODEL_VARIABLE] = f"{model.port}:{model.api_key}"

    async def supervise() -> int:
        supervisor = Supervisor(
            [sys.executable, "-m", "wireside", *without_workers(arguments[1:])],
            count,
            name=machine_name(settings),
            listeners=listeners,
            environment=environment,
            stop_s=drain_times(settings).limit_s + STOP_MARGIN_S,
            silence_s=max(MIN_SILENCE_S, SILENT_TTLS * settings.replica_ttl_s),
            on_ready=announce,
        )
        async with embedded_model(settings, model):
            return await supervisor.run()

    listeners = inherited or [open_listener(settings)]
    with contextlib.ExitStack() as open_listeners:
        for listener in listeners:
            open_listeners.enter_context(listener)
        code = asyncio.run(supervise())
    if settings.unix_path is not None and not inherited:
        settings.unix_path.unlink(missing_ok=True)
    return code


@contextlib.asynccontextmanager
async def embedded_model(settings: Settings, model: SharedModel | None) -> AsyncIterator[None]:
    """Run the process of the embedded model that the workers share, if there is one."""
    from wireside.bootstrap.providers import local_limits
    from wireside.providers.local import LocalProvider
    from wireside.providers.scripted import ScriptedProvider

    if model is None:
        yield
        return
    provider = LocalProvider(
        weights.path(settings.cache_dir),
        lambda base_url, key: ScriptedProvider(),  # the workers ask, not the supervisor
        local_limits(settings),
        shared=model,
    )
    running = asyncio.create_task(provider.keep_running_until_cancelled(), name="embedded model")
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])
        await provider.aclose()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def without_workers(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without ``--workers N`` and ``--workers=N``."""
    kept: list[str] = []
    is_value = False
    for argument in arguments:
        if not is_value and argument != "--workers" and not argument.startswith("--workers="):
            kept.append(argument)
        is_value = argument == "--workers"
    return kept
