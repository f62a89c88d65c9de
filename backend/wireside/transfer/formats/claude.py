"""Reads conversations of Claude's export.

``chat_messages`` in order, or a tree by ``parent_message_uuid``; each has content blocks.
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


def is_claude(value: Mapping[str, Any]) -> bool:
    """Return whether a conversation has Claude's format."""
    return isinstance(value.get("chat_messages"), list)


def read_claude(value: Mapping[str, Any]) -> ForeignConversation:
    """Read a conversation of Claude's export."""
    messages: list[ForeignMessage] = []
    raw = [one for one in list_or_empty(value.get("chat_messages")) if isinstance(one, dict)]
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
    blocks = [dict_or_empty(block) for block in list_or_empty(one.get("content"))]
    left_out = sum(not _add_claude_block(block, answer) for block in blocks)
    said = answer.all_text()
    if not said:
        answer.append_text(string_or_empty(one.get("text")))
    if one.get("sender") == "human":
        files = [
            *list_or_empty(one.get("attachments")),
            *list_or_empty(one.get("files_v2")),
            *list_or_empty(one.get("files")),
        ]
        question = said or string_or_empty(one.get("text"))
        return ForeignMessage(
            key=key,
            parent=parent,
            question=with_files(question, files),
            time=one.get("created_at"),
            left_out=left_out,
        )
    return ForeignMessage(
        key=key,
        parent=parent,
        question=None,
        entries=tuple(answer.entries),
        time=one.get("created_at"),
        model=string_or_empty(one.get("model")),
        reason=reason_of(one.get("stop_reason")),
        left_out=left_out,
    )


def _add_claude_block(block: dict[str, Any], answer: EntryCollector) -> bool:
    """Add a block to an answer; return False if text can't represent it."""
    match block.get("type"):
        case "text":
            answer.append_text(string_or_empty(block.get("text")))
        case "thinking" | "redacted_thinking":
            reasoning = string_or_empty(block.get("thinking"))
            answer.append_reasoning(reasoning)
            return bool(reasoning) or block["type"] == "thinking"
        case "tool_use" | "server_tool_use":
            call = string_or_empty(block.get("id")) or answer.next_call()
            arguments = string_or_json(block.get("input"))
            answer.append_entry(
                ToolDelta(call, one_line_name(block.get("name")), "running", arguments)
            )
        case "tool_result" | "web_search_tool_result":
            answer.append_result(
                string_or_empty(block.get("tool_use_id")),
                block.get("content"),
                name=one_line_name(block.get("name")),
                is_failed=block.get("is_error") is True,
            )
        case kind:
            return kind in ("token_budget", "flag")
    return True
