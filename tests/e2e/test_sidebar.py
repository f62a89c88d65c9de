"""The list of conversations, in a real browser: on a page by itself, then on the real server."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.page_program import Do, calling, events_of, serving

NOW = datetime.fromtimestamp(1_790_000_000, UTC)
"""The time that the page of these tests counts from."""

HOSTILE = "<img src=x onerror=\"window.harm=1\"> & 'so' on"
FIRST = "Wombats and where they live"

Add = Callable[..., list[str]]
Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "timezone_id": "UTC"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving("sidebar_page.py") as base:
        yield base


@pytest.fixture
def do(server: str) -> Do:
    return calling(server)


@pytest.fixture
def told(page: Page, server: str) -> Callable[..., None]:
    """Wait until the server has received an event."""

    def wait(*event: Any) -> None:
        until = time.monotonic() + 5
        heard: list[Any] = []
        while list(event) not in heard and time.monotonic() < until:
            heard = events_of(server)
            page.wait_for_timeout(20)
        assert list(event) in heard

    return wait


@pytest.fixture
def lone(page: Page, server: str) -> Iterator[Open]:
    """Open the page that contains only the list. Errors in the browser's console fail the test."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)

    def open_(query: str = "", clock: bool = False) -> Page:
        page.emulate_media(reduced_motion="reduce")
        if clock:
            page.clock.install(time=NOW)
        else:
            page.clock.set_fixed_time(NOW)
        page.add_init_script(
            "window.opened = [];"
            "window.addEventListener('wireside:open', (e) => window.opened.push(e.detail))"
        )
        page.goto(f"{server}/{query}")
        expect(page.get_by_test_id("conversation-list")).to_be_attached()
        return page

    yield open_
    assert page.evaluate("window.harm") is None
    assert not [text for text in complaints if "400" not in text]


def items(page: Page) -> Locator:
    return page.get_by_test_id("conversation-item")


def item(page: Page, name: str) -> Locator:
    return page.locator(f"[data-testid=conversation-item][data-id='{name}']")


def choose(link: Locator, action: str) -> None:
    link.hover()
    link.locator("..").get_by_test_id("conversation-menu").click()
    link.page.get_by_test_id(f"menu-{action}").click()


def sections(page: Page) -> Any:
    return page.get_by_test_id("conversation-list").evaluate(
        "(list) => [...list.querySelectorAll('section')].map((section) => [section.querySelector"
        "('h2').textContent, ...[...section.querySelectorAll('a')].map((a) => a.dataset.id)])"
    )


# ---- the list ----------------------------------------------------------------------------------


def test_conversations_stand_in_groups_by_day(lone: Open, told: Any) -> None:
    page = lone("?current=c2")
    assert sections(page) == [
        ["Today", "c0", "c1"],
        ["Yesterday", "c2"],
        ["Last 7 days", "c3"],
        ["Last 30 days", "c4"],
        ["August 2026", "c5"],
        ["August 2025", "c6"],
    ]
    expect(page.locator("[aria-current=page]")).to_have_attribute("data-id", "c2")
    expect(item(page, "c1")).to_have_text(HOSTILE)
    expect(item(page, "c6")).to_have_text("New conversation")
    choose(item(page, "c4"), "pin")
    told("pin", ["c4"], True)
    expect(page.get_by_role("heading", level=2).first).to_have_text("Pinned")
    expect(items(page).first).to_have_attribute("data-id", "c4")


def test_months_are_in_the_language_of_the_page(lone: Open) -> None:
    page = lone("?language=de")
    assert [section[0] for section in sections(page)] == [
        "Heute",
        "Gestern",
        "Letzte 7 Tage",
        "Letzte 30 Tage",
        "August 2026",
        "August 2025",
    ]
    box = page.get_by_role("navigation").bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 272)


def test_it_stands_at_the_right_where_one_writes_from_there(lone: Open) -> None:
    page = lone("?language=ar")
    box = page.get_by_role("navigation").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] == page.evaluate("innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_plain_click_opens_here_and_others_a_tab(lone: Open) -> None:
    page = lone()
    item(page, "c0").click()
    page.get_by_test_id("sidebar-new").click()
    assert page.evaluate("window.opened") == ["c0", ""]
    assert item(page, "c0").get_attribute("href") == "/c/c0"
    with page.context.expect_page() as other:
        item(page, "c0").click(button="middle")
    other.value.close()
    with page.context.expect_page() as other:
        item(page, "c0").click(modifiers=["ControlOrMeta"])
    other.value.close()
    assert page.evaluate("window.opened") == ["c0", ""]


def test_those_that_are_answering_are_marked(lone: Open, do: Do) -> None:
    page = lone()
    marks = page.get_by_role("img", name="being answered")
    expect(item(page, "c1").get_by_role("img", name="being answered")).to_be_visible()
    do("set_live", ids=["c3", "c4"])
    expect(marks).to_have_count(2)
    expect(item(page, "c3").get_by_role("img")).to_be_visible()
    do("set_live", ids=[])
    expect(marks).to_have_count(0)
    do("set_current", id="c3")
    expect(page.locator("[aria-current=page]")).to_have_attribute("data-id", "c3")


def test_those_that_wait_for_an_answer_are_marked(lone: Open, do: Do) -> None:
    page = lone()
    marks = page.get_by_role("img", name="Your answer is needed.")
    do("set_asking", ids=["c1", "c2"])
    expect(marks).to_have_count(1)  # c1 is being answered
    do("set_live", ids=[])
    expect(item(page, "c1").get_by_role("img", name="Your answer is needed.")).to_be_visible()
    do("set_asking", ids=["c2"])
    expect(marks).to_have_count(1)


def test_a_change_touches_only_what_changed_and_leaves_the_focus(lone: Open, do: Do) -> None:
    page = lone()
    page.evaluate(
        "document.querySelectorAll('.ws-sidebar-item').forEach((row) => (row.kept = true))"
    )
    item(page, "c3").focus()
    do("put", id="c3", title="Gone on with")
    expect(items(page).first).to_have_text("Gone on with")
    expect(item(page, "c3")).to_be_focused()
    do("put", id="new", title="New one")
    expect(items(page).first).to_have_text("New one")
    rows = page.locator(".ws-sidebar-item")
    expect(rows).to_have_count(8)
    new = rows.evaluate_all(
        "(rows) => rows.filter((row) => !row.kept).map((row) => row.querySelector('a').dataset.id)"
    )
    assert set(new) <= {"new", "c3"}  # c3 is in another group now
    do("take_out", ids=["new"])
    expect(item(page, "new")).to_have_count(0)


def test_thousands_come_by_pages_and_cost_no_more_than_few(lone: Open, told: Any) -> None:
    page = lone("?total=5000")
    listed = page.get_by_test_id("conversation-list")
    expect(item(page, "n0")).to_be_visible()
    for rows in range(1000, 5001, 500):
        listed.evaluate("(el) => el.scrollTo(0, el.scrollHeight)")
        page.wait_for_function(
            """(rows) => rows === [...document.querySelectorAll(".ws-sidebar section")]
              .reduce((sum, el) => sum + Number(el.style.getPropertyValue("--ws-rows")), 0)""",
            arg=rows,
        )
    told("need", "4500", False)
    listed.evaluate("(el) => el.scrollTo(0, el.scrollHeight)")
    expect(item(page, "n4999")).to_be_visible()
    assert page.evaluate("document.querySelectorAll('.ws-sidebar *').length") < 3000
    for place in (0.5, 0.25, 0.75):  # there are conversations at each position
        listed.evaluate("(el, place) => el.scrollTo(0, el.scrollHeight * place)", place)
        page.wait_for_function(
            """() => {
              const el = document.querySelector('[data-testid=conversation-list]');
              const box = el.getBoundingClientRect();
              return [0.3, 0.6, 0.9].every((y) =>
                document.elementFromPoint(box.x + 60, box.y + box.height * y)
                  ?.closest('.ws-sidebar-item, .ws-sidebar-group'));
            }"""
        )
    listed.evaluate("(el) => el.scrollTo(0, 0)")
    item(page, "n0").focus()
    page.keyboard.press("End")
    expect(item(page, "n4999")).to_be_focused()
    page.keyboard.press("Home")
    expect(item(page, "n0")).to_be_focused()


def test_a_page_that_fails_is_asked_for_again(lone: Open, do: Do, told: Any) -> None:
    page = lone("?total=60")
    do("fail")
    page.get_by_test_id("conversation-list").evaluate("(el) => el.scrollTo(0, el.scrollHeight)")
    expect(page.get_by_role("alert")).to_contain_text("The store can't be read now.")
    page.get_by_test_id("sidebar-again").click()
    expect(item(page, "n59")).to_be_attached()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_an_empty_list_says_what_will_be_there(lone: Open) -> None:
    page = lone("?total=-1")
    expect(page.get_by_text("Your conversations appear here.")).to_be_visible()
    page.get_by_test_id("show-archived").click()
    expect(page.get_by_text("Nothing is archived.")).to_be_visible()


def test_a_list_that_nobody_sees_asks_for_no_more(lone: Open, do: Do, told: Any) -> None:
    page = lone("?total=200")
    page.keyboard.press("ControlOrMeta+Shift+s")
    expect(page.get_by_role("navigation")).to_be_hidden()
    page.get_by_test_id("show-archived").evaluate("(button) => (button.click(), button.click())")
    told("need", None, False)
    do("put", id="new", title="New")
    expect(item(page, "new")).to_be_attached()
    assert page.evaluate("fetch('/events').then((answer) => answer.json())") == [
        ["need", None, True],
        ["need", None, False],
    ]


# ---- actions -----------------------------------------------------------------------------------


def test_a_title_is_changed_in_place(lone: Open, do: Do, told: Any) -> None:
    page = lone()
    item(page, "c4").focus()
    page.keyboard.press("F2")
    box = page.get_by_test_id("rename")
    expect(box).to_be_focused()
    expect(box).to_have_value("Tax return")
    page.keyboard.type("  Half   ")
    do("put", id="new", title="Meanwhile")  # does not change the text in the field
    expect(item(page, "new")).to_be_visible()
    page.keyboard.type("written ")
    page.keyboard.press("Enter")
    told("rename", "c4", "Half written")
    expect(item(page, "c4")).to_have_text("Half written")
    expect(item(page, "c4")).to_be_focused()
    choose(item(page, "c4"), "rename")
    box.fill("never")
    page.keyboard.press("Escape")
    expect(item(page, "c4")).to_have_text("Half written")
    expect(item(page, "c4")).to_be_focused()


def test_deletions_are_taken_back_one_after_the_other(lone: Open, told: Any) -> None:
    page = lone()
    item(page, "c1").focus()
    page.keyboard.press("Delete")
    expect(item(page, "c1")).to_have_count(0)
    expect(page.get_by_test_id("sidebar-deleted")).to_contain_text(HOSTILE)
    expect(item(page, "c2")).to_be_focused()
    page.keyboard.press("Delete")
    told("delete", ["c2"])
    expect(page.get_by_test_id("sidebar-deleted")).to_contain_text("2 deleted")
    page.get_by_test_id("undo-delete").click()
    told("restore", ["c2"])
    expect(item(page, "c2")).to_be_focused()
    expect(item(page, "c1")).to_have_count(0)
    page.get_by_test_id("undo-delete").click()
    told("restore", ["c1"])
    expect(item(page, "c1")).to_be_visible()
    expect(page.get_by_test_id("undo-delete")).to_have_count(0)


def test_after_30_seconds_nothing_is_taken_back(lone: Open) -> None:
    page = lone(clock=True)
    choose(item(page, "c1"), "delete")
    expect(page.get_by_test_id("undo-delete")).to_be_visible()
    page.clock.fast_forward(20_000)
    choose(item(page, "c2"), "delete")
    expect(page.get_by_text("2 deleted")).to_be_visible()
    page.clock.fast_forward(15_000)
    expect(page.get_by_test_id("sidebar-deleted")).to_contain_text("A title that is so long")
    page.clock.fast_forward(16_000)
    expect(page.get_by_test_id("sidebar-deleted")).to_have_count(0)


def test_several_are_changed_at_once(lone: Open, told: Any) -> None:
    page = lone()
    item(page, "c1").click(modifiers=["Shift"])
    item(page, "c4").click(modifiers=["Shift"])
    expect(page.get_by_text("4 selected")).to_be_visible()
    item(page, "c2").click()
    expect(page.get_by_text("3 selected")).to_be_visible()
    expect(page.get_by_test_id("selected-export")).to_have_attribute(
        "href", "/api/conversations/export?ids=c1,c3,c4"
    )
    tools = page.get_by_role("toolbar", name="Select").locator(".ws-sidebar-tools")
    assert tools.evaluate("el => el.scrollWidth <= el.clientWidth")  # all of them are in sight
    page.get_by_test_id("selected-pin").click()
    told("pin", ["c1", "c3", "c4"], True)
    expect(page.get_by_text("selected")).to_have_count(0)
    choose(item(page, "c0"), "select")
    item(page, "c2").focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.keyboard.press("Delete")
    told("delete", ["c0", "c2"])
    expect(items(page)).to_have_count(5)
    item(page, "c6").click(modifiers=["Shift"])
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("selected-cancel")).to_have_count(0)
    assert page.evaluate("window.opened") == []


def test_the_menu_leads_to_files_and_puts_away(lone: Open, told: Any) -> None:
    page = lone()
    item(page, "c0").hover()
    item(page, "c0").locator("..").get_by_test_id("conversation-menu").click()
    page.get_by_test_id("menu-export").click()
    expect(page.get_by_role("menuitem", name="Export as Markdown")).to_be_focused()
    zone = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    for name, form in (("Markdown", "markdown"), ("JSON", "json"), ("HTML", "html")):
        link = page.get_by_role("menuitem", name=f"Export as {name}")
        address = f"/api/conversations/c0/export?format={form}&tz={quote(zone, safe='')}"
        expect(link).to_have_attribute("href", address)
        expect(link).to_have_attribute("download", "")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("menu-export")).to_be_focused()
    page.get_by_test_id("menu-archive").click()
    told("archive", ["c0"], True)
    expect(item(page, "c0")).to_have_count(0)
    page.get_by_test_id("show-archived").click()
    expect(item(page, "old")).to_be_visible()
    expect(items(page)).to_have_count(2)
    choose(item(page, "old"), "archive")
    told("archive", ["old"], False)
    expect(items(page)).to_have_count(1)
    page.get_by_test_id("show-archived").click()
    expect(item(page, "old")).to_be_visible()


def test_a_file_is_imported_by_button_or_drop(lone: Open, tmp_path: Path) -> None:
    page = lone()
    toast = page.get_by_test_id("sidebar-toast")
    file = tmp_path / "kept.json"
    for text, said in (
        ("[1]", "1 conversation imported."),
        ("[1, 2]", "2 conversations imported."),
        ("[]", "There is nothing in this file."),
    ):
        file.write_text(text)
        with page.expect_file_chooser() as chooser:
            page.get_by_test_id("app-menu").click()
            page.get_by_test_id("import").click()
        chooser.value.set_files(file)
        expect(toast).to_have_text(said)
    other = tmp_path / "other.json"
    file.write_text("[1, 2]")
    other.write_text("[3]")
    empty = tmp_path / "empty.json"
    empty.write_text("[]")
    with page.expect_file_chooser() as chooser:
        page.get_by_test_id("app-menu").click()
        page.get_by_test_id("import").click()
    chooser.value.set_files([file, other, empty])
    expect(toast).to_have_text(
        "3 conversations imported. empty.json: There is nothing in this file."
    )
    page.get_by_role("navigation").evaluate(
        """(nav) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File(["[1, 2]"], "a.json"));
          dataTransfer.items.add(new File(["[3]"], "b.json"));
          for (const name of ["dragover", "drop"]) {
            nav.dispatchEvent(new DragEvent(name, { dataTransfer, bubbles: true }));
          }
        }"""
    )
    expect(toast).to_have_text("3 conversations imported.")


# ---- search ------------------------------------------------------------------------------------


def test_search_marks_what_matched_and_shows_no_markup(lone: Open, told: Any) -> None:
    page = lone()
    page.evaluate("dispatchEvent(new CustomEvent('wireside:search'))")
    expect(page.get_by_test_id("search")).to_be_focused()
    page.keyboard.type(" img")
    hits = page.get_by_test_id("search-hit")
    expect(hits).to_have_count(2)
    told("search", "img", None)
    expect(hits.locator("mark")).to_have_text(["img", "img"])
    expect(hits.nth(1)).to_have_text("an img <b>tag</b>Question")
    heading = page.locator(".ws-sidebar-hit-heading")  # one for both hits
    expect(heading).to_have_text(f"{HOSTILE}Archived · 2:13 PM")
    assert page.locator(".ws-sidebar img").count() == 0
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(hits.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("window.opened") == ["c1?turn=t7"]
    page.get_by_test_id("search").fill("$& nothing")
    expect(page.get_by_text("Nothing found for “$& nothing”.")).to_be_visible()
    page.get_by_test_id("search").press("Escape")
    expect(items(page)).to_have_count(7)
    expect(page.get_by_test_id("search")).to_have_value("")


def test_more_hits_come_near_the_end(lone: Open, told: Any) -> None:
    page = lone()
    page.get_by_test_id("search").fill("many")
    hits = page.get_by_test_id("search-hit")
    expect(hits).to_have_count(30)
    for count in (60, 75):
        page.get_by_test_id("conversation-list").evaluate("(el) => el.scrollTo(0, el.scrollHeight)")
        expect(hits).to_have_count(count)
    told("search", "many", 60)


# ---- keyboard, phone, accessibility ------------------------------------------------------------


def test_the_keyboard_moves_through_the_list(lone: Open) -> None:
    page = lone()
    page.get_by_test_id("search").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Filters")).to_be_focused()
    page.keyboard.press("Tab")  # one tab stop for the list
    expect(item(page, "c0")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(item(page, "c1")).to_be_focused()
    page.keyboard.press("End")
    expect(item(page, "c6")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(item(page, "c6")).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_test_id("search")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(item(page, "c0")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=f"More: {FIRST}")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("menu-rename")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_test_id("menu-delete")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(item(page, "c0")).to_be_focused()


def test_it_stays_closed(lone: Open) -> None:
    page = lone()
    sidebar = page.locator(".ws-sidebar")
    expect(sidebar).to_be_visible()
    page.get_by_test_id("opener").click()
    expect(sidebar).to_be_hidden()
    page.reload()
    expect(sidebar).to_be_attached()
    expect(sidebar).to_be_hidden()
    page.keyboard.press("ControlOrMeta+Shift+s")
    expect(sidebar).to_be_visible()
    page.keyboard.press("ControlOrMeta+Shift+s")
    page.evaluate("dispatchEvent(new CustomEvent('wireside:search'))")
    expect(page.get_by_test_id("search")).to_be_focused()


def test_on_a_phone_it_is_a_drawer(page: Page, lone: Open) -> None:
    page.set_viewport_size({"width": 375, "height": 700})
    lone()
    sidebar = page.get_by_role("navigation")
    opener = page.get_by_test_id("opener")
    expect(sidebar).to_be_hidden()
    opener.click()
    expect(page.get_by_role("dialog", name="Conversations")).to_be_visible()
    expect(page.get_by_test_id("sidebar-new")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_test_id("app-menu")).to_be_focused()
    for _ in range(9):  # the focus stays inside
        page.keyboard.press("Tab")
        assert page.evaluate("!!document.activeElement.closest('nav')")
    page.evaluate("dispatchEvent(new CustomEvent('wireside:search'))")
    page.keyboard.press("Escape")
    expect(sidebar).to_be_hidden()
    expect(opener).to_be_focused()
    opener.click()
    page.get_by_test_id("sidebar-scrim").click(position={"x": 360, "y": 300})
    expect(sidebar).to_be_hidden()
    opener.click()
    item(page, "c2").click()
    expect(sidebar).to_be_hidden()
    assert page.evaluate("window.opened") == ["c2"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_back_closes_the_drawer_and_stays_on_the_page(page: Page, lone: Open) -> None:
    page.set_viewport_size({"width": 375, "height": 700})
    lone()
    address = page.url
    drawer = page.get_by_role("dialog", name="Conversations")
    for _ in range(2):
        page.get_by_test_id("opener").click()
        expect(drawer).to_be_visible()
        page.go_back()
        expect(drawer).to_be_hidden()
        assert page.url == address
    page.get_by_test_id("opener").click()
    page.keyboard.press("Escape")  # closed in another way, it leaves no history entry
    expect(drawer).to_be_hidden()
    page.wait_for_function("!history.state?.drawer")


def test_a_key_of_an_input_method_ends_no_field(lone: Open, told: Any) -> None:
    """Safari sends the key that ends a composition after it, with only the code 229."""
    page = lone()
    last = "e => e.dispatchEvent(new KeyboardEvent('keydown', %s))"
    key = "{ key: 'Enter', keyCode: 229, bubbles: true, cancelable: true }"
    item(page, "c4").focus()
    page.keyboard.press("F2")
    box = page.get_by_test_id("rename")
    box.fill("とうき")
    box.evaluate(last % key)
    expect(box).to_be_visible()
    page.keyboard.press("Enter")
    told("rename", "c4", "とうき")
    search = page.get_by_test_id("search")
    search.fill("Tax")
    search.evaluate(last % key)
    assert page.evaluate("window.opened") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_accessibility_rule_is_broken(page: Page, lone: Open, scheme: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    rules = {"runOnly": tags, "resultTypes": ["violations"]}

    def check(state: str) -> None:
        found = axe.run(page, context=".ws-sidebar-frame", options=rules)
        assert found.violations_count == 0, f"{state}: {found.generate_report()}"

    page.emulate_media(color_scheme=scheme)
    lone("?current=c0")
    item(page, "c1").click(modifiers=["Shift"])
    check("selection")
    page.get_by_test_id("selected-delete").click()
    item(page, "c0").hover()
    page.get_by_test_id("conversation-menu").first.click()
    check("menu and toast")
    page.get_by_test_id("menu-rename").click()
    check("rename")
    page.get_by_test_id("search").fill("img")
    expect(page.get_by_test_id("search-hit").first).to_be_visible()
    check("search")
    page.set_viewport_size({"width": 375, "height": 700})
    page.get_by_test_id("opener").click()
    check("drawer")


# ---- on the real server ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(
    served_with: Any, running_lab: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A server of these tests alone: its list has no conversations of other tests."""
    server = served_with(running_lab.url, tmp_path_factory.mktemp("library"))
    yield server
    server.stop()


@pytest.fixture
def add(page: Page, library: Any) -> Iterator[Add]:
    """Import conversations with these titles; they are deleted after the test."""
    added: list[str] = []

    def add_all(*titles: str) -> list[str]:
        conversations = [
            {
                "id": uuid.uuid4().hex,
                "title": title,
                "created_at": "2026-01-01T00:00:00Z",
                "updated_at": f"2026-01-01T00:00:{60 - len(titles) + n:02}Z",
                "turns": [
                    {
                        "id": "t",
                        "parent": None,
                        "question": f"Question of {title}",
                        "created_at": "2026-01-01T00:00:00Z",
                        "answer": [
                            {"model": "m", "parts": [{"type": "text", "text": f"About {title}"}]}
                        ],
                    }
                ],
            }
            for n, title in enumerate(titles)
        ]
        data = json.dumps({"format": "wireside", "version": 1, "conversations": conversations})
        response = page.request.post(f"{library.url}/api/conversations/import", data=data)
        assert response.ok, response.text()
        added.extend(response.json()["conversations"])
        return added[-len(titles) :]

    yield add_all
    for conversation in added:
        page.request.delete(f"{library.url}/api/conversations/{conversation}")


@pytest.fixture
def opened(page: Page, library: Any) -> Open:
    def open_() -> Page:
        page.goto(library.url)
        expect(page.get_by_test_id("connection-status")).to_have_attribute(
            "data-state", "connected"
        )
        return page

    return open_


def test_a_click_or_a_hit_opens_without_a_new_page(opened: Open, add: Add) -> None:
    names = add("first wombat", "second wombat")
    page = opened()
    page.evaluate("window.notReloaded = true")
    item(page, names[0]).click()
    expect(page.get_by_test_id("message-user")).to_have_text("Question of first wombat")
    expect(page.locator("[aria-current=page]")).to_have_attribute("data-id", names[0])
    expect(page).to_have_title("first wombat · Wireside")
    page.get_by_test_id("search").fill("SECOND WOMB")
    hits = page.get_by_test_id("search-hit")
    expect(hits).to_have_count(3)
    expect(hits.first.locator("mark").first).to_have_text("second")
    hits.filter(has_text="Answer").click()
    expect(page.get_by_test_id("message-user")).to_have_text("Question of second wombat")
    page.go_back()
    expect(page.get_by_test_id("message-user")).to_have_text("Question of first wombat")
    assert page.url.endswith(names[0])
    assert page.evaluate("window.notReloaded")


def test_what_is_done_shows_on_every_page_and_stays(opened: Open, add: Add) -> None:
    add("<b>wombat</b> one", "wombat two", "wombat three")
    page = opened()
    other = page.context.new_page()
    other.goto(page.url)
    ours, theirs = (items(one).filter(has_text="wombat") for one in (page, other))
    expect(theirs).to_have_count(3)
    page.bring_to_front()
    choose(ours.filter(has_text="two"), "rename")
    page.get_by_test_id("rename").fill("second wombat")
    page.keyboard.press("Enter")
    ours.filter(has_text="one").focus()
    page.keyboard.press("Delete")
    expect(theirs).to_have_text(["wombat three", "second wombat"])
    page.get_by_test_id("undo-delete").click()
    expect(theirs).to_have_text(["wombat three", "second wombat", "<b>wombat</b> one"])
    choose(ours.filter(has_text="one"), "pin")
    choose(ours.filter(has_text="three"), "archive")
    expect(theirs).to_have_text(["<b>wombat</b> one", "second wombat"])
    page.reload()
    expect(ours).to_have_text(["<b>wombat</b> one", "second wombat"])
    page.get_by_test_id("show-archived").click()
    expect(ours).to_have_text(["wombat three"])


def test_an_exported_file_is_imported(opened: Open, add: Add, tmp_path: Path, library: Any) -> None:
    [name] = add("to a file")
    page = opened()
    response = page.request.get(f"{library.url}/api/conversations/{name}/export?format=json")
    file = tmp_path / "kept.json"
    file.write_bytes(response.body())
    with page.expect_file_chooser() as chooser:
        page.get_by_test_id("app-menu").click()
        page.get_by_test_id("import").click()
    chooser.value.set_files(file)
    expect(page.get_by_text("Already here: 1.")).to_be_visible()
    expect(items(page).filter(has_text="to a file")).to_have_count(1)
    page.request.delete(f"{library.url}/api/conversations/{name}")
    expect(items(page).filter(has_text="to a file")).to_have_count(0)
    with page.expect_file_chooser() as chooser:
        page.get_by_test_id("app-menu").click()
        page.get_by_test_id("import").click()
    chooser.value.set_files(file)
    expect(page.get_by_text("1 conversation imported.")).to_be_visible()
    expect(items(page).filter(has_text="to a file")).to_have_count(1)


def test_a_broken_file_among_good_ones_stops_none(
    opened: Open, library: Any, tmp_path: Path
) -> None:
    def export(name: str, *questions: str) -> Path:
        at = "2025-02-19T10:00:00Z"
        messages = [
            {"uuid": f"{sender} {text}", "sender": sender, "text": text, "created_at": at}
            for text in questions
            for sender in ("human", "assistant")
        ]
        chat = {"uuid": name, "name": name, "created_at": at, "chat_messages": messages}
        file = tmp_path / f"{uuid.uuid4().hex}.json"
        file.write_text(json.dumps([chat]))
        return file

    broken = tmp_path / "broken.json"
    broken.write_text('[{"uuid": ')
    page = opened()
    with page.expect_file_chooser() as chooser:
        page.get_by_test_id("app-menu").click()
        page.get_by_test_id("import").click()
    one = export("Chat one", "a")
    chooser.value.set_files(
        [one, broken, one, export("Chat one", "a", "b"), export("Chat two", "c")]
    )
    toast = page.get_by_test_id("sidebar-toast")
    expect(toast).to_contain_text("2 conversations imported.")
    expect(toast).to_contain_text("Updated: 1.")
    expect(toast).to_contain_text("Already here: 1.")
    expect(toast).to_contain_text("broken.json: ")
    there = items(page).filter(has_text="Chat ")
    expect(there).to_have_count(2)
    page.reload()
    expect(there).to_have_count(2)
    for name in there.evaluate_all("all => all.map(one => one.dataset.id)"):
        page.request.delete(f"{library.url}/api/conversations/{name}")


# ---- folders -----------------------------------------------------------------------------------


def folder(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name="Folders").get_by_role("button", name=name, exact=True)


def test_a_conversation_is_moved_by_its_menu_and_by_key(lone: Open, told: Any) -> None:
    page = lone("?folders=3")
    choose(item(page, "c0"), "move")
    dialog = page.get_by_role("dialog", name="Move to folder")
    expect(dialog.get_by_role("button", name="No folder")).to_have_attribute("aria-current", "true")
    expect(dialog.get_by_role("button", name="No folder")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_role("button", name="Folder 0")).to_be_focused()
    page.keyboard.press("Enter")
    told("move", ["c0"], "f0")
    expect(item(page, "c0")).to_have_count(0)
    expect(item(page, "c1")).to_be_focused()
    expect(page.get_by_text("Moved to Folder 0")).to_be_visible()
    page.keyboard.press("m")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(item(page, "c1")).to_be_focused()

    folder(page, "Folder 0").click()
    expect(items(page)).to_have_count(1)
    choose(item(page, "c0"), "move")
    expect(dialog.get_by_role("button", name="Folder 0")).to_have_attribute("aria-current", "true")
    dialog.get_by_role("button", name="No folder").click()
    told("move", ["c0"], None)
    expect(page.get_by_text("This folder is empty.")).to_be_visible()
    page.get_by_role("button", name="Back to the list").click()
    expect(item(page, "c0")).to_be_visible()


def test_conversations_are_dragged_into_folders_and_out(lone: Open, told: Any) -> None:
    page = lone("?folders=2")
    item(page, "c2").click(modifiers=["Shift"])
    item(page, "c3").click()
    item(page, "c3").drag_to(folder(page, "Folder 1"))
    told("move", ["c2", "c3"], "f1")
    expect(page.locator(".ws-sidebar-folder-dropping")).to_have_count(0)
    item(page, "c0").drag_to(folder(page, "Folder 1"))
    told("move", ["c0"], "f1")
    folder(page, "Folder 1").click()
    expect(items(page)).to_have_count(3)
    item(page, "c0").drag_to(page.locator(".ws-sidebar-title"))
    told("move", ["c0"], None)
    expect(items(page)).to_have_count(2)


def test_a_folder_is_created_while_moving(lone: Open, told: Any) -> None:
    page = lone()
    expect(page.get_by_role("region", name="Folders")).to_have_count(0)
    choose(item(page, "c0"), "move")
    page.get_by_label("New folder").fill("  Work  ")
    page.keyboard.press("Enter")
    told("folder", "Work")
    told("move", ["c0"], "fresh")
    expect(folder(page, "Work")).to_be_visible()


def test_folders_are_reached_and_changed_by_keyboard(lone: Open, told: Any) -> None:
    page = lone("?folders=3")
    folder(page, "Folder 0").focus()
    for key, name in (("ArrowDown", 1), ("End", 2), ("Home", 0), ("ArrowDown", 1)):
        page.keyboard.press(key)
        expect(folder(page, f"Folder {name}")).to_be_focused()
    page.keyboard.press("F2")
    dialog = page.get_by_role("dialog", name="Edit folder")
    field = dialog.get_by_label("Name of the folder")
    field.fill("folder 2")
    expect(dialog.get_by_text("There is a folder of this name already.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    field.fill("Later")
    field.press("Enter")
    told("folder", "f1", "Later")
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Edit folder: Later").focus()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Really delete?").click()
    told("delete folder", "f1")
    expect(folder(page, "Later")).to_have_count(0)
    expect(items(page)).to_have_count(7)
    page.keyboard.press("Control+k")  # nothing on this page
    page.evaluate("window.dispatchEvent(new CustomEvent('wireside:folder'))")
    expect(page.get_by_role("dialog", name="New folder")).to_be_visible()


def test_folders_of_another_page_come_and_go(lone: Open, do: Do) -> None:
    page = lone("?folders=1")
    folder(page, "Folder 0").click()
    do("set_folders", folders=[{"id": "f1", "name": HOSTILE}])
    expect(page.get_by_test_id("folder")).to_have_text(HOSTILE)  # the shown folder is gone
    expect(items(page)).to_have_count(7)


def test_thousands_of_conversations_and_folders_stay_few_elements(lone: Open) -> None:
    page = lone("?total=2000&folders=200")
    expect(page.get_by_test_id("folder")).to_have_count(200)
    assert items(page).count() < 100
    region = page.get_by_role("region", name="Folders").bounding_box()
    height = page.get_by_role("navigation").bounding_box()
    assert region and height and region["height"] < 0.4 * height["height"]


# ---- tags --------------------------------------------------------------------------------------


def test_tags_are_set_and_shown(lone: Open, told: Any) -> None:
    page = lone()
    item(page, "c0").focus()
    page.keyboard.press("t")
    dialog = page.get_by_role("dialog", name="Tags")
    dialog.get_by_role("checkbox", name="work").check()
    told("tag", ["c0"], "work", True)
    dialog.get_by_label("New tag").fill(HOSTILE[:40])
    dialog.get_by_role("button", name="Add").click()
    told("tag", ["c0"], HOSTILE[:40], True)
    expect(dialog.get_by_role("checkbox", name=HOSTILE[:40])).to_be_checked()
    page.keyboard.press("Escape")
    expect(item(page, "c0")).to_be_focused()
    expect(item(page, "c0").locator(".ws-sidebar-tag")).to_have_text("work")
    expect(item(page, "c0").locator(".ws-sidebar-tag-more")).to_have_text("+1")
    expect(item(page, "c0")).to_have_accessible_name(re.compile("Tags: work, "))


def test_several_conversations_get_a_tag(lone: Open, told: Any) -> None:
    page = lone()
    choose(item(page, "c2"), "tag")
    page.get_by_role("checkbox", name="home").check()
    page.get_by_role("button", name="Close").click()
    item(page, "c2").click(modifiers=["Shift"])
    item(page, "c3").click()
    page.get_by_test_id("selected-tag").click()
    dialog = page.get_by_role("dialog", name="Tags · 2 selected")
    home = dialog.get_by_role("checkbox", name="home")
    assert home.evaluate("(box) => box.indeterminate") is True
    home.check()
    told("tag", ["c2", "c3"], "home", True)
    home.uncheck()
    told("tag", ["c2", "c3"], "home", False)
    page.keyboard.press("Escape")
    expect(item(page, "c2").locator(".ws-sidebar-tag")).to_have_count(0)
    expect(page.get_by_text("2 selected", exact=True)).to_be_visible()


def test_escape_closes_a_dialog_and_not_the_drawer(lone: Open) -> None:
    page = lone("?folders=1")
    page.set_viewport_size({"width": 820, "height": 900})
    page.get_by_test_id("opener").click()
    item(page, "c0").focus()
    page.keyboard.press("m")
    dialog = page.get_by_role("dialog", name="Move to folder")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(item(page, "c0")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("opener")).to_be_focused()


# ---- filters -----------------------------------------------------------------------------------


def test_a_search_is_filtered(lone: Open, told: Any) -> None:
    page = lone("?folders=1")
    page.get_by_test_id("search").fill("img")
    expect(page.get_by_test_id("search-hit")).to_have_count(2)
    button = page.get_by_role("button", name="Filters")
    button.click()
    panel = page.get_by_role("group", name="Filters")
    panel.get_by_label("Search in").select_option("Title")
    told("search", "img", None, {"kind": "title"})
    panel.get_by_label("Folder").select_option("Folder 0")
    told("search", "img", None, {"kind": "title", "folder_id": "f0"})
    panel.get_by_label("From").fill("2026-09-01")
    panel.get_by_label("To").fill("2026-09-02")
    since = datetime(2026, 9, 1, tzinfo=UTC).timestamp()
    days = {"since": since, "until": since + 2 * 86_400}
    told("search", "img", None, {"kind": "title", "folder_id": "f0", **days})
    expect(page.get_by_role("button", name="Filters (4)")).to_be_visible()
    panel.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_test_id("search")).to_be_focused()
    expect(page.get_by_test_id("search-hit")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(items(page)).to_have_count(7)


def test_filters_without_words_find_conversations(lone: Open, told: Any) -> None:
    page = lone()
    item(page, "c0").focus()
    page.keyboard.press("t")
    page.get_by_label("New tag").fill("travel")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    item(page, "c0").locator(".ws-sidebar-tag").click()
    told("search", "", None, {"tag": "travel"})
    expect(page.get_by_test_id("search-hit")).to_have_text(re.compile("Tax return"))
    expect(page.get_by_role("combobox", name="Tag")).to_have_value("travel")
    page.get_by_role("combobox", name="Tag").select_option("home")
    expect(page.get_by_text("No conversation matches these filters.")).to_be_visible()
    page.get_by_role("combobox", name="Tag").select_option("All")
    expect(items(page)).to_have_count(7)
