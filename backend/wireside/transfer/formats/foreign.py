"""Builds a conversation of the messages that a reader found in another product's export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wireside.chat.library import MAX_TITLE_CHARS
from wireside.errors import BadMessage
from wireside.messages import End, Entry, FinishReason, TextDelta, ToolDelta
from wireside.records import Imported, Segment
from wireside.transfer.import_limits import MAX_NAME_CHARS
from wireside.transfer.turn_tree import (
    FileMessage,
    ImportContext,
    build_imported,
    build_nodes,
    find_ends,
    shown_end,
)
from wireside.transfer.untyped import single_line


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


_Message = FileMessage[ForeignMessage]


def build_conversation(found: ForeignConversation, context: ImportContext) -> Imported:
    """Build a conversation of messages. Raises ``BadMessage``, ``TooMuch``."""
    created_at = context.time_or_fallback(found.created_at, context.now)
    ordered, nearest = _in_tree_order(found.messages, created_at, context)

    def question_text(here: _Message) -> str:
        return here.message.question or ""

    def answer_segment(chain: list[_Message]) -> Segment | None:
        return _joined_segment(chain, single_line(found.model, MAX_NAME_CHARS), context.new_id())

    nodes = build_nodes(
        messages=ordered, question=question_text, answer=answer_segment, context=context
    )
    if not nodes:
        raise BadMessage("messages: at least one.")
    title = single_line(found.title, MAX_TITLE_CHARS)
    return build_imported(
        nodes,
        shown_end(nearest.get(found.current) if isinstance(found.current, str) else None),
        context,
        title=title,
        title_source="model" if title else "words",
        created_at=created_at,
        updated_at=context.time_or_fallback(found.updated_at, created_at),
        is_pinned=found.is_pinned,
        is_archived=found.is_archived,
        tags=found.tags,
        left_out=sum(one.left_out for one in found.messages),
    )


def _in_tree_order(
    messages: Sequence[ForeignMessage], fallback: float, context: ImportContext
) -> tuple[list[_Message], dict[str, _Message | None]]:
    """Return the messages, parents first; of several with the same key, the first is used."""
    by_key = {one.key: one for one in reversed(messages)}
    follow: dict[str | None, list[str]] = {}
    for key, one in reversed(by_key.items()):
        parent = one.parent if one.parent in by_key and one.parent != key else None
        follow.setdefault(parent, []).append(key)
    ordered: list[_Message] = []
    nearest: dict[str, _Message | None] = {}
    stack: list[tuple[str, _Message | None]] = [
        (key, None) for key in reversed(follow.pop(None, []))
    ]
    while stack:
        key, above = stack.pop()
        message = by_key[key]
        time = context.time_or_fallback(message.time, above.time if above else fallback)
        here = FileMessage(
            key=key,
            above=above,
            is_question=message.question is not None,
            message=message,
            time=time,
        )
        if above is not None and not here.is_question:
            above.after = here
        ordered.append(here)
        nearest[key] = here
        stack += [(child, here) for child in reversed(follow.get(key, ()))]
    find_ends(ordered)
    return ordered, nearest


def _joined_segment(chain: list[_Message], model: str, stream: str) -> Segment | None:
    """Return the parts of an answer as one segment; all states of a tool call get the same id."""
    if not chain:
        return None
    entries: list[Entry] = []
    calls: dict[str, str] = {}
    for here in chain:
        for entry in here.message.entries:
            if isinstance(entry, ToolDelta):
                call = calls.setdefault(entry.call, f"call-{len(calls) + 1}")
                entries.append(replace(entry, call=call))
            elif isinstance(entry, TextDelta) and here is not chain[0] and entries:
                is_first = entry is here.message.entries[0]
                entries.append(TextDelta(f"\n\n{entry.text}") if is_first else entry)
            else:
                entries.append(entry)
        model = single_line(here.message.model, MAX_NAME_CHARS) or model
    last = {entry.call: entry for entry in entries if isinstance(entry, ToolDelta)}
    entries += [replace(one, state="requested") for one in last.values() if one.state == "running"]
    end = End(chain[-1].message.reason)
    return Segment(
        stream=stream, model=model, entries=tuple(entries), end=end, created_at=chain[0].time
    )
