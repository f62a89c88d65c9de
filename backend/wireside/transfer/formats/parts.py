"""The parts of an imported answer, and texts for what text can't represent."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec

from wireside.messages import Entry, FinishReason, ReasoningDelta, TextDelta, ToolDelta
from wireside.parts import ToolState
from wireside.transfer.import_limits import MAX_NAME_CHARS
from wireside.transfer.untyped import dict_or_empty, list_or_empty, single_line, string_or_empty


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

    def append_entry(self, entry: Entry) -> None:
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
            self.append_entry(TextDelta(f"\n\n{text}" if self.has_text else text))

    def append_reasoning(self, text: str) -> None:
        """Add reasoning as a paragraph; "" adds nothing."""
        if text:
            self.append_entry(ReasoningDelta(f"{text}\n\n"))

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
            string_or_empty(dict_or_empty(part).get("text"))
            or string_or_empty(dict_or_empty(part).get("title"))
            for part in list_or_empty(content)
        ]
        result = string_or_empty(content) or "\n\n".join(text for text in texts if text)
        known = self._first_running.get(call, self._last_running)
        if known is None:
            known = ToolDelta(call or "call", name, state)
        self.append_entry(replace(known, state=state, result=result))

    def next_call(self) -> str:
        """Return an id for a tool call without one."""
        return f"call-{len(self.entries) + 1}"

    def all_text(self) -> str:
        """Return the text of all parts."""
        return "".join(entry.text for entry in self.entries if isinstance(entry, TextDelta))


def text_of_list(parts: object) -> str:
    """Return a text, or the texts of a list of parts, separated by blank lines."""
    texts = (string_or_empty(dict_or_empty(part).get("text")) for part in list_or_empty(parts))
    return string_or_empty(parts) or "\n\n".join(text for text in texts if text)


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
    inner = dict_or_empty(dict_or_empty(file.get("file")).get("data"))
    return string_or_empty(file.get("extracted_content")) or string_or_empty(inner.get("content"))


def file_marks(files: list[Any]) -> list[str]:
    """Return a mark for each attached file, with its text where the export holds it."""
    marks: dict[str, None] = {}
    for one in files:
        file = dict_or_empty(one)
        inner = dict_or_empty(file.get("file"))
        names = ("file_name", "name", "filename", "title")
        found = next(
            (one_line_name(part[key]) for part in (file, inner) for key in names if part.get(key)),
            "",
        )
        kind = (
            string_or_empty(file.get("type"))
            or string_or_empty(file.get("mime_type"))
            or string_or_empty(file.get("file_kind"))
        )
        label = "image" if kind.startswith("image") else "file"
        mark = f"[{label}: {found}]" if found else f"[{label}]"
        if text := _file_text(file):  # a long text that was pasted has no name
            mark = f"{mark}\n\n{fenced_code(text)}" if found else text
        marks[mark] = None
    return list(marks)


def fenced_code(text: str) -> str:
    """Return a text as a Markdown code block."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def sources_of(found: list[Any]) -> str:
    """Return a Markdown list of links and names; "" if there are none."""
    lines: dict[str, None] = {}
    for one in found:
        source = dict_or_empty(one)
        inner = dict_or_empty(source.get("source"))
        url = string_or_empty(source.get("url")) or string_or_empty(inner.get("url"))
        name = one_line_name(source.get("title") or source.get("name") or inner.get("name")) or url
        if re.match(r"https?://[^\s<>]+$", url):
            label = re.sub(r"[\[\]\\]", "", name)
            lines[f"- [{label}](<{url}>)"] = None
        elif name:
            lines[f"- {name}"] = None
    return "\n".join(lines)


def string_or_json(value: object) -> str:
    """Return a string as it is, other values as JSON; "" for None."""
    if isinstance(value, str):
        return string_or_empty(value)
    return "" if value is None else msgspec.json.encode(value).decode()


def one_line_name(value: object) -> str:
    """Return a name on one line."""
    return single_line(value, MAX_NAME_CHARS)
