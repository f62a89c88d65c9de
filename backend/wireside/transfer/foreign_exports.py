"""Reads the exports of other chat products: Claude, Open WebUI, LibreChat, DeepSeek.

Pure. Each reader turns one parsed conversation of a file into a tree of messages, from which
``imports`` builds turns. The input may be hostile: every value is checked, and nothing recurses
over it.

Formats (none has a published specification; these are the shapes of real exports):

- Claude: ``chat_messages`` in order, or a tree by ``parent_message_uuid``; each has content blocks.
- Open WebUI: ``chat.history.messages`` by id, each with ``parentId``; reasoning and tool calls
  are in the text as ``<details type="reasoning">`` and ``<details type="tool_calls">``.
- LibreChat: ``messages``, flat with ``parentMessageId``, or ``messagesTree`` with ``children``.
- DeepSeek: ``mapping`` as in ChatGPT's export, messages with ``fragments`` or only ``content``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from wireside.messages import (
    Entry,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    ToolState,
)
from wireside.transfer.untyped import as_dict, as_line, as_list, as_text

MAX_NAME_CHARS = 200
"""Maximum length of the name of a file, a model or a tool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignMessage:
    """One message of an export.

    Attributes:
        key: id of the message in the file.
        parent: key of the message before it, None at a root.
        question: text of a user's message; None for an answer.
        entries: parts of an answer, in order.
        time: as in the file, a number or a string; None if missing.
        model: model that answered, "" if the file does not say.
        reason: how the answer ended.
        left_out: number of parts that are dropped, since text can't represent them.
    """

    key: str
    parent: str | None
    question: str | None
    entries: tuple[Entry, ...] = ()
    time: object = None
    model: str = ""
    reason: FinishReason = "stop"
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignConversation:
    """One conversation of an export. ``current`` is the key of the last shown message."""

    messages: list[ForeignMessage]
    current: object = None
    title: object = None
    created_at: object = None
    updated_at: object = None
    model: object = None
    is_pinned: bool = False
    is_archived: bool = False
    tags: list[Any] = field(default_factory=list)


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

    def next_call(self) -> str:
        """Return an id for a tool call without one."""
        return f"call-{len(self.entries) + 1}"

    def running_call(self, call: str) -> ToolDelta | None:
        """Return the first running tool call with an id, else the last running one."""
        return self._first_running.get(call, self._last_running)

    def text(self) -> str:
        """Return the text of all parts."""
        return "".join(entry.text for entry in self.entries if isinstance(entry, TextDelta))


Reader = Callable[[Mapping[str, Any]], ForeignConversation]


def reader_for(value: Mapping[str, Any]) -> Reader | None:
    """Return the reader for a conversation, or None if its format is not known here."""
    if isinstance(value.get("chat_messages"), list):
        return read_claude
    chat = value.get("chat")
    if isinstance(chat, dict) and (as_dict(chat.get("history")) or as_list(chat.get("messages"))):
        return read_open_webui
    if isinstance(as_dict(value.get("history")).get("messages"), dict):
        return read_open_webui
    has_messages = isinstance(value.get("messages") or value.get("messagesTree"), list)
    if has_messages and ("conversationId" in value or "endpoint" in value):
        return read_librechat
    mapping = value.get("mapping")
    if isinstance(mapping, dict) and ("inserted_at" in value or _has_fragments(mapping)):
        return read_deepseek
    return None


# ---- Claude ------------------------------------------------------------------------------------


def read_claude(value: Mapping[str, Any]) -> ForeignConversation:
    """Read a conversation of Claude's export."""
    messages: list[ForeignMessage] = []
    raw = [one for one in as_list(value.get("chat_messages")) if isinstance(one, dict)]
    keys = {one.get("uuid") for one in raw if isinstance(one.get("uuid"), str)}
    before: str | None = None
    for number, one in enumerate(raw):
        key = one["uuid"] if isinstance(one.get("uuid"), str) else f"#{number}"
        above = one.get("parent_message_uuid")
        parent = above if isinstance(above, str) and above in keys else None
        if above is None:
            parent = before  # older exports have no tree
        messages.append(_claude_message(one, key, parent))
        before = key
    return ForeignConversation(
        messages=messages,
        current=value.get("current_leaf_message_uuid") or before,
        title=value.get("name"),
        created_at=value.get("created_at"),
        updated_at=value.get("updated_at"),
        model=value.get("model"),
        is_pinned=value.get("is_starred") is True,
    )


def _claude_message(one: dict[str, Any], key: str, parent: str | None) -> ForeignMessage:
    answer = EntryCollector()
    blocks = [as_dict(block) for block in as_list(one.get("content"))]
    left_out = sum(not _add_claude_block(block, answer) for block in blocks)
    said = answer.text()
    if not said:
        answer.append_text(as_text(one.get("text")))
    if one.get("sender") == "human":
        files = [
            *as_list(one.get("attachments")),
            *as_list(one.get("files_v2")),
            *as_list(one.get("files")),
        ]
        question = said or as_text(one.get("text"))
        return ForeignMessage(
            key=key,
            parent=parent,
            question=_with_files(question, files),
            time=one.get("created_at"),
            left_out=left_out,
        )
    return ForeignMessage(
        key=key,
        parent=parent,
        question=None,
        entries=tuple(answer.entries),
        time=one.get("created_at"),
        model=as_text(one.get("model")),
        reason=reason_of(one.get("stop_reason")),
        left_out=left_out,
    )


def _add_claude_block(block: dict[str, Any], answer: EntryCollector) -> bool:
    """Add a block to an answer; return False if text can't represent it."""
    match block.get("type"):
        case "text":
            answer.append_text(as_text(block.get("text")))
        case "thinking" | "redacted_thinking":
            reasoning = as_text(block.get("thinking"))
            answer.append_reasoning(reasoning)
            return bool(reasoning) or block["type"] == "thinking"
        case "tool_use" | "server_tool_use":
            call = as_text(block.get("id")) or answer.next_call()
            arguments = _json(block.get("input"))
            answer.append(ToolDelta(call, _name(block.get("name")), "running", arguments))
        case "tool_result" | "web_search_tool_result":
            answer.append(_result(block, answer))
        case kind:
            return kind in ("token_budget", "flag")
    return True


def _result(block: dict[str, Any], answer: EntryCollector) -> Entry:
    call = as_text(block.get("tool_use_id"))
    known = answer.running_call(call)
    state: ToolState = "failed" if block.get("is_error") is True else "done"
    parts = block.get("content")
    texts = [
        as_text(as_dict(part).get("text")) or as_text(as_dict(part).get("title"))
        for part in as_list(parts)
    ]
    result = as_text(parts) or "\n\n".join(text for text in texts if text)
    if known is not None:
        return replace(known, state=state, result=result)
    return ToolDelta(call or "call", _name(block.get("name")), state, "", result)


# ---- Open WebUI --------------------------------------------------------------------------------


def read_open_webui(value: Mapping[str, Any]) -> ForeignConversation:
    """Read a chat of Open WebUI's export."""
    chat = as_dict(value.get("chat")) or value
    history = as_dict(chat.get("history"))
    by_id = {
        key: one for key, one in as_dict(history.get("messages")).items() if isinstance(one, dict)
    }
    messages: list[ForeignMessage] = []
    if by_id:
        for key, one in by_id.items():
            above = one.get("parentId")
            parent = above if isinstance(above, str) and above in by_id else None
            messages.append(_open_webui_message(one, key, parent))
    else:
        before: str | None = None
        for number, one in enumerate(as_list(chat.get("messages"))):
            messages.append(_open_webui_message(as_dict(one), f"#{number}", before))
            before = f"#{number}"
    models = as_list(chat.get("models"))
    return ForeignConversation(
        messages=messages,
        current=history.get("currentId") or (messages[-1].key if messages else None),
        title=chat.get("title") or value.get("title"),
        created_at=value.get("created_at") or _seconds(chat.get("timestamp")),
        updated_at=value.get("updated_at"),
        model=models[0] if models else None,
        is_pinned=value.get("pinned") is True,
        is_archived=value.get("archived") is True,
        tags=[
            as_dict(tag).get("name") if isinstance(tag, dict) else tag
            for tag in as_list(as_dict(value.get("meta")).get("tags")) or as_list(chat.get("tags"))
        ],
    )


_DETAILS = re.compile(
    r"<details\b([^<>]*)>\s*+(?:<summary>[^<]*+</summary>)?+((?:(?!</?details\b).)*+)</details>\s*",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r'(?<![\w-])([\w-]++)="([^"]*)"')


def _open_webui_message(one: dict[str, Any], key: str, parent: str | None) -> ForeignMessage:
    content = one.get("content")
    text = _texts_of(content)
    files = as_list(one.get("files"))
    if not files:
        files = [{"type": "image"} for part in as_list(content) if as_dict(part).get("image_url")]
    time = _seconds(one.get("timestamp"))
    if one.get("role") == "user":
        question = _with_files(text, files)
        return ForeignMessage(key=key, parent=parent, question=question, time=time)
    error = one.get("error")
    text_entries = list(_open_webui_entries(text))
    if not text_entries:
        text_entries = _open_webui_output(as_list(one.get("output")))
    if not text_entries and (told := as_text(as_dict(error).get("content")) or as_text(error)):
        text_entries = [TextDelta(told)]
    if marks := _with_files("", files):
        text_entries.append(TextDelta(f"\n\n{marks}" if text_entries else marks))
    if sources := _sources(as_list(one.get("sources")) or as_list(one.get("citations"))):
        text_entries.append(TextDelta(f"\n\n{sources}"))
    is_whole = one.get("done") is not False and not error
    return ForeignMessage(
        key=key,
        parent=parent,
        question=None,
        entries=tuple(text_entries),
        time=time,
        model=as_text(one.get("model")) or as_text(one.get("modelName")),
        reason="stop" if is_whole else "interrupted",
    )


def _open_webui_output(items: list[Any]) -> list[Entry]:
    """Return the parts of an answer that newer versions keep as items, as OpenAI's Responses do."""
    answer = EntryCollector()
    for one in items:
        item = as_dict(one)
        match item.get("type"):
            case "message":
                answer.append_text(_texts_of(item.get("content")))
            case "reasoning":
                said = _texts_of(item.get("content")) or _texts_of(item.get("summary"))
                answer.append_reasoning(said)
            case "function_call":
                call = as_text(item.get("call_id")) or answer.next_call()
                arguments = _json(item.get("arguments"))
                answer.append(ToolDelta(call, _name(item.get("name")), "running", arguments))
            case "function_call_output":
                block = {"tool_use_id": item.get("call_id"), "content": item.get("output")}
                answer.append(_result(block, answer))
            case "open_webui:code_interpreter":
                code, output = as_text(item.get("code")), item.get("output")
                result = None if output is None else _json(output)
                call = answer.next_call()
                answer.append(ToolDelta(call, "code_interpreter", "done", code, result))
            case _:
                pass
    return answer.entries


def _texts_of(parts: object) -> str:
    texts = (as_text(as_dict(part).get("text")) for part in as_list(parts))
    return as_text(parts) or "\n\n".join(text for text in texts if text)


def _open_webui_entries(text: str) -> Iterator[Entry]:
    """Yield the parts of an answer; folded reasoning and tool calls become separate parts."""
    at = 0
    has_text = False
    for number, match in enumerate(_DETAILS.finditer(text)):
        attributes = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(match[1])}
        kind = attributes.get("type", "")
        if kind not in ("reasoning", "tool_calls", "code_interpreter"):
            continue
        if between := text[at : match.start()].strip("\n"):
            yield TextDelta(f"\n\n{between}" if has_text else between)
            has_text = True
        at = match.end()
        inside = "\n".join(line.removeprefix("> ") for line in match[2].strip().splitlines())
        if kind == "reasoning":
            if inside:
                yield ReasoningDelta(html.unescape(inside))
        else:
            yield ToolDelta(
                attributes.get("id") or f"call-{number + 1}",
                attributes.get("name") or kind,
                "done" if attributes.get("done", "true") == "true" else "failed",
                attributes.get("arguments", ""),
                attributes.get("result") or html.unescape(inside) or None,
            )
    if rest := text[at:].strip("\n") if at else text:
        yield TextDelta(f"\n\n{rest}" if has_text else rest)


# ---- LibreChat ---------------------------------------------------------------------------------

_ROOT = "00000000-0000-0000-0000-000000000000"


def read_librechat(value: Mapping[str, Any]) -> ForeignConversation:
    """Read a conversation of LibreChat's export, flat or nested."""
    messages: list[ForeignMessage] = []
    stack: list[tuple[object, str | None]] = [
        (one, None)
        for one in reversed(as_list(value.get("messages")) or as_list(value.get("messagesTree")))
    ]
    while stack:
        raw, above = stack.pop()
        if not isinstance(one := raw, dict):
            continue
        key = as_text(one.get("messageId")) or f"#{len(messages)}"
        parent = one.get("parentMessageId")
        parent = parent if isinstance(parent, str) and parent != _ROOT else above
        messages.append(_librechat_message(one, key, parent))
        stack += [(child, key) for child in reversed(as_list(one.get("children")))]
    options = as_dict(value.get("options"))
    return ForeignConversation(
        messages=messages,
        current=messages[-1].key if messages else None,
        title=value.get("title") or options.get("title"),
        created_at=value.get("createdAt") or (messages[0].time if messages else None),
        updated_at=value.get("updatedAt") or value.get("exportAt"),
        model=options.get("model") or value.get("model"),
        is_archived=value.get("isArchived") is True,
        tags=as_list(value.get("tags")),
    )


def _librechat_message(one: dict[str, Any], key: str, parent: str | None) -> ForeignMessage:
    answer = EntryCollector()
    parts = [as_dict(part) for part in as_list(one.get("content"))]
    left_out = sum(not _add_librechat_part(part, answer) for part in parts)
    files = [*as_list(one.get("files")), *as_list(one.get("attachments"))]
    text = as_text(one.get("text"))
    time = one.get("createdAt")
    if one.get("isCreatedByUser") is True or one.get("sender") == "User":
        question = _with_files(text or answer.text(), files)
        return ForeignMessage(
            key=key, parent=parent, question=question, time=time, left_out=left_out
        )
    if not answer.entries:
        answer.append_text(text)
    is_whole = one.get("unfinished") is not True and one.get("error") is not True
    return ForeignMessage(
        key=key,
        parent=parent,
        question=None,
        entries=tuple(answer.entries),
        time=time,
        model=as_text(one.get("model")),
        reason=reason_of(one.get("finish_reason")) if is_whole else "interrupted",
        left_out=left_out,
    )


def _add_librechat_part(part: dict[str, Any], answer: EntryCollector) -> bool:
    """Add a part to an answer; return False if text can't represent it."""
    match part.get("type"):
        case "text":
            answer.append_text(_value_of(part.get("text")))
        case "think":
            answer.append_reasoning(_value_of(part.get("think")))
        case "error":
            error = _value_of(part.get("error"))
            answer.append_text(error)
            return bool(error)
        case "tool_call":
            call = as_dict(part.get("tool_call"))
            function = as_dict(call.get("function"))
            output = call.get("output", function.get("output"))
            answer.append(
                ToolDelta(
                    as_text(call.get("id")) or answer.next_call(),
                    _name(call.get("name") or function.get("name")),
                    "done",
                    _json(call.get("args", function.get("arguments"))),
                    _json(output) if output is not None else None,
                )
            )
        case _:
            return False
    return True


def _value_of(value: object) -> str:
    """Return a string, which may be wrapped in an object as its ``value``."""
    return as_text(value) or as_text(as_dict(value).get("value"))


# ---- DeepSeek ----------------------------------------------------------------------------------


def read_deepseek(value: Mapping[str, Any]) -> ForeignConversation:
    """Read a conversation of DeepSeek's export."""
    mapping = {
        key: one for key, one in as_dict(value.get("mapping")).items() if isinstance(one, dict)
    }
    messages = [
        _deepseek_message(as_dict(one.get("message")), key, _nearest_above(mapping, key), depth)
        for key, depth in _by_depth(mapping)
        if isinstance((one := mapping[key]).get("message"), dict)
    ]
    last = max(messages, key=lambda one: str(one.time or ""), default=None)
    return ForeignConversation(
        messages=messages,
        current=value.get("current_node") or (last.key if last else None),
        title=value.get("title"),
        created_at=value.get("inserted_at"),
        updated_at=value.get("updated_at"),
        is_pinned=value.get("pinned") is True,
    )


def _by_depth(mapping: Mapping[str, dict[str, Any]]) -> list[tuple[str, int]]:
    """Return the nodes, parents first, each with the number of messages above it."""
    follow: dict[str | None, list[str]] = {}
    for key, one in mapping.items():
        above = one.get("parent")
        follow.setdefault(
            above if isinstance(above, str) and above in mapping else None, []
        ).append(key)
    found: list[tuple[str, int]] = []
    stack = [(key, 0) for key in reversed(follow.pop(None, []))]
    while stack:
        key, depth = stack.pop()
        found.append((key, depth))
        below = depth + isinstance(mapping[key].get("message"), dict)
        stack += [(child, below) for child in reversed(follow.pop(key, []))]
    return found


def _nearest_above(mapping: Mapping[str, dict[str, Any]], key: str) -> str | None:
    above = mapping[key].get("parent")
    if not isinstance(above, str):
        return None
    return above if isinstance(mapping.get(above, {}).get("message"), dict) else None


def _deepseek_message(
    message: dict[str, Any], key: str, parent: str | None, depth: int
) -> ForeignMessage:
    answer = EntryCollector()
    asked: list[str] = []
    left_out = 0
    fragments = [as_dict(one) for one in as_list(message.get("fragments"))]
    urls = _deepseek_urls(fragments)
    for fragment in fragments:
        kind, text = as_text(fragment.get("type")).upper(), as_text(fragment.get("content"))
        if kind == "REQUEST":
            asked.append(text)
        elif kind == "THINK":
            answer.append_reasoning(text)
        elif kind in ("RESPONSE", "TEXT", "ANSWER"):
            answer.append_text(_without_deepseek_citations(text, urls))
        elif found := _deepseek_found(fragment, text):
            answer.append(ToolDelta(answer.next_call(), kind.lower(), "done", "", found))
        elif kind not in _DEEPSEEK_SEARCHES:
            left_out += 1
    if not fragments:
        text = as_text(message.get("content"))
        role = message.get("role")
        is_question = role == "user" if isinstance(role, str) else depth % 2 == 0
        if is_question:
            asked.append(text)
        else:
            answer.append_reasoning(as_text(message.get("reasoning_content")))
            answer.append_text(text)
    time, files = message.get("inserted_at"), as_list(message.get("files"))
    if asked:
        question = _with_files("\n\n".join(asked), files)
        left_out += len(answer.entries)
        return ForeignMessage(
            key=key, parent=parent, question=question, time=time, left_out=left_out
        )
    return ForeignMessage(
        key=key,
        parent=parent,
        question=None,
        entries=tuple(answer.entries),
        time=time,
        model=as_text(message.get("model")),
        left_out=left_out,
    )


_DEEPSEEK_SEARCHES = frozenset({"SEARCH", "TOOL_SEARCH", "TIP"})
"""Fragments that may be empty."""

_DEEPSEEK_CITATION = re.compile(r" ?\[citation:(\d{1,4})\]")


def _deepseek_found(fragment: dict[str, Any], text: str) -> str:
    """Return a tool's results: URLs, or the text of a page."""
    result = [fragment["result"]] if isinstance(fragment.get("result"), dict) else []
    sources = _sources([*as_list(fragment.get("results")), *result])
    return "\n\n".join(part for part in (sources, text) if part)


def _deepseek_urls(fragments: list[dict[str, Any]]) -> dict[int, str]:
    """Return the URL of each number that the texts of a message cite."""
    urls: dict[int, str] = {}
    found = (as_dict(one) for part in fragments for one in as_list(part.get("results")))
    for number, source in enumerate(found, 1):
        index = source.get("cite_index")
        cited = index if isinstance(index, int) and index > 0 else number
        urls.setdefault(cited, as_text(source.get("url")))
    return urls


def _without_deepseek_citations(text: str, urls: Mapping[int, str]) -> str:
    """Replace each ``[citation:1]`` in a text by a link to its source."""

    def link(found: re.Match[str]) -> str:
        url = urls.get(int(found[1]), "")
        return f" [{found[1]}](<{url}>)" if re.match(r"https?://[^\s<>]+$", url) else ""

    return _DEEPSEEK_CITATION.sub(link, text)


def _has_fragments(mapping: Mapping[str, Any]) -> bool:
    nodes = (as_dict(one) for one in mapping.values())
    return any(isinstance(as_dict(one.get("message")).get("fragments"), list) for one in nodes)


# ---- shared helpers ----------------------------------------------------------------------------

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


def _with_files(text: str, files: list[Any]) -> str:
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
            (_name(part[key]) for part in (file, inner) for key in names if part.get(key)), ""
        )
        kind = (
            as_text(file.get("type"))
            or as_text(file.get("mime_type"))
            or as_text(file.get("file_kind"))
        )
        label = "image" if kind.startswith("image") else "file"
        mark = f"[{label}: {found}]" if found else f"[{label}]"
        if text := _file_text(file):  # a long text that was pasted has no name
            mark = f"{mark}\n\n{_fenced(text)}" if found else text
        marks[mark] = None
    return list(marks)


def _fenced(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def _sources(found: list[Any]) -> str:
    """Return a Markdown list of links and names; "" if there are none."""
    lines: dict[str, None] = {}
    for one in found:
        source = as_dict(one)
        inner = as_dict(source.get("source"))
        url = as_text(source.get("url")) or as_text(inner.get("url"))
        name = _name(source.get("title") or source.get("name") or inner.get("name")) or url
        if re.match(r"https?://[^\s<>]+$", url):
            label = re.sub(r"[\[\]\\]", "", name)
            lines[f"- [{label}](<{url}>)"] = None
        elif name:
            lines[f"- {name}"] = None
    return "\n".join(lines)


def _seconds(value: object) -> object:
    """Convert a time in milliseconds, microseconds or nanoseconds to seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        for _ in range(3):
            if value > 1e11:
                value = value / 1000
    return value


def _json(value: object) -> str:
    if isinstance(value, str):
        return as_text(value)
    return "" if value is None else msgspec.json.encode(value).decode()


def _name(value: object) -> str:
    return as_line(value, MAX_NAME_CHARS)
