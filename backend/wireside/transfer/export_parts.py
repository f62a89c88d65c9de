"""The parts of an answer that are written whole, in Markdown and HTML exports. Pure.

Data is untrusted: what does not have the shape that its kind has in docs/protocol.md, "Parts", is
exported by the part's text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from wireside.invisible_text import seen
from wireside.parts import (
    RASTER_DATA_URL,
    Attachment,
    DataPart,
    FilePart,
    ImagePart,
    Part,
    data_of,
    is_hidden,
    label_of,
)

MAX_DEPTH = 8
"""Nesting of steps; deeper ones are siblings of their parent."""

MAX_COLUMNS = 100
MAX_URL_CHARS = 2_048

_WEB = re.compile(
    r"https?://[a-z0-9.:\[\]-]+(?:[/?#][^\s\"'<>\\^`{|}]*)?", re.IGNORECASE | re.ASCII
)
_CONTENT = re.compile(r"data:[^,;]{0,200}(?:;[\w=-]{1,64})?;base64,([A-Za-z0-9+/]*={0,2})")

Words = Mapping[str, str]


@dataclass(slots=True)
class StepTree:
    """A step with the steps in it."""

    data: Mapping[str, Any]
    parent: StepTree | None = None
    depth: int = 1
    children: list[StepTree] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sources:
    """Sources that follow each other, with their numbers in the answer."""

    items: tuple[tuple[int, Mapping[str, Any]], ...]


def group_parts(parts: Sequence[Part]) -> Iterator[Part | StepTree | Sources]:
    """Yield the parts of an answer; steps as trees, and sources that follow each other as one."""
    steps: dict[str, StepTree] = {}
    numbers: dict[str, int] = {}
    out: list[Part | StepTree | Sources] = []
    for part in parts:
        if is_hidden(part):
            continue
        data = data_of(part) if isinstance(part, DataPart) else None
        if not isinstance(part, DataPart) or not isinstance(data, dict):
            out.append(part)
        elif part.kind == "step":
            _add_step(out, steps, part.id, data)
        elif part.kind == "source":
            key = _text_field(data, "url") or f"title {_text_field(data, 'title')}"
            item = (numbers.setdefault(key, len(numbers) + 1), data)
            last = out[-1] if out else None
            if isinstance(last, Sources):
                out[-1] = Sources((*last.items, item))
            else:
                out.append(Sources((item,)))
        else:
            out.append(part)
    yield from out


def _add_step(
    out: list[Part | StepTree | Sources],
    steps: dict[str, StepTree],
    part_id: str,
    data: Mapping[str, Any],
) -> None:
    parent = steps.get(_text_field(data, "parent"))
    if parent is None:
        step = StepTree(data)
        out.append(step)
    else:
        place = parent if parent.depth < MAX_DEPTH else parent.parent
        assert place is not None  # only a step at the first depth has none
        step = StepTree(data, parent=place, depth=place.depth + 1)
        place.children.append(step)
    if part_id:
        steps[part_id] = step


# ---- HTML --------------------------------------------------------------------------------------


class HtmlParts:
    """Exports parts as HTML; ``render`` converts Markdown to safe HTML."""

    def __init__(self, render: Callable[[str], str], words: Words) -> None:
        self._render = render
        self._words = words

    def render_step(self, step: StepTree) -> str:
        """Return a step with the steps in it, folded."""
        return "".join(self._step_pieces(step))

    def _step_pieces(self, step: StepTree) -> Iterator[str]:
        yield f"<details><summary>{_escape_html(_step_label(step, self._words))}</summary>"
        yield self._titled_text(self._words["input"], _text_field(step.data, "input"))
        children = "".join(self.render_step(child) for child in step.children)
        if children:
            yield f'<div class="steps">{children}</div>'
        yield self._titled_text(self._words["output"], _text_field(step.data, "output"))
        yield "</details>\n"

    def _titled_text(self, title: str, text: str) -> str:
        return (
            f'<h2>{_escape_html(title)}</h2><pre dir="auto">{_escape_html(text)}</pre>'
            if text
            else ""
        )

    def render_sources(self, sources: Sources) -> str:
        """Return a numbered list."""
        items = "".join(self._render_source(number, data) for number, data in sources.items)
        return f'<ol class="sources">{items}</ol>\n'

    def _render_source(self, number: int, data: Mapping[str, Any]) -> str:
        title, text = _text_field(data, "title"), _text_field(data, "text")
        url = web_address(_text_field(data, "url"))
        shown = _escape_html(title or url or self._words["source"])
        if url:
            shown = f'<a href="{_escape_html(url)}" rel="noopener noreferrer">{shown}</a>'
            shown += f' <span class="ws-host">{_escape_html(_host_of_url(url))}</span>'
        if text:
            shown += f"<div>{_escape_html(text)}</div>"
        return f'<li value="{number}" dir="auto">{shown}</li>'

    def render_part(self, part: Attachment) -> str:
        """Return any other part."""
        data = data_of(part) if isinstance(part, DataPart) else None
        match part:
            case ImagePart():
                return self._render_image(part)
            case FilePart():
                return self._render_file(part)
            case DataPart(kind="table") if (table := _table_cells(data)) is not None:
                return self._render_table(*table)
            case DataPart(kind="question") if isinstance(data, dict):
                return self._render_question(data)
            case DataPart(kind="summary"):
                return self._render_summary(part.text)
        return f'<p class="data" dir="auto">{_escape_html(label_of(part))}</p>\n'

    def _render_summary(self, text: str) -> str:
        if not text:
            return ""  # it was undone
        label = _escape_html(self._words["summary"])
        return (
            f'<details class="summary"><summary>{label}</summary>'
            f'<pre dir="auto">{_escape_html(text)}</pre></details>\n'
        )

    def _render_image(self, part: ImagePart) -> str:
        if RASTER_DATA_URL.fullmatch(part.url):
            return f'<p><img class="ws-img" alt="{_escape_html(part.name)}" src="{part.url}"></p>\n'
        label = _escape_html(label_of(part))
        if url := web_address(part.url):
            link = f'<a href="{_escape_html(url)}" rel="noopener noreferrer">{label}</a>'
            host = _escape_html(_host_of_url(url))
            return f'<p dir="auto">{link} <span class="ws-host">{host}</span></p>\n'
        return f'<p dir="auto">{label}</p>\n'

    def _render_file(self, part: FilePart) -> str:
        label = _escape_html(label_of(part))
        content = _CONTENT.fullmatch(part.url)
        if content is None:
            return f'<p dir="auto">{label}</p>\n'
        # of no type that a browser would open as a page
        url = f"data:application/octet-stream;base64,{content[1]}"
        return (
            f'<p dir="auto"><a download="{_escape_html(part.name)}" href="{url}">{label}</a></p>\n'
        )

    def _render_table(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str
    ) -> str:
        head = "".join(f"<th>{_escape_html(column)}</th>" for column in columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{_escape_html(cell)}</td>' for cell in row)}</tr>\n"
            for row in rows
        )
        note = f'<p class="note">{_escape_html(note)}</p>\n' if note else ""
        return (
            f'<div class="ws-table"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>\n{note}"
        )

    def _render_question(self, data: Mapping[str, Any]) -> str:
        prompt = self._render(_text_field(data, "prompt"))
        answer = "".join(
            f"<div>{_escape_html(line)}</div>" for line in _answer_lines(data, self._words)
        )
        return (
            f'<div class="asked"><div class="ws-prose" dir="auto">{prompt}</div>'
            f'<div class="answered" dir="auto">{answer}</div></div>\n'
        )


CSS = """
.steps{margin-inline-start:1rem}
.sources{padding-inline-start:2rem;font-size:.9375rem}
.sources div{color:var(--muted)}
.data{white-space:pre-wrap;overflow-wrap:anywhere}
.attached{max-width:85%;margin:0 0 1rem;margin-inline-start:auto;text-align:end}
.attached p{margin:0 0 .5rem;color:var(--muted);font-size:.9375rem;overflow-wrap:anywhere}
.attached .ws-img{max-height:24rem;border:1px solid var(--line);border-radius:12px}
.asked{margin:0 0 1rem;padding:.75rem 1rem;border:1px solid var(--line);border-radius:12px}
.answered{margin-top:.5rem;font-weight:600;overflow-wrap:anywhere;white-space:pre-wrap}
"""
"""The styles of an exported page for what is returned here."""


# ---- Markdown ----------------------------------------------------------------------------------


class MarkdownParts:
    """Exports parts as Markdown, in which their texts can't contain markup.

    ``inline`` escapes a text on one line, ``fenced`` returns it as a code block, ``quoted`` as a
    quotation, and ``folded`` makes a fold of a label and its content.
    """

    def __init__(
        self,
        words: Words,
        *,
        inline: Callable[[str], str],
        fenced: Callable[[str], str],
        quoted: Callable[[str], str],
        folded: Callable[[str, str], str],
    ) -> None:
        self._words = words
        self._inline = inline
        self._fenced = fenced
        self._quoted = quoted
        self._folded = folded

    def render_step(self, step: StepTree) -> str:
        """Return a step with the steps in it, folded."""
        before, after = _text_field(step.data, "input"), _text_field(step.data, "output")
        body = f"\n{self._words['input']}:\n{self._fenced(before)}" if before else ""
        body += "".join(self.render_step(child) for child in step.children)
        body += f"\n{self._words['output']}:\n{self._fenced(after)}" if after else ""
        return self._folded(_step_label(step, self._words), body)

    def render_sources(self, sources: Sources) -> str:
        """Return a list with the numbers of the sources."""
        return "\n" + "".join(self._render_source(number, data) for number, data in sources.items)

    def _render_source(self, number: int, data: Mapping[str, Any]) -> str:
        url = web_address(_text_field(data, "url"))
        title = self._inline(_text_field(data, "title") or url or self._words["source"])
        text = self._inline(_text_field(data, "text"))
        named = f"{title} <{url}>" if url else title
        return f"{number}. {named}{f' — {text}' if text else ''}\n"

    def render_part(self, part: Attachment) -> str:
        """Return any other part."""
        data = data_of(part) if isinstance(part, DataPart) else None
        match part:
            case ImagePart() if RASTER_DATA_URL.fullmatch(part.url):
                return f"\n![{self._inline(part.name)}]({part.url})\n"
            case ImagePart() if url := web_address(part.url):
                return f"\n{self._inline(label_of(part))} <{url}>\n"
            case DataPart(kind="table") if (table := _table_cells(data)) is not None:
                return self._render_table(*table)
            case DataPart(kind="question") if isinstance(data, dict):
                answer = "\n".join(_answer_lines(data, self._words))
                return f"{self._quoted(_text_field(data, 'prompt'))}\n**{self._inline(answer)}**\n"
            case DataPart(kind="summary"):
                text = self._fenced(part.text)
                return self._folded(self._words["summary"], text) if part.text else ""
        return f"\n{self._inline(label_of(part))}\n"

    def _render_table(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str
    ) -> str:
        lines = [f"| {' | '.join(map(self._inline, row))} |" for row in (columns, *rows)]
        lines.insert(1, "|" + " --- |" * len(columns))
        return "\n" + "\n".join(lines) + "\n" + (f"\n*({self._inline(note)})*\n" if note else "")


# ---- data ----------------------------------------------------------------------------------------


def web_address(url: str) -> str:
    """Return an address of the web without a user name; "" for anything else."""
    return url if len(url) <= MAX_URL_CHARS and _WEB.fullmatch(url) else ""


def _host_of_url(url: str) -> str:
    return re.split("[/?#]", url.partition("://")[2])[0]


def _escape_html(text: str) -> str:
    return escape(seen(text.replace("\x00", "\ufffd")), quote=True)


def _text_field(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _step_label(step: StepTree, words: Words) -> str:
    state = step.data.get("state")
    state = state if state in ("running", "failed") else "done"
    seconds = step.data.get("seconds")
    is_timed = isinstance(seconds, int | float) and 0 <= seconds < 1e9
    took = f" · {seconds:.1f} s" if is_timed else ""
    return f"{_text_field(step.data, 'name')} — {words[f'tool_{state}']}{took}"


def _table_cells(data: Any) -> tuple[list[str], list[list[str]], str] | None:
    """Return the columns and rows of a table as texts, and a note if rows are missing."""
    if not isinstance(data, dict):
        return None
    columns, rows = data.get("columns"), data.get("rows")
    if not isinstance(columns, list) or not columns or not isinstance(rows, list):
        return None
    width = min(len(columns), MAX_COLUMNS)
    shown = [
        [_cell_text(row[i]) if i < len(row) else "" for i in range(width)]
        for row in rows
        if isinstance(row, list)
    ]
    total = data.get("total")
    is_cut = isinstance(total, int) and total > len(shown)
    note = f"{len(shown):,} of {total:,} rows" if is_cut else ""
    return [_cell_text(column) for column in columns[:width]], shown, note


def _cell_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            try:
                return json.dumps(value, ensure_ascii=False)
            except (RecursionError, ValueError):
                return "…"


def _answer_lines(data: Mapping[str, Any], words: Words) -> list[str]:
    """Return the answer to a question in words, one line for each field of a form."""
    answer = data.get("answer")
    match answer:
        case None:
            return [words["not_answered"]]
        case bool():
            name = "yes" if answer else "no"
            return [_text_field(data, name) or words[name]]
        case list():
            labels = _labels_by_value(data.get("options"))
            return [", ".join(labels.get(text, text) for text in map(_cell_text, answer))]
        case dict() if data.get("type") == "file":
            return [_text_field(answer, "name")]
        case dict():
            labels = _labels_by_value(data.get("fields"))
            return [f"{labels.get(name, name)}: {_cell_text(one)}" for name, one in answer.items()]
        case _:
            return [_cell_text(answer)]


def _labels_by_value(items: Any) -> dict[str, str]:
    """Return the labels of options by value, or of fields by name."""
    found = {}
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            key = _text_field(item, "value") or _text_field(item, "name")
            found[key] = _text_field(item, "label") or key
    return found
