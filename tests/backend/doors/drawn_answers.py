"""Answers as Hypothesis draws them, from near misses: parts that resemble each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

from wireside.errors import ProviderTimeout
from wireside.generation.log import AnswerLog, Piece
from wireside.messages import (
    End,
    Entry,
    FinishReason,
    PartDelta,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    Usage,
)
from wireside.parts import DataPart, FilePart, ImagePart

TEXTS = st.sampled_from(
    ["a", "\n", "\r\n", "data: x\n\n", '"', "\\", "\u2028", "😀", "<script", " "]
)
JSON_TEXTS = st.sampled_from(
    [
        "",
        "{}",
        '{"a": 1}',
        '{"__proto__": 1}',
        "[1,\n2]",
        "plain",
        "{",
        '"\\ud800"',
        "1" * 400,
        "null",
    ]
)

_QUESTIONS: list[tuple[dict[str, object], list[object]]] = [
    ({"type": "approve", "yes": "", "no": ""}, [None, True, False]),
    ({"type": "text", "placeholder": ""}, [None, "blue"]),
    ({"type": "choose", "options": []}, [None, ["a"]]),
    ({"type": "form", "fields": []}, [None, {"__proto__": 1}]),
]


@st.composite
def questions(draw: st.DrawFn) -> DataPart:
    fields, answers = draw(st.sampled_from(_QUESTIONS))
    part_id = f"question-{fields['type']}"
    data = {"id": part_id, "prompt": "Go on?", **fields, "answer": draw(st.sampled_from(answers))}
    return DataPart(kind="question", data=json.dumps(data), id=part_id)


def data_parts() -> st.SearchStrategy[DataPart]:
    return st.builds(
        DataPart,
        kind=st.sampled_from(
            ["step", "table", "source", "question", ".state", "their own/kind", ""]
        ),
        data=JSON_TEXTS,
        id=st.sampled_from(["", "a", "b"]),
        text=TEXTS,
    )


def sources() -> st.SearchStrategy[DataPart]:
    data = st.fixed_dictionaries(
        {
            "title": st.sampled_from(["", "A", "\ud800"]),
            "url": st.sampled_from(["", "https://example.org", "javascript:alert(1)", None]),
            "text": st.sampled_from(["", "excerpt"]),
        }
    )
    return st.builds(lambda value: DataPart(kind="source", data=json.dumps(value)), data)


def entries() -> st.SearchStrategy[Entry]:
    tools = st.builds(
        ToolDelta,
        call=st.sampled_from(["1", "2", "1-1", ""]),
        name=st.sampled_from(["weather", "search", ""]),
        state=st.sampled_from(["requested", "running", "done", "failed"]),
        arguments=JSON_TEXTS,
        result=st.none() | JSON_TEXTS,
    )
    urls = st.sampled_from(
        ["", "upload:abc", "data:image/png;base64,AA==", "https://example.org/a"]
    )
    types = st.sampled_from(["", "image/png", "text/plain"])
    files = st.builds(ImagePart, url=urls, media_type=types, name=TEXTS) | st.builds(
        FilePart, url=urls, media_type=types, name=TEXTS
    )
    parts = st.builds(PartDelta, questions() | data_parts() | sources() | files)
    return st.builds(TextDelta, TEXTS) | st.builds(ReasoningDelta, TEXTS) | tools | parts


REASONS: Final[list[FinishReason]] = [
    "stop",
    "length",
    "cancelled",
    "content_filter",
    "interrupted",
    "asking",
]

_counts = st.none() | st.integers(0, 9)

ends = st.builds(End, st.sampled_from(REASONS), usage=st.builds(Usage, _counts, _counts)) | st.just(
    End(None, ProviderTimeout())
)

segments = st.lists(st.lists(entries(), max_size=12), min_size=1, max_size=3)
"""The streams of an answer."""


def pieces_of(entries_: Sequence[Entry], cut: int) -> list[list[Piece]]:
    """Return the pieces that a reader takes, ``cut`` characters at a time."""
    log = AnswerLog()
    for entry in entries_:
        log.append_entry(entry)
    batches: list[list[Piece]] = []
    offset = 0
    while pieces := log.read_pieces(offset, cut):
        offset = pieces[-1].offset
        batches.append(pieces)
    return batches


def text_of(streams: Sequence[Sequence[Entry]]) -> str:
    return "".join(e.text for entries_ in streams for e in entries_ if isinstance(e, TextDelta))
