"""Reads chats of Open WebUI's export.

``chat.history.messages`` by id, each with ``parentId``; reasoning and tool calls are in the text as
``<details type="reasoning">`` and ``<details type="tool_calls">``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

from wireside.messages import Entry, ReasoningDelta, TextDelta, ToolDelta
from wireside.transfer.formats.foreign import ForeignConversation, ForeignMessage
from wireside.transfer.formats.parts import (
    EntryCollector,
    as_json,
    name_of,
    sources_of,
    texts_of,
    with_files,
)
from wireside.transfer.untyped import as_dict, as_list, as_text


def is_open_webui(value: Mapping[str, Any]) -> bool:
    """Return whether a chat has Open WebUI's format."""
    chat = as_dict(value.get("chat"))
    if as_dict(chat.get("history")) or as_list(chat.get("messages")):
        return True
    return isinstance(as_dict(value.get("history")).get("messages"), dict)


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
    text = texts_of(content)
    files = as_list(one.get("files"))
    if not files:
        files = [{"type": "image"} for part in as_list(content) if as_dict(part).get("image_url")]
    time = _seconds(one.get("timestamp"))
    if one.get("role") == "user":
        question = with_files(text, files)
        return ForeignMessage(key=key, parent=parent, question=question, time=time)
    error = one.get("error")
    text_entries = list(_open_webui_entries(text))
    if not text_entries:
        text_entries = _open_webui_output(as_list(one.get("output")))
    if not text_entries and (told := as_text(as_dict(error).get("content")) or as_text(error)):
        text_entries = [TextDelta(told)]
    if marks := with_files("", files):
        text_entries.append(TextDelta(f"\n\n{marks}" if text_entries else marks))
    if sources := sources_of(as_list(one.get("sources")) or as_list(one.get("citations"))):
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
                answer.append_text(texts_of(item.get("content")))
            case "reasoning":
                said = texts_of(item.get("content")) or texts_of(item.get("summary"))
                answer.append_reasoning(said)
            case "function_call":
                call = as_text(item.get("call_id")) or answer.next_call()
                arguments = as_json(item.get("arguments"))
                answer.append(ToolDelta(call, name_of(item.get("name")), "running", arguments))
            case "function_call_output":
                answer.append_result(as_text(item.get("call_id")), item.get("output"))
            case "open_webui:code_interpreter":
                code, output = as_text(item.get("code")), item.get("output")
                result = None if output is None else as_json(output)
                call = answer.next_call()
                answer.append(ToolDelta(call, "code_interpreter", "done", code, result))
            case _:
                pass
    return answer.entries


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


def _seconds(value: object) -> object:
    """Convert a time in milliseconds, microseconds or nanoseconds to seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        for _ in range(3):
            if value > 1e11:
                value = value / 1000
    return value
