"""Checks of an installation and of a running server, as run by ``wireside doctor``.

Each check returns a value: its name, the finding and the command that fixes the problem. The
checks print nothing and change nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from wireside.doctor.checks import Check
from wireside.doctor.fleet import check_fleet
from wireside.doctor.probe import origin_of
from wireside.errors import (
    NotConfigured,
    ProviderAuth,
    ProviderUnavailable,
    StoreError,
    UnknownModel,
    WiresideError,
)
from wireside.messages import Finished, Message, ModelRequest
from wireside.ports.provider import Provider
from wireside.protocol.frames import (
    ChatFrame,
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    parse_server_frame,
)
from wireside.providers import weights
from wireside.providers.specs import MAIN, ProviderSpec
from wireside.server.port_check import bind_problem
from wireside.settings.load import (
    WrongSettings,
    describe_unknown,
    load_settings,
    other_port,
    unknown_variables,
)
from wireside.settings.model import Settings, variable_of

OLDEST_PYTHON = (3, 11)
EMBEDDED_MB = 600
"""Free memory in MB for a server with the embedded model (340 MB) and itself (120 MB)."""
SERVER_MB = 250
FAT_SERVER_MB = 1024
"""Memory use in MB from which a running server fails the check."""
CLIENTS = 256
"""Open files reserved for pages, sockets and logs, in addition to those of answers."""
ANSWER_S = 90
"""Timeout of one short answer in seconds, including a cold start of the model."""
REPLY_S = 10
MCP_SERVER_S = 45
"""Timeout in seconds for opening an MCP server and listing its tools."""

CONFIGURABLE_KINDS = frozenset({"openai", "embedded"})
"""The kinds of providers that settings can select; others come from ``create_app(provider=…)``."""

Make = Callable[[Settings], Provider]


async def examine(
    *, port: int | None = None, origin: str | None = None, make: Make | None = None
) -> list[Check]:
    """Check the machine, the settings and, if a server runs on ``port``, the server.

    Args:
        port: overrides the configured port.
        origin: another origin whose pages must be able to open the WebSocket.
        make: creates the provider (default: the application's factory); it is closed afterwards.
    """
    checks = [check_python()]
    try:
        settings = load_settings(port=port)
    except WrongSettings as error:
        checks += [_wrong_setting(sentence) for sentence in error.sentences]
        return [*checks, check_files(Settings.model_construct())]
    checks.append(check_names(os.environ))
    checks.append(check_accounts(settings))
    checks.append(check_folder("Cache folder", settings.cache_dir, "cache_dir"))
    checks.append(check_folder("Data folder", settings.data_dir, "data_dir"))
    checks += await asyncio.to_thread(check_bucket, settings)
    checks += [check_files(settings), check_memory(settings)]
    checks += await check_mcp_servers(settings)
    checks += await check_providers(settings)
    if settings.unix_path is not None:
        checks += await check_answers(settings, None, make or _build_provider)
        checks.append(check_unix_socket(settings.unix_path))
        return [*checks, await check_database(settings, is_running=checks[-1].state == "ok")]
    base = f"http://{_host_in_url(settings.host)}:{settings.port}"
    ready = await asyncio.to_thread(_readiness_of, base)
    checks += await check_answers(settings, ready, make or _build_provider)
    checks.append(check_port(settings, ready))
    checks.append(await check_database(settings, is_running=ready is not None))
    checks += await check_fleet(settings, settings.public_url or base)
    return checks + await check_server(settings, base, ready, origin)


def _wrong_setting(sentence: str) -> Check:
    finding, _, example = sentence.partition(" Example: ")
    remedy = f"export {example}" if example else "correct it in wireside.toml or the environment"
    return Check(name="Settings", state="failed", finding=finding, remedy=remedy)


def check_python() -> Check:
    """Check the version of Python."""
    text = f"Python {platform.python_version()} in {sys.prefix}"
    if sys.version_info >= OLDEST_PYTHON:
        return Check(name="Python", state="ok", finding=text)
    return Check(
        name="Python",
        state="failed",
        finding=text,
        remedy="install Python 3.11 or newer, then `make install`",
    )


def check_names(environment: Mapping[str, str]) -> Check:
    """Check that every ``WIRESIDE_`` variable is a known setting."""
    given = sorted(name for name in environment if name.startswith("WIRESIDE_"))
    for name, nearest in unknown_variables(environment):
        return Check(
            name="Settings",
            state="failed",
            finding=describe_unknown(name, nearest),
            remedy=f"unset {name}",
        )
    return Check(
        name="Settings", state="ok", finding=f"valid; set here: {', '.join(given) or 'none'}"
    )


def check_accounts(settings: Settings) -> Check:
    """Check that a server reachable by other machines requires authentication."""
    if settings.exposure is not None:
        remedy = "export WIRESIDE_AUTH=…  and WIRESIDE_PUBLIC_URL=…  (docs/accounts.md)"
        return Check(name="Accounts", state="failed", finding=settings.exposure, remedy=remedy)
    if settings.openness is not None:
        return Check(
            name="Accounts",
            state="warning",
            finding=settings.openness,
            remedy="export WIRESIDE_AUTH=password",
        )
    if settings.publication is not None:
        return Check(
            name="Accounts",
            state="warning",
            finding=settings.publication,
            remedy="export WIRESIDE_AUTH=password",
        )
    if settings.loose_origins is not None:
        return Check(
            name="Accounts",
            state="warning",
            finding=settings.loose_origins,
            remedy="list the allowed origins instead",
        )
    if settings.auth == "none":
        return Check(name="Accounts", state="ok", finding="none; only this machine has access")
    return Check(name="Accounts", state="ok", finding=f"WIRESIDE_AUTH={settings.auth}")


def check_folder(name: str, folder: Path, field: str) -> Check:
    """Check that the folder, or the existing parent it would be created in, is writable."""
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            pass
    except OSError as error:
        remedy = f"export {variable_of(field)}=…  (a writable folder)"
        return Check(
            name=name, state="failed", finding=f"{folder}: {error.strerror or error}", remedy=remedy
        )
    free_mb = shutil.disk_usage(place).free // 2**20
    return Check(name=name, state="ok", finding=f"{folder} ({free_mb:,} MB free)")


def check_files(settings: Settings) -> Check:
    """Check that the limit of open files suffices for the configured ``streams``."""
    if sys.platform == "win32":
        return Check(name="Open files", state="skipped", finding="this system has no such limit")
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    needed = 2 * settings.streams + CLIENTS
    if hard == resource.RLIM_INFINITY or hard >= needed:
        return Check(
            name="Open files",
            state="ok",
            finding=f"the limit is {hard:,}; the server needs {needed:,}",
        )
    finding = f"the limit is {hard:,}; {settings.streams:,} concurrent answers need {needed:,}"
    return Check(name="Open files", state="failed", finding=finding, remedy=f"ulimit -Hn {needed}")


def check_memory(settings: Settings) -> Check:
    """Check that enough memory is free to start a server with these settings."""
    needed = SERVER_MB if settings.uses_openai else EMBEDDED_MB
    free = free_memory_mb()
    if free is None:
        return Check(name="Memory", state="skipped", finding="this system does not report it")
    finding = f"{free:,} MB free, {needed} MB needed"
    if free >= needed:
        return Check(name="Memory", state="ok", finding=finding)
    remedy = "close other programs"
    if not settings.uses_openai:
        remedy += ", or export OPENAI_BASE_URL=…  (a model on another machine)"
    return Check(name="Memory", state="failed", finding=finding, remedy=remedy)


def free_memory_mb() -> int | None:
    """Return the available memory in MB within a container's limit; None if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = (
            next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) // 1024
        )
    except (OSError, StopIteration):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return free
    return min(free, (limit - used) // 2**20)


async def check_answers(
    settings: Settings, ready: dict[str, Any] | None, make: Make
) -> list[Check]:
    """Check weights and model, unless the running server's provider is not from the settings."""
    kind = str(ready["provider"]) if ready is not None else None
    if kind is not None and kind not in CONFIGURABLE_KINDS:
        finding = f"answers come from the running server's own provider ({kind})"
        return [Check(name=name, state="skipped", finding=finding) for name in ("Weights", "Model")]
    return [await check_weights(settings), await check_provider(settings, make)]


async def check_weights(settings: Settings) -> Check:
    """Check that the embedded model's weights are present and match their SHA-256."""
    file = weights.path(settings.cache_dir)
    if settings.uses_openai:
        return Check(
            name="Weights", state="skipped", finding="not needed: answers come from OPENAI_BASE_URL"
        )
    if not weights.has_runtime():
        finding = "the runtime of the embedded model is not installed"
        return Check(
            name="Weights", state="failed", finding=finding, remedy="pip install 'wireside[local]'"
        )
    if not weights.are_present(settings.cache_dir):
        return Check(
            name="Weights", state="failed", finding=f"{file} is missing", remedy="wireside pull"
        )
    if not await asyncio.to_thread(weights.are_intact, settings.cache_dir):
        return Check(
            name="Weights", state="failed", finding=f"{file} is damaged", remedy="wireside pull"
        )
    return Check(name="Weights", state="ok", finding=f"{file}, SHA-256 verified")


async def check_mcp_servers(settings: Settings) -> list[Check]:
    """Check each MCP server, by opening a session and listing its tools."""
    from wireside.extension.mcp.tools import McpTools

    if not (servers := settings.mcp_server_list):
        return []
    try:
        tools = McpTools(servers)
    except (NotConfigured, ValueError) as error:
        finding, remedy = str(error), "pip install 'wireside[mcp]'"
        return [Check(name="MCP servers", state="failed", finding=finding, remedy=remedy)]
    try:
        waiting = (one.tools(wait_s=MCP_SERVER_S) for one in tools.connections)
        listed = await asyncio.gather(*waiting)
    finally:
        await tools.aclose()
    return [
        Check(name="MCP server", state="ok", finding=f"{one.server.name}, {_count(len(found))}")
        if not one.problem and found
        else Check(
            name="MCP server",
            state="failed",
            finding=f"{one.server.name}: {one.problem or 'it lists no tools'}",
            remedy=f"correct it in {variable_of('mcp_servers')}, or disable it",
        )
        for one, found in zip(tools.connections, listed, strict=True)
    ]


def _count(tools: int) -> str:
    return "1 tool" if tools == 1 else f"{tools} tools"


async def check_providers(settings: Settings) -> list[Check]:
    """Check each of several providers, by listing its models with its key.

    Providers of the administrators' page are not among them: that page tests them.
    """
    if not settings.providers:
        return []
    from wireside.bootstrap.providers import build_provider  # see `_build_provider`

    specs = list(settings.provider_specs)
    if settings.has_main_service:
        key = settings.openai_api_key
        main = ProviderSpec(
            name=MAIN,
            base_url=settings.openai_base_url,
            api_key=key.get_secret_value() if key else None,
        )
        specs.insert(0, main)
    upstreams = build_provider(settings)
    try:
        return list(await asyncio.gather(*(_check_spec(one, upstreams.test) for one in specs)))
    finally:
        await upstreams.aclose()


async def _check_spec(
    spec: ProviderSpec, list_models: Callable[[ProviderSpec], Awaitable[Sequence[str]]]
) -> Check:
    """Check one provider; ``list_models`` returns those of its models that are offered."""
    where = f"{spec.name} ({spec.base_url or 'OpenAI'})"
    remedy = f"correct `{spec.name}` in [[providers]] of wireside.toml, or in WIRESIDE_PROVIDERS"
    if not spec.is_enabled:
        return Check(name="Provider", state="skipped", finding=f"{where}: enabled = false")
    try:
        models = await list_models(spec)
    except (WiresideError, TimeoutError) as error:
        finding = f"{where}: {error or 'it does not answer in time'}"
        if not isinstance(error, ProviderAuth | NotConfigured):
            remedy = f"curl {spec.base_url or 'https://api.openai.com/v1'}/models  (is it running?)"
        return Check(name="Provider", state="failed", finding=finding, remedy=remedy)
    if not models:
        finding = f"{where}: it lists no model that `include` and `exclude` leave"
        return Check(name="Provider", state="failed", finding=finding, remedy=remedy)
    finding = f"{where}: {_listed(models)}, {'with its key' if spec.api_key else 'without a key'}"
    if missing := [alias for alias, model in spec.aliases.items() if model not in models]:
        finding += f"; the model of `{missing[0]}` in `aliases` is not among them"
        return Check(name="Provider", state="warning", finding=finding, remedy=remedy)
    return Check(name="Provider", state="ok", finding=finding)


def _listed(models: Sequence[str]) -> str:
    count = "1 model" if len(models) == 1 else f"{len(models)} models"
    return f"{count} ({', '.join(models[:3])}{', …' if len(models) > 3 else ''})"


def check_bucket(settings: Settings) -> list[Check]:
    """Check that the bucket with the files can be listed, if there is one."""
    from wireside.bootstrap.storage import contents_of

    if settings.files_url is None:
        return []
    name, where = "Files", settings.files_url
    try:
        next(contents_of(settings).all_hashes(), None)
    except NotConfigured as error:
        return [Check(name=name, state="failed", finding=str(error), remedy="correct the setting")]
    except StoreError as error:
        return [
            Check(
                name=name,
                state="failed",
                finding=f"{where} can't be listed: {error.__cause__ or error}".partition("\n")[0],
                remedy="check WIRESIDE_S3_ENDPOINT, the keys, and that the bucket exists",
            )
        ]
    return [Check(name=name, state="ok", finding=f"{where}, reachable")]


async def check_database(settings: Settings, *, is_running: bool) -> Check:
    """Check that the database can be opened; a running server (``is_running``) locks it."""
    from wireside.bootstrap.storage import database_url
    from wireside.store import database

    url = database_url(settings)
    try:
        opened = database.create_database(url, is_shared=settings.replicas)
    except NotConfigured as error:
        return Check(
            name="Database",
            state="failed",
            finding=str(error),
            remedy="unset WIRESIDE_DATABASE_URL",
        )
    where = f"SQLite {database.sqlite_version()}" if opened.is_sqlite else "PostgreSQL"
    if opened.is_sqlite and not database.is_sqlite_mended():
        finding = f"{where} can corrupt a database (sqlite.org/wal.html#walresetbug)"
        return Check(
            name="Database", state="failed", finding=finding, remedy="pip install pysqlite3"
        )
    file = database.sqlite_file(url)
    if file is not None and not file.exists():
        return Check(name="Database", state="ok", finding=f"{where}, {file} will be created")
    try:
        await opened.open()
    except NotConfigured as error:
        if is_running and str(error) == database.TAKEN:
            return Check(
                name="Database", state="ok", finding=f"{where}, in use by the running server"
            )
        return Check(
            name="Database",
            state="failed",
            finding=str(error),
            remedy="stop that server, or change the setting",
        )
    finally:
        await opened.aclose()
    return Check(name="Database", state="ok", finding=f"{where}, {file or 'reachable'}")


async def check_provider(settings: Settings, make: Make) -> Check:
    """Check that the model answers, by requesting one token."""
    try:
        provider = make(settings)
    except Exception as error:  # any error in its settings is the finding
        return Check(
            name="Model", state="failed", finding=str(error), remedy="see the line `Settings`"
        )
    try:
        async with asyncio.timeout(ANSWER_S):
            return await _one_token(settings, provider)
    except TimeoutError:
        finding = f"no token within {ANSWER_S} s; if the model is still loading, try again later"
        return Check(
            name="Model",
            state="failed",
            finding=finding,
            remedy=_remedy_for(settings, ProviderUnavailable()),
        )
    except WiresideError as error:
        return Check(
            name="Model", state="failed", finding=str(error), remedy=_remedy_for(settings, error)
        )
    finally:
        await provider.aclose()


async def _one_token(settings: Settings, provider: Provider) -> Check:
    names = [model.id for model in await provider.models()]
    model = settings.model or (names[0] if names else "")
    missing = Check(
        name="Model",
        state="failed",
        finding=f"{model or 'a model'} is not available; listed: {', '.join(names[:5]) or 'none'}",
        remedy=f"export WIRESIDE_MODEL={names[0]}" if names else "start a model on that server",
    )
    if not model:
        return missing
    request = ModelRequest(
        model=model, messages=(Message.of_text("user", "Say hello."),), max_tokens=1
    )
    began = time.monotonic()
    try:
        async with aclosing(provider.stream(request)) as deltas:
            async for delta in deltas:
                if not isinstance(delta, Finished):
                    break
    except UnknownModel:
        if model in names:  # the model is listed but does not support chat
            raise
        return missing
    took = time.monotonic() - began
    count = f"{len(names)} models" if len(names) != 1 else "1 model"
    return Check(
        name="Model",
        state="ok",
        finding=f"{model} answers, first token after {took:.1f} s ({count} listed)",
    )


def _remedy_for(settings: Settings, error: WiresideError) -> str:
    if isinstance(error, NotConfigured) and error.remedy:
        return error.remedy
    if isinstance(error, NotConfigured) and settings.uses_openai:
        return "export OPENAI_BASE_URL=…  (up to /v1), or WIRESIDE_MODEL=… if no models are listed"
    if isinstance(error, NotConfigured):
        return "wireside pull"
    if isinstance(error, ProviderAuth):
        return "export OPENAI_API_KEY=…  (a key that this server accepts)"
    if isinstance(error, UnknownModel):
        return "export WIRESIDE_MODEL=…  (one that the server lists)"
    if not settings.uses_openai:
        return "wireside serve  (its log says why the embedded model does not start)"
    address = settings.openai_base_url or "OPENAI_BASE_URL"
    return f"curl {address}/models  (check that it runs and that OPENAI_BASE_URL is correct)"


def check_unix_socket(path: Path) -> Check:
    """Check that a server listens on a Unix socket; "skipped" if none does."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(REPLY_S)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return Check(name="Socket", state="skipped", finding=f"no server listens on {path}")
        except OSError as error:
            return Check(
                name="Socket",
                state="failed",
                finding=f"{path} can't be used: {error.strerror or error}",
            )
    return Check(name="Socket", state="ok", finding=f"a server listens on {path}")


def check_port(settings: Settings, ready: dict[str, Any] | None) -> Check:
    """Check that the port is free or used by Wireside (``ready`` is its readiness response)."""
    where = f"{settings.host}:{settings.port}"
    if ready is not None:
        reason = f": {ready['reason']}" if ready.get("reason") else ""
        return Check(
            name="Port",
            state="ok",
            finding=f"Wireside runs on {where}, {ready.get('status')}{reason}",
        )
    if (problem := bind_problem(settings.host, settings.port)) is not None:
        finding = f"{where} can't be used: {problem}"
        remedy = f"wireside serve --port {other_port(settings.port)}"
        return Check(name="Port", state="failed", finding=finding, remedy=remedy)
    return Check(name="Port", state="ok", finding=f"{where} is free")


async def check_server(
    settings: Settings, base: str, ready: dict[str, Any] | None, origin: str | None
) -> list[Check]:
    """Check the running server: WebSocket, streaming, memory (the integration guide's three)."""
    if ready is None:
        skipped = ("WebSocket", "Streaming", "Server's memory")
        return [
            Check(name=name, state="skipped", finding="no server runs on this port")
            for name in skipped
        ]
    base = (settings.public_url or base).rstrip("/")
    own = origin_of(base)
    checks = [await check_socket(base, own)]
    checks += [await check_socket(base, page) for page in [origin] if page]
    checks.append(await check_streaming(base))
    checks.append(check_server_memory(ready.get("memory_mb")))
    return checks


async def check_socket(base: str, origin: str) -> Check:
    """Check that a page of ``origin`` can open the WebSocket and gets a reply."""
    try:
        async with asyncio.timeout(REPLY_S), _open_socket(base, origin) as ws:
            await ws.send('{"type": "ping"}')
            await ws.recv()
    except websockets.InvalidStatus as error:
        status = error.response.status_code
        finding = f"a page of {origin} is refused with {status}"
        return Check(
            name="WebSocket",
            state="failed",
            finding=finding,
            remedy=_handshake_remedy(status, base, origin),
        )
    except (OSError, TimeoutError, websockets.WebSocketException) as error:
        finding = f"{base}/ws/ai-chat closes immediately for {origin}: {error or 'no reply'}"
        return Check(
            name="WebSocket",
            state="failed",
            finding=finding,
            remedy=_handshake_remedy(0, base, origin),
        )
    return Check(name="WebSocket", state="ok", finding=f"opens for pages of {origin}, and answers")


def _handshake_remedy(status: int, base: str, origin: str) -> str:
    if status == 403:
        return f"export WIRESIDE_ALLOWED_ORIGINS={origin}  (and restart the server)"
    if status == 400:
        return f"export WIRESIDE_PUBLIC_URL={base}  (and restart the server)"
    if status == 429:
        return "export WIRESIDE_CONNECTIONS_PER_ADDRESS=1000  (and restart the server)"
    return "make the proxy pass `Upgrade` and `Connection`, with a read timeout of 75 s"


async def check_streaming(base: str) -> Check:
    """Check that an answer arrives in several pieces over time."""
    try:
        async with asyncio.timeout(ANSWER_S), _open_socket(base, origin_of(base)) as ws:
            times = await _chunk_times(ws)
    except _Refused as error:
        return Check(
            name="Streaming", state="failed", finding=str(error), remedy="see the line `Model`"
        )
    except (OSError, TimeoutError, websockets.WebSocketException, WiresideError) as error:
        finding = f"no answer: {error or 'timed out'}"
        return Check(
            name="Streaming",
            state="failed",
            finding=finding,
            remedy="see the lines `Model` and `WebSocket`",
        )
    took_ms = round((times[-1] - times[0]) * 1000) if times else 0
    if len(times) > 1 and took_ms > 0:
        return Check(name="Streaming", state="ok", finding=f"{len(times)} pieces over {took_ms} ms")
    remedy = "disable buffering in the proxy (nginx: `proxy_buffering off;`)"
    return Check(
        name="Streaming", state="failed", finding="the answer arrived in one piece", remedy=remedy
    )


class _Refused(Exception):
    """The server answered with an error; the text is its message."""


async def _chunk_times(ws: ClientConnection) -> list[float]:
    await ws.send(ChatFrame(message="Count from one to twenty.").encode())
    times: list[float] = []
    async for text in ws:
        match parse_server_frame(str(text)):
            case ChunkFrame():
                times.append(time.monotonic())
            case DoneFrame():
                break
            case ErrorFrame(message=message):
                raise _Refused(message)
    return times


def check_server_memory(memory_mb: float | None) -> Check:
    """Check the running server's memory use."""
    if memory_mb is None:
        return Check(
            name="Server's memory", state="skipped", finding="the server does not report it"
        )
    finding = f"{memory_mb:,.0f} MB"
    if memory_mb < FAT_SERVER_MB:
        return Check(name="Server's memory", state="ok", finding=finding)
    remedy = "export WIRESIDE_RESUME_WINDOW_S=60  (keeps finished answers for less time)"
    return Check(
        name="Server's memory", state="failed", finding=f"{finding}, more than usual", remedy=remedy
    )


def _open_socket(base: str, origin: str) -> connect:
    url = base.replace("http", "ws", 1) + "/ws/ai-chat"
    return connect(url, origin=websockets.Origin(origin), proxy=None, open_timeout=REPLY_S)


def _readiness_of(base: str) -> dict[str, Any] | None:
    """Return the readiness response of a Wireside server at ``base``; None if there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{base}/api/health/live", timeout=REPLY_S) as response:
            if json.load(response) != {"status": "ok"}:
                return None
        with opener.open(f"{base}/api/health/ready", timeout=REPLY_S) as response:
            ready = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            try:
                ready = json.load(error)
            except ValueError:
                return None
    except (OSError, ValueError):
        return None
    return ready if isinstance(ready, dict) and "provider" in ready else None


def _host_in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _build_provider(settings: Settings) -> Provider:
    # Importing the providers takes half a second: only when one is needed.
    from wireside.bootstrap.providers import build_provider

    return build_provider(settings)
