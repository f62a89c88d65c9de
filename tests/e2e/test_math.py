"""Formulas in a real browser: drawn on demand, read out and copied as their source."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.page_program import Do, calling, serving
from wireside.messages import End, TextDelta
from wireside.parts import text_parts
from wireside.records import Branch, ConversationInfo, Segment, TurnRecord
from wireside.transfer.export import HtmlExport
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.incremental import render

MARKUP = Markup()

COPIED = """() => {
  const data = new DataTransfer();
  const settings = { clipboardData: data, bubbles: true, cancelable: true };
  const event = new ClipboardEvent("copy", settings);
  document.getSelection().anchorNode.parentElement.dispatchEvent(event);
  return { text: data.getData("text/plain"), html: data.getData("text/html") };
}"""
"""The clipboard content that the page produces for the selection."""

SELECT = """([first, last]) => {
  const range = document.createRange();
  range.setStartBefore(document.querySelector(first));
  range.setEndAfter(document.querySelector(last));
  document.getSelection().removeAllRanges();
  document.getSelection().addRange(range);
}"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as base:
        yield base


@pytest.fixture
def do(server: str) -> Do:
    return calling(server)


@pytest.fixture
def show(server: str, page: Page, do: Do) -> Iterator[Callable[..., Page]]:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))

    def open_(text: str, query: str = "") -> Page:
        page.goto(f"{server}/?{query}")
        page.wait_for_selector(".ws-transcript-scroller")
        do("append", id="a", question="Q", html=render(text, MARKUP))
        page.wait_for_selector(".ws-prose > *")
        if 'role="math"' in render(text, MARKUP):
            page.wait_for_function("!document.querySelector('.ws-tex:not([data-drawn])')")
        return page

    yield open_
    assert problems == []


def test_what_draws_formulas_is_loaded_with_the_first_one(
    show: Callable[..., Page], page: Page, do: Do
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    show("No formula, and $5.")
    assert not [url for url in asked if "katex" in url or "math.js" in url]
    do("append", id="b", question="Q", html=render("One: $x^2$", MARKUP))
    expect(page.locator(".ws-tex .katex")).to_have_count(1)
    assert len([url for url in asked if "katex.min.js" in url]) == 1


@pytest.mark.parametrize(
    "source",
    [
        r"$\begin{pmatrix} a & b \\ c & d \end{pmatrix}^{-1}$",
        r"$\ce{2H2 + O2 -> 2H2O}$",
        r"$\boxed{x}$",
        r"$\cancel{x}$",
        r"$\underbrace{a + b}_{n}$",
        r"$50\% = 50%$",
        r"$\mathbb{R}, \mathcal{L}, \mathfrak{g}, \bm{x}, \mathds{1}$",
        "$$\n\\begin{array}{|c|}\n\\hline a \\\\\n\\hline\n\\end{array}\n$$",
        "$$\na\n\n= b\n$$",
        "\\begin{equation}\nx = 1 \\label{eq:x}\n\\end{equation}",
        "\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}",
        "\\begin{multline}\na \\\\\nb\n\\end{multline}",
        "\\begin{eqnarray}\na &=& b\n\\end{eqnarray}",
        r"$$x^2$$.",
        r"\[ \text{für } x > 0 \]",
        r"$\newcommand{\R}{\mathbb{R}} \R^n$",
    ],
)
def test_a_formula_is_drawn_and_its_source_is_its_label(
    show: Callable[..., Page], source: str
) -> None:
    page = show(f"x {source}" if source[0] == "$" and source[1] != "$" else source)
    formula = page.get_by_role("math")
    expect(formula).to_have_count(1)
    expect(formula).to_have_attribute("aria-label", source)
    expect(formula).to_have_attribute("data-drawn", "1")
    expect(formula.locator(".katex-html")).to_have_attribute("aria-hidden", "true")
    assert "\\" not in formula.inner_text()


@pytest.mark.parametrize(
    "source",
    [
        r"$\SI{3}{m}$",
        r"$\qty{5}{kg}$",
        r"$\frac{a$",
        r"$\unknown{x}$",
        r"$\href{javascript:alert(1)}{x}$",
        r"$\includegraphics{https://evil.invalid/x}$",
        r"$\htmlData{action=stop}{x}$",
        r"$\htmlStyle{position:fixed}{x}$",
        r"$\kern-500em x$",
        r"$\raisebox{-500em}{x}$",
        r"$\begin{matrix}a\\[-500em]b\end{matrix}$",
        r"$\def\x{\x\x}\x$",
        r"$\newcommand{\x}[1]{#1#1#1#1}\x{\x{\x{\x{\x{\x{\x{\x{y}}}}}}}}$",
        "$$" + "{" * 1_500 + "x" + "}" * 1_500 + "$$",
        "$$" + r"\sqrt{" * 500 + "x" + "}" * 500 + "$$",
        r"$$\def\a{" + "x" * 3_000 + "}" + r"\a" * 400 + "$$",
    ],
)
def test_what_can_not_be_drawn_is_its_source(show: Callable[..., Page], source: str) -> None:
    started = time.monotonic()
    page = show(f"x {source}" if source[1] != "$" else source)
    formula = page.get_by_role("math")
    expect(formula).to_have_text(source, use_inner_text=True)
    expect(formula).to_be_visible()
    expect(formula).to_have_attribute("data-drawn", "0")
    assert page.locator(".katex").count() == 0
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "source", [r"$\rule{9999em}{9999em}$", r"$\hspace{9e9em}x$", r"$\Huge\Huge x$"]
)
def test_no_formula_is_huge(show: Callable[..., Page], source: str) -> None:
    page = show(f"x {source}")
    box = page.locator(".ws-tex").bounding_box()
    assert box is not None
    assert box["height"] < 900


def test_a_growing_answer_never_shows_the_source_of_a_formula(
    show: Callable[..., Page], page: Page, do: Do
) -> None:
    show("$x$")
    page.evaluate(
        r"""() => {
            window.seen = [];
            const look = () => {
                for (const prose of document.querySelectorAll(".ws-prose")) {
                    const text = prose.innerText;
                    if (/\\frac|\\sum|\\\]|\\\[|\$/.test(text)) window.seen.push(text);
                }
            };
            const rows = document.querySelector(".ws-transcript-rows");
            const settings = { childList: true, subtree: true, characterData: true };
            new MutationObserver(look).observe(rows, settings);
        }"""
    )
    do("append", id="g", question="Q", state="streaming")
    text = "So $\\frac{a}{b}$ and\n\n\\[\n\\frac{x}{y}\n\n= \\sum_i z\n\\]\n\n"
    text += "thus \\(\\frac{1}{2}\\).\n"
    for at in range(0, len(text), 3):
        do("feed", id="g", pieces=[text[at : at + 3]])
    do("finish", id="g")
    expect(page.locator('[data-id=g] .ws-tex[data-drawn="1"]')).to_have_count(3)
    assert page.evaluate("window.seen") == []


def test_a_drawn_formula_stays_while_its_paragraph_grows(
    show: Callable[..., Page], page: Page, do: Do
) -> None:
    show("$x$")
    do("append", id="g", question="Q", state="streaming")
    do("feed", id="g", pieces=["So $x^2$ is "])
    formula = page.locator("[data-id=g] .katex")
    expect(formula).to_have_count(1)
    page.evaluate("window.first = document.querySelector('[data-id=g] .katex')")
    do("feed", id="g", pieces=["a ", "square, ", "and $y^2$ ", "too."])
    expect(formula).to_have_count(2)
    do("finish", id="g")
    expect(page.locator("[data-id=g] .ws-turn-foot .ws-turn-actions")).to_be_attached()
    assert page.evaluate("window.first.isConnected")


def test_who_reads_the_end_stays_there_when_formulas_come(server: str, page: Page, do: Do) -> None:
    page.goto(f"{server}/")
    page.wait_for_selector(".ws-transcript-scroller")
    tall = "$$\n\\begin{matrix} a \\\\ b \\\\ c \\\\ d \\\\ e \\end{matrix}\n$$\n\n"
    do("append", id="a", question="Q", html=render(tall * 20, MARKUP))
    page.wait_for_function("document.querySelectorAll('.katex').length === 20")
    page.wait_for_function(
        """() => {
            const log = document.querySelector(".ws-transcript-scroller");
            return log.scrollHeight - log.scrollTop - log.clientHeight < 2;
        }"""
    )


def test_a_growing_answer_is_read_out_with_its_source(
    show: Callable[..., Page], page: Page, do: Do
) -> None:
    show("$x$")
    do("append", id="g", question="Q", state="streaming")
    do("feed", id="g", pieces=["It is $x^2$. ", "And then\n\n$$\ny^2\n$$\n\n", "more."])
    do("finish", id="g")
    announcer = page.get_by_test_id("announcer")
    expect(announcer).to_contain_text("It is $x^2$.")
    expect(announcer).to_contain_text("$$ y^2 $$")


def test_the_source_is_shown_where_the_renderer_does_not_come(
    server: str, page: Page, do: Do
) -> None:
    page.route("**/katex.min.js*", lambda route: route.abort())
    page.goto(f"{server}/")
    page.wait_for_selector(".ws-transcript-scroller")
    do("append", id="a", question="Q", html=render("So $x^2$.", MARKUP))
    expect(page.locator(".ws-tex")).to_be_visible()
    expect(page.locator(".ws-prose p")).to_have_text("So $x^2$.")


def test_what_is_read_does_not_move_when_formulas_above_are_drawn(
    server: str, page: Page, do: Do
) -> None:
    held: list[Any] = []
    page.route("**/math.js*", lambda route: held.append(route))
    page.goto(f"{server}/")
    page.wait_for_selector(".ws-transcript-scroller")
    tall = "$$\n\\begin{matrix} a \\\\ b \\\\ c \\\\ d \\\\ e \\\\ f \\\\ g \\end{matrix}\n$$\n\n"
    do("append", id="a", question="Q", html=render(tall * 3, MARKUP))
    do("append", id="b", question="Read me", html=render("word " * 600, MARKUP))
    place = """() => {
        const log = document.querySelector(".ws-transcript-scroller").getBoundingClientRect();
        return document.querySelector("[data-id=b]").getBoundingClientRect().top - log.top;
    }"""
    expect(page.locator("[data-id=b] .ws-prose p")).to_be_visible()
    page.mouse.move(400, 300)
    page.evaluate("document.querySelector('[data-id=b]').scrollIntoView()")
    page.mouse.wheel(0, -40)
    page.wait_for_function(f"Math.abs(({place})() - 40) < 8")
    before = page.evaluate(place)
    height = page.evaluate("document.querySelector('[data-id=a]').offsetHeight")
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    expect(page.locator(".katex")).to_have_count(3)
    page.wait_for_timeout(200)
    assert page.evaluate("document.querySelector('[data-id=a]').offsetHeight") != height
    assert abs(page.evaluate(place) - before) < 4


def test_a_wide_formula_is_scrolled_by_the_keyboard(show: Callable[..., Page]) -> None:
    long = " + ".join(f"a_{{{n}}}" for n in range(80))
    page = show(f"$${long}$$\n\n$$x$$\n")
    wide, short = page.locator(".ws-math").all()
    expect(wide).to_have_attribute("tabindex", "0")
    assert short.get_attribute("tabindex") is None
    wide.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.ws-math').scrollLeft > 0")


class TestCopying:
    def test_a_selection_has_the_source_of_its_formulas(self, show: Callable[..., Page]) -> None:
        page = show("Let \\(x^2\\) be.\n\n\\[\n\\frac{a}{b}\n\\]\n\nDone.\n", "dark=true")
        page.evaluate(SELECT, [".ws-prose p", ".ws-prose p:last-of-type"])
        copied = page.evaluate(COPIED)
        assert copied["text"].split("\n\n") == ["Let $x^2$ be.", "$$\\frac{a}{b}$$", "Done."]
        assert "<p>Let $x^2$ be.</p>" in copied["html"]
        assert "style" not in copied["html"]
        assert "class" not in copied["html"]

    def test_a_part_of_a_formula_is_the_whole_formula(self, show: Callable[..., Page]) -> None:
        page = show("Let $a + b = c$ be.")
        page.evaluate(SELECT, [".katex .mbin", ".katex .mbin"])
        assert page.evaluate(COPIED)["text"] == "$a + b = c$"

    def test_html_has_no_colours_and_keeps_its_meaning(self, show: Callable[..., Page]) -> None:
        text = "- **one**\n- [two](https://a.example)\n\n```python\na = 1\n\n\nb = 2\n```\n"
        text += "\n|a|\n|-|\n|b|\n"
        page = show(text, "dark=true")
        page.evaluate(SELECT, [".ws-prose > :first-child", ".ws-prose > :last-child"])
        html = page.evaluate(COPIED)["html"]
        assert '<li><strong>one</strong></li><li><a href="https://a.example">two</a>' in html
        assert html.startswith("<ul")
        assert "<pre><code>a = 1\n\n\nb = 2\n</code></pre>" in html
        assert "<td>b</td>" in html
        for word in ("style", "class", "button", "color", "svg"):
            assert word not in html

    def test_a_part_of_code_is_code(self, show: Callable[..., Page]) -> None:
        page = show("```\na\n\n\nb\n```\n")
        page.evaluate(SELECT, [".ws-prose pre code", ".ws-prose pre code"])
        copied = page.evaluate(COPIED)
        assert copied["text"].rstrip() == "a\n\n\nb"
        assert copied["html"].startswith("<pre>")

    def test_copy_gives_markdown_and_html(
        self, show: Callable[..., Page], context: BrowserContext
    ) -> None:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = show("So $x^2$ is **bold**.", "dark=true")
        page.locator("[data-id=a] [data-action=copy]").click()
        expect(page.locator("[data-id=a] .ws-turn-done")).to_be_attached()
        found = page.evaluate(
            """async () => {
                const [item] = await navigator.clipboard.read();
                const read = async (type) => (await item.getType(type)).text();
                return { text: await read("text/plain"), html: await read("text/html") };
            }"""
        )
        assert found["text"] == "**Markdown** of a"
        assert "$x^2$" in found["html"]
        assert "<strong>bold</strong>" in found["html"]
        assert "color" not in found["html"]

    def test_copy_as_text_keeps_formulas_and_blank_lines_of_code(
        self, show: Callable[..., Page], context: BrowserContext
    ) -> None:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        code = "def a():\n    pass\n\n\ndef b():\n    pass"
        page = show(f"So $e^{{i\\pi}} = -1$.\n\n$$\nx^2\n$$\n\n```python\n{code}\n```\n\nEnd.\n")
        page.locator("[data-id=a] [data-action=copy]").click(modifiers=["Shift"])
        expect(page.locator("[data-id=a] .ws-turn-done")).to_be_attached()
        text = page.evaluate("navigator.clipboard.readText()")
        assert text == f"So $e^{{i\\pi}} = -1$.\n\n$$x^2$$\n\n{code}\n\nEnd."


def exported(text: str) -> str:
    """An HTML export of one answer."""
    export = HtmlExport(lambda source: render(source, MARKUP))
    info = ConversationInfo(id="c", title="Formulas", created_at=0.0, updated_at=0.0)
    segment = Segment(stream="s", model="m", entries=(TextDelta(text),), end=End("stop"))
    record = TurnRecord(
        id="t",
        conversation_id="c",
        branch=0,
        depth=0,
        question_parts=text_parts("Q"),
        created_at=0.0,
        segments=(segment,),
    )
    return (
        export.text_before_turns(info, [Branch(id=0, parent=None, first=0, last=0)])
        + export.text_of_turn(record)
        + export.text_after_turns()
    )


class TestExports:
    TEXT = "So $x^2$ and $\\mathcal{L}$.\n\n$$\n\\ce{H2O} = \\frac{a}{b}\n$$\n\n$\\SI{3}{m}$\n"

    def test_a_file_draws_its_formulas_without_a_request(self, page: Page, tmp_path: Path) -> None:
        file = tmp_path / "export.html"
        file.write_text(exported(self.TEXT), encoding="utf-8")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        expect(page.locator('.ws-tex[data-drawn="1"]')).to_have_count(3)
        expect(page.locator('.ws-tex[data-drawn="0"]')).to_have_text("$\\SI{3}{m}$")
        page.evaluate("document.fonts.ready.then(() => 0)")
        fonts = page.evaluate(
            "[...document.fonts].filter((f) => f.status === 'loaded').map((f) => f.family)"
        )
        assert {"KaTeX_Main", "KaTeX_Math", "KaTeX_Caligraphic"} <= set(fonts)
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []

    def test_a_selection_has_the_source(self, page: Page, tmp_path: Path) -> None:
        file = tmp_path / "export.html"
        file.write_text(exported(self.TEXT), encoding="utf-8")
        page.goto(file.as_uri())
        page.evaluate(SELECT, [".ws-prose p", ".ws-prose p"])
        assert page.evaluate(COPIED)["text"].strip() == "So $x^2$ and $\\mathcal{L}$."

    def test_without_scripts_the_source_is_there(
        self, new_context: Callable[..., BrowserContext], tmp_path: Path
    ) -> None:
        file = tmp_path / "export.html"
        file.write_text(exported(self.TEXT), encoding="utf-8")
        page = new_context(java_script_enabled=False).new_page()
        page.goto(file.as_uri())
        expect(page.get_by_text("So $x^2$ and $\\mathcal{L}$.")).to_be_visible()

    def test_only_what_is_needed_is_inside(self) -> None:
        assert "<script" not in exported("Costs $5.")
        plain, chemistry = exported("$x$"), exported("$\\ce{H2O}$")
        assert (plain.count("<script"), chemistry.count("<script")) == (2, 3)
        assert len(chemistry) > len(plain) + 30_000
        assert "KaTeX_Fraktur;" not in plain.split("data:font", 1)[0]
        assert plain.count("data:font/woff2") < exported("$\\mathfrak{g}$").count("data:font/woff2")

    def test_a_shared_page_draws_its_formulas(
        self, served_with: Any, running_lab: Any, page: Page, tmp_path: Path
    ) -> None:
        """Its policy forbids other scripts, and its links open."""
        server = served_with(running_lab.url, tmp_path, WIRESIDE_SHARING="public")
        try:
            parts = [{"type": "text", "text": self.TEXT + "\n[link](https://a.example)"}]
            answer = [{"model": "m", "reason": "stop", "parts": parts}]
            turn = {"id": "t", "parent": None, "question": "Q", "answer": answer}
            talk = {"title": "Formulas", "turns": [turn], "tags": []}
            file = {"format": "wireside", "version": 1, "conversations": [talk]}
            api = f"{server.url}/api/conversations"
            made = page.request.post(f"{api}/import", data=json.dumps(file))
            (name,) = made.json()["conversations"]
            link = page.request.post(f"{api}/{name}/shares").json()["link"]
            response = page.goto(link)
            assert response is not None
            policy = response.headers["content-security-policy"]
            assert "sandbox allow-scripts" in policy
            assert "allow-same-origin" not in policy
            assert "unsafe-eval" not in policy
            expect(page.locator('.ws-tex[data-drawn="1"]')).to_have_count(3)
            with page.expect_popup():
                page.get_by_role("link", name="link").click()
        finally:
            server.stop()
