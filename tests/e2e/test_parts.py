"""The parts of an answer that are written whole, in a real browser."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.page_program import Do, calling, events_of, serving

Part = dict[str, Any]
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as base:
        yield base


@pytest.fixture
def do(server: str) -> Do:
    return calling(server)


@pytest.fixture
def opened(server: str, page: Page) -> Iterator[Open]:
    """Open the page; with ``parts``, an answer of them."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))

    def open_(*parts: Part, **row: Any) -> Page:
        page.goto(server)
        page.wait_for_selector(".ws-transcript-scroller")
        if parts:
            calling(server)("append", id="a", question="Show it", whole=parts, **row)
            expect(page.locator(".ws-turn-parts > *").first).to_be_visible()
        return page

    yield open_
    assert problems == []


def data(kind: str, value: Any, part_id: str = "", text: str = "") -> Part:
    value = json.dumps(value)
    return {"type": "data", "kind": kind, "data": value, "id": part_id, "text": text or kind}


def step(part_id: str, state: str = "running", parent: str = "", **more: Any) -> Part:
    value = {"id": part_id, "name": f"Step {part_id}", "state": state, "parent": parent, **more}
    return data("step", value, part_id)


def source(title: str, url: str = "", text: str = "") -> Part:
    return data("source", {"title": title, "url": url, "text": text})


def png() -> str:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 20, 8, 2, 0, 0, 0))
    pixels = chunk(
        b"IDAT", zlib.compress(b"".join(b"\0" + b"\x40\x80\xc0" * 40 for _ in range(20)))
    )
    content = b"\x89PNG\r\n\x1a\n" + head + pixels + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(content).decode()


def height_of(place: Locator) -> float:
    box = place.bounding_box()
    assert box is not None
    return box["height"]


BARS = {
    "data": [{"type": "bar", "x": ["a", "b"], "y": [1, 3]}],
    "layout": {"title": {"text": "Sums"}, "height": 300},
}


class TestSteps:
    def test_they_nest_live_and_stay_open(self, opened: Open, do: Do) -> None:
        page = opened()
        do("append", id="a", question="Go", state="streaming")
        do("whole", id="a", parts=[step("1", input="question"), step("2", parent="1")])
        outer = page.locator("[data-part='1']")
        expect(outer.locator("> summary")).to_have_text("Step 1 — running")
        outer.locator("> summary").click()
        inner = outer.locator("[data-part='2']")
        inner.locator("> summary").click()
        do("whole", id="a", parts=[step("2", "failed", "1", output="no", seconds=0.44)])
        do("whole", id="a", parts=[step("1", "done", input="question", output="found", seconds=75)])
        expect(outer.locator("> summary")).to_have_text("Step 1 — done · 1m 15s")
        expect(inner.locator("> summary")).to_have_text("Step 2 — failed · 0.4s")
        expect(inner.get_by_text("no", exact=True)).to_be_visible()
        expect(outer.get_by_text("found")).to_be_visible()
        expect(outer.get_by_text("question", exact=True)).to_be_visible()
        stored = [step("1", "done", output="found"), step("2", "failed", "1", output="no")]
        do("change", id="a", state="done", whole=stored)
        expect(outer.locator("> summary")).to_have_text("Step 1 — done")
        expect(inner.get_by_text("no", exact=True)).to_be_visible()

    def test_what_has_not_finished_is_not_running_any_more(self, opened: Open, do: Do) -> None:
        page = opened(step("1"), state="streaming")
        expect(page.locator(".ws-turn-step.ws-turn-is-live")).to_have_count(1)
        do("change", id="a", state="interrupted")
        expect(page.locator(".ws-turn-step summary")).to_have_text("Step 1 — not finished")
        expect(page.locator(".ws-turn-step.ws-turn-is-live")).to_have_count(0)

    def test_they_nest_eight_deep(self, opened: Open) -> None:
        chain = [step(str(n), "done", str(n - 1) if n else "") for n in range(40)]
        page = opened(*chain, step("own", parent="own"), step("orphan", parent="none"))
        deepest = page.evaluate(
            "() => Math.max(...[...document.querySelectorAll('.ws-turn-step')].map((el) => {"
            " let n = 0; for (; el; el = el.parentElement?.closest('.ws-turn-step')) n++;"
            " return n }))"
        )
        assert deepest == 8
        assert page.locator(".ws-turn-step").count() == 42
        assert page.locator(".ws-turn-parts > .ws-turn-step").count() == 3

    def test_a_turn_that_is_scrolled_away_keeps_its_open_folds(self, opened: Open, do: Do) -> None:
        page = opened()
        rows: list[Part] = [
            {"id": f"h{n}", "question": f"Q{n}", "html": "<p>x</p>" * 60} for n in range(30)
        ]
        rows[0]["whole"] = [step("1", "done", output="kept open")]
        do("reset", rows=[], total=0)
        for row in rows:
            do("append", **row)
        do("reset", rows=rows, total=30)
        page.locator(".ws-transcript-scroller").press("Home")
        page.locator(".ws-turn-step summary").click()
        page.locator(".ws-transcript-scroller").press("End")
        page.locator(".ws-transcript-scroller").press("Home")
        expect(page.get_by_text("kept open")).to_be_visible()


class TestSources:
    def test_one_address_has_one_number(self, opened: Open) -> None:
        page = opened(
            source("One", "https://one.example/", "Excerpt of one"),
            source("Two", "https://two.example/"),
            source("One again", "https://one.example/"),
            data("note", {}, text="between"),
            source("Two", "https://two.example/"),
            source("No address", "javascript:alert(1)", "Excerpt"),
        )
        groups = page.get_by_role("list", name="Sources")
        assert groups.count() == 2
        chips = page.locator(".ws-turn-source-number")
        expect(chips).to_have_text(["1", "2", "2", "3"])
        link = groups.first.get_by_role("link").first
        expect(link).to_have_accessible_description("One one.example Excerpt of one")
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
        assert link.get_attribute("target") == "_blank"
        assert page.locator("a[href^='javascript']").count() == 0
        card = page.get_by_role("tooltip").first
        expect(card).to_be_hidden()
        link.focus()
        expect(card).to_be_visible()
        page.locator(".ws-turn-source-list summary").click()
        items = page.locator(".ws-turn-source-items li")
        expect(items).to_have_text(
            ["One one.exampleExcerpt of one", "Two two.example", "No addressExcerpt"]
        )

    def test_a_card_stays_in_the_column(self, opened: Open) -> None:
        page = opened()
        page.set_viewport_size({"width": 375, "height": 700})
        page = opened(*[source(f"Source number {n}", f"https://s{n}.example/") for n in range(9)])
        for chip in page.locator(".ws-turn-source-chip").all():
            chip.focus()
            box = page.locator(".ws-turn-source-card:visible").bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 375


class TestImagesAndFiles:
    def test_an_image_opens_large_and_closes(self, opened: Open) -> None:
        page = opened({"type": "image", "url": png(), "name": "Blue"})
        image = page.get_by_role("img", name="Blue")
        assert image.evaluate("el => el.naturalWidth") == 40
        button = page.locator(".ws-turn-picture")
        button.click()
        large = page.get_by_test_id("large")
        expect(large.get_by_role("img", name="Blue")).to_be_visible()
        page.keyboard.press("Escape")
        expect(large).to_have_count(0)
        expect(button).to_be_focused()

    def test_other_images_are_links_or_text(self, opened: Open) -> None:
        requests: list[str] = []
        page = opened()
        page.on("request", lambda request: requests.append(request.url))
        page = opened(
            {"type": "image", "url": "https://elsewhere.example/a.png", "name": "There"},
            {"type": "image", "url": "data:image/svg+xml;base64,PHN2Zz4=", "name": "Drawing"},
            {"type": "image", "url": "data:image/png;base64,AAAA", "name": "Broken"},
        )
        link = page.get_by_role("link", name="There elsewhere.example")
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
        expect(page.get_by_text("[image: Drawing]")).to_be_visible()
        expect(page.get_by_text("[image: Broken]")).to_be_visible()
        assert not [url for url in requests if "elsewhere" in url]

    def test_a_file_is_downloaded(self, opened: Open, tmp_path: Path) -> None:
        url = "data:text/html;base64," + base64.b64encode(b"<script>1</script>").decode()
        page = opened(
            {"type": "file", "url": url, "name": "page.html"},
            {"type": "file", "url": "javascript:alert(1)", "name": "evil"},
        )
        button = page.get_by_role("button", name="page.html 18 bytes")
        with page.expect_download() as waiting:
            button.click()
        assert waiting.value.suggested_filename == "page.html"
        waiting.value.save_as(tmp_path / "page")
        assert (tmp_path / "page").read_bytes() == b"<script>1</script>"
        expect(page.get_by_text("[file: evil]")).to_be_visible()
        assert page.get_by_test_id("file").count() == 1


class TestTables:
    def test_it_has_pages_and_a_file_without_formulas(self, opened: Open, tmp_path: Path) -> None:
        rows: list[list[Any]] = [[n, f"row {n}"] for n in range(45)]
        rows[0] = [-1.5, '=HYPERLINK("https://evil.example")']
        rows[1] = [None, ' @x, "y"\n']
        page = opened(data("table", {"columns": ["+n", "text"], "rows": rows, "total": 9_000}))
        table = page.get_by_test_id("table")
        expect(table.locator("tbody tr")).to_have_count(20)
        expect(table.locator("th").first).to_have_class("ws-right")
        expect(table.get_by_role("status")).to_have_text("Rows 1–20 of 45")
        expect(table).to_contain_text("Only the first 45 of 9,000 rows are kept.")
        table.get_by_role("button", name="Next").click(click_count=2)
        expect(table.locator("tbody tr")).to_have_count(5)
        expect(table.get_by_role("button", name="Next")).to_have_attribute("aria-disabled", "true")
        table.get_by_role("button", name="Previous").click()
        expect(table.get_by_role("status")).to_have_text("Rows 21–40 of 45")
        with page.expect_download() as waiting:
            table.get_by_role("button", name="Download as CSV").click()
        waiting.value.save_as(tmp_path / "table.csv")
        lines = (tmp_path / "table.csv").read_bytes().decode("utf-8-sig").split("\r\n")
        assert lines[:3] == [
            "'+n,text",
            '-1.5,"\'=HYPERLINK(""https://evil.example"")"',
            ',"\' @x, ""y""\n"',
        ]
        assert len(lines) == 47

    def test_a_wide_one_scrolls_inside_its_box(self, opened: Open) -> None:
        columns = [f"column {n}" for n in range(60)]
        page = opened(data("table", {"columns": columns, "rows": [["x" * 3_000] * 60]}))
        box = page.get_by_role("group", name="Table")
        assert box.evaluate("el => el.scrollWidth > el.clientWidth && el.tabIndex === 0")
        assert page.locator(".ws-transcript-scroller").evaluate(
            "el => el.scrollWidth <= el.clientWidth"
        )
        assert height_of(box) < 400


class TestFigures:
    def test_it_is_drawn_with_its_bundle_and_follows_the_colours(self, opened: Open) -> None:
        requests: list[str] = []
        page = opened()
        page.on("request", lambda request: requests.append(request.url))
        page = opened(data("note", {}, text="no figure"))
        assert not [url for url in requests if url.endswith("/index.js")]  # bundles
        page = opened(data("figure", {"figure": BARS}, text="[figure: Sums]"))
        figure = page.get_by_role("figure", name="[figure: Sums]")
        expect(figure.locator(".bars path")).to_have_count(2)
        assert height_of(figure) == 300
        title = figure.locator(".gtitle")
        colors = [title.evaluate("el => getComputedStyle(el).fill")]
        page.evaluate("document.body.classList.toggle('body--dark')")
        page.wait_for_function(
            "before => getComputedStyle(document.querySelector('.gtitle')).fill !== before",
            arg=colors[0],
        )
        page.set_viewport_size({"width": 400, "height": 800})
        page.wait_for_function("document.querySelector('.main-svg').clientWidth < 400")

    def test_it_comes_back_after_its_turn_was_away(self, opened: Open, do: Do) -> None:
        page = opened(data("figure", {"figure": BARS}))
        expect(page.locator(".bars path")).to_have_count(2)
        for n in range(12):
            do("append", id=f"b{n}", question="More", html="<p>words</p>" * 60)
        expect(page.locator(".ws-turn-figure")).to_have_count(0)
        page.locator(".ws-transcript-scroller").press("Home")
        expect(page.locator(".bars path")).to_have_count(2)

    def test_one_that_can_not_be_drawn_is_named(self, opened: Open) -> None:
        page = opened()
        page.route("**/esm/*/index.js", lambda route: route.abort())
        page = opened(data("figure", {"figure": BARS}, text="[figure: Sums]"))
        expect(page.locator(".ws-turn-figure")).to_contain_text("[figure: Sums]")
        expect(page.locator(".ws-turn-figure")).to_contain_text("can't be drawn")

    def test_one_of_a_map_is_shown_as_text(self, opened: Open) -> None:
        figure = {"data": [{"type": "scattermap", "lat": [1], "lon": [2]}]}
        page = opened(data("figure", {"figure": figure}, text="[figure: Map]"))
        expect(page.locator(".ws-turn-data")).to_have_text("[figure: Map]")


class TestQuestions:
    @pytest.fixture
    def answers(self, server: str) -> Callable[[], list[Any]]:
        before = len(events_of(server))

        def read() -> list[Any]:
            return [event["value"] for event in events_of(server)[before:] if "value" in event]

        return read

    def asked(self, kind: str, **fields: Any) -> Part:
        value = {"id": "q", "type": kind, "prompt": "Well?", "answer": None, **fields}
        return data("question", value, "q")

    def expect_answer(self, page: Page, answers: Callable[[], list[Any]], value: Any) -> None:
        for _ in range(100):
            if answers():
                break
            page.wait_for_timeout(50)
        assert answers() == [value]

    def test_approval_is_sent_once(self, opened: Open, answers: Any, do: Do) -> None:
        page = opened(self.asked("approve", yes="Do it", no="Leave it"), state="asking")
        card = page.get_by_role("group", name="Well?")
        card.get_by_role("button", name="Do it").dblclick()
        self.expect_answer(page, answers, True)
        do("whole", id="a", parts=[self.asked("approve", yes="Do it", answer=True)])
        expect(page.get_by_test_id("question-answer")).to_have_text("Do it")
        expect(card.get_by_role("button")).to_have_count(0)

    def test_a_choice_is_a_click(self, opened: Open, answers: Any) -> None:
        options = ["a", {"value": "b", "label": "The second"}]
        page = opened(self.asked("choose", options=options), state="asking")
        page.get_by_role("button", name="The second").click()
        self.expect_answer(page, answers, ["b"])

    def test_several_choices_are_marked_and_sent(self, opened: Open, answers: Any) -> None:
        page = opened(self.asked("choose", options=["a", "b", "c"], multiple=True), state="asking")
        page.get_by_label("a", exact=True).check()
        page.get_by_label("c", exact=True).check()
        page.get_by_role("button", name="Send", exact=True).click()
        self.expect_answer(page, answers, ["a", "c"])

    def test_a_form_has_fields_of_each_kind(self, opened: Open, answers: Any) -> None:
        fields = [
            {"name": "name", "label": "Name", "required": True},
            {"name": "count", "label": "Count", "type": "number", "value": 2},
            {"name": "fast", "label": "Fast", "type": "switch"},
            {"name": "color", "label": "Color", "type": "choice", "options": ["red", "blue"]},
            {"name": "__proto__", "label": "Trap"},
        ]
        page = opened(self.asked("form", fields=fields), state="asking")
        send = page.get_by_role("button", name="Send", exact=True)
        send.click()
        assert answers() == []  # a field is required
        page.get_by_label("Name").fill("Ada")
        page.get_by_label("Fast").check()
        page.get_by_label("Color").select_option("blue")
        send.click()
        self.expect_answer(
            page, answers, {"name": "Ada", "count": 2, "fast": True, "color": "blue"}
        )

    def test_what_is_written_stays_when_the_answer_is_painted_again(
        self, opened: Open, answers: Any, do: Do
    ) -> None:
        question = self.asked("text", multiline=True)
        page = opened(question, state="asking")
        field = page.get_by_role("textbox", name="Your answer")
        field.fill("half a")
        do("change", id="a", whole=[data("note", {}, text="more"), question])
        expect(page.get_by_text("more")).to_be_visible()
        expect(field).to_have_value("half a")
        field.fill("words")
        page.get_by_role("button", name="Send", exact=True).click()
        self.expect_answer(page, answers, "words")

    def test_only_a_turn_that_asks_can_be_answered(self, opened: Open, do: Do) -> None:
        page = opened(self.asked("approve"), state="interrupted")
        expect(page.get_by_test_id("question-answer")).to_have_text("Not answered")
        assert page.locator(".ws-turn-ask button").count() == 0
        do("change", id="a", state="asking")
        expect(page.locator(".ws-turn-ask button")).to_have_text(["Yes", "No"])


def test_parts_that_arrive_end_as_the_same_page_as_stored_ones(opened: Open, do: Do) -> None:
    parts = [
        step("1", "done", input="in"),
        step("2", "done", "1", output="out"),
        source("One", "https://one.example/"),
        source("Two", "https://two.example/"),
        data("table", {"columns": ["a"], "rows": [[1]]}),
        {"type": "image", "url": png(), "name": "Blue"},
        data("question", {"id": "q", "type": "approve", "prompt": "?", "answer": True}, "q"),
        data("odd", {"a": 1}, text="odd"),
    ]
    page = opened()
    do("append", id="live", question="Live", state="streaming")
    for part in parts:
        do("whole", id="live", parts=[part])
    do("change", id="live", state="done")
    do("append", id="kept", question="Kept", whole=parts)
    expect(page.locator(".ws-turn")).to_have_count(2)
    shown = page.evaluate(
        "() => ['live', 'kept'].map((id) =>"
        " document.querySelector(`[data-id='${id}'] .ws-turn-answer`)"
        ".innerHTML.replace(/ws-(source|ask)-\\d+/g, 'ID'))"
    )
    assert shown[0] == shown[1]
