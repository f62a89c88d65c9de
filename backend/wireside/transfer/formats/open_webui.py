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
    one_line_name,
    sources_of,
    string_or_json,
    text_of_list,
    with_files,
)
from wireside.transfer.untyped import dict_or_empty, list_or_empty, string_or_empty


def is_open_webui(value: Mapping[str, Any]) -> bool:
    """Return whether a chat has Open WebUI's format."""
    chat = dict_or_empty(value.get("chat"))
    if dict_or_empty(chat.get("history")) or list_or_empty(chat.get("messages")):
        return True
    return isinstance(dict_or_empty(value.get("history")).get("messages"), dict)


def read_open_webui(value: Mapping[str, Any]) -> ForeignConversation:
    """Read a chat of Open WebUI's export."""
    chat = dict_or_empty(value.get("chat")) or value
    history = dict_or_empty(chat.get("history"))
    by_id = {
        key: one
        for key, one in dict_or_empty(history.get("messages")).items()
        if isinstance(one, dict)
    }
    messages: list[ForeignMessage] = []
    if by_id:
        for key, one in by_id.items():
            above = one.get("parentId")
            parent = above if isinstance(above, str) and above in by_id else None
            messages.append(_open_webui_message(one, key, parent))
    else:
        before: str | None = None
        for number, one in enumerate(list_or_empty(chat.get("messages"))):
            messages.append(_open_webui_message(dict_or_empty(one), f"#{number}", before))
            before = f"#{number}"
    models = list_or_empty(chat.get("models"))
    return ForeignConversation(
        messages=messages,
        current=history.get("currentId") or (messages[-1].key if messages else None),
        title=chat.get("title") or value.get("title"),
        created_at=value.get("created_at") or _to_seconds(chat.get("timestamp")),
        updated_at=value.get("updated_at"),
        model=models[0] if models else None,
        is_pinned=value.get("pinned") is True,
        is_archived=value.get("archived") is True,
        tags=[
            dict_or_empty(tag).get("name") if isinstance(tag, dict) else tag
            for tag in list_or_empty(dict_or_empty(value.get("meta")).get("tags"))
            or list_or_empty(chat.get("tags"))
        ],
    )


_DETAILS = re.compile(
    r"<details\b([^<>]*)>\s*+(?:<summary>[^<]*+</summary>)?+((?:(?!</?details\b).)*+)</details>\s*",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r'(?<![\w-])([\w-]++)="([^"]*)"')


def _open_webui_message(one: dict[str, Any], key: str, parent: str | None) -> ForeignMessage:
    content = one.get("content")
    text = text_of_list(content)
    files = list_or_empty(one.get("files"))
    if not files:
        files = [
            {"type": "image"}
            for part in list_or_empty(content)
            if dict_or_empty(part).get("image_url")
        ]
    time = _to_seconds(one.get("timestamp"))
    if one.get("role") == "user":
        question = with_files(text, files)
        return ForeignMessage(key=key, parent=parent, question=question, time=time)
    error = one.get("error")
    text_entries = list(_open_webui_entries(text))
    if not text_entries:
        text_entries = _open_webui_output(list_or_empty(one.get("output")))
    if not text_entries and (
        told := string_or_empty(dict_or_empty(error).get("content")) or string_or_empty(error)
    ):
        text_entries = [TextDelta(told)]
    if marks := with_files("", files):
        text_entries.append(TextDelta(f"\n\n{marks}" if text_entries else marks))
    if sources := sources_of(
        list_or_empty(one.get("sources")) or list_or_empty(one.get("citations"))
    ):
        text_entries.append(TextDelta(f"\n\n{sources}"))
    is_whole = one.get("done") is not False and not error
    return ForeignMessage(
        key=key,
        parent=parent,
        question=None,
        entries=tuple(text_entries),
        time=time,
        model=string_or_empty(one.get("model")) or string_or_empty(one.get("modelName")),
        reason="stop" if is_whole else "interrupted",
    )


def _open_webui_output(items: list[Any]) -> list[Entry]:
    """Return the parts of an answer that newer versions keep as items, as OpenAI's Responses do."""
    answer = EntryCollector()
    for one in items:
        item = dict_or_empty(one)
        match item.get("type"):
            case "message":
                answer.append_text(text_of_list(item.get("content")))
            case "reasoning":
                said = text_of_list(item.get("content")) or text_of_list(item.get("summary"))
                answer.append_reasoning(said)
            case "function_call":
                call = string_or_empty(item.get("call_id")) or answer.next_call()
                arguments = string_or_json(item.get("arguments"))
                answer.append_entry(
                    ToolDelta(call, one_line_name(item.get("name")), "running", arguments)
                )
            case "function_call_output":
                answer.append_result(string_or_empty(item.get("call_id")), item.get("output"))
            case "open_webui:code_interpreter":
                code, output = string_or_empty(item.get("code")), item.get("output")
                result = None if output is None else string_or_json(output)
                call = answer.next_call()
                answer.append_entry(
                    ToolDelta(call, "code_interpreter", "done", arguments=code, result=result)
                )
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
                arguments=attributes.get("arguments", ""),
                result=attributes.get("result") or html.unescape(inside) or None,
            )
    if rest := text[at:].strip("\n") if at else text:
        yield TextDelta(f"\n\n{rest}" if has_text else rest)


def _to_seconds(value: object) -> object:
    """Convert a time in milliseconds, microseconds or nanoseconds to seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        for _ in range(3):
            if value > 1e11:
                value = value / 1000
    return value
