"""The command ``wireside conformance``.

The kit is imported inside the command: other commands don't pay for it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wireside.cli.console import FAILED, WRONG_USE, err, fail_with, out
from wireside.cli.harmless_text import harmless

if TYPE_CHECKING:
    from wireside.conformance.results import Result
    from wireside.conformance.scenarios.catalogue import Scenario

TIMEOUT_S = 20.0
"""Default longest wait for a response of a server, in seconds."""

PATIENCE_S = 60.0
"""Default longest wait for a client to come back, in seconds: twice the longest back-off."""

LISTEN_AT = "127.0.0.1:8765"
"""Default address of the server that plays scenarios."""

_MARKS = {"passed": "[green]✓[/]", "failed": "[bold red]✗[/]", "skipped": "[dim]·[/]"}

MAX_SENT = 3
"""Sent frames that are shown with a failed check; the reports have all."""


def conformance(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help="The server to check, such as ws://127.0.0.1:8080; with --listen HOST:PORT.",
        ),
    ] = None,
    level: Annotated[
        int, typer.Option(help="Protocol level to check: 1, or 2 for both.", min=1, max=2)
    ] = 2,
    key: Annotated[
        str | None, typer.Option(help="An API key of the server; - reads it from standard input.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model to ask (default: the server's).")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Run only this check; a pattern such as resume-*; may be repeated."),
    ] = None,
    listen: Annotated[
        bool,
        typer.Option(
            "--listen",
            help=f"Check a client: play a misbehaving server at HOST:PORT (default {LISTEN_AT}).",
        ),
    ] = False,
    ping_s: Annotated[
        float, typer.Option("--ping-s", help="With --listen: interval of its pings.", min=0.1)
    ] = 30.0,
    timeout_s: Annotated[
        float | None,
        typer.Option(
            "--timeout-s",
            help="Longest wait for a response (20), or for a client to come back (60).",
            min=0.1,
        ),
    ] = None,
    lists: Annotated[bool, typer.Option("--list", help="List the checks and their rules.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Also write JUnit XML to this file.")] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Also write JSON to this file.")
    ] = None,
) -> None:
    """Check a server, or a client, against the protocol of /ws/ai-chat. Exit code 1 if it fails."""
    names = tuple(only or ())
    if listen:
        _play_scenarios(
            url or LISTEN_AT,
            _selected_scenarios(level, names),
            lists=lists,
            patience_s=timeout_s or PATIENCE_S,
            ping_s=ping_s,
            junit=junit,
            as_json=as_json,
        )
        return

    from wireside.conformance.address import Address, InvalidServerAddress
    from wireside.conformance.checks.catalogue import selected
    from wireside.conformance.kit import Kit
    from wireside.conformance.run import run_checks

    checks = selected(level=level, only=names)
    if not checks:
        fail_with("no check has that name; --list shows them.", WRONG_USE)
    if lists:
        _print_list([(check.name, check.section, check.rule) for check in checks])
        return
    if url is None:
        fail_with("name a server, such as ws://127.0.0.1:8080.", WRONG_USE)
    try:
        address = Address.parse(url)
    except InvalidServerAddress as error:
        fail_with(str(error), WRONG_USE)
    secret = sys.stdin.readline().strip() if key == "-" else key
    kit = Kit(address, key=secret, model=model, timeout_s=timeout_s or TIMEOUT_S)
    results = asyncio.run(run_checks(checks, kit, _print_result, on_wait=_print_wait))
    _finish(address.url, results, junit, as_json)


def _selected_scenarios(level: int, only: tuple[str, ...]) -> Sequence[Scenario]:
    from wireside.conformance.scenarios.catalogue import selected

    scenarios = selected(level=level, only=only)
    if not scenarios:
        fail_with("no scenario has that name; --list shows them.", WRONG_USE)
    return scenarios


def _play_scenarios(
    address: str,
    scenarios: Sequence[Scenario],
    *,
    lists: bool,
    patience_s: float,
    ping_s: float,
    junit: Path | None,
    as_json: Path | None,
) -> None:
    """Play scenarios to clients until all have results, or Ctrl+C or SIGTERM ends it."""
    if lists:
        _print_list([(one.name, one.section, one.rule) for one in scenarios])
        return

    from wireside.conformance.scenarios.server import ScenarioServer
    from wireside.conformance.scenarios.stage import Stage

    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        fail_with(f"{address} is not HOST:PORT, such as {LISTEN_AT}.", WRONG_USE)
    results: list[Result] = []

    def take_result(result: Result) -> None:
        results.append(result)
        _print_result(result, sent_mark="← ")  # what the client sent

    stage = Stage(scenarios, patience_s=patience_s, ping_s=ping_s)
    server = ScenarioServer(stage, take_result)
    try:
        asyncio.run(_until_stopped(server.run(host.strip("[]"), int(port), _announce)))
    except OSError as error:
        fail_with(f"{address} can't be used: {error.strerror or error}.", FAILED)
    _finish(address, results, junit, as_json)


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run until it ends, or a signal cancels it."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # on Windows
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def _announce(url: str) -> None:
    out.print(f"Connect a client to {url.replace('http', 'ws', 1)}/ws/ai-chat and ask questions.")
    out.print(f"What to do, and the results: {url}")


def _print_wait(seconds: float) -> None:
    err.print(f"[dim]The server's rate limit is reached: waiting {seconds:.0f} s …[/]")


def _finish(
    subject: str, results: Sequence[Result], junit: Path | None, as_json: Path | None
) -> None:
    """Print the counts, write the reports, and end with the exit code."""
    from wireside.conformance.reports import to_json, to_junit
    from wireside.conformance.results import count_states

    counts = count_states(results)
    out.print(
        f"\n{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"
    )
    for file, text in ((junit, to_junit), (as_json, to_json)):
        if file is not None:
            try:
                file.write_text(text(subject, results), encoding="utf-8")
            except OSError as error:
                fail_with(f"{file} can't be written: {error.strerror}.", FAILED)
            err.print(f"[dim]Wrote {escape(str(file))}[/]")
    if counts["failed"] or not counts["passed"]:  # what was only skipped shows nothing
        raise typer.Exit(FAILED)


def _print_list(rows: Sequence[tuple[str, str, str]]) -> None:
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for title in ("name", "section", "rule"):
        table.add_column(title, no_wrap=title == "name", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    _print_table(table)


def _print_result(result: Result, *, sent_mark: str = "→ ") -> None:
    """Print a result; ``sent_mark`` begins the lines of a transcript that were sent."""
    note = result.reason if result.state == "skipped" else result.rule
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(width=1)
    table.add_column(width=28, no_wrap=True)
    table.add_column(overflow="fold")
    style = "dim" if result.state == "skipped" else ""
    table.add_row(
        _MARKS[result.state], f"[bold]{_shown(result.name)}[/]", _shown(note), style=style
    )
    if result.state == "failed":
        table.add_row("", "  section", escape(result.section))
        sent = [line[2:].strip() for line in result.transcript if line.startswith(sent_mark)]
        if sent:
            table.add_row("", "  sent", _shown("\n".join(sent[-MAX_SENT:])))
        for fault in result.faults:
            table.add_row("", "  expected", _shown(fault.expected))
            table.add_row("", "  came", f"[yellow]{_shown(fault.came)}[/]")
    _print_table(table)


def _shown(text: str) -> str:
    """Return a text as markup; the other side may have written parts of it."""
    return escape(harmless(text))


def _print_table(table: Table) -> None:
    # a pipe has no width: keep sentences on one line
    console = Console(highlight=False, width=None if out.is_terminal else 200)
    with console.capture() as captured:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
