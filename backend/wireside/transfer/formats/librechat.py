"""Reads conversations of LibreChat's export.

``messages``, flat with ``parentMessageId``, or ``messagesTree`` with ``children``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wireside.messages import ToolDelta
from wireside.transfer.formats.foreign import ForeignConversation, ForeignMessage
from wireside.transfer.formats.parts import (
    EntryCollector,
    one_line_name,
    reason_of,
    string_or_json,
    with_files,
)
from wireside.transfer.untyped import dict_or_empty, list_or_empty, string_or_empty

_ROOT = "00000000-0000-0000-0000-000000000000"


def is_librechat(value: Mapping[str, Any]) -> bool:
    """Return whether a conversation has LibreChat's format."""
    has_messages = isinstance(value.get("messages") or value.get("messagesTree"), list)
    return has_messages and ("conversationId" in value or "endpoint" in value)


def read_librechat(value: Mapping[str, Any]) -> ForeignConversation:
    """Read a conversation of LibreChat's export, flat or nested."""
    messages: list[ForeignMessage] = []
    stack: list[tuple[object, str | None]] = [
        (one, None)
        for one in reversed(
            list_or_empty(value.get("messages")) or list_or_empty(value.get("messagesTree"))
        )
    ]
    while stack:
        raw, above = stack.pop()
        if not isinstance(one := raw, dict):
            continue
        key = string_or_empty(one.get("messageId")) or f"#{len(messages)}"
        parent = one.get("parentMessageId")
        parent = parent if isinstance(parent, str) and parent != _ROOT else above
        messages.append(_librechat_message(one, key, parent))
        stack += [(child, key) for child in reversed(list_or_empty(one.get("children")))]
    options = dict_or_empty(value.get("options"))
    return ForeignConversation(
        messages=messages,
        current=messages[-1].key if messages else None,
        title=value.get("title") or options.get("title"),
        created_at=value.get("createdAt") or (messages[0].time if messages else None),
        updated_at=value.get("updatedAt") or value.get("exportAt"),
        model=options.get("model") or value.get("model"),
        is_archived=value.get("isArchived") is True,
        tags=list_or_empty(value.get("tags")),
    )


def _librechat_message(one: dict[str, Any], key: str, parent: str | None) -> ForeignMessage:
    answer = EntryCollector()
    parts = [dict_or_empty(part) for part in list_or_empty(one.get("content"))]
    left_out = sum(not _add_librechat_part(part, answer) for part in parts)
    files = [*list_or_empty(one.get("files")), *list_or_empty(one.get("attachments"))]
    text = string_or_empty(one.get("text"))
    time = one.get("createdAt")
    if one.get("isCreatedByUser") is True or one.get("sender") == "User":
        question = with_files(text or answer.all_text(), files)
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
        model=string_or_empty(one.get("model")),
        reason=reason_of(one.get("finish_reason")) if is_whole else "interrupted",
        left_out=left_out,
    )


def _add_librechat_part(part: dict[str, Any], answer: EntryCollector) -> bool:
    """Add a part to an answer; return False if text can't represent it."""
    match part.get("type"):
        case "text":
            answer.append_text(_string_value(part.get("text")))
        case "think":
            answer.append_reasoning(_string_value(part.get("think")))
        case "error":
            error = _string_value(part.get("error"))
            answer.append_text(error)
            return bool(error)
        case "tool_call":
            call = dict_or_empty(part.get("tool_call"))
            function = dict_or_empty(call.get("function"))
            output = call.get("output", function.get("output"))
            answer.append_entry(
                ToolDelta(
                    string_or_empty(call.get("id")) or answer.next_call(),
                    one_line_name(call.get("name") or function.get("name")),
                    "done" if output is not None else "requested",
                    arguments=string_or_json(call.get("args", function.get("arguments"))),
                    result=string_or_json(output) if output is not None else None,
                )
            )
        case _:
            return False
    return True


def _string_value(value: object) -> str:
    """Return a string, which may be wrapped in an object as its ``value``."""
    return string_or_empty(value) or string_or_empty(dict_or_empty(value).get("value"))
