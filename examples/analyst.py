"""A data analyst: options, a state, a table and a file.

wireside serve examples/analyst.py:chat
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass

from wireside import Chat, File, Source, Table, Turn

REVENUE = [("January", 120), ("February", 95), ("March", 143)]


@dataclass
class Options:
    """What a client may choose: ``"options": {"limit": 2}``."""

    limit: int = 100


@dataclass
class State:
    """What the next turn remembers."""

    tables: int = 0


chat = Chat("Analyst", options=Options, state=State, starters=["Revenue by month"])


@chat.on_message
async def analyst(turn: Turn[Options, State]) -> AsyncIterator[object]:
    """Shows the revenue by month."""
    async with turn.step("query", input="select month, revenue from sales") as step:
        rows = REVENUE[: turn.options.limit]
        step.output = f"{len(rows)} rows"
    turn.state.tables += 1
    yield f"Table {turn.state.tables}: the revenue by month."
    yield Table(columns=["month", "revenue"], rows=rows)
    yield File(as_csv(rows), name="revenue.csv")
    yield Source("Sales", url="https://warehouse.example/sales")


def as_csv(rows: list[tuple[str, int]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([("month", "revenue"), *rows])
    return text.getvalue()
