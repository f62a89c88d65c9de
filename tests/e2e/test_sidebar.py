"""The list of conversations, in a real browser."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

Add = Callable[..., list[str]]


@pytest.fixture(scope="module")
def library(
    served: Any, running_lab: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A server of these tests alone."""
    server = type(served)(running_lab.url, tmp_path_factory.mktemp("library"))
    yield server
    server.stop()


@pytest.fixture
def add(page: Page, library: Any) -> Iterator[Add]:
    """Import conversations of these titles; they are gone after the test."""
    added: list[str] = []

    def add_all(*titles: str, **more: Any) -> list[str]:
        conversations = [
            {
                "id": uuid.uuid4().hex,
                "title": title,
                "created_at": "2026-01-01T00:00:00Z",
                "updated_at": more.get("at", "2026-01-01T00:00:00Z"),
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
            for title in titles
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
def opened(page: Page, library: Any) -> Callable[[], Page]:
    def open_() -> Page:
        page.goto(library.url)
        expect(page.get_by_test_id("connection-status")).to_have_attribute(
            "data-state", "connected"
        )
        return page

    return open_


def items(page: Page) -> Locator:
    return page.get_by_test_id("conversation-item")


def choose(page: Page, title: str, action: str) -> None:
    item = items(page).filter(has_text=title)
    item.hover()
    item.locator("..").get_by_test_id("conversation-menu").click()
    page.get_by_test_id(f"menu-{action}").click()


def test_conversations_stand_in_groups(opened: Any, add: Add) -> None:
    add("old one")
    [new] = add("new one", at="2099-01-01T00:00:00Z")
    page = opened()
    choose(page, "old one", "pin")
    expect(page.locator(".ws-side-group").first).to_have_text("Pinned")
    expect(items(page).first).to_have_text("old one")
    choose(page, "old one", "pin")
    expect(page.locator(".ws-side-group").first).not_to_have_text("Pinned")
    expect(items(page).first).to_have_attribute("data-id", new)


def test_a_click_opens_without_a_new_page(opened: Any, add: Add) -> None:
    names = add("first", "second")
    page = opened()
    page.evaluate("window.notReloaded = true")
    items(page).filter(has_text="first").click()
    expect(page.get_by_test_id("message-user")).to_have_text("Question of first")
    expect(page.locator("[aria-current=page]")).to_have_attribute("data-id", names[0])
    expect(page).to_have_title("first · Wireside")
    items(page).filter(has_text="second").click()
    expect(page.get_by_test_id("message-user")).to_have_text("Question of second")
    page.go_back()
    expect(page.get_by_test_id("message-user")).to_have_text("Question of first")
    assert page.url.endswith(names[0])
    assert page.evaluate("window.notReloaded")


def test_a_title_is_changed_in_place_on_every_page(opened: Any, add: Add) -> None:
    add("before")
    page = opened()
    other = page.context.new_page()
    other.goto(page.url)
    choose(page, "before", "rename")
    page.locator(".ws-item-rename").fill("  after   all ")
    page.keyboard.press("Enter")
    for one in (page, other):
        expect(items(one).filter(has_text="after all")).to_have_count(1)
    items(page).filter(has_text="after all").press("F2")
    page.locator(".ws-item-rename").fill("never")
    page.keyboard.press("Escape")
    expect(items(page).filter(has_text="after all")).to_be_focused()
    page.reload()
    expect(items(page).filter(has_text="after all")).to_have_count(1)


def test_deleting_is_undone_by_a_button(opened: Any, add: Add) -> None:
    add("<b>one</b>", "two")
    page = opened()
    items(page).filter(has_text="one").focus()
    page.keyboard.press("Delete")
    expect(items(page).filter(has_text="one")).to_have_count(0)
    expect(page.get_by_text("Deleted: <b>one</b>")).to_be_visible()
    page.get_by_test_id("undo-delete").click()
    expect(items(page).filter(has_text="<b>one</b>")).to_have_count(1)
    expect(page.get_by_test_id("undo-delete")).to_have_count(0)


def test_several_are_put_away_at_once(opened: Any, add: Add) -> None:
    add("alpha", "beta", "gamma")
    page = opened()
    before = items(page).count()
    items(page).filter(has_text="alpha").click(modifiers=["ControlOrMeta"])
    items(page).filter(has_text="gamma").click(modifiers=["Shift"])
    expect(page.get_by_text("3 selected")).to_be_visible()
    items(page).filter(has_text="beta").click()
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.get_by_test_id("selected-archive").click()
    expect(items(page)).to_have_count(before - 2)
    page.get_by_test_id("show-archived").click()
    expect(items(page)).to_have_text(["gamma", "alpha"])
    choose(page, "alpha", "archive")
    expect(items(page)).to_have_text(["gamma"])
    page.get_by_test_id("show-archived").click()
    expect(items(page).filter(has_text="alpha")).to_have_count(1)


def test_search_marks_what_matched_and_shows_no_markup(opened: Any, add: Add) -> None:
    add("<img src=x onerror=window.hit=1> wombat", "other")
    page = opened()
    page.keyboard.press("ControlOrMeta+k")
    expect(page.get_by_test_id("search")).to_be_focused()
    page.keyboard.type("WOMB")
    hits = page.get_by_test_id("search-hit")
    expect(hits).to_have_count(3)
    expect(hits.first.locator("mark")).to_have_text("womb")
    expect(hits.first).to_contain_text("<img src=x")
    hits.filter(has_text="Answer").click()
    expect(page.get_by_test_id("message-user")).to_contain_text("wombat")
    page.get_by_test_id("search").fill("nothing like this")
    expect(page.get_by_text("Nothing found for “nothing like this”.")).to_be_visible()
    page.get_by_test_id("search").press("Escape")
    expect(items(page).filter(has_text="other")).to_have_count(1)
    assert page.evaluate("window.hit") is None


def test_more_comes_when_the_end_is_near(opened: Any, add: Add) -> None:
    add(*(f"number {n:03}" for n in range(130)))
    page = opened()
    expect(items(page)).to_have_count(50)
    listed = page.get_by_test_id("conversation-list")
    for _ in range(2):
        listed.evaluate("(el) => el.scrollTo(0, el.scrollHeight)")
        page.wait_for_timeout(50)
    for count in (100, 130):
        listed.evaluate("(el) => el.scrollTo(0, el.scrollHeight)")
        expect(items(page)).to_have_count(count) if count == 130 else None
    expect(items(page).filter(has_text=re.compile(r"number 000|number 129"))).to_have_count(2)


def test_the_keyboard_moves_through_the_list(opened: Any, add: Add) -> None:
    add("one", "two", "three")
    page = opened()
    items(page).first.focus()
    page.keyboard.press("ArrowDown")
    expect(items(page).nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(items(page).last).to_be_focused()
    page.keyboard.press("Home")
    expect(items(page).first).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_test_id("conversation-menu").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("menu-rename")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_test_id("menu-delete")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(items(page).first).to_be_focused()


def test_it_stays_closed(opened: Any) -> None:
    page = opened()
    sidebar = page.get_by_role("navigation", name="Conversations")
    expect(sidebar).to_be_visible()
    page.get_by_test_id("sidebar-toggle").click()
    expect(sidebar).to_be_hidden()
    page.reload()
    expect(page.get_by_test_id("input-chat")).to_be_visible()
    expect(sidebar).to_be_hidden()
    page.keyboard.press("ControlOrMeta+Shift+s")
    expect(sidebar).to_be_visible()


def test_on_a_phone_it_is_a_drawer(page: Page, opened: Any, add: Add) -> None:
    add("in the drawer")
    page.set_viewport_size({"width": 375, "height": 700})
    opened()
    sidebar = page.get_by_role("navigation", name="Conversations")
    expect(sidebar).to_be_hidden()
    toggle = page.get_by_test_id("sidebar-toggle")
    toggle.click()
    expect(page.get_by_test_id("sidebar-new")).to_be_focused()
    for _ in range(12):  # the focus stays inside
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('nav')"
        )
    page.keyboard.press("Escape")
    expect(sidebar).to_be_hidden()
    expect(toggle).to_be_focused()
    toggle.click()
    items(page).filter(has_text="in the drawer").click()
    expect(sidebar).to_be_hidden()
    expect(page.get_by_test_id("message-user")).to_have_text("Question of in the drawer")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_a_file_is_imported_and_a_wrong_one_is_told(
    opened: Any, add: Add, tmp_path: Path, library: Any
) -> None:
    [name] = add("to a file")
    page = opened()
    response = page.request.get(f"{library.url}/api/conversations/{name}/export?format=json")
    file = tmp_path / "kept.json"
    file.write_bytes(response.body())
    with page.expect_file_chooser() as chooser:
        page.get_by_test_id("import").click()
    chooser.value.set_files(file)
    expect(page.get_by_text("1 conversations imported.")).to_be_visible()
    expect(items(page).filter(has_text="to a file")).to_have_count(2)
    file.write_text("no json")
    with page.expect_file_chooser() as chooser:
        page.get_by_test_id("import").click()
    chooser.value.set_files(file)
    expect(page.locator(".ws-side-toast")).to_contain_text("conversations.json")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_accessibility_rule_is_broken(page: Page, opened: Any, add: Add, scheme: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}

    def check(state: str) -> None:
        found = axe.run(page, options=rules)
        assert found.violations_count == 0, f"{state}: {found.generate_report()}"

    add("one", "two")
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    opened()
    check("list")
    items(page).first.click(modifiers=["ControlOrMeta"])
    check("selection")
    page.get_by_test_id("selected-cancel").click()
    items(page).first.hover()
    page.get_by_test_id("conversation-menu").first.click()
    check("menu")
    page.keyboard.press("Escape")
    page.get_by_test_id("search").fill("question")
    expect(page.get_by_test_id("search-hit").first).to_be_visible()
    check("search")
