"""The parts of an imported answer, and texts for what text can't represent."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec

from wireside.messages import Entry, FinishReason, ReasoningDelta, TextDelta, ToolDelta
from wireside.parts import ToolState
from wireside.transfer.import_limits import MAX_NAME_CHARS
from wireside.transfer.untyped import as_dict, as_line, as_list, as_text


class EntryCollector:
    """Collects the parts of an answer, in order.

    It keeps what later parts depend on, instead of searching for it: an answer of a hostile file
    may have a million parts.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.has_text = False
        self._first_running: dict[str, ToolDelta] = {}
        self._last_running: ToolDelta | None = None

    def append(self, entry: Entry) -> None:
        """Add a part as it is."""
        self.entries.append(entry)
        if isinstance(entry, TextDelta):
            self.has_text = True
        elif isinstance(entry, ToolDelta) and entry.state == "running":
            self._first_running.setdefault(entry.call, entry)
            self._last_running = entry

    def append_text(self, text: str) -> None:
        """Add a text, separated from text before it by a blank line; "" adds nothing."""
        if text:
            self.append(TextDelta(f"\n\n{text}" if self.has_text else text))

    def append_reasoning(self, text: str) -> None:
        """Add reasoning as a paragraph; "" adds nothing."""
        if text:
            self.append(ReasoningDelta(f"{text}\n\n"))

    def append_result(
        self, call: str, content: object, *, name: str = "", is_failed: bool = False
    ) -> None:
        """Add the result of a tool call.

        Args:
            call: id of the call; the last running one if no running call has it.
            content: a text, or a list of parts with texts or titles.
            name: name of the tool, for a result without a call.
            is_failed: whether the tool failed.
        """
        state: ToolState = "failed" if is_failed else "done"
        texts = [
            as_text(as_dict(part).get("text")) or as_text(as_dict(part).get("title"))
            for part in as_list(content)
        ]
        result = as_text(content) or "\n\n".join(text for text in texts if text)
        known = self._first_running.get(call, self._last_running)
        if known is None:
            known = ToolDelta(call or "call", name, state)
        self.append(replace(known, state=state, result=result))

    def next_call(self) -> str:
        """Return an id for a tool call without one."""
        return f"call-{len(self.entries) + 1}"

    def text(self) -> str:
        """Return the text of all parts."""
        return "".join(entry.text for entry in self.entries if isinstance(entry, TextDelta))


def texts_of(parts: object) -> str:
    """Return a text, or the texts of a list of parts, separated by blank lines."""
    texts = (as_text(as_dict(part).get("text")) for part in as_list(parts))
    return as_text(parts) or "\n\n".join(text for text in texts if text)


_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "interrupted": "interrupted",
    "user_canceled": "cancelled",
    "user_cancelled": "cancelled",
    "cancelled": "cancelled",
    "abort": "cancelled",
    "aborted": "cancelled",
}


def reason_of(value: object) -> FinishReason:
    """Return why an answer ended; an unknown reason counts as ``stop``."""
    return _REASONS.get(value.lower(), "stop") if isinstance(value, str) else "stop"


def with_files(text: str, files: list[Any]) -> str:
    """Return a text with marks for its attached files, and the text of each file in the export."""
    return "\n\n".join(part for part in (text, *file_marks(files)) if part)


def _file_text(file: dict[str, Any]) -> str:
    inner = as_dict(as_dict(file.get("file")).get("data"))
    return as_text(file.get("extracted_content")) or as_text(inner.get("content"))


def file_marks(files: list[Any]) -> list[str]:
    """Return a mark for each attached file, with its text where the export holds it."""
    marks: dict[str, None] = {}
    for one in files:
        file = as_dict(one)
        inner = as_dict(file.get("file"))
        names = ("file_name", "name", "filename", "title")
        found = next(
            (name_of(part[key]) for part in (file, inner) for key in names if part.get(key)), ""
        )
        kind = (
            as_text(file.get("type"))
            or as_text(file.get("mime_type"))
            or as_text(file.get("file_kind"))
        )
        label = "image" if kind.startswith("image") else "file"
        mark = f"[{label}: {found}]" if found else f"[{label}]"
        if text := _file_text(file):  # a long text that was pasted has no name
            mark = f"{mark}\n\n{fenced(text)}" if found else text
        marks[mark] = None
    return list(marks)


def fenced(text: str) -> str:
    """Return a text as a Markdown code block."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def sources_of(found: list[Any]) -> str:
    """Return a Markdown list of links and names; "" if there are none."""
    lines: dict[str, None] = {}
    for one in found:
        source = as_dict(one)
        inner = as_dict(source.get("source"))
        url = as_text(source.get("url")) or as_text(inner.get("url"))
        name = name_of(source.get("title") or source.get("name") or inner.get("name")) or url
        if re.match(r"https?://[^\s<>]+$", url):
            label = re.sub(r"[\[\]\\]", "", name)
            lines[f"- [{label}](<{url}>)"] = None
        elif name:
            lines[f"- {name}"] = None
    return "\n".join(lines)


def as_json(value: object) -> str:
    """Return a string as it is, other values as JSON; "" for None."""
    if isinstance(value, str):
        return as_text(value)
    return "" if value is None else msgspec.json.encode(value).decode()


def name_of(value: object) -> str:
    """Return a name on one line."""
    return as_line(value, MAX_NAME_CHARS)
