"""Accounts as users use them: the first link, sign in, invite, share, sign out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Dialog, Page, expect

from tests.e2e.conftest import Lab
from wireside.testing import answer

PASSWORD = "a good long password"

NewContext = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def guarded(
    running_lab: Any, tmp_path_factory: pytest.TempPathFactory, served_with: Any
) -> Iterator[Any]:
    """A server with accounts; ``link`` creates the administrator."""
    server = served_with(
        running_lab.url,
        tmp_path_factory.mktemp("guarded"),
        WIRESIDE_AUTH="password",
        WIRESIDE_SHARING="users",
        WIRESIDE_USER_MESSAGES_PER_MINUTE="5",
    )
    server.link = server.administrator_link()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def state(
    guarded: Any,
    lasting_context: Callable[..., AbstractContextManager[BrowserContext]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The cookies of the administrator, who was created by the link."""
    file: Path = tmp_path_factory.mktemp("state") / "ada.json"
    with lasting_context() as context:
        page = context.new_page()
        page.goto(guarded.url)
        assert re.search(r"/login$", page.url)
        page.goto(guarded.link)
        page.get_by_label("Name").fill("Ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button").click()
        expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
        context.storage_state(path=file)
    return file


@pytest.fixture
def ada(guarded: Any, new_context: NewContext, state: Path) -> Page:
    return new_context(storage_state=state, base_url=guarded.url).new_page()


def test_a_wrong_password_is_told_and_a_right_one_leads_back(
    guarded: Any, page: Page, state: Path
) -> None:
    page.goto(f"{guarded.url}/settings")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    expect(page.get_by_label("Name")).to_have_value("ada")
    expect(page.get_by_label("Password")).to_be_focused()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
    assert page.url == f"{guarded.url}/settings"
    page.get_by_role("button", name="Sign out", exact=True).click()
    assert "/login" in page.url
    page.goto(guarded.url)
    assert "/login" in page.url


def test_an_open_page_of_somebody_who_is_put_out_leads_to_the_door(
    guarded: Any, ada: Page, new_context: NewContext
) -> None:
    ada.goto("/people")
    ada.get_by_label("Name (or let them choose)").fill("Grace")
    ada.get_by_role("button", name="Invite a person").click()
    link = ada.locator("#secret").inner_text()
    ada.reload()
    expect(ada.locator("#secret")).to_have_count(0)  # it is shown only once
    context = new_context()
    grace = context.new_page()
    grace.goto(link)
    grace.get_by_label("Password").fill(PASSWORD)
    grace.get_by_role("button").click()
    expect(grace.get_by_test_id("connection-status")).to_have_text("Connected")
    grace.get_by_test_id("input-chat").fill("half a thought")
    ada.goto("/people")
    mine = ada.get_by_role("listitem").filter(has_text="(You)")
    expect(mine.get_by_role("button", name="Save")).to_be_visible()
    expect(mine.get_by_role("button", name="Disable")).to_have_count(0)
    errors: list[str] = []
    grace.on("pageerror", lambda error: errors.append(error.message))
    disable = (
        ada.get_by_role("listitem").filter(has_text="grace").get_by_role("button", name="Disable")
    )
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    ada.once("dialog", refuse)
    disable.click()
    assert asked == ["Disable grace? They are signed out everywhere, and their keys stop working."]
    expect(grace.get_by_test_id("connection-status")).to_have_text("Connected")
    ada.once("dialog", lambda dialog: dialog.accept())
    disable.click()
    grace.wait_for_url(re.compile("/login"))
    assert errors == []
    grace.get_by_label("Name").fill("grace")
    grace.get_by_label("Password").fill(PASSWORD)
    grace.get_by_role("button", name="Sign in").click()
    expect(grace.get_by_role("alert")).to_have_text("This account is disabled.")
    ada.get_by_role("listitem").filter(has_text="grace").get_by_role(
        "button", name="Enable"
    ).click()
    grace.get_by_label("Password").fill(PASSWORD)
    grace.get_by_role("button", name="Sign in").click()
    # the typed text is still there
    expect(grace.get_by_test_id("input-chat")).to_have_value("half a thought")


def test_a_viewer_reads_and_does_not_write(
    guarded: Any, ada: Page, new_context: NewContext
) -> None:
    shared = {"name": "Greet", "text": "Say hello", "shared": True}
    assert ada.request.post(f"{guarded.url}/api/prompts", data=shared).ok
    ada.goto("/people")
    ada.get_by_label("Name (or let them choose)").fill("Vera")
    ada.locator("#invite-role").select_option("viewer")
    ada.get_by_role("button", name="Invite a person").click()
    context = new_context()
    vera = context.new_page()
    vera.goto(ada.locator("#secret").inner_text())
    vera.get_by_label("Password").fill(PASSWORD)
    vera.get_by_role("button").click()
    expect(vera.get_by_test_id("connection-status")).to_have_text("Connected")
    expect(vera.get_by_test_id("input-chat")).to_be_disabled()
    expect(vera.get_by_test_id("input-chat")).to_have_attribute("placeholder", re.compile("read"))
    vera.keyboard.press("ControlOrMeta+k")
    vera.get_by_test_id("palette-box").fill("manage prompts")
    vera.keyboard.press("Enter")
    item = vera.get_by_test_id("library-item")
    expect(item).to_contain_text("Say hello")
    expect(item.get_by_role("button")).to_have_count(0)
    prompt = "new CustomEvent('wireside:prompt', { detail: { name: 'n', text: 'Say hello' } })"
    vera.evaluate(f"dispatchEvent({prompt})")
    expect(vera.get_by_test_id("input-chat")).to_have_value("")
    vera.goto(f"{guarded.url}/dashboard")
    expect(vera.get_by_role("alert")).to_have_text("Only administrators may do this.")


def test_a_viewer_is_offered_nothing_that_writes(
    guarded: Any, ada: Page, lab: Lab, new_context: NewContext
) -> None:
    ada.goto("/people")
    ada.get_by_label("Name (or let them choose)").fill("Vic")
    ada.get_by_role("button", name="Invite a person").click()
    vic = new_context().new_page()
    vic.goto(ada.locator("#secret").inner_text())
    vic.get_by_label("Password").fill(PASSWORD)
    vic.get_by_role("button").click()
    expect(vic.get_by_test_id("connection-status")).to_have_text("Connected")
    expect(vic.locator(".ws-welcome-starters button").first).to_be_visible()
    lab.answer_with(answer(3), answer(3))
    vic.get_by_test_id("input-chat").fill("A question")
    vic.keyboard.press("Enter")
    vic.locator('[data-action="retry"]').click()
    expect(vic.get_by_test_id("versions")).to_have_text("2 / 2")
    expect(vic.locator('[data-action="up"]')).to_be_visible()

    ada.goto("/people")
    ada.get_by_label("Role: vic").select_option("viewer")
    row = ada.get_by_role("listitem").filter(has_text="vic")
    row.get_by_role("button", name="Save").click()
    expect(vic.get_by_test_id("input-chat")).to_be_disabled()  # the page has reloaded by itself
    expect(vic.get_by_test_id("versions")).to_have_text("2 / 2")
    offered = "els => els.map((el) => el.dataset.action)"
    assert vic.locator(".ws-turn [data-action]").evaluate_all(offered) == [
        *("copy_question", "copy", "copy_menu")
    ]
    vic.get_by_test_id("app-menu").click()
    expect(vic.get_by_test_id("account-page")).to_be_visible()
    expect(vic.get_by_test_id("import")).to_have_count(0)
    vic.keyboard.press("Escape")
    item = vic.get_by_test_id("conversation-item")
    item.focus()
    vic.keyboard.press("F2")
    vic.keyboard.press("Delete")
    expect(vic.get_by_test_id("rename")).to_have_count(0)
    expect(item).to_have_count(1)
    item.hover()
    vic.get_by_test_id("conversation-menu").click()
    expect(vic.get_by_role("menuitem")).to_have_text(["Select", "Export…"])
    vic.get_by_test_id("menu-select").click()
    bar = vic.get_by_role("toolbar", name="Select").locator("[data-testid]")
    assert bar.evaluate_all("els => els.map((el) => el.dataset.testid)") == [
        *("selected-cancel", "selected-export")
    ]
    vic.goto(guarded.url)
    expect(vic.get_by_test_id("input-chat")).to_be_disabled()
    expect(vic.locator(".ws-welcome-starters button")).to_have_count(0)


def test_what_is_left_is_said_and_a_conversation_is_shared(
    guarded: Any, ada: Page, lab: Lab, new_context: NewContext
) -> None:
    ada.goto("/")
    expect(ada.get_by_test_id("connection-status")).to_have_text("Connected")
    expect(ada.get_by_test_id("account")).to_contain_text("ada")
    lab.answer_with(*[answer(3)] * 5)
    for number in range(4):
        ada.get_by_test_id("input-chat").fill(f"question {number}")
        ada.keyboard.press("Enter")
        expect(ada.get_by_test_id("message-user").last).to_have_text(f"question {number}")
    expect(ada.get_by_test_id("allowance")).to_contain_text("1 messages left")
    ada.get_by_test_id("input-chat").fill("the fifth")
    ada.keyboard.press("Enter")
    expect(ada.get_by_test_id("message-user").last).to_have_text("the fifth")
    ada.get_by_test_id("input-chat").fill("one too many")
    ada.keyboard.press("Enter")
    expect(ada.locator(".ws-composer-hint-shown")).to_contain_text("You have reached a limit.")
    expect(ada.get_by_test_id("input-chat")).to_have_value("one too many")
    countdown = ada.get_by_test_id("countdown")
    wait = re.compile(r"Try again in (\d+) seconds?\.")
    expect(countdown).to_have_text(wait)
    first = wait.search(countdown.inner_text())
    assert first is not None
    ada.get_by_test_id("input-chat").press_sequentially(", or not")  # typing continues meanwhile
    expect(countdown).to_have_text(wait)
    expect(countdown).not_to_contain_text(f" {first[1]} ")
    later = wait.search(countdown.inner_text())
    assert later is not None
    assert int(later[1]) < int(first[1])
    expect(ada.get_by_test_id("input-chat")).to_have_value("one too many, or not")
    ada.get_by_test_id("conversation-item").first.hover()
    ada.get_by_test_id("conversation-menu").first.click()
    ada.get_by_test_id("menu-share").click()
    link = ada.locator(".ws-sidebar-shared input").input_value()
    context = new_context()
    stranger = context.new_page()
    stranger.goto(link)
    assert "/login" in stranger.url  # only for users
    ada.goto(link)
    expect(ada.get_by_role("heading", level=1)).to_have_text("question 0")


def test_a_key_is_shown_once(ada: Page) -> None:
    ada.goto("/settings")
    ada.get_by_label("What it is for").fill("my script")
    ada.get_by_role("button", name="Make a key").click()
    text = ada.locator("#secret").inner_text()
    assert re.fullmatch(r"wireside_[0-9a-f]{16}_[\w-]{43}", text)
    ada.goto("/settings")
    assert text not in ada.content()
    ada.get_by_role("button", name="Revoke: my script").click()
    expect(ada.get_by_text("my script")).to_have_count(0)


def test_the_audit_log_is_searched_and_paged(ada: Page, guarded: Any) -> None:
    for number in range(55):  # two entries each, and a page has a hundred
        made = ada.request.post(
            "/api/keys",
            headers={"Origin": guarded.url},
            data={"name": "needle" if number == 27 else "hay", "scopes": ["read"]},
        )
        assert made.status == 201
        path = f"/api/keys/{made.json()['id']}"
        assert ada.request.delete(path, headers={"Origin": guarded.url}).status == 204
    ada.goto("/settings")
    ada.get_by_role("link", name="Audit log").click()
    entries = ada.locator(".wa-audit li")
    expect(entries).to_have_count(100)
    expect(entries.first).to_contain_text("Key revoked")
    expect(entries.first).to_contain_text("ada · 127.0.0.1")
    newest = entries.first.inner_text()
    ada.get_by_role("link", name="Older").click()
    expect(entries.filter(has_text="account made")).not_to_have_count(0)  # the first entry
    assert newest not in entries.all_inner_texts()

    ada.get_by_role("searchbox").fill("key_made NEEDLE")
    ada.keyboard.press("Enter")
    expect(entries).to_have_count(1)
    expect(entries).to_contain_text("needle: read")
    expect(ada.get_by_role("searchbox")).to_have_value("key_made NEEDLE")
    ada.get_by_role("searchbox").fill("<b>&nowhere")
    ada.get_by_role("button", name="Search").click()
    expect(ada.locator("main")).to_contain_text("<b>&nowhere")
    expect(entries).to_have_count(0)

    ada.goto("/audit?q=key")  # search results have pages, too
    ada.get_by_role("link", name="Older").click()
    expect(ada.get_by_role("searchbox")).to_have_value("key")
    expect(entries.filter(has_not_text="key")).to_have_count(0)
    expect(entries).not_to_have_count(0)


@pytest.mark.parametrize("width", [320, 820, 1440])
def test_the_pages_fit(ada: Page, guarded: Any, width: int) -> None:
    ada.set_viewport_size({"width": width, "height": 800})
    for path in ("/settings", "/people", "/audit"):
        ada.goto(path)
        assert ada.evaluate("document.documentElement.scrollWidth") <= width, path
        times = ada.locator("main time")
        expect(times.first).not_to_contain_text("UTC")  # it is the reader's clock
        assert " UTC" not in ada.locator("main").inner_text()


def test_a_password_is_shown_where_it_is_typed(ada: Page) -> None:
    ada.goto("/settings")
    field = ada.get_by_label("New password")
    expect(field).to_have_attribute("type", "password")
    ada.get_by_label("Show the characters").check()
    expect(field).to_have_attribute("type", "text")
    expect(ada.get_by_label("Current password")).to_have_attribute("type", "text")


def test_the_settings_lead_to_the_parts_of_the_account(guarded: Any, ada: Page) -> None:
    ada.goto(f"{guarded.url}/settings")
    ada.get_by_role("link", name="Appearance, message box").click()
    dialog = ada.get_by_role("dialog", name="Settings")
    dialog.get_by_role("searchbox").fill("token")
    expect(dialog.locator("[data-setting]")).to_have_count(1)
    dialog.get_by_role("link", name="API keys").click()
    expect(ada).to_have_url(f"{guarded.url}/settings#keys")
    expect(ada.locator("#keys")).to_be_in_viewport()
