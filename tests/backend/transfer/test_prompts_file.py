"""Files of prompts: a written file can be read, and an unreadable one is refused."""

from __future__ import annotations

import json

import pytest

from wireside.errors import BadMessage
from wireside.records import Prompt
from wireside.transfer.prompts_file import read_prompts, write_prompts


def test_a_written_file_is_read() -> None:
    prompt = Prompt(id="1", owner="", name="ä", text="{{x}}\n\u202e", is_shared=False, updated_at=0)
    assert read_prompts(write_prompts([prompt]).encode()) == [("ä", "{{x}}\n\u202e")]


def test_an_export_of_open_webui_is_read() -> None:
    entries = [
        {"command": "/sum", "title": "Summary", "content": "Sum up {{text}}"},
        {"command": "bare", "content": "x"},
    ]
    assert read_prompts(json.dumps(entries).encode()) == [
        ("Summary", "Sum up {{text}}"), ("bare", "x"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"{}", b"[1]", b'[{"name": "n"}]', b'{"format": "wireside", "prompts": []}',
     b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        read_prompts(data)
