"""The conversation in a real browser."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from wireside_ui.markdown import render
from wireside_ui.markup import Markup

HERE = Path(__file__).parent
RICH = (HERE / "rich_answer.md").read_text(encoding="utf-8")
MARKUP = Markup(frozenset({"images.example"}))
Do = Callable[..., Any]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # NiceGUI acts differently in a process that thinks it is under test
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "NICEGUI"))
    }
    process = subprocess.Popen(
        [sys.executable, str(HERE / "transcript_page.py")], env={**env, "PORT": str(port)}
    )
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{base}/healthz").close()
                break
            except OSError:
                time.sleep(0.1)
        yield base
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def do(server: str) -> Do:
    def call(what: str, **args: Any) -> Any:
        request = urllib.request.Request(
            f"{server}/do/{what}", data=json.dumps(args).encode(), method="POST"
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    return call


@pytest.fixture
def events(server: str) -> Callable[[], list[dict[str, Any]]]:
    def read() -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{server}/events") as response:
            found: list[dict[str, Any]] = json.load(response)
            return found

    return read


@pytest.fixture
def opened(server: str, page: Page) -> Iterator[Callable[[str], Page]]:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))

    def open_(query: str = "") -> Page:
        page.goto(f"{server}/?{query}")
        page.wait_for_selector(".ws-scroller")
        return page

    yield open_
    assert problems == []


def pieces(text: str, size: int = 7) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def gap(page: Page) -> float:
    """Pixels between the end of the conversation and the end of the view."""
    value: float = page.evaluate(
        "() => {const s = document.querySelector('.ws-scroller');"
        " return s.scrollHeight - s.scrollTop - s.clientHeight}"
    )
    return value


NORMAL = """([id, html]) => {
  const strip = (root) => {
    for (const el of root.querySelectorAll('.ws-copy, .ws-diagram')) el.remove();
    for (const el of root.querySelectorAll('pre')) el.removeAttribute('tabindex');
    for (const el of root.querySelectorAll('.ws-image')) el.removeAttribute('aria-label');
    for (const el of root.querySelectorAll('.ws-tex[data-drawn]')) {
      el.textContent = el.dataset.source ?? el.textContent;
      const added = ['aria-label', 'data-drawn', 'data-source', 'tabindex'];
      for (const name of added) el.removeAttribute(name);
    }
    const drawn = root.querySelectorAll('.ws-has-diagram');
    for (const el of drawn) el.classList.remove('ws-has-diagram');
    root.normalize();
    return root.innerHTML;
  };
  const shown = document.querySelector(`[data-id="${id}"] .ws-prose`).cloneNode(true);
  const whole = document.createElement('div');
  whole.innerHTML = html;
  return [strip(shown), strip(whole)];
}"""


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
    ]  # without footnotes, which would replace the whole at the end
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


def test_footnotes_resolve_at_the_end(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="n", state="streaming")
    do("feed", id="n", pieces=pieces(RICH))
    do("finish", id="n")
    expect(page.locator(".ws-footnotes li")).to_have_count(1)
    shown, whole = page.evaluate(NORMAL, ["n", render(RICH, MARKUP)])
    assert shown == whole
    page.locator(".ws-fn").click()
    expect(page.locator(".ws-footnotes li.ws-found")).to_have_count(1)


def test_the_view_follows_only_a_reader_at_the_end(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="f", question="Long?", state="streaming")
    do("feed", id="f", pieces=["A line of text.\n\n"] * 60)
    expect(page.locator(".ws-prose p")).to_have_count(60)
    page.wait_for_function("() => document.querySelector('.ws-scroller').scrollTop > 500")
    assert abs(gap(page)) < 2
    page.mouse.move(300, 300)
    page.mouse.wheel(0, -400)
    page.wait_for_function(
        "() => {const s = document.querySelector('.ws-scroller');"
        " return s.scrollHeight - s.scrollTop - s.clientHeight > 300}"
    )
    top = page.evaluate("document.querySelector('.ws-scroller').scrollTop")
    do("feed", id="f", pieces=["Another line.\n\n"] * 30)
    expect(page.locator(".ws-prose p")).to_have_count(90)
    assert page.evaluate("document.querySelector('.ws-scroller').scrollTop") == top
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
    page.locator(".ws-scroller").evaluate("(s) => {s.scrollTop -= 1500}")
    expect(page.get_by_text("And now?")).not_to_be_in_viewport()
    page.locator(".ws-scroller").evaluate("(s) => {s.scrollTop += 1300}")
    page.locator(".ws-scroller").evaluate("(s) => {s.scrollTop += 1300}")
    expect(page.get_by_text("And now?")).to_be_in_viewport()


def test_turns_that_could_not_be_read_are_asked_for_again(opened: Any) -> None:
    page = opened("total=40&misses=3")
    expect(page.get_by_text("Question 39")).to_be_visible(timeout=30_000)


def test_a_hundred_thousand_turns_need_few_nodes(opened: Any, do: Do) -> None:
    page = opened("total=100000")
    expect(page.get_by_text("Question 99999", exact=True)).to_be_visible()
    scroller = page.locator(".ws-scroller")
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
        page.locator(".ws-scroller").evaluate("(s) => {s.scrollTop -= 300}")
        page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        page.wait_for_function(SETTLED)
        after = page.evaluate(WHERE)
        moves = [after[name] - before[name] for name in before.keys() & after.keys()]
        assert moves and all(abs(move - 300) < 2 for move in moves)


SETTLED = """() => !document.querySelector('.ws-blank')
  && [...document.querySelectorAll('.ws-turn')].some((turn) => {
    const box = turn.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  })"""
WHERE = """() => Object.fromEntries([...document.querySelectorAll('.ws-turn:not(.ws-blank)')]
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
    expect(page.get_by_test_id("message-assistant")).to_have_text("")
    expect(page.get_by_test_id("typing")).to_be_visible()
    do("feed", id="again", pieces=["Second"])
    expect(page.get_by_test_id("message-assistant")).to_have_text("Second")
    do("finish", id="again")


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
    expect(page.locator(".ws-think-text")).to_be_hidden()
    page.get_by_text("Thinking…").click()
    expect(page.locator(".ws-think-text")).to_have_text("First I look.")
    do(
        "change",
        id="t",
        tools=[{**tool, "state": "done", "seconds": 1.24, "result": "42"}],
        state="done",
        html="<p>Done</p>",
    )
    expect(page.locator(".ws-tool summary")).to_have_text("search — done · 1.2 s")
    expect(page.locator(".ws-think-text")).to_be_visible()


def test_sentences_are_announced_once(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="v", question="Speak", state="streaming")
    do("feed", id="v", pieces=pieces("One sentence. Another one! And a "))
    live = page.get_by_test_id("announcer")
    expect(live).to_have_text("One sentence. Another one!")
    do("feed", id="v", pieces=pieces("third.\n\nA last"))
    do("finish", id="v")
    expect(live.locator("p").last).to_contain_text("A last")
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
    expect(page.get_by_test_id("diagram")).to_have_count(1, timeout=15_000)
    expect(page.locator(".ws-code").last.locator("pre")).to_be_visible()


def wait_for(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def frames(page: Page) -> None:
    """Wait until what was asked for has been laid out and painted."""
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
    page.locator(".ws-scroller").evaluate("(s) => {s.scrollTop = 700}")
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
    page.locator(".ws-scroller").evaluate("(s) => {s.scrollTop -= 1500}")
    frames(page)
    row = {"id": "edited", "question": "Edited", "state": "thinking", "sibling": 1, "siblings": 2}
    do("replace_from", index=50, rows=[row], total=51)
    expect(page.get_by_text("Edited", exact=True)).to_be_in_viewport()
    expect(page.get_by_test_id("typing")).to_be_in_viewport()
    do("feed", id="edited", pieces=["The answer.\n\n"] * 80)
    expect(page.locator('[data-id="edited"] .ws-prose p')).to_have_count(80)
    page.wait_for_function(
        "() => {const s = document.querySelector('.ws-scroller');"
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
    page.wait_for_function(  # the end moves on while rows above it are measured
        "() => { const s = document.querySelector('.ws-scroller'); s.scrollTop = s.scrollHeight;"
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
    expect(turn).to_have_class("ws-turn ws-found")
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
    """Long answers come after their rows; of the one above, a little is still to be seen."""
    page = opened("total=100")
    do("jump", index=40)
    turn = page.locator('[data-id="h40"]')
    expect(turn).to_have_class("ws-turn ws-found")
    expect(turn).to_have_class("ws-turn")  # from now on nothing but what is read holds it
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
    expect(turn).to_have_class("ws-turn ws-found")
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
    more = page.get_by_role("button", name="More ways to copy")
    more.focus()
    more.press("Enter")
    expect(page.get_by_role("menuitem", name="Copy as Markdown")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("menuitem", name="Copy as text")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menu")).to_have_count(0)
    wait_for(lambda: clipboard(page).startswith("Title"))
    lines = [line for line in clipboard(page).split("\n") if line.strip()]
    assert lines == [line for line in COPIED.split("\n") if line.strip()]
    expect(page.locator(".ws-as-text")).to_have_count(0)
    more.click()
    page.get_by_role("menuitem", name="Copy as Markdown").click()
    wait_for(lambda: clipboard(page) == "**Markdown** of m")
    page.locator('[data-action="copy"]').click(modifiers=["Shift"])
    wait_for(lambda: clipboard(page).startswith("Title"))


def test_the_menu_closes_by_itself(opened: Any, do: Do) -> None:
    page = opened()
    do("append", id="n1", question="Q", html="<p>An answer</p>")
    more = page.get_by_role("button", name="More ways to copy")
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
    assert page.locator(".ws-stage").count() == 0
