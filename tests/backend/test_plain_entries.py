"""Entries as the store and the bus keep them."""

from __future__ import annotations

import json

import pytest

from wireside.messages import Entry, PartDelta, ReasoningDelta, TextDelta, ToolDelta
from wireside.parts import DataPart, ImagePart
from wireside.plain_entries import PART, TOOL, entry_from_plain, entry_to_plain
from wireside.replicas.wire import decode_entries, encode_entries

TOOL_CALL = ToolDelta("c", "weather", "done", '{"a": "\ud800"}', "12 °C\0")


@pytest.mark.parametrize(
    "entry",
    [
        TextDelta("\ud83d"),
        ReasoningDelta("héllo\0"),
        TOOL_CALL,
        PartDelta(ImagePart(url="data:,x", media_type="image/png", name="\udc00")),
        PartDelta(DataPart(kind="table", data='{"rows":[]}', id="t")),
    ],
)
def test_an_entry_is_what_it_was(entry: Entry) -> None:
    assert entry_from_plain(*entry_to_plain(entry)) == entry
    assert decode_entries(encode_entries([entry, entry])) == [entry, entry]


def test_what_a_later_version_has_added_is_read() -> None:
    """During a deploy, servers of two versions read each other's answers."""
    _, content = entry_to_plain(TOOL_CALL)
    later = json.dumps({**json.loads(content), "seconds": 3})
    assert entry_from_plain(TOOL, later) == TOOL_CALL
    unknown = '{"type":"hologram","depth":3}'
    assert entry_from_plain(PART, unknown) == PartDelta(DataPart(kind="unknown", data=unknown))
