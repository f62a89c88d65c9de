"""Parts that are written whole, in exported files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.messages import End, Entry, PartDelta, TextDelta
from wireside.parts import Attachment, DataPart, FilePart, ImagePart
from wireside.records import ConversationInfo, Segment, TurnRecord
from wireside.transfer.export import HtmlExport, MarkdownExport
from wireside.transfer.export_parts import web_address

PNG = "data:image/png;base64,iVBORw0KGgo="


def data(kind: str, value: Any, part_id: str = "", text: str = "") -> DataPart:
    return DataPart(kind=kind, data=json.dumps(value), id=part_id, text=text or kind)


def step(part_id: str, parent: str = "", **more: Any) -> DataPart:
    value = {"name": f"Step {part_id}", "state": "done", "parent": parent, **more}
    return data("step", value, part_id)


def exported(*parts: Attachment | str) -> tuple[str, str]:
    """Return an answer of the parts in Markdown and in HTML."""
    entries: list[Entry] = [
        TextDelta(part) if isinstance(part, str) else PartDelta(part) for part in parts
    ]
    segment = Segment(stream="s", model="m", entries=tuple(entries), end=End("stop"))
    record = TurnRecord(
        id="t",
        conversation_id="c",
        branch=0,
        depth=0,
        question_parts=(),
        created_at=0,
        segments=(segment,),
    )
    info = ConversationInfo(id="c", title="T", created_at=0, updated_at=0)
    out = []
    for exporter in (MarkdownExport(), HtmlExport(lambda text: f"<p>{len(text)} characters</p>")):
        text = (
            exporter.text_before_turns(info, ())
            + exporter.text_of_turn(record)
            + exporter.text_after_turns()
        )
        out.append(text.partition("<article>")[2] or text.partition("(m):**\n")[2])
    return out[0], out[1]


def test_steps_are_nested_folds() -> None:
    markdown, html = exported(step("1", input="q", seconds=1.25), "So.", step("2", "1", output="a"))
    assert html.index("Step 1 — done · 1.2 s") < html.index("Step 2") < html.index("3 characters")
    assert html.count("<details>") == html.count("</details>") == 2
    assert html.index("<details>", 9) < html.index("</details>")
    assert '<h2>Input</h2><pre dir="auto">q</pre>' in html
    assert markdown.index("Step 2") < markdown.index("</details>") < markdown.index("So.")


def test_steps_nest_eight_deep() -> None:
    chain = [step(str(n), str(n - 1)) for n in range(500)]
    for text in exported(*chain):
        depth = deepest = 0
        for piece in text.split("<")[1:]:
            depth += piece.startswith("details>") - piece.startswith("/details>")
            deepest = max(deepest, depth)
        assert (depth, deepest) == (0, 8)
        assert text.count("<summary>") == 500


def test_a_file_that_answers_a_question_is_named() -> None:
    answer = {"id": "secret-id", "name": "<b>.csv", "media_type": "text/csv", "size_bytes": 3}
    question = data("question", {"type": "file", "prompt": "Which?", "answer": answer})
    markdown, html = exported(question)
    assert "<div>&lt;b&gt;.csv</div>" in html
    assert "**\\<b\\>.csv**" in markdown
    assert "secret-id" not in markdown + html


def test_sources_are_numbered_by_their_address() -> None:
    one = data("source", {"title": "One", "url": "https://one.example/a", "text": "Excerpt"})
    two = data("source", {"title": "Two", "url": "javascript:alert(1)"})
    markdown, html = exported(one, two, "And again:", one)
    assert '<li value="1" dir="auto"><a href="https://one.example/a"' in html
    assert '<li value="2" dir="auto">Two</li>' in html
    assert html.count('<ol class="sources">') == 2
    assert html.count('value="1"') == 2
    assert "javascript" not in html + markdown
    assert "1. One <https://one.example/a> — Excerpt\n2. Two\n" in markdown


def test_images_and_files_are_embedded_if_the_answer_has_them() -> None:
    file = FilePart(url="data:text/html;base64,PHA+", name="a.html")
    far = ImagePart(url="https://img.example/a.png", name="far")
    markdown, html = exported(ImagePart(url=PNG, name="A <b>"), file, far)
    assert f'<img class="ws-img" alt="A &lt;b&gt;" src="{PNG}">' in html
    assert 'download="a.html" href="data:application/octet-stream;base64,PHA+"' in html
    assert "text/html" not in html
    assert '<a href="https://img.example/a.png"' in html
    assert f"![A \\<b\\>]({PNG})" in markdown
    bad = ImagePart(url="data:image/svg+xml;base64,PHA+", name="drawn")
    assert "svg" not in "".join(exported(bad))


def test_a_table_is_a_table() -> None:
    value = {"columns": ["a", "b"], "rows": [[1, "x|y"], [None, "<i>"], ["short"]], "total": 9}
    markdown, html = exported(data("table", value))
    assert "<th>a</th><th>b</th>" in html
    assert "<tr><td></td><td>&lt;i&gt;</td></tr>" in html
    assert "3 of 9 rows" in html
    assert "| a | b |\n| --- | --- |\n| 1 | x\\|y |\n" in markdown


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"type": "approve", "yes": "Do it", "answer": True}, "Do it"),
        ({"type": "approve", "answer": False}, "No"),
        ({"type": "approve", "answer": None}, "Not answered"),
        (
            {"type": "choose", "options": [{"value": "a", "label": "First"}], "answer": ["a"]},
            "First",
        ),
        (
            {"type": "form", "fields": [{"name": "n", "label": "Name"}], "answer": {"n": "Ada"}},
            "Name: Ada",
        ),
        ({"type": "text", "answer": "some words"}, "some words"),
    ],
)
def test_a_question_has_its_answer(fields: dict[str, Any], answer: str) -> None:
    markdown, html = exported(data("question", {"prompt": "Well?", **fields}))
    assert f"<div>{answer}</div>" in html
    assert "<p>5 characters</p>" in html
    assert answer in markdown.replace("\\", "")
    assert "Well" in markdown


def test_others_are_their_text_and_hidden_ones_are_left_out() -> None:
    parts = [data("figure", {}, text="[figure: <Sums>]"), data(".state", {}, text="secret")]
    markdown, html = exported(*parts)
    assert "[figure: &lt;Sums&gt;]" in html
    assert "figure" in markdown
    assert "secret" not in markdown + html


@given(
    kind=st.sampled_from(["step", "source", "table", "question"]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just("<b>"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["name", "state", "seconds", "title", "url", "columns", "rows", "total"]
                    + ["answer", "options", "fields", "value", "label", "prompt", "parent"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    ),
)
def test_data_of_any_shape_is_exported_as_text(kind: str, value: Any) -> None:
    markdown, html = exported(data(kind, value, "1"))
    assert "<b>" not in html
    assert "<b>" not in markdown.replace("\n<b>\n", "")  # it may be in a code block


@pytest.mark.parametrize(
    "url",
    [
        "javascript:x",
        "https://a@b.example",
        "https://x.example/<",
        "//x.example",
        "https://ö.example",
    ],
)
def test_other_addresses_are_not_linked(url: str) -> None:
    assert web_address(url) == ""
