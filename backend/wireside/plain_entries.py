"""Entries of answers as plain values: the kind and the text that the store and the bus keep.

Texts may contain unpaired surrogates, which a model may send.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, assert_never

import msgspec

from wireside.messages import Entry, PartDelta, ReasoningDelta, TextDelta, ToolDelta
from wireside.parts import Attachment, DataPart, part_from_object, part_to_object

TEXT, REASONING, TOOL, PART = 0, 1, 2, 3
"""The kinds of entries; databases contain them."""

MAX_NUMBER = 2**63 - 1
"""The largest integer that databases and MessagePack can express."""


def entry_to_plain(entry: Entry) -> tuple[int, str]:
    """Return the kind and the content of an entry."""
    match entry:
        case TextDelta():
            return TEXT, entry.text
        case ReasoningDelta():
            return REASONING, entry.text
        case ToolDelta():
            return TOOL, _to_json(asdict(entry))
        case PartDelta():
            return PART, _to_json(part_to_object(entry.part))
        case _:
            assert_never(entry)


def entry_from_plain(kind: int, content: str) -> Entry:
    """Return the entry of a kind and a content that ``entry_to_plain`` has returned.

    A kind of part, or a field, that a later version has added is kept as data, or ignored.
    """
    if kind == TEXT:
        return TextDelta(content)
    if kind == REASONING:
        return ReasoningDelta(content)
    value = json.loads(content)
    if kind == TOOL:
        return msgspec.convert(value, ToolDelta)
    part = part_from_object(value)
    if isinstance(part, Attachment):
        return PartDelta(part)
    return PartDelta(DataPart(kind="unknown", data=content))


def plain_count(tokens: int | None) -> int | None:
    """Return a token count, None for one that can't be expressed.

    A model's server may report any number; one that can't be stored would block the writes of every
    answer.
    """
    return None if tokens is None or abs(tokens) > MAX_NUMBER else tokens


def _to_json(value: dict[str, Any]) -> str:
    # not msgspec: it refuses unpaired surrogates, which columns replace, and one entry that can't
    # be written would stop the writes of all answers
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
