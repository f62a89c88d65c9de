"""The page at the root of the scenario server: what to do, a playground, and the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from wireside.conformance.results import Result
from wireside.conformance.scenarios.catalogue import Scenario

_FILE = Path(__file__).with_name("page.html")


def render_page(scenarios: Sequence[Scenario], results: Mapping[str, Result]) -> str:
    """Return the page as HTML."""
    page = _FILE.read_text(encoding="utf-8")
    return page.replace("<!-- rows -->", render_rows(scenarios, results))


def render_rows(scenarios: Sequence[Scenario], results: Mapping[str, Result]) -> str:
    """Return the rows of the table of scenarios and results as HTML."""
    rows = [
        _row(_button(one.name), one.rule, one.section, results.get(one.name)) for one in scenarios
    ]
    names = {scenario.name for scenario in scenarios}
    rows += [
        _row(f"<code>{escape(name)}</code>", result.rule, result.section, result)
        for name, result in results.items()
        if name not in names
    ]
    return "\n".join(rows)


def _button(name: str) -> str:
    return f'<button type="button" data-scenario="{escape(name)}">{escape(name)}</button>'


def _row(title: str, rule: str, section: str, result: Result | None) -> str:
    state = "open" if result is None else result.state
    faults = () if result is None else result.faults
    details = "".join(f"<br>{escape(str(fault))}" for fault in faults)
    return (
        f"<tr><td>{title}</td><td>{escape(rule)}<br><small>{escape(section)}</small></td>"
        f'<td class="{state}">{state}{details}</td></tr>'
    )
