"""The commands ``wireside backup``, ``restore``, ``move`` and ``export``.

``backup`` and ``export`` can be used while the server runs; ``restore`` and ``move`` cannot.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from wireside.cli.console import FAILED, WRONG_USE, err, fail_with, out
from wireside.cli.progress import Progress, progress
from wireside.identity import LOCAL
from wireside.settings.load import WrongSettings, load_settings
from wireside.settings.model import Settings

if TYPE_CHECKING:
    from wireside.store.backup import Restored
    from wireside.store.backup_file import BackupHeader
    from wireside.store.store import SqlStore
    from wireside.transfer.export import Exporter

T = TypeVar("T")


def backup(
    file: Annotated[Path, typer.Argument(help="File to write; with --check, file to read.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Verify an existing backup.")] = False,
) -> None:
    """Back up the whole database and all files to one file; the server may be running."""
    if check:
        with _with_progress("checking") as (_, on_progress):
            header = _check_backup(file, on_progress)
        out.print(f"{escape(str(file))} is complete; it was created {header.made_at}.")
    else:
        header = _run_with_progress(
            lambda settings, on_progress: _write_backup(settings, file, force, on_progress),
            "backing up",
        )
        out.print(
            f"The backup is in {escape(str(file))}. Keep it private: it holds all conversations."
        )
    _print_counts(header)


def restore(
    file: Annotated[Path, typer.Argument(help="File written by `wireside backup`.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the contents of the database.")
    ] = False,
) -> None:
    """Restore a backup into the database; the server must be stopped."""
    done = _run_with_progress(
        lambda settings, on_progress: _restore_backup(settings, file, replace, on_progress),
        "restoring",
    )
    out.print("The backup is restored; counts and hashes match.")
    _print_counts(done.header)
    _print_aside(done)


def move(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="postgresql://user@host/name or sqlite:///file. `-` reads it from a prompt"
            " or standard input, which keeps a password out of the list of processes.",
        ),
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the contents of that database.")
    ] = False,
) -> None:
    """Copy the whole database to another one; the server must be stopped."""
    if to == "-":
        is_asked = sys.stdin.isatty()
        to = typer.prompt("To", hide_input=True, err=True) if is_asked else sys.stdin.readline()
    to = to.strip()
    done = _run_with_progress(
        lambda settings, on_progress: _move_database(settings, to, replace, on_progress), "moving"
    )

    from wireside.store.backup import setting_of

    out.print("Everything is copied; counts and hashes match on both sides.")
    _print_counts(done.header)
    _print_aside(done)
    out.print("The old database is unchanged. To use the new one, set")
    typer.echo(f"  {setting_of(to)}")


def export(
    folder: Annotated[Path, typer.Argument(help="New or empty folder.")],
    is_all: Annotated[
        bool, typer.Option("--all", help="Export the conversations of all users.")
    ] = False,
    format: Annotated[  # noqa: A002  # the option's name
        str, typer.Option(help="Format: markdown, json (can be imported) or html.")
    ] = "markdown",
) -> None:
    """Export every conversation to a file; the server may be running."""
    if not is_all:
        fail_with(
            "Confirm that all conversations are meant: wireside export --all FOLDER", WRONG_USE
        )
    if format not in ("markdown", "json", "html"):
        fail_with(f"{format} is not a format: use markdown, json or html.", WRONG_USE)
    count = _run_with_progress(
        lambda settings, on_progress: _export_all(settings, folder, format, on_progress),
        "exporting",
    )
    out.print(f"Exported {count:,} conversations to {escape(str(folder))}.")


# ---- implementation of the commands ------------------------------------------------------------


async def _write_backup(
    settings: Settings, file: Path, force: bool, on_progress: Progress
) -> BackupHeader:
    from wireside.bootstrap.storage import contents_of, database_url
    from wireside.store.backup import write_backup
    from wireside.store.backup_file import create_file

    url, contents = database_url(settings), contents_of(settings)
    with create_file(file, force=force) as opened:
        header = await write_backup(url, opened, on_progress, contents=contents)
    async with _opened_store(database_url(settings)) as store:
        await _record_in_audit(settings, store, "backed_up", file.name)
    return header


def _check_backup(file: Path, on_progress: Progress) -> BackupHeader:
    from wireside.store.backup_file import verify_backup

    with _open_for_reading(file) as opened:
        return verify_backup(opened, on_progress)


async def _restore_backup(
    settings: Settings, file: Path, replace: bool, on_progress: Progress
) -> Restored:
    from wireside.bootstrap.storage import contents_of, database_url
    from wireside.store.backup import restore_backup

    url, contents = database_url(settings), contents_of(settings)
    with _open_for_reading(file) as opened:
        done = await restore_backup(url, opened, on_progress, replace=replace, contents=contents)
    async with _opened_store(database_url(settings)) as store:
        await _record_in_audit(
            settings, store, "restored", f"{file.name}, made {done.header.made_at}"
        )
    return done


async def _move_database(
    settings: Settings, to: str, replace: bool, on_progress: Progress
) -> Restored:
    from wireside.bootstrap.storage import database_url
    from wireside.errors import NotConfigured
    from wireside.store.backup import display_name, move_database
    from wireside.store.database import create_database

    try:
        create_database(to)
    except NotConfigured as error:
        raise NotConfigured(str(error).replace("WIRESIDE_DATABASE_URL", "--to")) from error
    source = database_url(settings)
    done = await move_database(source, to, settings.data_dir, on_progress, replace=replace)
    for url in (source, to):  # the move is recorded in both databases
        async with _opened_store(url) as store:
            await _record_in_audit(
                settings, store, "moved", f"{display_name(source)} to {display_name(to)}"
            )
    return done


async def _export_all(settings: Settings, folder: Path, kind: str, on_progress: Progress) -> int:
    from wireside.bootstrap.storage import build_files, database_url
    from wireside.transfer.bulk import export_all

    async with _opened_store(database_url(settings)) as store:
        owners = {user.id: user.name for user in await store.accounts.list_users()}
        ids = await store.list_all_conversations()
        files = build_files(settings, store)
        await _record_in_audit(settings, store, "all_exported", f"{len(ids)} conversations, {kind}")
        return await export_all(
            store=store,
            conversations=ids,
            owners=owners,
            folder=folder,
            new_exporter=_exporter_class(
                settings, kind, {one.id: one.name for one in await store.folders.list_all_folders()}
            ),
            on_progress=on_progress,
            files_of=lambda owner: files.for_caller(replace(LOCAL, user_id=owner)),
        )


async def _record_in_audit(settings: Settings, store: SqlStore, action: str, subject: str) -> None:
    """Record an action in the audit log if accounts are in use."""
    from wireside.auth.shell import witnessed

    async with witnessed(store.accounts, has_accounts=settings.auth != "none") as witness:
        witness.record(LOCAL, action, subject)


def _exporter_class(
    settings: Settings, kind: str, folders: Mapping[str, str]
) -> Callable[[], Exporter]:
    """Return what makes exporters; ``folders`` has the names of folders by id."""
    from wireside.transfer.export import HtmlExport, JsonExport, MarkdownExport

    if kind == "html":
        from wireside_ui.markdown import incremental
        from wireside_ui.markdown.dialect import Markup

        markup = Markup(frozenset(settings.image_hosts))
        return partial(HtmlExport, partial(incremental.render, markup=markup))
    return partial(JsonExport, folders) if kind == "json" else MarkdownExport


@contextlib.asynccontextmanager
async def _opened_store(url: str) -> AsyncIterator[SqlStore]:
    from wireside.store.backup import as_backup_errors, must_be_there
    from wireside.store.store import SqlStore

    must_be_there(url)
    store = SqlStore(url)
    try:
        with as_backup_errors(url):
            await store.open_beside()
            yield store
    finally:
        await store.aclose()


def _open_for_reading(file: Path) -> BinaryIO:
    from wireside.store.backup_file import BackupError

    try:
        return file.open("rb")
    except OSError as error:
        raise BackupError(f"{file} can't be read: {error.strerror or error}.") from error


# ---- errors, signals and output ----------------------------------------------------------------


def _run_with_progress(
    work: Callable[[Settings, Progress], Coroutine[Any, Any, T]], doing: str
) -> T:
    with _with_progress(doing) as (settings, on_progress):
        return asyncio.run(_stoppable(work(settings, on_progress)))


@contextlib.contextmanager
def _with_progress(doing: str) -> Iterator[tuple[Settings, Progress]]:
    """Load settings and show progress; print an error as one sentence and exit."""
    from wireside.errors import WiresideError
    from wireside.telemetry import configure_logging

    try:
        settings = load_settings()
    except WrongSettings as error:
        fail_with(str(error), WRONG_USE)
    configure_logging("text", "error", stream=io.StringIO())  # the printed sentence suffices
    try:
        with progress(err, doing) as on_progress:
            yield settings, on_progress
    except WiresideError as error:
        fail_with(str(error), FAILED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        fail_with("Stopped. Nothing was changed.", FAILED)


async def _stoppable(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``; SIGTERM and SIGHUP cancel it like Ctrl+C."""
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows
        for kind in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(kind) != signal.SIG_IGN:  # set by `nohup`
                asyncio.get_running_loop().add_signal_handler(kind, task.cancel)
    return await work


def _print_counts(header: BackupHeader) -> None:
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(style="dim")
    table.add_column(justify="right")
    for one in header.tables:
        if one.rows:
            table.add_row(one.name, f"{one.rows:,}")
    out.print(table)


def _print_aside(done: Restored) -> None:
    if done.aside is not None:
        out.print(f"The previous contents are in {escape(str(done.aside))}.")
