"""The conversation in a real browser."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.page_program import Do, calling, events_of, serving
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.incremental import render

HERE = Path(__file__).parent
RICH = (HERE / "rich_answer.md").read_text(encoding="utf-8")
MARKUP = Markup(frozenset({"images.example"}))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as base:
        yield base


@pytest.fixture
def do(server: str) -> Do:
    return calling(server)


@pytest.fixture
def events(server: str) -> Callable[[], list[dict[str, Any]]]:
    return lambda: events_of(server)


@pytest.fixture
def opened(server: str, page: Page) -> Iterator[Callable[[str], Page]]:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))

    def open_(query: str = "") -> Page:
        page.goto(f"{server}/?{query}")
        page.wait_for_selector(".ws-transcript-scroller")
        return page

    yield open_
    assert problems == []


def pieces(text: str, size: int = 7) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def gap(page: Page) -> float:
    """Pixels between the end of the conversation and the end of the view."""
    value: float = page.evaluate(
        "() => {const s = document.querySelector('.ws-transcript-scroller');"
        " return s.scrollHeight - s.scrollTop - s.clientHeight}"
    )
    return value


NORMAL = """([id, html]) => {
  const strip = (root) => {
    const added = '.ws-prose-tools, .ws-prose-diagram';
    for (const el of root.querySelectorAll(added)) el.remove();
    for (const el of root.querySelectorAll('pre')) el.removeAttribute('tabindex');
    for (const el of root.querySelectorAll('.ws-image')) {
      el.removeAttribute('aria-label');
      for (const node of [...el.childNodes]) if (node.data === ' ') node.remove();
    }
    for (const el of root.querySelectorAll('.ws-tex[data-drawn]')) {
      el.textContent = el.dataset.source ?? el.textContent;
      const added = ['aria-label', 'data-drawn', 'data-source', 'tabindex'];
      for (const name of added) el.removeAttribute(name);
    }
    for (const el of root.querySelectorAll('.ws-table, div.ws-math'))
      for (const name of ['tabindex', 'role', 'aria-label']) el.removeAttribute(name);
    const drawn = root.querySelectorAll('.ws-prose-has-diagram');
    for (const el of drawn) el.classList.remove('ws-prose-has-diagram');
    root.normalize();
    return root.innerHTML;
  };
  const shown = document.querySelector(`[data-id="${id}"] .ws-prose`).cloneNode(true);
  const whole = document.createElement('div');
  whole.innerHTML = html;
  return [strip(shown), strip(whole)];
}"""


def test_a_long_answer_is_written_into_elements_that_a_frame_may_skip(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="l", question="Long?", state="streaming")
    for first in (0, 65):
        numbers = range(first, first + 65)
        do("feed", id="l", pieces=[f"Paragraph {n}, [^1] or not.\n\n" for n in numbers])
    texts = page.locator('[data-id="l"] .ws-prose')
    expect(texts).to_have_count(4)
    assert page.locator('[data-id="l"] .ws-prose-past').count() > 0
    expect(texts.nth(3)).to_contain_text("Paragraph 129")
    do("feed", id="l", pieces=["[^1]: A footnote changes what is before it.\n"])
    do("finish", id="l")
    expect(texts).to_have_count(1)
    expect(texts).to_have_class("ws-prose")
    expect(texts.locator(":scope > p")).to_have_count(130)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_streamed_answer_ends_as_the_same_page_as_a_stored_one(
    opened: Any, do: Do, at_once: bool
) -> None:
    page = opened()
    do("append", id="a", question="Everything?", state="thinking")
    expect(page.get_by_test_id("typing")).to_have_text("AI is typing…")
    do("change", id="a", state="streaming")
    text = RICH.split("A claim with")[
        0
    ]  # without footnotes, which would replace everything at the end
    do("feed", id="a", pieces=pieces(text[:900]), at_once=at_once)
    prose = page.get_by_test_id("message-assistant")
    expect(prose).to_contain_text("First, prepare")
    expect(prose).to_have_attribute("aria-busy", "true")
    expect(page.get_by_test_id("typing")).to_have_count(0)
    do("feed", id="a", pieces=pieces(text[900:]), at_once=at_once)
    do("finish", id="a")
    expect(prose).to_have_attribute("aria-busy", "false")
    shown, whole = page.evaluate(NORMAL, ["a", render(text, MARKUP)])
    assert shown == whole


def test_the_end_of_a_very_long_paragraph_is_shown_as_it_comes(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="a", question="q", state="streaming")
    do("feed", id="a", pieces=["word " * 4_000], at_once=True)
    do("feed", id="a", pieces=["and **bold**"])
    plain = page.locator(".ws-prose-plain")
    expect(plain).to_have_text("and **bold**")
    do("feed", id="a", pieces=[" <b>more"])
    expect(plain).to_have_text("and **bold** <b>more")
    do("feed", id="a", pieces=["\n\n- x\n- " + "item " * 4_000], at_once=True)
    do("feed", id="a", pieces=["and more"])
    do("finish", id="a")
    expect(plain).to_have_count(0)
    expect(page.locator(".ws-prose strong")).to_have_text("bold")
    expect(page.locator(".ws-prose li").last).to_contain_text("item and more")


@pytest.mark.parametrize("first", ["`main.py`: ", "https://a.example/x ", "123: ", "**[1]** "])
def test_lists_quotes_and_tables_have_the_direction_of_their_text(
    opened: Any, do: Do, first: str
) -> None:
    words = f"{first}افتح الملف ثم احفظه"
    table = f"| {words} | ب |\n|---|---|\n| ج | د |\n"
    text = f"- {words}\n- API واحد\n\n1. {words}\n\n> {words}\n\n{table}"
    page = opened()
    html = render(f"English first.\n\n{text}\n\n- back to **English**\n", MARKUP)
    do("append", id="a", question="q", html=html)
    expect(page.locator(".ws-prose table")).to_be_visible()
    found = page.evaluate(
        "() => [...document.querySelectorAll('.ws-prose :is(ul, ol, blockquote, table)')]"
        ".map((el) => `${el.tagName} ${getComputedStyle(el).direction}`)"
    )
    assert found == ["UL rtl", "OL rtl", "BLOCKQUOTE rtl", "TABLE rtl", "UL ltr"]
    bar = page.evaluate(
        "() => getComputedStyle(document.querySelector('.ws-prose blockquote')).paddingRight"
    )
    assert bar == "16px"


def test_an_item_of_code_alone_begins_where_its_list_does(opened: Any, do: Do) -> None:
    page = opened()
    text = "- افتح الملف\n- `code`\n\n1. `code`\n\n   ثم احفظه\n\n- [ ] `code`\n- [x] افتح\n"
    do("append", id="a", question="q", html=render(text, MARKUP))
    codes = page.locator(".ws-prose li code")
    expect(codes).to_have_count(3)
    gaps = codes.evaluate_all(
        "(els) => els.map((el) => {"
        " const item = el.closest('li').getBoundingClientRect();"
        " return item.right - el.getBoundingClientRect().right < item.width / 4; })"
    )
    assert gaps == [True, True, True]


def test_footnotes_resolve_at_the_end(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="n", state="streaming")
    do("feed", id="n", pieces=pieces(RICH))
    do("finish", id="n")
    expect(page.locator(".ws-footnotes li")).to_have_count(1)
    shown, whole = page.evaluate(NORMAL, ["n", render(RICH, MARKUP)])
    assert shown == whole
    page.locator(".ws-fn").click()
    expect(page.locator(".ws-footnotes li.ws-turn-found")).to_have_count(1)


def test_the_view_follows_only_a_reader_at_the_end(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="f", question="Long?", state="streaming")
    do("feed", id="f", pieces=["A line of text.\n\n"] * 60)
    expect(page.locator(".ws-prose p")).to_have_count(60)
    page.wait_for_function(
        "() => document.querySelector('.ws-transcript-scroller').scrollTop > 500"
    )
    assert abs(gap(page)) < 2
    page.mouse.move(300, 300)
    page.mouse.wheel(0, -400)
    page.wait_for_function(
        "() => {const s = document.querySelector('.ws-transcript-scroller');"
        " return s.scrollHeight - s.scrollTop - s.clientHeight > 300}"
    )
    top = page.evaluate("document.querySelector('.ws-transcript-scroller').scrollTop")
    do("feed", id="f", pieces=["Another line.\n\n"] * 30)
    expect(page.locator(".ws-prose p")).to_have_count(90)
    assert page.evaluate("document.querySelector('.ws-transcript-scroller').scrollTop") == top
    page.get_by_test_id("new-text").click()
    expect(page.get_by_test_id("new-text")).to_be_hidden()
    assert abs(gap(page)) < 2
    do("finish", id="f")


def test_a_new_turn_after_a_long_one_is_shown(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="long", question="Long", html="<p>text</p>" * 300)
    do("append", id="next", question="And now?", state="thinking")
    expect(page.get_by_text("And now?")).to_be_in_viewport()
    expect(page.get_by_test_id("typing")).to_be_in_viewport()
    page.locator(".ws-transcript-scroller").evaluate("(s) => {s.scrollTop -= 1500}")
    expect(page.get_by_text("And now?")).not_to_be_in_viewport()
    page.locator(".ws-transcript-scroller").evaluate("(s) => {s.scrollTop += 1300}")
    page.locator(".ws-transcript-scroller").evaluate("(s) => {s.scrollTop += 1300}")
    expect(page.get_by_text("And now?")).to_be_in_viewport()


def test_turns_that_could_not_be_read_are_asked_for_again(opened: Any) -> None:
    page = opened("total=40&misses=3")
    expect(page.get_by_text("Question 39")).to_be_visible(timeout=30_000)


def test_a_hundred_thousand_turns_need_few_nodes(opened: Any, do: Do) -> None:
    page = opened("total=100000")
    expect(page.get_by_text("Question 99999", exact=True)).to_be_visible()
    scroller = page.locator(".ws-transcript-scroller")
    for share in (0.5, 0.1, 0.9, 0.0):
        scroller.evaluate("(s, share) => {s.scrollTop = s.scrollHeight * share}", share)
        page.wait_for_function(SETTLED)
        shown = page.locator(".ws-turn").evaluate_all(
            "(turns) => turns.map((turn) => Number(turn.dataset.id.slice(1)))"
        )
        assert shown == list(range(shown[0], shown[0] + len(shown)))
        assert abs(shown[len(shown) // 2] / 100_000 - share) < 0.02
        assert page.evaluate("document.querySelectorAll('*').length") < 3000
    do("jump", index=54_321)
    expect(page.get_by_text("Question 54321", exact=True)).to_be_in_viewport()


def test_turns_that_come_above_move_nothing(opened: Any) -> None:
    page = opened("total=400")
    expect(page.get_by_text("Question 399", exact=True)).to_be_visible()
    for _ in range(40):
        before = page.evaluate(WHERE)
        page.locator(".ws-transcript-scroller").evaluate("(s) => {s.scrollTop -= 300}")
        page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        page.wait_for_function(SETTLED)
        after = page.evaluate(WHERE)
        moves = [after[name] - before[name] for name in before.keys() & after.keys()]
        assert moves and all(abs(move - 300) < 2 for move in moves)


SETTLED = """() => !document.querySelector('.ws-turn-blank')
  && [...document.querySelectorAll('.ws-turn')].some((turn) => {
    const box = turn.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  })"""
WHERE = """() => Object.fromEntries([...document.querySelectorAll('.ws-turn:not(.ws-turn-blank)')]
  .map((turn) => [turn.dataset.id, turn.getBoundingClientRect()])
  .filter(([, box]) => box.bottom > 0 && box.top < innerHeight)
  .map(([id, box]) => [id, box.top]))"""


def test_buttons_say_what_is_wanted(opened: Any, do: Do, events: Any) -> None:
    page = opened()
    do("append", id="w", question="Later", state="waiting")
    do("append", id="s", question="Stopped", state="stopped", html="<p>Half</p>")
    do(
        "append",
        id="e",
        question="Broken",
        state="error",
        error="The model did not answer in time.",
    )
    page.get_by_role("button", name="take back").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("button", name="Edit").last.click()
    expect(page.get_by_test_id("note-error")).to_contain_text("did not answer in time")
    wanted = [("withdraw", "w"), ("continue", "s"), ("retry", "e"), ("edit", "e")]
    page.wait_for_timeout(200)
    assert [(event["name"], event["id"]) for event in events()][-4:] == wanted
    do("take_out", id="w")
    expect(page.get_by_test_id("message-user")).to_have_count(2)


def test_a_rate_limit_counts_down_and_asks_again(opened: Any, do: Do, events: Any) -> None:
    page = opened()
    do(
        "append",
        id="limited",
        question="Again",
        state="error",
        error="Too many requests.",
        retry_after=2,
    )
    expect(page.get_by_test_id("countdown")).to_contain_text("Trying again in")
    deadline = time.monotonic() + 20
    while not any(
        event == {"name": "retry", "id": "limited", "automatic": True} for event in events()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_copying_gives_the_markdown_and_the_code(opened: Any, do: Do) -> None:
    page = opened()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    do("append", id="c", question="Code?", html=render("```py\nx = 1\n```", MARKUP))
    page.get_by_role("button", name="Copy code (py)").click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()) === 'x = 1\\n'")
    page.get_by_test_id("message-assistant").hover()
    page.locator('[data-action="copy"]').click()
    page.wait_for_function(
        "async () => (await navigator.clipboard.readText()) === '**Markdown** of c'"
    )


@pytest.mark.parametrize(
    ("label", "name"),
    [
        *(("python", "code.py"), ("c++", "code.cpp"), ("toml", "code.toml")),
        *(("", "code.txt"), ("lnk", "code.txt"), ("constructor", "code.txt")),
    ],
)
def test_code_is_downloaded_as_a_file_of_its_language(
    opened: Any, do: Do, label: str, name: str
) -> None:
    page = opened()
    code = "x = '<é>'\n\ny = 2\n"
    do("append", id="c", question="Code?", html=render(f"```{label}\n{code}```", MARKUP))
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download code").click()
    assert waiting.value.suggested_filename == name
    assert waiting.value.path().read_text(encoding="utf-8") == code


def test_long_lines_of_code_wrap_on_demand(opened: Any, do: Do) -> None:
    page = opened()
    code = f"```py\n{'word ' * 100}{'x' * 300}\n```\n\n" * 2
    do("append", id="c", question="Code?", html=render(code, MARKUP))
    overflow = "(els) => els.map((el) => el.scrollWidth > el.clientWidth + 1)"
    blocks = page.locator(".ws-code pre")
    assert blocks.evaluate_all(overflow) == [True, True]
    wrap = page.get_by_role("button", name="Wrap lines").last
    wrap.click()
    expect(wrap).to_have_attribute("aria-pressed", "true")
    assert blocks.evaluate_all(overflow) == [True, False]
    wrap.press("Enter")
    expect(wrap).to_have_attribute("aria-pressed", "false")
    assert blocks.evaluate_all(overflow) == [True, True]


def test_a_page_that_lost_its_place_gets_all_again(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="x", question="Q", state="streaming")
    do("feed", id="x", pieces=pieces("# Title\n\n- one\n- two\n- three **half"))
    expect(page.locator(".ws-prose li")).to_have_count(3)
    page.evaluate("document.querySelector('.ws-prose').innerHTML = '<p>stale</p>'")
    do("restart", id="x", rows=[{"id": "x", "question": "Q", "state": "streaming"}], total=1)
    expect(page.locator(".ws-prose li")).to_have_count(3)
    do("feed", id="x", pieces=[" bold**\n\nThe end"])
    do("finish", id="x")
    expect(page.get_by_test_id("message-assistant")).to_have_attribute("aria-busy", "false")
    shown, whole = page.evaluate(
        NORMAL, ["x", render("# Title\n\n- one\n- two\n- three **half bold**\n\nThe end", MARKUP)]
    )
    assert shown == whole
    expect(page.locator(".ws-turn")).to_have_count(1)


def test_an_answer_that_was_asked_again_begins_anew(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="again", question="Q", state="streaming")
    do("feed", id="again", pieces=["First\n\nanswer"])
    do("finish", id="again")
    expect(page.get_by_test_id("message-assistant")).to_contain_text("answer")
    do("change", id="again", html="", state="thinking")
    expect(page.get_by_test_id("message-assistant")).to_be_empty()
    expect(page.get_by_test_id("typing")).to_be_visible()
    do("feed", id="again", pieces=["Second"])
    expect(page.get_by_test_id("message-assistant")).to_have_text("Second")
    do("finish", id="again")


def test_an_answer_of_nothing_says_so_and_can_be_asked_again(
    opened: Any, do: Do, events: Any
) -> None:
    page = opened()
    do("append", id="n", question="Why?", state="thinking")
    do("change", id="n", state="empty")
    expect(page.get_by_test_id("note-empty")).to_have_text("The model gave no answer.")
    page.get_by_role("button", name="Ask again").click()
    page.wait_for_timeout(200)
    assert [(event["name"], event["id"]) for event in events()][-1:] == [("retry", "n")]


def test_reasoning_and_tools_are_folded(opened: Any, do: Do) -> None:
    page = opened()
    tool = {
        "call": "1",
        "name": "search",
        "state": "running",
        "seconds": None,
        "arguments": '{"q": 1}',
        "result": "",
    }
    do("append", id="t", question="Think", state="thinking", tools=[tool])
    do("think", id="t", text="First I ")
    do("think", id="t", text="look.")
    expect(page.locator(".ws-turn-think-text")).to_be_hidden()
    page.get_by_text("Thinking…").click()
    expect(page.locator(".ws-turn-think-text")).to_have_text("First I look.")
    do("tool", id="t", tool={**tool, "state": "done", "seconds": 1.24, "result": "42"})
    do("feed", id="t", pieces=["Done"])
    do("finish", id="t")
    expect(page.locator(".ws-turn-tool-call summary")).to_have_text("search — done · 1.2s")
    expect(page.locator(".ws-turn-think-text")).to_be_visible()
    expect(page.locator(".ws-turn-think summary")).to_contain_text("Reasoning · ")


ORDER = """id => [...document.querySelector(`[data-id="${id}"] .ws-turn-parts`).children].map(
    el => el.classList[0] + (el.classList[1] ?? "") + ": " + el.textContent)"""


def test_parts_are_in_the_order_in_which_they_came(opened: Any, do: Do) -> None:
    page = opened()
    tool = {
        "call": "0:c",
        "name": "f",
        "state": "running",
        "seconds": None,
        "arguments": "",
        "result": "",
    }
    do("append", id="o", question="Q", state="streaming")
    do("feed", id="o", pieces=["Let me **lo", "ok**."])
    do("tool", id="o", tool=tool)
    page.locator(".ws-turn-tool-call summary").click()
    do("forget", id="o")
    do("feed", id="o", pieces=["The sky"])
    do("tool", id="o", tool={**tool, "state": "requested"})
    do("feed", id="o", pieces=[" is grey."])
    expect(page.locator(".ws-turn-tool-call")).to_have_attribute("open", "")
    do("think", id="o", text="hm")
    expect(page.locator(".ws-turn-think summary")).to_contain_text("Thinking…")
    do("forget", id="o")
    do("feed", id="o", pieces=["Rain"])
    expect(page.get_by_test_id("message-assistant").locator(".ws-prose")).to_have_count(3)
    assert page.evaluate(ORDER, "o") == [
        "ws-prose: Let me look.",
        "ws-turn-foldws-turn-tool-call: f — requested, not run",
        "ws-prose: The sky is grey.",
        "ws-turn-foldws-turn-think: Reasoning · 1shm",
        "ws-prosews-prose-busy: Rain",
    ]
    do("finish", id="o")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_test_id("message-assistant").hover()
    page.locator('[data-action="copy"]').click(modifiers=["Shift"])
    page.wait_for_function(
        "async () => (await navigator.clipboard.readText())"
        " === 'Let me look.\\n\\nThe sky is grey.\\n\\nRain'"
    )
    do(
        "change",
        id="o",
        parts=[
            {"kind": "reasoning", "text": "hm", "seconds": None},
            {**tool, "kind": "tool"},
        ],
    )
    expect(page.locator(".ws-prose")).to_have_count(0)
    assert page.evaluate(ORDER, "o") == [
        "ws-turn-foldws-turn-think: Reasoninghm",
        "ws-turn-foldws-turn-tool-call: f — running",
    ]


@pytest.mark.parametrize("width", [1440, 375, 320])
def test_tool_calls_stand_in_the_column_one_below_the_other(
    opened: Any, do: Do, width: int
) -> None:
    """With the page's own style sheets: a class of the frame once made each a box of 40 px."""
    page = opened()
    page.set_viewport_size({"width": width, "height": 700})
    tool = {
        "name": "a_search_with_a_rather_long_name",
        "state": "done",
        "seconds": 12.4,
        "arguments": '{"query": "' + "wombats and where they live " * 6 + '"}',
        "result": "42\n" * 40,
    }
    html = "<p>An answer below its calls.</p>"
    do("append", id="t", question="?", html=html, tools=[{**tool, "call": c} for c in "123"])
    calls = page.locator(".ws-turn-tool-call")
    expect(calls).to_have_count(3)
    for place in (0, 1, 2):
        calls.nth(place).locator("summary").click()
    expect(page.locator(".ws-turn-tool-call[open]")).to_have_count(3)
    frames(page)
    boxes = [call.bounding_box() for call in calls.all()]
    boxes.append(page.locator(".ws-prose").bounding_box())
    column = page.locator(".ws-transcript-rows").bounding_box()
    assert column is not None
    for box, below in zip(boxes, boxes[1:], strict=False):
        assert box is not None
        assert below is not None
        assert box["y"] + box["height"] <= below["y"] + 1
        assert box["height"] > 100
        assert box["x"] >= column["x"] - 1
        assert box["x"] + box["width"] <= column["x"] + column["width"] + 1


def test_sentences_are_announced_once(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="v", question="Speak", state="streaming")
    do("feed", id="v", pieces=pieces("One sentence. Another one! And a "))
    live = page.get_by_test_id("announcer")
    expect(live).to_have_text("One sentence. Another one!")
    do("feed", id="v", pieces=pieces("third.\n\nA last"))
    do("finish", id="v")
    expect(live).to_contain_text("A last")
    expect(live).to_contain_text("The answer is complete.")
    said = " ".join(live.text_content().replace("!", "! ").replace(".", ". ").split())
    assert said.count("One sentence.") == said.count("third.") == said.count("A last") == 1


def test_nothing_is_loaded_or_run(opened: Any, do: Do) -> None:
    page = opened()
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("**/*evil*/**", refuse)
    page.route("https://**", refuse)
    text = (
        "![x](https://evil.example/leak.png) <script>window.pwned=1</script>\n\n"
        '<img src=https://evil.example/a onerror="window.pwned=1">\n\n'
        "[x](javascript:window.pwned=1)\n\n$\\text{<img src=x onerror=window.pwned=1>}$\n\n"
        "```mermaid\nflowchart LR\n"
        '  A["<img src=https://evil.example/b onerror=window.pwned=1>"] --> B\n'
        '  click A "javascript:window.pwned=1"\n```\n'
    )
    do("append", id="h", question="<b>bold?</b>", state="streaming")
    do("feed", id="h", pieces=pieces(text))
    do("finish", id="h")
    expect(page.locator(".ws-image")).to_contain_text("evil.example")
    page.wait_for_timeout(1500)
    assert page.evaluate("window.pwned") is None
    assert asked == []
    expect(page.get_by_test_id("message-user")).to_have_text("<b>bold?</b>")


def test_a_diagram_is_drawn_when_its_fence_closes(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="d", question="Draw", state="streaming")
    good, broken = "```mermaid\nflowchart LR\n  A --> B\n```\n", "```mermaid\nflowchart ((((\n```\n"
    do("feed", id="d", pieces=pieces(f"{good}\nand a broken one\n\n{broken}"))
    do("finish", id="d")
    diagram = page.get_by_role("img", name="Diagram")
    expect(diagram).to_have_count(1, timeout=15_000)
    expect(page.locator(".ws-code").last.locator("pre")).to_be_visible()

    # its code, and back, by keyboard
    code = page.locator(".ws-code").first.locator("pre")
    expect(code).to_be_hidden()
    page.get_by_role("button", name="Show the code").focus()
    page.keyboard.press("Enter")
    expect(code).to_contain_text("A --> B")
    expect(diagram).to_be_hidden()
    back = page.get_by_role("button", name="Show the diagram")
    expect(back).to_be_focused()
    page.keyboard.press("Enter")
    expect(diagram).to_be_visible()
    expect(code).to_be_hidden()


def wait_for(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def frames(page: Page) -> None:
    """Wait until pending changes have been laid out and painted."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def top_of(page: Page, row_id: str) -> float:
    box = page.locator(f'.ws-turn[data-id="{row_id}"]').bounding_box()
    assert box is not None
    return box["y"]


def rows_of(names: list[str], **more: Any) -> list[dict[str, Any]]:
    return [{"id": n, "question": f"Q {n}", "html": f"<p>Answer {n}</p>", **more} for n in names]


# ---- siblings ----------------------------------------------------------------------------------


def test_a_switch_leads_to_the_siblings_of_a_turn(opened: Any, do: Do, events: Any) -> None:
    page = opened()
    do("append", id="only", question="Only one", html="<p>x</p>")
    do("append", id="b2", question="Second of three", html="<p>x</p>", sibling=1, siblings=3)
    do("append", id="b3", question="Last of three", html="<p>x</p>", sibling=2, siblings=3)
    switches = page.get_by_test_id("versions")
    expect(switches).to_have_count(2)
    expect(switches.first).to_have_text("2 / 3")
    expect(page.get_by_role("group", name="Version 2 of 3")).to_be_visible()
    assert switches.first.evaluate("(el) => getComputedStyle(el).opacity") == "1"
    before = len(events())
    switches.first.get_by_role("button", name="Previous version").click()
    switches.first.get_by_role("button", name="Next version").click()
    switches.last.get_by_role("button", name="Next version").dispatch_event("click")
    switches.last.get_by_role("button", name="Previous version").click()
    wait_for(lambda: len(events()) >= before + 3)
    said = [(event["name"], event["id"]) for event in events()[before:]]
    assert said == [("previous", "b2"), ("next", "b2"), ("previous", "b3")]
    do("change", id="only", sibling=0, siblings=2)
    expect(switches).to_have_count(3)


def test_the_switch_of_a_turn_without_a_question_is_there_too(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="mute", html="<p>x</p>", siblings=2)
    do("append", id="waits", question="Later", state="waiting", sibling=1, siblings=2)
    expect(page.get_by_test_id("versions")).to_have_text(["1 / 2", "2 / 2"])
    expect(page.get_by_test_id("waiting")).to_be_visible()


def test_another_branch_takes_the_place_of_what_followed(opened: Any, do: Do) -> None:
    page = opened()
    do("reset", rows=rows_of(["a", "b", "c", "d"]), total=4)
    expect(page.locator(".ws-turn")).to_have_count(4)
    marks = "[...document.querySelectorAll('[data-id=a], [data-id=a] p')]"
    page.evaluate(f"{marks}.forEach((el) => {{el.mark = 1}})")
    page.locator('[data-id="b"] [data-action="edit"]').focus()
    do("replace_from", index=1, rows=rows_of(["x", "y"], sibling=1, siblings=2), total=3)
    expect(page.get_by_test_id("message-user")).to_have_text(["Q a", "Q x", "Q y"])
    assert page.evaluate(f"{marks}.map((el) => el.mark)") == [1, 1]
    expect(page.locator('[data-id="x"] [data-action="edit"]')).to_be_focused()
    do("replace_from", index=3, rows=rows_of(["z"]), total=4)
    do("replace_from", index=0, rows=[], total=0)
    expect(page.locator(".ws-turn")).to_have_count(0)


def test_a_switched_turn_stays_where_it_was(opened: Any, do: Do) -> None:
    page = opened()
    long = {"html": "<p>text</p>" * 12}
    do("reset", rows=[{**row, **long} for row in rows_of(list("abcdef"))], total=6)
    expect(page.get_by_text("Q f")).to_be_attached()
    page.locator(".ws-transcript-scroller").evaluate("(s) => {s.scrollTop = 700}")
    frames(page)
    before = top_of(page, "c"), top_of(page, "b")
    more = [{**row, **long, "siblings": 2} for row in rows_of(["x", "y", "z"])]
    do("replace_from", index=2, rows=more, total=300)
    expect(page.get_by_text("Q x")).to_be_attached()
    frames(page)
    after = top_of(page, "x"), top_of(page, "b")
    assert all(abs(new - old) < 1.5 for new, old in zip(after, before, strict=True))


def test_a_reader_at_the_end_is_not_taken_away_from_the_turn_that_changes(
    opened: Any, do: Do
) -> None:
    page = opened()
    do("reset", rows=rows_of(["a", "b", "c"]), total=3)
    expect(page.locator(".ws-turn")).to_have_count(3)
    before = top_of(page, "b")
    longer = [{**row, "html": "<p>text</p>" * 40} for row in rows_of(["x", "y", "z"])]
    do("replace_from", index=1, rows=longer, total=4)
    expect(page.get_by_text("Q x")).to_be_in_viewport()
    frames(page)
    assert abs(top_of(page, "x") - before) < 1.5


def test_an_edited_question_is_followed_to_its_answer(opened: Any, do: Do) -> None:
    page = opened("total=60")
    expect(page.get_by_text("Question 59", exact=True)).to_be_visible()
    page.locator(".ws-transcript-scroller").evaluate("(s) => {s.scrollTop -= 1500}")
    frames(page)
    row = {"id": "edited", "question": "Edited", "state": "thinking", "sibling": 1, "siblings": 2}
    do("replace_from", index=50, rows=[row], total=51)
    expect(page.get_by_text("Edited", exact=True)).to_be_in_viewport()
    expect(page.get_by_test_id("typing")).to_be_in_viewport()
    do("feed", id="edited", pieces=["The answer.\n\n"] * 80)
    expect(page.locator('[data-id="edited"] .ws-prose p')).to_have_count(80)
    page.wait_for_function(
        "() => {const s = document.querySelector('.ws-transcript-scroller');"
        " return s.scrollHeight - s.scrollTop - s.clientHeight < 2}"
    )
    do("finish", id="edited")


def test_a_growing_answer_that_is_given_anew_is_there_once(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="grows", question="Q", state="streaming")
    do("append", id="later", question="Later", state="waiting")
    do("feed", id="grows", pieces=["One. ", "Two. "])
    prose = page.locator('[data-id="grows"] .ws-prose')
    expect(prose).to_have_text("One. Two.")
    do(
        "replace_from",
        index=0,
        rows=[{"id": "grows", "question": "Q", "state": "thinking"}],
        total=1,
    )
    do("forget", id="grows")
    do("feed", id="grows", pieces=["One. ", "Two. ", "Three."])
    expect(prose).to_have_text("One. Two. Three.")
    expect(page.locator(".ws-turn")).to_have_count(1)
    do("finish", id="grows")


def test_what_follows_another_branch_is_asked_for(opened: Any, do: Do) -> None:
    page = opened("total=200")
    expect(page.get_by_text("Question 199", exact=True)).to_be_visible()
    do("replace_from", index=100, rows=rows_of(["x"]), total=200)
    page.wait_for_function(SETTLED)
    page.wait_for_function(  # the end moves while rows above it are measured
        "() => { const s = document.querySelector('.ws-transcript-scroller');"
        " s.scrollTop = s.scrollHeight;"
        " return s.textContent.includes('Question 199') }"
    )
    do("jump", index=100)
    expect(page.get_by_text("Q x")).to_be_in_viewport()
    expect(page.get_by_text("Question 99", exact=True)).to_be_attached()
    expect(page.get_by_text("Question 101", exact=True)).to_be_attached()


# ---- jumping -----------------------------------------------------------------------------------


def test_a_jump_ends_exactly_at_the_turn_and_marks_it_for_a_moment(opened: Any, do: Do) -> None:
    page = opened("total=100000")
    expect(page.get_by_text("Question 99999", exact=True)).to_be_visible()
    do("jump", index=50_000)
    turn = page.locator('[data-id="h50000"]')
    expect(turn).to_have_class("ws-turn ws-turn-found")
    page.wait_for_function(SETTLED)
    frames(page)
    assert abs(top_of(page, "h50000") - 16) < 1.5
    expect(turn).to_have_class("ws-turn")
    assert abs(top_of(page, "h50000") - 16) < 1.5
    do("jump", index=10**9)
    page.mouse.move(300, 300)
    page.mouse.wheel(0, 300)
    page.wait_for_function(
        "() => document.querySelector('[data-id=h50000]').getBoundingClientRect().top < -200"
    )


def test_a_turn_that_was_jumped_to_stays_while_those_around_it_become_longer(
    opened: Any, do: Do
) -> None:
    """Long answers arrive after their rows; a little of the row above is still visible."""
    page = opened("total=100")
    do("jump", index=40)
    turn = page.locator('[data-id="h40"]')
    expect(turn).to_have_class("ws-turn ws-turn-found")
    expect(turn).to_have_class("ws-turn")  # from now on only the reading position holds it
    for row in ("h39", "h38", "h41", "h40"):
        do("change", id=row, html="<p>a line</p>" * 100)
        expect(page.locator(f'[data-id="{row}"]').get_by_text("a line")).to_have_count(100)
        frames(page)
        assert abs(top_of(page, "h40") - 16) < 1.5


def test_the_mark_does_not_move_for_those_who_want_no_motion(opened: Any, do: Do) -> None:
    page = opened("total=100")
    page.emulate_media(reduced_motion="reduce")
    do("jump", index=40)
    turn = page.locator('[data-id="h40"]')
    expect(turn).to_have_class("ws-turn ws-turn-found")
    mark = "(el) => getComputedStyle(el, '::before')"
    assert turn.evaluate(f"{mark}.animationName") == "none"
    assert turn.evaluate(f"{mark}.opacity") == "1"


# ---- feedback ----------------------------------------------------------------------------------


def test_a_thumb_is_pressed_and_taken_back(opened: Any, do: Do, events: Any) -> None:
    page = opened()
    do("append", id="j", question="Q", html="<p>An answer</p>")
    do("append", id="open", question="Q", state="thinking")
    up = page.get_by_role("button", name="Good answer")
    down = page.get_by_role("button", name="Bad answer")
    expect(up).to_have_count(1)
    expect(up).to_have_attribute("aria-pressed", "false")
    before, height = len(events()), page.locator('[data-id="j"]').bounding_box()
    up.click()
    expect(up).to_have_attribute("aria-pressed", "true")
    assert page.locator('[data-id="j"]').bounding_box() == height
    down.click()
    expect(up).to_have_attribute("aria-pressed", "false")
    expect(down).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("What was wrong? (optional)")).to_be_visible()
    down.click()
    expect(down).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_test_id("feedback")).to_have_count(0)
    wait_for(lambda: len(events()) >= before + 3)
    assert [event["name"] for event in events()[before:]] == ["up", "down", "no-feedback"]
    do("change", id="j", feedback="up")
    expect(up).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_test_id("feedback")).to_have_count(0)


def test_words_can_be_added(opened: Any, do: Do, events: Any) -> None:
    page = opened()
    do("append", id="k", question="Q", html="<p>An answer</p>")
    page.get_by_role("button", name="Good answer").click()
    field = page.get_by_label("What was good? (optional)")
    field.fill("The  second")
    do("change", id="k", feedback="up", sibling=0, siblings=2)
    expect(page.get_by_test_id("versions")).to_be_visible()
    expect(field).to_be_focused()
    field.press_sequentially(" part")
    field.press("Enter")
    expect(page.get_by_text("Thank you")).to_be_visible()
    expect(field).to_have_count(0)
    expect(page.get_by_role("button", name="Good answer")).to_be_focused()
    wait_for(lambda: events()[-1]["name"] == "say")
    said = {"name": "say", "id": "k", "automatic": False, "words": "The  second part"}
    assert events()[-1] == said


def test_words_can_be_left_out(opened: Any, do: Do, events: Any) -> None:
    page = opened()
    do("append", id="l", question="Q", html="<p>An answer</p>")
    up = page.get_by_role("button", name="Good answer")
    before = len(events())
    up.click()
    page.get_by_label("What was good? (optional)").press("Escape")
    expect(page.get_by_test_id("feedback")).to_have_count(0)
    expect(up).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_test_id("feedback")).to_have_count(0)
    wait_for(lambda: len(events()) >= before + 2)
    assert [event["name"] for event in events()[before:]] == ["up", "down"]


def test_administrators_may_read_an_answer_until_that_is_taken_back(
    opened: Any, do: Do, events: Any
) -> None:
    page = opened("consent=true")
    do("append", id="m", question="Q", html="<p>An answer</p>")
    page.get_by_role("button", name="Bad answer").click()
    consent = page.get_by_role("checkbox", name="Let administrators read this question")
    expect(consent).not_to_be_checked()
    page.get_by_label("What was wrong? (optional)").press("Tab")
    expect(consent).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    note = page.get_by_test_id("feedback-consent")
    expect(note).to_contain_text("Administrators may read this answer.")
    wait_for(lambda: events()[-1]["name"] == "say")
    assert events()[-1] == {"name": "say", "id": "m", "automatic": False, "shown": True}
    do("change", id="m", feedback="down", is_shown=True)
    note.get_by_role("button", name="Withdraw").click()
    expect(note).to_have_count(0)
    expect(page.get_by_role("button", name="Bad answer")).to_be_focused()
    wait_for(lambda: events()[-1]["name"] == "unshow")


# ---- copying -----------------------------------------------------------------------------------

TO_COPY = """# Title

Some **bold** text.

1. one
2. two
   - inner

- [x] done

| a | b |
|---|---|
| 1 | 2 |

```py
if x:
    y()
```
"""
COPIED = """Title

Some bold text.

1. one
2. two
◦ inner
• [x] done
a\tb
1\t2
if x:
    y()"""


def clipboard(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_an_answer_is_copied_as_text_or_as_markdown(opened: Any, do: Do) -> None:
    page = opened()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    do("append", id="m", question="Q", html=render(TO_COPY, MARKUP))
    page.get_by_test_id("message-assistant").hover()
    more = page.get_by_role("button", name="More", exact=True)
    more.focus()
    more.press("Enter")
    expect(page.get_by_role("menuitem", name="Copy as Markdown")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Copy as text")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menu")).to_have_count(0)
    wait_for(lambda: clipboard(page).startswith("Title"))
    lines = [line for line in clipboard(page).split("\n") if line.strip()]
    assert lines == [line for line in COPIED.split("\n") if line.strip()]
    expect(page.locator(".ws-transcript-as-text")).to_have_count(0)
    more.click()
    page.get_by_role("menuitem", name="Copy as Markdown").click()
    wait_for(lambda: clipboard(page) == "**Markdown** of m")
    page.locator('[data-action="copy"]').click(modifiers=["Shift"])
    wait_for(lambda: clipboard(page).startswith("Title"))


def test_a_long_question_is_folded(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="short", question="\n".join("word" for _ in range(20)), html="<p>a</p>")
    do("append", id="long", question="\n".join("word" for _ in range(300)), html="<p>b</p>")
    bubbles = page.get_by_test_id("message-user")
    expect(bubbles).to_have_count(2)
    heights = "(els) => els.map((el) => el.offsetHeight)"
    short, folded = bubbles.evaluate_all(heights)
    assert folded <= 256 < short
    page.get_by_role("button", name="Show all").click()
    assert bubbles.evaluate_all(heights)[1] > 5000
    less = page.get_by_role("button", name="Show less")
    expect(less).to_be_focused()
    less.click()
    assert bubbles.evaluate_all(heights)[1] == folded


def test_screen_readers_step_from_turn_to_turn(opened: Any, do: Do) -> None:
    page = opened()
    for n in range(3):
        do("append", id=f"n{n}", question=f"Question {n}", html=render("# A heading", MARKUP))
    expect(page.get_by_role("heading", level=3, name="A heading")).to_have_count(3)
    headings = page.get_by_role("heading", level=2)
    assert headings.evaluate_all("(els) => els.map((el) => el.ariaLabel)") == [
        *("Question 0", "Question 1", "Question 2")
    ]


def test_the_copy_button_of_long_code_stays_in_sight(opened: Any, do: Do) -> None:
    page = opened()
    code = "```python\n" + "x = 1\n" * 200 + "```"
    do("append", id="code", question="Q", html=render(code, MARKUP))
    expect(page.locator(".ws-code")).to_be_visible()
    page.locator(".ws-transcript-scroller").evaluate("(el) => { el.scrollTop = 2000; }")
    expect(page.get_by_role("button", name="Copy code")).to_be_in_viewport(ratio=1)


def test_the_menu_closes_by_itself(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="n1", question="Q", html="<p>An answer</p>")
    more = page.get_by_role("button", name="More", exact=True)
    more.click()
    expect(more).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(more).to_be_focused()
    more.click()
    page.get_by_text("An answer").click()
    expect(page.get_by_role("menu")).to_have_count(0)
    more.click()
    do("change", id="n1", state="stopped")
    expect(page.get_by_test_id("note-stopped")).to_be_visible()
    expect(page.get_by_role("menu")).to_have_count(0)


def test_where_a_link_leads_is_shown_to_who_points_or_tabs_there(opened: Any, do: Do) -> None:
    page = opened("")
    text = "[here](https://bank.example@evil.example/a?b=c 'https://bank.example') and more"
    do("append", id="w", question="?", html=render(text, MARKUP))
    link, where = page.get_by_role("link", name="here"), page.get_by_test_id("where")
    expect(where).to_be_hidden()
    link.hover()
    expect(where).to_have_text("evil.example/a?b=c")
    page.mouse.move(1, 1)
    expect(where).to_be_hidden()
    link.focus()
    expect(where).to_have_text("evil.example/a?b=c")
    expect(link).to_have_accessible_description(re.compile("^https://evil.example/a"))
    link.evaluate("el => el.blur()")
    expect(where).to_be_hidden()


def test_a_card_says_its_host_apart_from_its_words(opened: Any, do: Do) -> None:
    page = opened("")
    do(
        "append",
        id="c",
        question="?",
        html=render("![bank.example](https://evil.example/x)", MARKUP),
    )
    name = "Open image: bank.example — evil.example"
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("line", "is_drawn"),
    [
        ("A-->|see https://docs.example/a| B", True),
        ('C["url of img"]', True),
        ('C@{ shape: diamond, label: "x" }', True),
        ('C@{ img: "https://evil.example/x" }', False),
        ('C@{ "\\x69mg": "https://evil.example/x" }', False),
        ('C["<b onclick=x()>"]', False),
        ("style A background:url(https://evil.example/x)", False),
        ("classDef x background:\\75rl(https://evil.example/x)", False),
    ],
)
def test_a_diagram_that_could_load_something_stays_text(
    opened: Any, do: Do, line: str, is_drawn: bool
) -> None:
    page = opened("")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    diagram = "```mermaid\nflowchart LR\n A-->B\n {}\n```\n\n"
    do("append", id="m", state="streaming")
    do("feed", id="m", pieces=[diagram.format(line), diagram.format("A-->C")])
    do("finish", id="m")
    expect(page.locator(".ws-code").last.get_by_test_id("diagram")).to_be_visible(timeout=15_000)
    expect(page.get_by_test_id("diagram")).to_have_count(2 if is_drawn else 1)
    assert not [url for url in asked if "evil" in url]
    assert page.locator(".ws-transcript-stage").count() == 0


# ---- keys --------------------------------------------------------------------------------------


def top(page: Page) -> float:
    value: float = page.locator(".ws-transcript-scroller").evaluate("(s) => s.scrollTop")
    return value


def press(page: Page, key: str) -> float:
    """Press a key, wait until scrolling ends, and return the distance in pixels."""
    before = top(page)
    page.keyboard.press(key)
    page.evaluate(
        """() => new Promise((done) => {
          const s = document.querySelector('.ws-transcript-scroller');
          let last, since = 0;
          const look = () => {
            since = s.scrollTop === last ? since + 1 : 0;
            last = s.scrollTop;
            since > 12 ? done() : requestAnimationFrame(look);
          };
          look();
        })"""
    )
    return top(page) - before


@pytest.fixture
def smooth(opened: Any) -> Page:
    """A long conversation; the browser scrolls smoothly, as it does by default."""
    page: Page = opened("total=300")
    expect(page.get_by_text("Question 299", exact=True)).to_be_visible()
    page.wait_for_function(SETTLED)
    page.evaluate("document.activeElement?.blur()")
    return page


@pytest.mark.parametrize("focus", ["nothing", "the log", "a button"])
def test_keys_scroll(smooth: Page, focus: str) -> None:
    page = smooth
    if focus == "the log":
        page.locator(".ws-transcript-scroller").focus()
    elif focus == "a button":
        page.locator('[data-action="copy_question"]').last.focus()
    view = page.locator(".ws-transcript-scroller").evaluate("(s) => s.clientHeight")
    assert -view < press(page, "PageUp") < -0.5 * view
    assert -view < press(page, "PageUp") < -0.5 * view
    assert 0.5 * view < press(page, "PageDown") < view
    assert -60 < press(page, "ArrowUp") < -20
    assert 20 < press(page, "ArrowDown") < 60
    if focus != "a button":
        assert -view < press(page, "Shift+Space") < -0.5 * view
        assert 0.5 * view < press(page, "Space") < view
    press(page, "Home")
    expect(page.get_by_text("Question 0", exact=True)).to_be_in_viewport()
    assert top(page) == 0
    press(page, "End")
    expect(page.get_by_text("Question 299", exact=True)).to_be_in_viewport()
    assert abs(gap(page)) < 2


def test_a_key_that_is_held_goes_on(smooth: Page) -> None:
    before = top(smooth)
    for _ in range(30):
        smooth.keyboard.down("ArrowUp")
    smooth.keyboard.up("ArrowUp")
    smooth.wait_for_function(
        "(before) => document.querySelector('.ws-transcript-scroller').scrollTop < before - 900",
        arg=before,
    )


def test_the_browsers_own_smooth_scrolling_is_not_taken_back(smooth: Page) -> None:
    """For smooth scrolling by an extension, a screen reader, or the browser's search."""
    page = smooth
    goal = top(page) - 900
    page.locator(".ws-transcript-scroller").evaluate(
        "(s) => s.scrollBy({top: -900, behavior: 'smooth'})"
    )
    page.wait_for_function(
        "(goal) => Math.abs("
        "document.querySelector('.ws-transcript-scroller').scrollTop - goal) < 450",
        arg=goal,
    )
    press(page, "Home")
    page.locator(".ws-transcript-scroller").evaluate(
        "(s) => s.scrollBy({top: 900, behavior: 'smooth'})"
    )
    page.wait_for_function(
        "() => document.querySelector('.ws-transcript-scroller').scrollTop > 450"
    )
    page.wait_for_timeout(500)
    assert top(page) > 450


def test_a_reader_who_pages_up_is_not_taken_back_by_an_answer(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="g", question="Long?", state="streaming")
    do("feed", id="g", pieces=["A line of text.\n\n"] * 80)
    expect(page.locator(".ws-prose p")).to_have_count(80)
    page.evaluate("document.activeElement?.blur()")
    assert press(page, "ArrowUp") < -20
    before = top(page)
    do("feed", id="g", pieces=["Another line.\n\n"] * 20)
    expect(page.locator(".ws-prose p")).to_have_count(100)
    frames(page)
    assert top(page) == before
    press(page, "End")
    do("feed", id="g", pieces=["One more.\n\n"] * 20)
    expect(page.locator(".ws-prose p")).to_have_count(120)
    page.wait_for_function(
        "() => {const s = document.querySelector('.ws-transcript-scroller');"
        " return s.scrollHeight - s.scrollTop - s.clientHeight < 2}"
    )
    do("finish", id="g")


def test_keys_stay_with_what_has_the_focus(opened: Any, do: Do) -> None:
    page = opened()
    tool = {"call": "1", "name": "search", "state": "done", "seconds": 1.0, "arguments": ""}
    tools = [{**tool, "result": "a line\n" * 200}]
    do("append", id="k", question="?", html="<p>text</p>" * 60, tools=tools)
    page.locator(".ws-turn-tool-call summary").focus()
    page.keyboard.press("Space")
    expect(page.locator(".ws-turn-tool-call[open]")).to_have_count(1)
    result = page.locator(".ws-turn-tool-call-text")
    result.evaluate("(el) => {el.tabIndex = 0; el.focus()}")
    page.keyboard.press("PageDown")
    page.wait_for_function("() => document.querySelector('.ws-turn-tool-call-text').scrollTop > 50")
    page.get_by_role("button", name="Good answer").click()
    field = page.get_by_label("What was good? (optional)")
    field.fill("a word")
    assert press(page, "Home") == 0
    field.press_sequentially("and ")
    expect(field).to_have_value("and a word")


# ---- wide tables -------------------------------------------------------------------------------

WIDE = "| " + " | ".join(f"column {n}" for n in range(14)) + " |\n" + "|---" * 14 + "|\n"
NARROW = "| a | b |\n|---|---|\n| 1 | 2 |\n"


def test_a_wide_table_scrolls_by_keys_and_has_a_name(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="w", question="?", html=render(f"{WIDE}\n\n{NARROW}", MARKUP))
    table = page.get_by_role("group", name="Table")
    expect(table).to_have_count(1)
    table.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.ws-table').scrollLeft > 0")
    page.set_viewport_size({"width": 320, "height": 600})
    do("append", id="s", state="streaming")
    do("feed", id="s", pieces=pieces(WIDE + "| x " * 14 + "|\n"))
    do("finish", id="s")
    expect(page.locator('[data-id="s"] [role=group][tabindex="0"]')).to_have_count(1)


# ---- focus and announcements --------------------------------------------------------------------


def test_continue_by_keyboard_keeps_the_place(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="s", question="?", state="stopped", html="<p>Half</p>")
    button = page.get_by_role("button", name="Continue")
    button.focus()
    button.press("Enter")
    do("change", id="s", state="streaming")
    stop = page.locator('[data-id="s"] [data-action="stop"]')
    expect(stop).to_be_focused()
    do("change", id="s", state="done")
    expect(stop).to_have_count(0)
    assert page.evaluate("document.activeElement.closest('.ws-turn').dataset.id") == "s"


def test_a_jump_takes_the_focus_along(opened: Any, do: Do) -> None:
    page = opened("total=100")
    do("jump", index=10)
    expect(page.locator('[data-id="h10"]')).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.ws-turn').dataset.id") == "h10"


def test_states_and_copying_are_said(opened: Any, do: Do) -> None:
    page = opened()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    said = page.get_by_test_id("announcer")
    do("append", id="a", question="?", state="waiting")
    expect(said).to_contain_text("Waiting")
    do("change", id="a", state="thinking")
    expect(said).to_contain_text("AI is typing…")
    do("feed", id="a", pieces=["A word"])
    do("finish", id="a")
    expect(said).to_contain_text("A word The answer is complete.")
    page.locator('[data-action="copy"]').click()
    expect(said).to_contain_text("Copied")
    do("append", id="b", question="?", state="thinking")
    do("change", id="b", state="stopped")
    expect(said).to_contain_text("You stopped this answer.")


def test_answers_are_not_read_out_where_that_is_switched_off(opened: Any, do: Do) -> None:
    page = opened()
    page.evaluate(
        "localStorage.setItem('wireside.read_out', 'false');"
        " dispatchEvent(new Event('wireside:preferences'))"
    )
    said = page.get_by_test_id("announcer")
    do("append", id="a", question="?", state="streaming")
    do("feed", id="a", pieces=["A sentence. Another one."])
    do("finish", id="a")
    expect(said).to_have_text("The answer is complete.")


# ---- find --------------------------------------------------------------------------------------


def test_ctrl_shift_f_finds_turns_that_have_no_dom(opened: Any) -> None:
    page = opened("total=200")
    expect(page.get_by_text("Question 199", exact=True)).to_be_visible()
    page.keyboard.press("Control+Shift+f")
    field = page.get_by_role("searchbox", name="Find in this conversation")
    expect(field).to_be_focused()
    field.fill("number 3")
    place = page.get_by_test_id("find-place")
    expect(place).to_have_text("Message 1 of 11")
    expect(page.get_by_text("Answer number 3.")).to_be_in_viewport()
    page.wait_for_function("() => CSS.highlights.get('ws-find-here')?.size === 1")
    here = "[...CSS.highlights.get('ws-find-here')][0].toString()"
    assert page.evaluate(here) == "number 3"
    field.press("Enter")
    expect(place).to_have_text("Message 2 of 11")
    expect(page.get_by_text("Answer number 30.")).to_be_in_viewport()
    field.press("Shift+Enter")
    field.press("Shift+Enter")
    expect(place).to_have_text("Message 11 of 11")
    expect(page.get_by_text("Answer number 39.")).to_be_in_viewport()
    field.fill("nowhere at all")
    expect(place).to_have_text("Not found")
    field.press("Escape")
    expect(page.get_by_test_id("find")).to_have_count(0)
    assert page.evaluate("CSS.highlights.has('ws-find')") is False


@pytest.mark.parametrize("width", [1280, 375])
def test_the_find_bar_covers_no_match_of_the_first_turn(opened: Any, width: int) -> None:
    page = opened("total=200")
    page.set_viewport_size({"width": width, "height": 700})
    page.locator(".ws-transcript-scroller").focus()
    page.keyboard.press("Home")
    expect(page.get_by_text("Question 0", exact=True)).to_be_in_viewport()
    page.keyboard.press("Control+Shift+f")
    page.get_by_role("searchbox").fill("Question 0")
    page.wait_for_function("() => CSS.highlights.get('ws-find-here')?.size === 1")
    bar = page.get_by_test_id("find").bounding_box()
    bubble = page.get_by_test_id("message-user").first.bounding_box()
    assert bar and bubble
    assert bubble["y"] >= bar["y"] + bar["height"]


def test_an_edited_answer_keeps_its_actions_on_a_narrow_page(opened: Any, do: Do) -> None:
    page = opened()
    page.set_viewport_size({"width": 320, "height": 600})
    do("append", id="e", question="?", html="<p>So</p>", edited=True, model="m")
    for name in ("Copy", "Ask again", "Good answer"):
        expect(page.locator('[data-id="e"]').get_by_role("button", name=name).last).to_be_visible()
    expect(page.get_by_test_id("edited")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_marks_do_not_end_at_inline_markup_case_or_accents(opened: Any, do: Do) -> None:
    page = opened("total=200")
    expect(page.get_by_text("Question 199", exact=True)).to_be_visible()
    do("append", id="x", question="Q", html=render("A **c**afé  \nau *lait* is", MARKUP))
    expect(page.get_by_text("lait")).to_be_visible()
    page.keyboard.press("Control+Shift+f")
    field = page.get_by_role("searchbox")
    expect(field).to_be_focused()
    field.fill("CAFE AU LAIT")
    page.wait_for_function("() => CSS.highlights.get('ws-find')?.size === 1")
    text = "[...CSS.highlights.get('ws-find')][0].toString().replace(/\\s+/g, ' ')"
    assert page.evaluate(text).replace(" ", "") == "caféaulait"  # a line break is not text


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ("weather", ["weather"]),  # not in the name of the model, nor of the tool
        ("x", ["x", "the formula"]),  # the whole formula, not its glyphs
        ("\\INT_0", ["the formula"]),
        ("GRUSSE", ["Grüße"]),
        ("ΛΟΓΟΣ", ["λόγος"]),
    ],
)
def test_what_was_written_is_marked_and_nothing_around_it(
    opened: Any, do: Do, query: str, marked: list[str]
) -> None:
    page = opened("total=200")
    expect(page.get_by_text("Question 199", exact=True)).to_be_visible()
    html = render("The weather, x, Grüße, λόγος, done.\n\n$$\\int_0^1 x\\,dx$$", MARKUP)
    tools = [{"call": "1", "name": "weather", "state": "done", "arguments": "", "result": ""}]
    do("append", id="x", question="Q", html=html, tools=tools, model="weather-x", asked_at=1)
    expect(page.locator(".ws-tex .katex")).to_be_visible()
    page.keyboard.press("Control+Shift+f")
    page.get_by_role("searchbox").fill(query)
    page.wait_for_function("() => CSS.highlights.get('ws-find')")
    texts = """() => [...CSS.highlights.get('ws-find')]
        .filter((range) => range.startContainer.parentElement.closest('[data-id="x"]'))
        .map((range) =>
            range.startContainer.closest?.('.ws-tex') ? 'the formula' : range.toString())"""
    page.wait_for_function(f"(wanted) => ({texts})().join() === wanted", arg=",".join(marked))


def test_the_mark_of_what_was_looked_for_before_goes(opened: Any) -> None:
    page = opened("total=200")
    expect(page.get_by_text("Question 199", exact=True)).to_be_visible()
    page.keyboard.press("Control+Shift+f")
    page.get_by_role("searchbox").fill("number 3")
    page.wait_for_function("() => CSS.highlights.get('ws-find-here')?.size === 1")
    page.get_by_role("searchbox").fill("nowhere at all")
    expect(page.get_by_test_id("find-place")).to_have_text("Not found")
    assert page.evaluate("CSS.highlights.has('ws-find-here')") is False


def test_an_input_method_keeps_its_escape_in_the_words_for_a_thumb(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="x", question="Q", html="<p>Answer</p>")
    page.get_by_role("button", name="Bad answer").click()
    field = page.get_by_test_id("feedback").get_by_role("textbox")
    field.fill("日本")
    for event in ({"isComposing": True}, {"keyCode": 229}):
        field.dispatch_event("keydown", {"key": "Escape", "bubbles": True, **event})
    expect(field).to_have_value("日本")
    field.press("Escape")
    expect(field).to_have_count(0)


def test_ctrl_f_is_the_browsers_own_search(opened: Any) -> None:
    page = opened("total=200")
    expect(page.get_by_text("Question 199", exact=True)).to_be_visible()
    page.evaluate(
        "document.addEventListener('keydown', (e) => {window.isTaken = e.defaultPrevented})"
    )
    page.keyboard.press("Control+f")
    assert page.evaluate("window.isTaken") is False
    expect(page.get_by_test_id("find")).to_have_count(0)
    page.evaluate("window.dispatchEvent(new CustomEvent('wireside:find'))")
    expect(page.get_by_role("searchbox", name="Find in this conversation")).to_be_focused()


# ---- the whole conversation ---------------------------------------------------------------------


def test_ctrl_a_selects_the_conversation_only(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="x", question="Q one", html="<p>Answer one</p>", model="lab-1", asked_at=1)
    do("append", id="y", question="Q two", html="<p>Answer two</p>")
    expect(page.get_by_text("Answer two")).to_be_visible()
    page.locator(".ws-transcript-scroller").focus()
    page.keyboard.press("Control+a")
    said = page.evaluate("getSelection().toString()")
    assert re.sub(r"\s+", " ", said).strip() == "Q one Answer one Q two Answer two"


def test_formulas_of_turns_without_dom_are_printed_as_such(opened: Any, do: Do) -> None:
    page = opened()
    html = render("First $x^2$ of all.", MARKUP)
    rest = [
        {"id": f"r{n}", "question": f"Rest {n}", "html": "<p>A line</p>" * 20} for n in range(30)
    ]
    do("reset", rows=[{"id": "f", "question": "Q", "html": html}, *rest], total=31)
    expect(page.get_by_text("Rest 29")).to_be_visible()
    assert page.locator("[data-id=f]").count() == 0
    page.wait_for_function("() => window.wiresideMath")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("[data-id=f] .katex").count() == 1


def test_a_formula_is_printed_as_its_source_while_what_draws_it_comes(opened: Any, do: Do) -> None:
    page = opened()
    page.route("**/math.js*", lambda route: None)
    do("append", id="f", question="Q", html=render("See $x^2$ there.", MARKUP))
    formula = page.locator("[data-id=f] .ws-tex")
    expect(formula).to_have_css("visibility", "hidden")
    page.emulate_media(media="print")
    expect(formula).to_have_css("visibility", "visible")
    page.unroute_all(behavior="ignoreErrors")


def test_all_turns_are_printed(opened: Any, do: Do) -> None:
    page = opened("total=20")
    for n in range(60):
        do("append", id=f"p{n}", question=f"Printed {n}", html=f"<p>Line {n}</p>" * 20)
    expect(page.get_by_text("Printed 59")).to_be_visible()
    assert page.locator(".ws-turn").count() < 40
    before = top_of(page, "p59")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".ws-turn[data-id^=p]")).to_have_count(60)
    assert page.evaluate("document.querySelector('.ws-page').offsetHeight") > 20_000
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    frames(page)
    assert page.locator(".ws-turn").count() < 40
    assert abs(top_of(page, "p59") - before) < 2


REASONING = """**Reading the question**

They ask for `n`, which is **small**.
Two lines.

## Steps
- first
  - inner
1. second

```py
a = 1

b = 2
```
The end **open"""


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_reasoning_is_formatted_however_it_arrives(opened: Any, do: Do, size: int) -> None:
    page = opened()
    do("append", id="r", question="Think", state="thinking")
    for at in range(0, len(REASONING), size):
        do("think", id="r", text=REASONING[at : at + size])
    summary = page.locator(".ws-turn-think summary")
    expect(summary).to_have_text("Steps")  # the heading that it is at
    do("feed", id="r", pieces=["Done"])
    do("finish", id="r")
    expect(summary).to_contain_text("Reasoning · ")
    page.locator(".ws-turn-think summary").click()
    assert page.evaluate(
        "() => [...document.querySelector('.ws-turn-think-text').children]"
        ".map(el => `${el.tagName} ${el.innerHTML}`)"
    ) == [
        "P Reading the question",
        "P They ask for <code>n</code>, which is <strong>small</strong>.\nTwo lines.",
        "P Steps",
        "P • first",
        "P • inner",
        "P 1. second",
        "PRE a = 1\n\nb = 2",
        "P The end **open",
    ]


def test_a_stored_duration_of_reasoning_is_shown(opened: Any, do: Do) -> None:
    page = opened()
    parts = [{"kind": "reasoning", "text": "hm <b>", "seconds": 12.4}]
    do("append", id="s", question="Think", state="thinking")
    do("change", id="s", state="done", parts=parts)
    expect(page.locator(".ws-turn-think summary")).to_have_text("Reasoning · 12s")
    page.locator(".ws-turn-think summary").click()
    expect(page.locator(".ws-turn-think-text")).to_have_text("hm <b>")
