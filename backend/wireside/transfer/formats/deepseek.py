"""Reads conversations of DeepSeek's export.

``mapping`` as in ChatGPT's export, messages with ``fragments`` or only ``content``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wireside.messages import ToolDelta
from wireside.transfer.formats.foreign import ForeignConversation, ForeignMessage
from wireside.transfer.formats.parts import (
    EntryCollector,
    sources_of,
    with_files,
)
from wireside.transfer.untyped import dict_or_empty, list_or_empty, string_or_empty


def is_deepseek(value: Mapping[str, Any]) -> bool:
    """Return whether a conversation has DeepSeek's format."""
    mapping = value.get("mapping")
    return isinstance(mapping, dict) and ("inserted_at" in value or _has_fragments(mapping))


def _has_fragments(mapping: Mapping[str, Any]) -> bool:
    nodes = (dict_or_empty(one) for one in mapping.values())
    return any(
        isinstance(dict_or_empty(one.get("message")).get("fragments"), list) for one in nodes
    )


def read_deepseek(value: Mapping[str, Any]) -> ForeignConversation:
    """Read a conversation of DeepSeek's export."""
    mapping = {
        key: one
        for key, one in dict_or_empty(value.get("mapping")).items()
        if isinstance(one, dict)
    }
    messages = [
        _deepseek_message(
            dict_or_empty(one.get("message")), key, _nearest_above(mapping, key), depth
        )
        for key, depth in _nodes_by_depth(mapping)
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


def _nodes_by_depth(mapping: Mapping[str, dict[str, Any]]) -> list[tuple[str, int]]:
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
    fragments = [dict_or_empty(one) for one in list_or_empty(message.get("fragments"))]
    urls = _deepseek_urls(fragments)
    for fragment in fragments:
        kind, text = (
            string_or_empty(fragment.get("type")).upper(),
            string_or_empty(fragment.get("content")),
        )
        if kind == "REQUEST":
            asked.append(text)
        elif kind == "THINK":
            answer.append_reasoning(text)
        elif kind in ("RESPONSE", "TEXT", "ANSWER"):
            answer.append_text(_without_deepseek_citations(text, urls))
        elif found := _deepseek_found(fragment, text):
            answer.append_entry(
                ToolDelta(answer.next_call(), kind.lower(), "done", arguments="", result=found)
            )
        elif kind not in _DEEPSEEK_SEARCHES:
            left_out += 1
    if not fragments:
        text = string_or_empty(message.get("content"))
        role = message.get("role")
        is_question = role == "user" if isinstance(role, str) else depth % 2 == 0
        if is_question:
            asked.append(text)
        else:
            answer.append_reasoning(string_or_empty(message.get("reasoning_content")))
            answer.append_text(text)
    time, files = message.get("inserted_at"), list_or_empty(message.get("files"))
    if asked:
        question = with_files("\n\n".join(asked), files)
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
        model=string_or_empty(message.get("model")),
        left_out=left_out,
    )


_DEEPSEEK_SEARCHES = frozenset({"SEARCH", "TOOL_SEARCH", "TIP"})
"""Fragments that may be empty."""

_DEEPSEEK_CITATION = re.compile(r" ?\[citation:(\d{1,4})\]")


def _deepseek_found(fragment: dict[str, Any], text: str) -> str:
    """Return a tool's results: URLs, or the text of a page."""
    result = [fragment["result"]] if isinstance(fragment.get("result"), dict) else []
    sources = sources_of([*list_or_empty(fragment.get("results")), *result])
    return "\n\n".join(part for part in (sources, text) if part)


def _deepseek_urls(fragments: list[dict[str, Any]]) -> dict[int, str]:
    """Return the URL of each number that the texts of a message cite."""
    urls: dict[int, str] = {}
    found = (dict_or_empty(one) for part in fragments for one in list_or_empty(part.get("results")))
    for number, source in enumerate(found, 1):
        index = source.get("cite_index")
        cited = index if isinstance(index, int) and index > 0 else number
        urls.setdefault(cited, string_or_empty(source.get("url")))
    return urls


def _without_deepseek_citations(text: str, urls: Mapping[int, str]) -> str:
    """Replace each ``[citation:1]`` in a text by a link to its source."""

    def numbered_link(found: re.Match[str]) -> str:
        url = urls.get(int(found[1]), "")
        return f" [{found[1]}](<{url}>)" if re.match(r"https?://[^\s<>]+$", url) else ""

    return _DEEPSEEK_CITATION.sub(numbered_link, text)
