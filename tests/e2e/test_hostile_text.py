"""Hostile text in each place that shows text: it runs, sends, covers and requests nothing.

The texts are those of ``tests/hostile/corpus.py``; the model is the fault lab, which streams them
in random pieces. A finding names the number of its payload.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import Lab
from tests.hostile.watch import TEXTS, Watch, watched
from tests.server_process import ServerProcess
from wireside.parts import Attachment, DataPart, FilePart, ImagePart, part_to_object
from wireside.testing import FakeOpenAI, answer, failure, json_page
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.incremental import BlockStream, Op, render
from wireside_ui.presenters.data_parts import data_row

pytestmark = pytest.mark.timeout(900)

MARKUP = Markup()
SEED = 20_240_607
CUTS = 3
"""Number of different random cuts of each payload."""

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"

WORD = "wombat"
"""Accompanies each payload, so that a search finds all of them."""

DRIVE = """async (rows) => {
  const transcript = getElement(document.querySelector(".ws-transcript"));
  const { drawDiagram, arrange } = transcript;
  const drawings = [];
  transcript.drawDiagram = (block) => drawings.push(drawDiagram(block));
  transcript.reset([], 0);
  transcript.arrange = () => {}; // each row would be laid out with all around it
  for (const { id, flushes, state = "done" } of rows) {
    transcript.append({ id, state: "streaming", question: "" });
    for (const ops of flushes) transcript.ops(id, ops);
    transcript.update(id, { state });
  }
  while (transcript.queue.length) await new Promise((resolve) => setTimeout(resolve, 5));
  await Promise.all(drawings);
  await transcript.formulasReady();
  Object.assign(transcript, { drawDiagram, arrange });
  // all of them on the page at once, not only those in view
  transcript.observer.disconnect();
  transcript.frame = 1;
  for (const row of transcript.byId.values()) transcript.list.append(transcript.build(row));
}"""
"""Makes the page's own component apply the operations of streamed answers, one answer per row."""


def groups(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]


def flushes(text: str, corpus: ModuleType, rng: random.Random) -> list[list[Op]]:
    """The operations of an answer that arrives in random pieces."""
    stream = BlockStream(MARKUP)
    done = []
    for piece in corpus.pieces(text, rng, max(12, len(text) // 40)):
        stream.feed(piece)
        done.append(stream.flush())
    return [ops for ops in [*done, stream.flush(final=True)] if ops]


def data(kind: str, value: Any, part_id: str = "", text: str = "") -> DataPart:
    return DataPart(kind=kind, data=json.dumps(value), id=part_id, text=text)


def whole_parts(text: str) -> list[Attachment]:
    """Parts that have ``text`` in each field in which a part can have text."""
    asks = {"prompt": text, "answer": None}
    options = [{"value": text, "label": text}, text]
    fields = [
        {"name": text, "label": text, "type": kind, "options": options, "value": text}
        for kind in ("text", "number", "switch", "choice", text)
    ]
    return [
        data("step", {"name": text, "state": text, "input": text, "output": text}, text),
        data("step", {"name": text, "state": "running", "parent": text, "seconds": text}, "2"),
        data("source", {"title": text, "url": text, "text": text}),
        data("source", {"title": text, "url": f"https://a.example/{text}", "text": text}),
        data(
            "table", {"columns": [text, text], "rows": [[text, 1], [{text: text}]], "total": text}
        ),
        data("question", {**asks, "id": "q1", "type": "approve", "yes": text, "no": text}, "q1"),
        data("question", {**asks, "id": "q2", "type": "choose", "options": options}, "q2"),
        data("question", {**asks, "id": "q3", "type": "form", "fields": fields}, "q3"),
        data("question", {**asks, "id": text, "type": "text", "placeholder": text}, "q4"),
        data("question", {"prompt": text, "type": "text", "answer": text}, "q5"),
        data(text, {text: text}, text=text),
        ImagePart(url=text, name=text, media_type=text),
        ImagePart(url=f"https://a.example/{text}", name=text),
        ImagePart(url=PIXEL, name=text),
        FilePart(url=text, name=text, media_type=text),
        FilePart(url="data:text/html;base64,aGVsbG8=", name=text),
    ]


def figure_of(texts: Sequence[str]) -> DataPart:
    """A figure that has the texts wherever Plotly writes them."""
    layout = {
        "title": {"text": "<br>".join(texts[:40])},
        "annotations": [{"text": text, "x": 1, "y": n} for n, text in enumerate(texts[:60])],
        "images": [{"source": text} for text in texts],
        "font": {"family": texts[0]},
        "xaxis": {"title": {"text": texts[1]}},
    }
    trace = {"type": "scatter", "mode": "markers+text", "x": texts, "y": texts, "text": texts}
    more = [{"type": "bar", "name": text, "x": [text], "y": [1]} for text in texts[:40]]
    return data("figure", {"figure": {"data": [trace, *more], "layout": layout}}, text=texts[2])


def row_ops(parts: Sequence[Attachment]) -> list[Op]:
    return [
        ["d", data_row(part, part.id if isinstance(part, DataPart) else "", MARKUP)]
        for part in parts
    ]


def say(page: Page, text: str) -> None:
    page.get_by_test_id("input-chat").fill(text)
    page.get_by_test_id("input-chat").press("Enter")


def connected(page: Page) -> None:
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")


@pytest.fixture(scope="module")
def own_lab(running_lab: Lab, corpus: ModuleType) -> Iterator[FakeOpenAI]:
    """A model server whose models have hostile names."""
    with type(running_lab)() as lab:
        names = [payload.text for payload in corpus.payloads()]
        data = [{"id": f"m{n}", "name": name, "owned_by": name} for n, name in enumerate(names)]
        data += [{"id": name, "owned_by": "lab"} for name in names]
        lab.models_answer = json_page({"object": "list", "data": data})
        yield lab


@pytest.fixture(scope="module")
def own_server(
    served_with: Any, own_lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    server = served_with(own_lab.url, tmp_path_factory.mktemp("hostile"), WIRESIDE_MODEL="m0")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def growing(corpus: ModuleType) -> Sequence[dict[str, Any]]:
    """Each payload as a separate answer, with several cuts."""
    rng = random.Random(SEED)
    return [
        {"id": f"{p.number}-{n}", "flushes": flushes(p.text, corpus, rng)}
        for p in corpus.payloads()
        for n in range(CUTS)
    ]


# Each class goes to one worker as a whole, so that a long class would be the last to end.


class TestAnswers:
    """Each payload as an answer of its own."""

    @pytest.mark.parametrize("policy", ["with the policy", "without a policy"])
    def test_an_answer_is_harmless_however_it_is_cut(
        self,
        new_context: Callable[..., BrowserContext],
        served: ServerProcess,
        corpus: ModuleType,
        growing: Sequence[dict[str, Any]],
        policy: str,
    ) -> None:
        """Without a policy, the page's own handling of the text is tested, with one of the cuts."""
        context = new_context(bypass_csp=policy == "without a policy")
        watch, page = watched(context, corpus, served.url)
        page.goto(served.url)
        connected(page)
        rows = growing if policy == "with the policy" else growing[::CUTS]
        drawn = 0
        for group in groups(rows, 300):
            page.evaluate(DRIVE, list(group))
            assert page.locator(".ws-turn").count() == len(group)
            drawn += page.locator(".ws-prose-diagram").count()
            watch.judge(page)
        assert drawn > 10  # diagrams: many are refused or invalid


class TestParts:
    """Each payload in parts of its own."""

    @pytest.mark.parametrize("policy", ["with the policy", "without a policy"])
    def test_in_each_field_of_a_part_it_is_harmless(
        self,
        new_context: Callable[..., BrowserContext],
        served: ServerProcess,
        corpus: ModuleType,
        policy: str,
    ) -> None:
        """Questions are open, folds too; figures are drawn."""
        context = new_context(bypass_csp=policy == "without a policy")
        watch, page = watched(context, corpus, served.url)
        page.goto(served.url)
        connected(page)
        drawn = 0
        payloads = corpus.payloads()[:: 1 if policy == "with the policy" else CUTS]
        for group in groups(payloads, 150):
            rows = [
                {"id": f"p{p.number}", "state": "asking", "flushes": [row_ops(whole_parts(p.text))]}
                for p in group
            ]
            figure = figure_of([p.text for p in group if len(p.text) < 1_500])
            rows.append({"id": "figure", "flushes": [row_ops([figure])]})
            page.evaluate(DRIVE, rows)
            assert page.locator(".ws-turn").count() == len(rows)
            page.evaluate("document.querySelectorAll('details').forEach(el => { el.open = true })")
            figure_shown = page.locator(".ws-turn-figure .main-svg, .ws-turn-figure-failed").first
            expect(figure_shown).to_be_visible(timeout=120_000)
            drawn += page.locator(".ws-turn-figure .main-svg").count()
            assert page.locator(".ws-turn-ask-form").count() == 4 * len(group)
            watch.judge(page)
        assert drawn > 0


class TestDocuments:
    """Each payload as rendered HTML of its own."""

    def test_as_a_document_it_is_harmless(
        self, new_context: Callable[..., BrowserContext], corpus: ModuleType
    ) -> None:
        """The result of a document parser, in a page that allows everything."""
        watch, page = watched(new_context(), corpus, "http://nowhere.invalid")
        for group in groups(corpus.payloads(), 500):
            html = "".join(
                f'<div class="ws-prose" data-number="{p.number}">{render(p.text, MARKUP)}</div>'
                for p in group
            )
            page.set_content(f"<!doctype html><main>{html}</main>")
            numbers = page.evaluate(
                "[...document.querySelectorAll('main > .ws-prose')]"
                ".map(el => Number(el.dataset.number))"
            )
            assert numbers == [p.number for p in group]
            page.add_style_tag(content=".ws-prose { overflow: clip }")  # as in all style sheets
            watch.judge(page, ".ws-prose")


def imported(page: Page, url: str, *conversations: dict[str, Any]) -> list[str]:
    """Import a file in the format of an export; return the names of its conversations."""
    file = {"format": "wireside", "version": 1, "conversations": conversations}
    response = page.request.post(f"{url}/api/conversations/import", data=json.dumps(file))
    assert response.ok, response.text()
    assert response.json()["passed_over"] == 0
    return list(response.json()["conversations"])


def turn_of(number: int, text: str, parent: str | None) -> dict[str, Any]:
    """A turn that has ``text`` in each place in which a file can have text."""
    call = {"type": "tool", "call": text, "state": "done", "name": text}
    return {
        "id": f"t{number}",
        "parent": parent,
        "question": f"{WORD} {text}",
        "answer": [
            {
                "model": text,
                "reason": None,
                "error": {"code": "bad_message", "message": text},
                "parts": [
                    {"type": "reasoning", "text": text},
                    {**call, "arguments": text, "result": text},
                    {"type": "text", "text": text},
                    *(part_to_object(part) for part in whole_parts(text[:1_500])[:5]),
                ],
            }
        ],
    }


def talk(texts: Sequence[str], title: str) -> dict[str, Any]:
    """A conversation with one turn per text."""
    turns = [
        turn_of(number, text, f"t{number - 1}" if number else None)
        for number, text in enumerate(texts)
    ]
    return {"title": title, "turns": turns, "tags": list(texts[:20])}


def scroll_through(page: Page, selector: str, look: Callable[[], None]) -> None:
    """Scroll through a list, from its beginning to its end, and call ``look`` at each step."""
    step = """(el, first) => {
        if (first) el.scrollTop = 0; else el.scrollTop += el.clientHeight;
        return el.scrollTop + el.clientHeight >= el.scrollHeight - 2;
    }"""
    place = page.locator(selector)
    place.evaluate(step, True)
    ends = 0
    while ends < 2:  # the end may be preliminary while more can be loaded
        page.wait_for_function(
            "() => !document.querySelector('.ws-turn-blank, .ws-sidebar-loading')"
        )
        look()
        ends = ends + 1 if place.evaluate(step, False) else 0


@pytest.fixture
def stage(context: BrowserContext, own_server: Any, corpus: ModuleType) -> tuple[Watch, Page, str]:
    watch, page = watched(context, corpus, own_server.url)
    return watch, page, own_server.url


class TestModels:
    """All payloads in each place for a text of a model, in the real page of the real server."""

    def test_answers_that_a_model_writes(
        self, stage: tuple[Watch, Page, str], own_lab: Lab, corpus: ModuleType
    ) -> None:
        watch, page, url = stage
        rng = random.Random(SEED)
        texts = [p.text for p in corpus.payloads() if len(p.text) < 1_500]
        page.goto(url)
        connected(page)
        for number, group in enumerate(groups(texts, 200)):
            # a separate list item each, so that none is inside of another one's block
            whole = "\n\n".join("1. " + text.replace("\n", "\n   ") for text in group)
            own_lab.answer_with(
                answer(
                    corpus.pieces(whole, rng, 24),
                    reasoning=corpus.pieces(whole, rng, 200),
                    tool_calls=[(group[0][:60], json.dumps(group[1:20]))],
                    rate=1_500,
                )
            )
            say(page, f"Go on {number}")
            expect(page.get_by_test_id("message-user").last).to_have_text(f"Go on {number}")
            last = page.locator(".ws-turn").last
            expect(last).to_have_attribute("data-state", "done", timeout=30_000)
            assert last.locator(".ws-prose > ol > li").count() > 0.5 * len(group)
            watch.judge(page)

    def test_names_of_models(self, stage: tuple[Watch, Page, str], corpus: ModuleType) -> None:
        watch, page, url = stage
        page.goto(url)
        connected(page)
        page.get_by_test_id("model-picker").click()
        expect(page.locator(".ws-picker [role=option]").first).to_be_visible()
        assert page.locator(".ws-picker [role=option]").count() >= len(corpus.payloads())
        watch.judge(page, ".ws-picker .ws-menu ul, .ws-picker [role=option]")
        chosen = page.locator(".ws-picker [role=option]").nth(len(corpus.payloads()) + 5)
        chosen.click()
        page.reload()
        connected(page)
        watch.judge(page, ".ws-picker-button")

    def test_what_a_model_says_went_wrong(
        self, stage: tuple[Watch, Page, str], own_lab: Lab, corpus: ModuleType
    ) -> None:
        watch, page, url = stage
        page.goto(url)
        connected(page)
        texts = [p.text for p in corpus.payloads() if len(p.text) < 1_500]
        for number, group in enumerate(groups(texts, 250)):
            said = "\n".join(group)
            status = (400, 401, 403, 404, 413, 422, 451)[number % 7]
            own_lab.answer_with(failure(status, said, code=group[0], kind=group[1], param=group[2]))
            say(page, f"Go on {number}")
            expect(page.get_by_test_id("message-user").last).to_have_text(f"Go on {number}")
            # Only the messages near the visible part are in the document.
            expect(
                page.get_by_test_id("message-user").last.locator(
                    "xpath=following::*[@data-testid='note-error']"
                )
            ).to_be_visible()
            watch.judge(page)

    def test_what_was_written_and_not_sent(
        self, stage: tuple[Watch, Page, str], own_lab: Lab, corpus: ModuleType
    ) -> None:
        """Drafts, settings and queued messages, as another tab or an older page left them."""
        watch, page, url = stage
        page.goto(url)
        connected(page)
        rng = random.Random(SEED)
        texts = [p.text for p in corpus.payloads() if len(p.text) < 1_500]
        for group in groups(rng.sample(texts, 200), 50):
            whole = "\n".join(group)
            kept = {
                "draft.": whole,
                "model": group[0],
                "theme": group[1],
                "sidebar": group[2],
                "settings": {"system": whole, "temperature": group[3], "max_tokens": group[4]},
            }
            page.get_by_test_id("input-chat").fill("")  # a tab prefers its own draft
            page.evaluate(
                "kept => { for (const [k, v] of Object.entries(kept))"
                " localStorage.setItem('wireside.' + k, JSON.stringify(v)) }",
                kept,
            )
            page.reload()
            connected(page)
            expect(page.get_by_test_id("input-chat")).to_have_value(
                re.compile(re.escape(group[0][:4]))
            )
            page.get_by_test_id("options").click()
            watch.judge(page, ".ws-composer textarea, .ws-composer-hint")


class TestConversations:
    """All payloads in each place for a text of a conversation, in the same page."""

    def test_a_conversation_from_a_file(
        self, stage: tuple[Watch, Page, str], corpus: ModuleType
    ) -> None:
        """Questions, reasoning, tools, answers and error messages."""
        watch, page, url = stage
        texts = [p.text for p in corpus.payloads() if len(p.text) < 1_500]
        together = ["\n".join(group) for group in groups(texts, 5)]  # all of them are shown as text
        names = imported(page, url, *(talk(group, "Talk") for group in groups(together, 200)))
        page.set_viewport_size({"width": 1280, "height": 4_000})
        for name in names:
            page.goto(f"{url}/c/{name}")
            connected(page)

            def look() -> None:
                page.evaluate(
                    "document.querySelectorAll('details').forEach(el => { el.open = true })"
                )
                watch.judge(page)

            scroll_through(page, ".ws-transcript-scroller", look)

    def test_titles_in_the_list_and_what_a_search_finds(
        self, stage: tuple[Watch, Page, str], corpus: ModuleType
    ) -> None:
        watch, page, url = stage
        talks = [talk([f"{WORD} {p.text[:300]}"], f"{WORD} {p.text}") for p in corpus.payloads()]
        imported(page, url, *talks)
        page.set_viewport_size({"width": 1280, "height": 3_000})
        page.goto(url)
        connected(page)
        roots = ".ws-sidebar-list, .ws-sidebar-item-link"
        scroll_through(page, ".ws-sidebar-list", lambda: watch.judge(page, roots))
        assert page.get_by_test_id("conversation-item").count() > 0
        page.get_by_test_id("search").fill(WORD)
        page.get_by_test_id("search-hit").first.wait_for()
        scroll_through(page, ".ws-sidebar-list", lambda: watch.judge(page, roots))
        for link in page.get_by_test_id("search-hit").all()[:8]:
            link.click()
            page.wait_for_url(re.compile(r"/c/.+"))
            watch.judge(page)
        assert WORD in page.title()

    def test_names_of_folders_and_tags(
        self, stage: tuple[Watch, Page, str], corpus: ModuleType
    ) -> None:
        watch, page, url = stage
        texts = [p.text for p in corpus.payloads() if len(p.text.strip()) <= 100]
        names = random.Random(SEED).sample(texts, 200)
        for name in names:
            page.request.post(f"{url}/api/folders", data={"name": name})
        assert len(page.request.get(f"{url}/api/folders").json()["folders"]) > 100
        made = page.request.post(f"{url}/api/conversations", data={"title": "Tagged"}).json()
        for tags in groups([text[:40] for text in names[:60]], 20):
            address = f"{url}/api/conversations/{made['id']}"
            page.request.patch(address, data={"tags": tags})
            page.goto(f"{url}/c/{made['id']}")
            connected(page)
            row = page.locator(f"[data-testid=conversation-item][data-id='{made['id']}']")
            watch.judge(page, ".ws-sidebar-item-tags, .ws-sidebar-folder")
            row.press("m")
            expect(page.get_by_test_id("move-dialog")).to_be_visible()
            watch.is_quiet()  # a dialog covers what the judge expects to be free
            page.get_by_test_id("choose-folder").nth(7).click()
            watch.judge(page, ".ws-sidebar-toasts")
            page.get_by_test_id("folder").nth(6).click()
            watch.judge(page, ".ws-sidebar-title")
            row.press("t")
            expect(page.get_by_test_id("tag-dialog")).to_be_visible()
            watch.is_quiet()
            page.keyboard.press("Escape")
            page.get_by_test_id("filters").click()
            watch.judge(page, ".ws-sidebar-filters option")
            row.press("m")
            page.get_by_test_id("choose-folder").first.click()

    def test_a_page_that_comes_with_a_title(
        self, stage: tuple[Watch, Page, str], corpus: ModuleType
    ) -> None:
        """In the HTML of the page: its title, its list, its data."""
        watch, page, url = stage
        texts = [p.text for p in corpus.payloads() if p.kind in ("breakout", "polyglot", "script")]
        for group in groups(texts, 30):
            names = imported(page, url, *(talk([text], text) for text in group))
            page.goto(f"{url}/c/{names[-1]}")
            connected(page)
            assert page.locator("title").count() == 1
            watch.judge(page, f"{TEXTS}, .ws-sidebar-list")

    def test_addresses_of_the_page(
        self, stage: tuple[Watch, Page, str], corpus: ModuleType
    ) -> None:
        watch, page, url = stage
        rng = random.Random(SEED)
        kinds = ("breakout", "polyglot", "vue", "script", "link")
        texts = [p.text for p in corpus.payloads() if p.kind in kinds and len(p.text) < 400]
        (name,) = imported(page, url, talk(["a", "b"], "Talk"))

        def page_at(address: str) -> tuple[str, tuple[int, int]]:
            """Return a page as browsers get it; count its scripts with the nonce, and all."""
            html = page.request.get(url + address, headers={"Accept": "text/html"}).text()
            return html, (html.count("<script nonce="), html.count("<script"))

        addresses = (f"/c/{name}", "/c/none", "/c/no/such/page", "/")
        scripts = {page_at(address)[1] for address in addresses}
        for text in rng.sample(texts, 30):
            part = quote(text, safe="")
            for address in (f"/c/{part}", f"/c/{name}?turn={part}", f"/?{part}={part}"):
                html, found = page_at(address)
                assert found in scripts, text
                assert "<" not in text or text not in html
        for text in rng.sample(texts, 6):
            part = quote(text, safe="")
            for address in (f"/c/{part}", f"/c/{name}?turn={part}#{part}"):
                page.goto(url + address)
                if page.locator(".ws-page").count():  # a path with "/" is not a page of the project
                    connected(page)
                watch.judge(page, ".ws-welcome-line, .ws-composer .ws-composer-hint")

    @pytest.mark.parametrize("policy", ["with its policy", "without a policy"])
    def test_files_that_were_exported(
        self,
        stage: tuple[Watch, Page, str],
        corpus: ModuleType,
        tmp_path: Path,
        policy: str,
    ) -> None:
        """Opened by the browser as local files."""
        watch, page, url = stage
        texts = [p.text for p in corpus.payloads() if len(p.text) < 1_500]
        for group in groups(texts, 1_000):
            texts_of_file = [*group, policy]  # a known conversation is not imported again
            (name,) = imported(page, url, talk(texts_of_file, f"{WORD} {group[0]}"))
            base = f"{url}/api/conversations/{name}/export?format="
            html = page.request.get(base + "html").text()
            if policy == "without a policy":
                html, cut = re.subn(r"<meta http-equiv=[^>]*>", "", html, count=1)
                assert cut == 1
            file = tmp_path / "talk.html"
            file.write_text(html, encoding="utf-8")
            page.goto(file.as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(el => { el.open = true })")
            assert page.locator("article").count() == len(texts_of_file)
            watch.judge(page, "article")
            for kind in ("markdown", "json"):
                file = tmp_path / f"talk.{kind}.txt"
                file.write_bytes(page.request.get(base + kind).body())
                page.goto(file.as_uri())
                assert WORD in page.inner_text("pre")
                watch.judge(page, "body > pre")
