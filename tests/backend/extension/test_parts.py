"""What a handler may yield, and the elements of the log that it becomes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from wireside.errors import ProviderError
from wireside.extension.events import EventReader
from wireside.extension.parts import (
    MAX_ROWS,
    File,
    Image,
    Reasoning,
    Show,
    Source,
    StepPart,
    Table,
    TooLargePart,
    View,
    to_deltas,
)
from wireside.messages import Delta, PartDelta, ReasoningDelta, TextDelta, ToolDelta
from wireside.parts import DataPart, FilePart, ImagePart, data_of, label_of


def data(value: object) -> tuple[str, Any, str]:
    """Return kind, data and text of the one part that a value becomes."""
    (delta,) = to_deltas(value)
    assert isinstance(delta, PartDelta)
    assert isinstance(delta.part, DataPart)
    return delta.part.kind, data_of(delta.part), delta.part.text


def test_text_and_reasoning() -> None:
    assert list(to_deltas("a")) == [TextDelta("a")]
    assert list(to_deltas("")) == list(to_deltas(None)) == []
    assert list(to_deltas(Reasoning("hm"))) == [ReasoningDelta("hm")]
    whole = ToolDelta("1", "f", "done")
    assert list(to_deltas(whole)) == [whole]


def test_a_step_replaces_its_earlier_state() -> None:
    (delta,) = to_deltas(StepPart(id="1", name="query", state="done", output="2 rows"))
    assert isinstance(delta, PartDelta)
    assert (delta.id, label_of(delta.part)) == ("1", "(query — done: 2 rows)")


def test_a_source_and_a_view_have_a_text() -> None:
    kind, found, text = data(Source("Warehouse", url="https://bi.example", text="…"))
    assert (kind, text) == ("source", "Warehouse (https://bi.example)")
    assert found == {"title": "Warehouse", "url": "https://bi.example", "text": "…"}
    assert data(View("totals", {"a": 1}))[2] == "[totals]"
    assert data(View("totals", {"a": 1}, text="a is 1"))[1:] == (
        {"name": "totals", "data": {"a": 1}},
        "a is 1",
    )


def test_a_table_has_json_values_and_says_how_many_rows_it_has() -> None:
    @dataclass
    class Money:
        amount: int

    row = [1, 2.5, None, True, Decimal("1.5"), date(2026, 1, 2), float("nan"), Money(3), "a|b"]
    kind, found, text = data(Table(columns=list("abcdefghi"), rows=[row]))
    expected = [1, 2.5, None, True, "1.5", "2026-01-02", None, "{'amount': 3}", "a|b"]
    assert (kind, found["rows"], found["total"]) == ("table", [expected], 1)
    assert "a\\|b" in text
    _, found, text = data(Table(columns=["n"], rows=[[n] for n in range(MAX_ROWS + 1)]))
    assert (len(found["rows"]), found["total"]) == (MAX_ROWS, MAX_ROWS + 1)
    assert text.endswith("(5,001 rows)")


def test_images_and_files_are_stored_with_the_answer(tmp_path: Path) -> None:
    (delta,) = to_deltas(Image(data=b"\x89PNG", name="dot.png"))
    assert delta == PartDelta(
        ImagePart(url="data:image/png;base64,iVBORw==", media_type="image/png", name="dot.png")
    )
    path = tmp_path / "sums.csv"
    path.write_text("a,b\n")
    (delta,) = to_deltas(File(path))
    assert delta == PartDelta(
        FilePart(
            url="data:text/csv;base64,YSxiCg==",
            media_type="text/csv",
            name="sums.csv",
            size_bytes=4,
        )
    )


def test_an_svg_is_no_image() -> None:
    with pytest.raises(TypeError, match="PNG or JPEG"):
        list(to_deltas(Image(data=b"<svg>", media_type="image/svg+xml")))


def test_what_is_too_large_says_so() -> None:
    with pytest.raises(TooLargePart, match="at most"):
        list(to_deltas(File(b"x" * 3_000_000, name="big")))
    with pytest.raises(TooLargePart, match="at most"):
        list(to_deltas(View("v", {"text": "x" * 3_000_000})))


def test_a_data_frame_is_recognised_by_its_package() -> None:
    class Frame:
        columns = ("a", "b")

        def head(self, rows: int) -> Frame:
            assert rows == MAX_ROWS
            return self

        def itertuples(self, *, index: bool) -> list[tuple[int, str]]:
            assert not index
            return [(1, "x")]

        def __len__(self) -> int:
            return 9_000

    Frame.__module__ = "pandas.core.frame"
    kind, found, _ = data(Show(Frame()))
    assert (kind, found) == ("table", {"columns": ["a", "b"], "rows": [[1, "x"]], "total": 9_000})
    assert data(Frame())[0] == "table", "it may be yielded as it is"


def test_a_plotly_figure_is_its_json() -> None:
    class Figure:
        def to_json(self) -> str:
            return json.dumps({"data": [], "layout": {"title": {"text": "Sums"}}})

    Figure.__module__ = "plotly.graph_objs"
    kind, found, text = data(Show(Figure()))
    assert (kind, found["figure"]["data"], text) == ("figure", [], "[figure: Sums]")


def test_rich_output_shows_images_and_text_but_never_html() -> None:
    class Rich:
        def __init__(self, **bundle: str) -> None:
            self.bundle = bundle

        def _repr_mimebundle_(self) -> dict[str, str]:
            return {name.replace("_", "/"): text for name, text in self.bundle.items()}

    (delta,) = to_deltas(Show(Rich(image_png="iVBORw==", text_html="<script>")))
    assert isinstance(delta, PartDelta)
    assert isinstance(delta.part, ImagePart)
    (delta,) = to_deltas(Rich(text_html="<script>", text_plain="plain"))
    assert delta == TextDelta("\n\nplain\n\n")


def test_what_can_t_be_shown_says_what_can() -> None:
    with pytest.raises(TypeError, match="yield a str, or a part"):
        list(to_deltas(object()))


def read(*events: object) -> list[Delta]:
    reader = EventReader()
    return [delta for event in events for delta in reader.read(event)]


def test_events_of_ag_ui_are_accepted() -> None:
    call = ToolDelta("c", "search", "running")
    assert read(
        {"type": "RUN_STARTED"},
        {"type": "TEXT_MESSAGE_CONTENT", "delta": "a"},
        {"type": "REASONING_MESSAGE_CONTENT", "delta": "hm"},
        {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "search"},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": '{"q":'},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": "1}"},
        {"type": "TOOL_CALL_END", "toolCallId": "c"},
        {"type": "TOOL_CALL_RESULT", "toolCallId": "c", "content": "found"},
    ) == [
        TextDelta("a"),
        ReasoningDelta("hm"),
        call,
        ToolDelta("c", "search", "running", '{"q":1}'),
        ToolDelta("c", "search", "done", '{"q":1}', "found"),
    ]


def test_chunks_of_the_ai_sdk_are_accepted() -> None:
    assert read(
        {"type": "start"},
        {"type": "text-delta", "id": "1", "delta": "a"},
        {"type": "tool-input-available", "toolCallId": "c", "toolName": "f", "input": {"a": 1}},
        {"type": "tool-output-error", "toolCallId": "c", "errorText": "no"},
    ) == [
        TextDelta("a"),
        ToolDelta("c", "f", "running", '{"a":1}'),
        ToolDelta("c", "f", "failed", '{"a":1}', "no"),
    ]


def test_an_error_event_ends_the_answer() -> None:
    with pytest.raises(ProviderError, match="out of order"):
        read({"type": "RUN_ERROR", "message": "out of order"})


def test_chunks_of_the_openai_package_are_accepted() -> None:
    from openai.types.chat import ChatCompletionChunk

    chunk = ChatCompletionChunk.model_validate(
        {
            "id": "1",
            "created": 1,
            "model": "m",
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"content": "a", "reasoning_content": "hm"}}],
        }
    )
    assert read(chunk) == [ReasoningDelta("hm"), TextDelta("a")]
