"""``python -m benchmarks``: runs the benchmarks, prints tables, writes a JSON file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console

from benchmarks import (
    dashboard,
    doors,
    history,
    idle,
    latency,
    openai_api,
    page,
    peers,
    raw,
    replicas,
    report,
    smoothness,
    startup,
    stored,
)
from benchmarks.report import Section
from benchmarks.servers import ROOT, Servers, servers

RESULTS = ROOT / "benchmarks" / "results" / "latest.json"

Benchmark = Callable[..., Iterator[Section]]

BENCHMARKS: dict[str, Benchmark] = {
    "raw": raw.measure,
    "doors": doors.measure,
    "openai": openai_api.measure,
    "latency": latency.measure,
    "idle": idle.measure,
    "ui": page.measure,
    "smoothness": smoothness.measure,
    "startup": startup.measure,
    "stored": stored.measure,
    "replicas": replicas.measure,
    "history": history.measure,
    "dashboard": dashboard.measure,
}


def main() -> None:
    """Run the selected benchmarks. Exits with 0 even if an aim is missed: figures are no test."""
    arguments = _arguments()
    console = Console()
    sections: list[Section] = []
    with servers() as started:
        for benchmark in _selected(arguments):
            sections += _shown(console, benchmark, started, quick=arguments.quick)
            report.save(sections, arguments.json)  # a later benchmark may fail
    figures = [figure for section in sections for figure in section.figures]
    missed = [figure for figure in figures if figure.is_met is False]
    aims = sum(figure.is_met is not None for figure in figures)
    console.print(f"{aims - len(missed)} of {aims} aims reached.")
    console.print(f"Written to {os.path.relpath(arguments.json)}")


def _selected(arguments: argparse.Namespace) -> list[Benchmark]:
    """Return the benchmarks to run; with ``--peers`` alone only that one."""
    names = arguments.only or ([] if arguments.peers else BENCHMARKS)
    return [BENCHMARKS[name] for name in names] + ([peers.measure] if arguments.peers else [])


def _shown(
    console: Console, benchmark: Benchmark, started: Servers, *, quick: bool
) -> list[Section]:
    sections = []
    for section in benchmark(started, quick=quick):
        report.show(console, section)
        sections.append(section)
    return sections


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds: six minutes instead of twenty"
    )
    parser.add_argument(
        "--only", type=_names, metavar="A,B", help=f"some of: {', '.join(BENCHMARKS)}"
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="measure chats with NiceGUI, Gradio and Chainlit, installed into build/peers",
    )
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the figures are written")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise argparse.ArgumentTypeError(f"no benchmark: {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    main()
