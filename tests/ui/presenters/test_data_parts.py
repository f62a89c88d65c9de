"""The data of parts, as the browser gets it: of the right shape, within limits, leading nowhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.parts import DataPart, FilePart, ImagePart
from wireside_ui.markdown.dialect import Markup
from wireside_ui.presenters.data_parts import data_row, own_path
from wireside_ui.presenters.json_values import MAX_DEPTH
from wireside_ui.presenters.questions import GivenAnswer, answer_from
from wireside_ui.presenters.tables import MAX_CELL_CHARS, MAX_CELLS, MAX_COLUMNS

PNG = "data:image/png;base64,iVBORw0KGgo="
MARKUP = Markup()
KINDS = ("step", "source", "table", "figure", "question", "view", "other")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "type", "title", "url", "columns", "rows", "figure", "data", "answer"]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def shown(kind: str, data: Any, part_id: str = "") -> Any:
    part = DataPart(kind=kind, data=json.dumps(data), id=part_id, text="?")
    return data_row(part, part_id, MARKUP)["data"]


@given(kind=st.sampled_from(KINDS), data=JSON)
def test_data_of_any_shape_is_read_or_left_out(kind: str, data: Any) -> None:
    found = shown(kind, data)
    assert found is None or isinstance(found, dict)
    json.dumps(found, allow_nan=False)


def test_deep_data_is_left_out() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    for kind in KINDS:
        row = data_row(DataPart(kind=kind, data=f'{{"figure": {deep}}}', text="?"), "", MARKUP)
        assert row["text"] == "?"
    nested: Any = 1
    for _ in range(2 * MAX_DEPTH):
        nested = [nested]
    figure = shown("figure", {"figure": {"data": [{"y": nested}]}})
    assert json.dumps(figure).count("[") < 2 * MAX_DEPTH


def test_a_step_has_a_state_and_its_texts() -> None:
    step = shown("step", {"name": "\u202esql", "state": "running", "input": "q", "parent": "p"})
    assert step == {
        "name": "sql",
        "state": "running",
        "input": "q",
        "output": "",
        "parent": "p",
        "seconds": None,
    }
    assert shown("step", {"state": "__proto__", "seconds": -1, "parent": ["x"]})["state"] == "done"


@pytest.mark.parametrize(
    ("url", "shown_url"),
    [
        ("https://a.example/x", "https://a.example/x"),
        ("https://bank.example@evil.example/", "https://evil.example/"),
        ("javascript:alert(1)", ""),
        ("JaVaScript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//a.example", ""),
        ("/api/x", ""),
        (7, ""),
    ],
)
def test_a_source_leads_to_web_addresses_only(url: Any, shown_url: str) -> None:
    assert shown("source", {"title": "T", "url": url})["url"] == shown_url


@pytest.mark.parametrize(
    ("url", "data"),
    [
        (PNG, {"url": PNG, "host": ""}),
        ("/api/files/a1/x.png", {"url": "/api/files/a1/x.png", "host": ""}),
        ("https://img.example/a.png", {"url": "https://img.example/a.png", "host": ""}),
        ("https://other.example/a", {"url": "https://other.example/a", "host": "other.example"}),
        ("http://img.example/a.png", {"url": "http://img.example/a.png", "host": "img.example"}),
        ("data:image/svg+xml;base64,PHN2Zz4=", None),
        ("data:text/html;base64,PHA+", None),
        ("javascript:alert(1)", None),
        ("blob:x", None),
    ],
)
def test_an_image_is_loaded_from_here_or_from_an_allowed_host(url: str, data: Any) -> None:
    row = data_row(ImagePart(url=url, name="\u202ea"), "", Markup(frozenset({"img.example"})))
    assert row["data"] == (data and {**data, "name": "a"})


@pytest.mark.parametrize(
    "url",
    [
        *("//evil.example/x", "/\\evil.example", "/api/conversations", "/api", "/a/../api/x", "x"),
        *(
            "/api/files/../x",
            "/a//b",
            "/%2e%2e/api",
            "/a b",
            "/_nicegui/x",
            "",
            "/ws/ai-chat",
            "/./a",
        ),
        "/" + "a" * 5_000,
    ],
)
def test_other_paths_are_not_loaded(url: str) -> None:
    assert own_path(url) == ""


def test_own_paths_are_loaded() -> None:
    for url in ("/api/files/a.png", "/charts/a.png?v=1", "/a.png"):
        assert own_path(url) == url


def test_a_file_is_a_data_url_or_a_path_and_has_its_true_size() -> None:
    url = "data:text/html;base64,aGVsbG8="
    row = data_row(FilePart(url=url, name="a.html", size_bytes=9_999), "", MARKUP)
    assert row["data"] == {"url": url, "name": "a.html", "size_bytes": 5}
    assert data_row(FilePart(url="https://a.example/x"), "", MARKUP)["data"] is None
    assert data_row(FilePart(url="data:text/html,<p>", name="x"), "", MARKUP)["text"] == "[file: x]"


def test_a_table_is_cut_and_tells_it() -> None:
    rows: list[list[Any]] = [[1, 2.5, "x" * 3_000, True, None, {"a": 1}]]
    rows += [[1, 2.5, "x", True, None, {"a": 1}]] * 5_999
    table = shown("table", {"columns": list("abcdef"), "rows": rows})
    assert len(table["rows"]) == 5_000
    assert table["total"] == 6_000
    one, two, text, flag, none, nested = table["rows"][0]
    assert (one, two, flag, none, nested) == (1, 2.5, True, None, '{"a": 1}')
    assert len(text) == MAX_CELL_CHARS + 1
    assert table["right"] == [True, True, False, False, False, False]
    wide = shown("table", {"columns": ["c"] * 1_000, "rows": [[1] * 1_000] * 1_001})
    assert len(wide["columns"]) == MAX_COLUMNS
    assert len(wide["rows"]) * MAX_COLUMNS == MAX_CELLS
    assert wide["columns_cut"] == 1_000 - MAX_COLUMNS


def test_numbers_that_a_browser_would_change_are_texts() -> None:
    table = shown("table", {"columns": ["a"], "rows": [[2**60], [float("nan")], [[]], 7, []]})
    assert table["rows"] == [[str(2**60)], ["NaN"], ["[]"], [None]]


@pytest.mark.parametrize(
    "figure",
    [
        {"data": [{"type": "scattermap"}]},
        {"data": [{"type": "image", "source": "https://evil.example"}]},
        {"data": [{"type": "choropleth"}]},
        {"data": []},
        {"data": [1]},
        {"data": [{"type": ["bar"]}]},
        {"data": [{}] * 1_000},
        [],
    ],
)
def test_figures_that_load_something_are_shown_as_text(figure: Any) -> None:
    assert shown("figure", {"figure": figure}) is None


def test_a_figure_keeps_what_draws_and_nothing_that_leads_away() -> None:
    layout = {
        "title": {"text": '<a href="https://evil.example">x</a> <b>bold</b> 1 < 2<br>'},
        "images": [{"source": "https://evil.example/x.png"}, {"source": PNG}],
        "updatemenus": [{"buttons": []}],
        "mapbox2": {"style": "https://evil.example"},
        "template": {"layout": {}},
        "height": 100_000,
        "width": 100_000,
        "__proto__": {"polluted": True},
        "xaxis": {"constructor": {"prototype": {}}, "title": "x"},
    }
    trace = {"type": "bar", "y": [1, 2], "text": '<<b>span style="position:fixed">'}
    figure = shown("figure", {"figure": {"data": [trace], "layout": layout, "frames": [1]}})
    assert figure == {
        "data": [{"type": "bar", "y": [1, 2], "text": '&lt;<b>span style="position:fixed">'}],
        "layout": {
            "title": {
                "text": '&lt;a href="https://evil.example">x&lt;/a> <b>bold</b> 1 &lt; 2<br>'
            },
            "images": [{}, {"source": PNG}],
            "xaxis": {"title": "x"},
        },
        "height": 900,
    }


def test_a_question_has_the_fields_of_its_type() -> None:
    question = {"id": "q", "prompt": "**Which?** <img src=x onerror=alert(1)>", "answer": None}
    choose = shown("question", {**question, "type": "choose", "options": ["a", {"value": "b"}, 7]})
    assert choose["options"] == [{"value": "a", "label": "a"}, {"value": "b", "label": "b"}]
    assert choose["prompt"].startswith("<p><strong>Which?</strong> &lt;img")
    assert (choose["multiple"], choose["answer"], choose["id"]) == (False, None, "q")
    form = shown(
        "question",
        {**question, "type": "form", "fields": [{"name": "n", "type": "evil", "value": [1]}, 7]},
    )
    assert form["fields"] == [
        {
            "name": "n",
            "label": "n",
            "type": "text",
            "options": [],
            "required": False,
            "value": None,
        }
    ]
    assert shown("question", {**question, "type": "approve", "answer": True})["answer"] is True
    assert shown("question", {**question, "type": "password"}) is None


@pytest.mark.parametrize(
    "value",
    [True, "yes", ["a", "b"], {"name": "Ada", "age": 36, "is": True, "none": None}],
)
def test_answers_arrive_as_values(value: Any) -> None:
    answer = answer_from({"id": "row", "part": "q", "value": value})
    assert answer == GivenAnswer(row_id="row", part_id="q", value=value)


@pytest.mark.parametrize(
    "args",
    [
        *(None, [], {}, {"id": "a", "part": "b"}, {"id": "a", "part": "b", "value": None}),
        *({"id": 1, "part": "b", "value": True}, {"id": "a", "part": "", "value": True}),
        *({"id": "a", "part": "b", "value": [1]}, {"id": "a", "part": "b", "value": {"x": [1]}}),
        *({"id": "a", "part": "b", "value": 7}, {"id": "a", "part": "b" * 999, "value": True}),
        {"id": "a", "part": "b", "value": "x" * 1_000_000},
        {"id": "a", "part": "b", "value": {str(n): "" for n in range(1_000)}},
    ],
)
def test_forged_answers_are_dropped(args: Any) -> None:
    assert answer_from(args) is None


def test_a_kind_that_is_not_known_is_shown_by_its_text() -> None:
    row = data_row(DataPart(kind="__proto__", data='{"a": 1}', text="\u202etext"), "i", MARKUP)
    assert row == {"kind": "data", "id": "i", "type": "__proto__", "text": "text", "data": None}
