"""Figures with their aims: the printed table and the saved file."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Literal

import psutil
from rich.console import Console
from rich.table import Table

PACKAGES = ("aiohttp", "nicegui", "openai", "starlette", "uvicorn", "uvloop", "websockets")


@dataclass(frozen=True, slots=True)
class Aim:
    """Upper limit of a figure's value, or of its ratio to the baseline."""

    limit: float
    of: Literal["value", "ratio"] = "value"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: a cost of Wireside and that of the baseline, both medians of their rounds."""

    subject: str
    unit: str
    value: float
    measure: float | None = None
    aim: Aim | None = None

    @classmethod
    def of(
        cls,
        subject: str,
        unit: str,
        values: Sequence[float],
        measures: Sequence[float] = (),
        aim: Aim | None = None,
    ) -> Figure:
        """Return the figure of several rounds, with their medians."""
        return cls(subject, unit, median(values), median(measures) if measures else None, aim)

    @property
    def ratio(self) -> float | None:
        """The value divided by the baseline; None without a baseline."""
        return self.value / self.measure if self.measure else None

    @property
    def is_met(self) -> bool | None:
        """Whether the aim is met; None without an aim."""
        if self.aim is None:
            return None
        value = self.value if self.aim.of == "value" else self.ratio
        return value is not None and value <= self.aim.limit


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one benchmark; ``measure`` is the name of their baseline."""

    title: str
    measure: str
    figures: list[Figure]


def show(console: Console, section: Section) -> None:
    """Print one section as a table."""
    table = Table(title=section.title, title_justify="left", title_style="bold")
    table.add_column("")
    for name in ("Wireside", section.measure, "ratio", "aim"):
        table.add_column(name, justify="right")
    table.add_column("")
    for figure in section.figures:
        table.add_row(*_cells(figure))
    console.print(table)


def save(sections: Sequence[Section], file: Path) -> None:
    """Write the sections to ``file`` as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "python": sys.version.split()[0],
            "cores": psutil.cpu_count(),
        },
        "versions": {name: version(name) for name in PACKAGES},
        "sections": [
            {
                "title": section.title,
                "measure": section.measure,
                "figures": [
                    {**asdict(figure), "ratio": figure.ratio, "is_met": figure.is_met}
                    for figure in section.figures
                ],
            }
            for section in sections
        ],
    }
    file.write_text(json.dumps(document, indent=2) + "\n")


def _cells(figure: Figure) -> list[str]:
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    measure = "" if figure.measure is None else _number(figure.measure)
    mark = {None: "", True: "[green]✓[/]", False: "[red]✗[/]"}[figure.is_met]
    return [
        f"{figure.subject}, {figure.unit}",
        _number(figure.value),
        measure,
        ratio,
        _aim(figure),
        mark,
    ]


def _aim(figure: Figure) -> str:
    if figure.aim is None:
        return ""
    return f"≤ {figure.aim.limit:g}{' ×' if figure.aim.of == 'ratio' else ''}"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return (
        f"{value:.2g}"
        if abs(value) < 0.1
        else f"{value:.2f}"
        if abs(value) < 10
        else f"{value:.1f}"
    )
