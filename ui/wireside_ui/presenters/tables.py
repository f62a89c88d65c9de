"""The data of tables, as the page shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from wireside_ui.presenters.json_values import MAX_SAFE_INTEGER, number_in, text_in

MAX_COLUMNS = 100
MAX_ROWS = 5_000
MAX_CELLS = 100_000
MAX_CELL_CHARS = 2_000
MAX_COLUMN_CHARS = 200


def table_in(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a table within the limits; None if ``data`` is none.

    ``right`` tells for each column whether it has numbers only. ``total`` is the number of rows
    that the table had before anything was cut, ``columns_cut`` the number of columns left out.
    """
    columns, rows = data.get("columns"), data.get("rows")
    if not isinstance(columns, list) or not isinstance(rows, list) or not columns:
        return None
    width = min(len(columns), MAX_COLUMNS)
    max_rows = min(MAX_ROWS, MAX_CELLS // width)
    kept = [row for row in islice(rows, max_rows) if isinstance(row, list)]
    total = data.get("total")
    if not isinstance(total, int) or isinstance(total, bool):
        total = 0
    return {
        "columns": [_label(column) for column in columns[:width]],
        "rows": [[_cell(row[i]) if i < len(row) else None for i in range(width)] for row in kept],
        "right": [_has_numbers(kept, i) for i in range(width)],
        "total": min(max(total, len(rows)), MAX_SAFE_INTEGER),
        "columns_cut": len(columns) - width,
    }


def _label(value: Any) -> str:
    return text_in(value if isinstance(value, str) else _as_json(value), MAX_COLUMN_CHARS)


def _cell(value: Any) -> str | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    number = number_in(value)
    if number is not None:
        return number
    return text_in(value if isinstance(value, str) else _as_json(value), MAX_CELL_CHARS)


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):
        return "…"


def _has_numbers(rows: Sequence[Sequence[Any]], column: int) -> bool:
    """Return whether a column has numbers and, but for empty cells, nothing else."""
    cells = [row[column] for row in rows if column < len(row) and row[column] is not None]
    return bool(cells) and all(
        isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells
    )
