"""What a handler may yield: reasoning, steps, sources, images, tables, figures, files and views.

``to_deltas`` turns any yielded value into the elements of the answer's log. The data of each kind
is described in docs/protocol.md, "Parts".
"""

from __future__ import annotations

import base64
import io
import json
import math
import mimetypes
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from wireside.files.media_types import IMAGES
from wireside.messages import Delta, PartDelta, ReasoningDelta, TextDelta, ToolDelta
from wireside.parts import DataPart, FilePart, ImagePart

MAX_DATA_CHARS = 2_000_000
"""Maximum length of a part's JSON text, and of an image or a file as a ``data:`` URL."""

MAX_ROWS = 5_000
"""Maximum number of rows of a table that are kept; the total is named."""

MAX_CELL_CHARS = 2_000

TEXT_ROWS = 20
"""Number of rows of a table that represent it as text."""

StepState = Literal["running", "done", "failed"]


class TooLargePart(ValueError):
    """A part is too large to be stored with the answer."""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Reasoning, which is shown collapsed and never sent to a model."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPart:
    """A state of a step: what the handler does, with its input and output.

    ``id`` identifies the step within the answer; ``parent`` is the id of the step around it.
    ``seconds`` is its duration, None while it runs.
    """

    id: str
    name: str
    state: StepState = "running"
    input: str = ""
    output: str = ""
    parent: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A source of the answer, shown as a numbered chip. ``text`` is an excerpt."""

    title: str
    url: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image: its bytes with a media type, or a ``url`` of ``https:`` or ``data:``."""

    data: bytes = b""
    media_type: str = "image/png"
    name: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A file to download: its content or its path."""

    content: bytes | str | Path
    name: str = ""
    media_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table. ``total`` is the number of rows if ``rows`` is only a part of them."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Show:
    """Shows a value: a figure of Matplotlib or Plotly, a DataFrame, an image, or rich output.

    Rich output is any object with ``_repr_mimebundle_``, ``_repr_png_`` or ``_repr_html_``'s
    siblings of raster images and text; HTML is never shown.
    """

    value: object
    name: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A view of the page, registered with ``Chat.view``; ``text`` represents it elsewhere.

    ``data`` has the arguments of its function by name. A view with the ``id`` of an earlier one of
    the answer takes its place.
    """

    name: str
    data: Mapping[str, object]
    text: str = ""
    id: str = ""


def to_deltas(value: object) -> Iterator[Delta]:
    """Yield the elements of the log for a value that a handler has yielded.

    Raises:
        TypeError: the value is of no known kind.
        TooLargePart: the value is too large.
    """
    match value:
        case None:
            return
        case str():
            if value:
                yield TextDelta(value)
        case Reasoning(text):
            yield ReasoningDelta(text)
        case TextDelta() | ReasoningDelta() | ToolDelta() | PartDelta():
            yield value
        case ImagePart() | FilePart() | DataPart():
            yield PartDelta(value)
        case Show():
            yield from shown(value.value, value.name)
        case StepPart() | Source() | Image() | File() | Table() | View():
            yield _part(value)
        case _:
            yield from shown(value, "")


def _part(value: StepPart | Source | Image | File | Table | View) -> PartDelta:
    match value:
        case StepPart():
            return data_part("step", asdict(value), part_id=value.id, text=_step_text(value))
        case Source():
            label = f"{value.title} ({value.url})" if value.url else value.title
            return data_part("source", asdict(value), text=label)
        case Image():
            return PartDelta(_image(value))
        case File():
            return PartDelta(_file(value))
        case Table():
            return _table(value)
        case View():
            data = {"name": value.name, "data": value.data}
            part_id = value.id or secrets.token_hex(6)
            text = value.text or f"[{value.name}]"
            return data_part("view", data, part_id=part_id, text=text)


def shown(value: object, name: str) -> Iterator[Delta]:
    """Yield a value as the part that shows it best.

    Raises:
        TypeError: nothing shows it.
    """
    if (table := _as_table(value)) is not None:
        yield _table(table)
    elif _is_from(value, "matplotlib") and hasattr(value, "savefig"):
        buffer = io.BytesIO()
        value.savefig(buffer, format="png", dpi=150, bbox_inches="tight")
        yield PartDelta(_image(Image(data=buffer.getvalue(), name=name or "figure.png")))
    elif _is_from(value, "plotly") and hasattr(value, "to_json"):
        figure = json.loads(value.to_json())
        title = name or str(_title_of(figure) or "figure")
        yield data_part("figure", {"figure": figure, "name": title}, text=f"[figure: {title}]")
    elif _is_from(value, "PIL") and hasattr(value, "save"):
        buffer = io.BytesIO()
        value.save(buffer, format="PNG")
        yield PartDelta(_image(Image(data=buffer.getvalue(), name=name)))
    elif hasattr(value, "_repr_mimebundle_") or hasattr(value, "_repr_png_"):
        yield _rich(value, name)
    elif hasattr(value, "fields") and hasattr(value, "parse"):
        raise TypeError("A handler yielded a question: write `await turn.ask(…)`.")
    else:
        kind = type(value).__name__
        raise TypeError(
            f"A handler yielded a value of type {kind}, which can't be shown: yield a str, or a"
            " part such as Reasoning, Source, Show or File."
        )


def as_text(value: object) -> str:
    """Return a text as it is, any other value as JSON. Raises ``TooLargePart``."""
    return value if isinstance(value, str) else to_json(value)


def to_json(value: object) -> str:
    """Return a JSON text; values that JSON lacks become texts. Raises ``TooLargePart``."""
    try:
        text = _dumps(value)
    except ValueError:  # it has numbers that JSON lacks
        text = _dumps(_finite(json.loads(json.dumps(value, default=_plain))))
    if len(text) > MAX_DATA_CHARS:
        raise TooLargePart(
            f"A part has {len(text):,} characters of data; at most {MAX_DATA_CHARS:,} fit."
        )
    return text


def _dumps(value: object) -> str:
    return json.dumps(
        value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )


def _finite(value: Any) -> Any:
    """Return a JSON value with None in place of infinite and undefined numbers."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_finite(one) for one in value]
        case dict():
            return {key: _finite(one) for key, one in value.items()}
        case _:
            return value


def data_part(kind: str, data: object, *, part_id: str = "", text: str = "") -> PartDelta:
    """Return a part of data. Raises ``TooLargePart``."""
    return PartDelta(DataPart(kind=kind, data=to_json(data), id=part_id, text=text))


# ---- internals -----------------------------------------------------------------------------------


def _step_text(step: StepPart) -> str:
    result = f": {step.output}" if step.output else ""
    return f"({step.name} — {step.state}{result})"


def _image(image: Image) -> ImagePart:
    if image.url:
        return ImagePart(url=image.url, media_type=image.media_type, name=image.name)
    if image.media_type not in IMAGES:
        raise TypeError(f"An image of type {image.media_type!r} can't be shown: use PNG or JPEG.")
    url = _data_url(image.data, image.media_type)
    return ImagePart(url=url, media_type=image.media_type, name=image.name)


def _file(file: File) -> FilePart:
    content, name = file.content, file.name
    if isinstance(content, Path):
        name = name or content.name
        content = content.read_bytes()
    elif isinstance(content, str):
        content = content.encode()
    media_type = file.media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return FilePart(
        url=_data_url(content, media_type),
        media_type=media_type,
        name=name or "file",
        size_bytes=len(content),
    )


def _data_url(content: bytes, media_type: str) -> str:
    url = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    if len(url) > MAX_DATA_CHARS:
        raise TooLargePart(
            f"A file has {len(content):,} bytes; at most {MAX_DATA_CHARS * 3 // 4:,} fit into an"
            " answer."
        )
    return url


def _table(table: Table) -> PartDelta:
    columns = [str(column) for column in table.columns]
    rows = [[_cell(cell) for cell in row] for row in table.rows[:MAX_ROWS]]
    total = len(table.rows) if table.total is None else table.total
    lines = ["| " + " | ".join(map(_in_line, columns)) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(map(_in_line, row)) + " |" for row in rows[:TEXT_ROWS]]
    if total > TEXT_ROWS:
        lines.append(f"\n({total:,} rows)")
    data = {"columns": columns, "rows": rows, "total": total}
    return data_part("table", data, text="\n".join(lines))


def _as_table(value: object) -> Table | None:
    """Return a DataFrame of pandas, Polars or PyArrow as a table, None for anything else."""
    if _is_from(value, "pandas") and hasattr(value, "to_frame"):  # a Series
        value = value.to_frame()
    if _is_from(value, "pandas") and hasattr(value, "itertuples"):
        head = value.head(MAX_ROWS)  # type: ignore[attr-defined]
        return Table(
            columns=list(map(str, head.columns)),
            rows=[list(row) for row in head.itertuples(index=False)],
            total=len(value),  # type: ignore[arg-type]
        )
    if _is_from(value, "polars") and hasattr(value, "rows") and hasattr(value, "columns"):
        return Table(columns=value.columns, rows=value.rows(), total=len(value.rows()))
    if _is_from(value, "pyarrow") and hasattr(value, "to_pydict"):
        columns = value.to_pydict()
        return Table(columns=list(columns), rows=list(zip(*columns.values(), strict=True)))
    return None


def _rich(value: Any, name: str) -> Delta:
    bundle: Mapping[str, Any] = {}
    if hasattr(value, "_repr_mimebundle_"):
        found = value._repr_mimebundle_()
        bundle = found[0] if isinstance(found, tuple) else found
    elif hasattr(value, "_repr_png_"):
        bundle = {"image/png": value._repr_png_()}
    for media_type in ("image/png", "image/jpeg"):
        if content := bundle.get(media_type):
            raw = base64.b64decode(content) if isinstance(content, str) else content
            return PartDelta(_image(Image(data=raw, media_type=media_type, name=name)))
    if figure := bundle.get("application/vnd.plotly.v1+json"):
        return data_part("figure", {"figure": figure, "name": name}, text=f"[figure: {name}]")
    text = bundle.get("text/markdown") or bundle.get("text/plain") or str(value)
    return TextDelta(f"\n\n{text}\n\n")


def _title_of(figure: Mapping[str, Any]) -> object:
    title = figure.get("layout", {}).get("title", {})
    return title.get("text") if isinstance(title, Mapping) else title


def _is_from(value: object, package: str) -> bool:
    """Whether a class of ``value`` is from ``package``, which therefore need not be installed."""
    return any(kind.__module__.split(".")[0] == package for kind in type(value).__mro__)


def _cell(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    text = value if isinstance(value, str) else str(_plain(value))
    return text if len(text) <= MAX_CELL_CHARS else f"{text[:MAX_CELL_CHARS]}…"


def _in_line(value: object) -> str:
    return " ".join(str("" if value is None else value).split()).replace("|", "\\|")


def _plain(value: object) -> object:
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return float(value) if value.is_finite() else str(value)
        case UUID() | Path():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case set() | frozenset():
            return sorted(value, key=str)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        case _ if hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
        case _ if hasattr(value, "item"):  # a number of NumPy
            return value.item()
        case _:
            return str(value)
