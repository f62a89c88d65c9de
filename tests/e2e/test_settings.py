"""The dialog of settings: search, accent, notifications, default preset, and the user's data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.test_axe import check
from tests.server_process import ServerProcess

pytestmark = pytest.mark.timeout(120)

HAS = """(permission, asked) => {
  window.Notification = class {
    static permission = permission;
    static requestPermission = async () => (window.Notification.permission = asked);
    constructor(title, { body }) { this.text = [title, body]; }
  };
}"""


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Settings")


def opened(page: Page) -> Locator:
    page.get_by_test_id("app-menu").click()
    page.get_by_test_id("open-preferences").click()
    box = page.get_by_role("search").get_by_role("searchbox", name="Search settings")
    expect(box).to_be_focused()
    return box


def test_settings_are_found_by_label_and_synonym(chat_page: Page) -> None:
    page = chat_page
    box = opened(page)
    found = dialog(page).locator("[data-setting]")
    expect(found).to_have_count(12)
    box.fill("dark mode")
    expect(found).to_have_count(1)
    expect(dialog(page).get_by_role("radio", name="Dark")).to_be_visible()
    box.fill("font")
    page.keyboard.press("Enter")
    expect(dialog(page).get_by_role("radio", name="Normal")).to_be_focused()
    box.fill("nothing like <b>that")
    expect(dialog(page).get_by_role("status").first).to_have_text(
        "Nothing found for “nothing like <b>that”."
    )
    check(page)
    box.press("Escape")
    expect(box).to_have_value("")
    expect(found).to_have_count(12)
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()


def test_the_palette_finds_each_setting(chat_page: Page) -> None:
    page = chat_page
    page.keyboard.press("ControlOrMeta+k")
    page.get_by_role("combobox", name="Command palette").fill("backup")
    expect(page.get_by_role("option")).to_have_text(["Export all conversationsData"])
    page.keyboard.press("Enter")
    expect(dialog(page).get_by_test_id("export-all")).to_be_focused()


def test_without_accounts_the_address_of_the_settings_opens_them(
    page: Page, served: ServerProcess
) -> None:
    page.goto(f"{served.url}/settings")
    expect(dialog(page)).to_be_visible()
    expect(page).to_have_url(f"{served.url}/")
    page.evaluate("location.hash = '#settings/accent'")
    expect(dialog(page).get_by_role("radio", name="Standard")).to_be_focused()


def test_an_accent_is_chosen_and_kept(chat_page: Page, served: ServerProcess) -> None:
    page = chat_page
    accent = "getComputedStyle(document.body).getPropertyValue('--ws-accent')"
    before = page.evaluate(accent)
    opened(page)
    dialog(page).get_by_role("radio", name="Violet").check(force=True)
    chosen = page.evaluate(accent)
    assert chosen != before
    page.goto(f"{served.url}/doctor")
    assert page.evaluate(accent) == chosen
    page.goto(served.url)
    assert page.evaluate(accent) == chosen


@pytest.mark.parametrize(
    ("permission", "asked", "note"),
    [
        ("default", "denied", "The browser does not allow notifications"),
        ("default", "default", "The browser does not allow notifications"),
        ("denied", "denied", "The browser does not allow notifications"),
    ],
)
def test_refused_notifications_are_explained(
    chat_page: Page, permission: str, asked: str, note: str
) -> None:
    page = chat_page
    page.evaluate(f"({HAS})({permission!r}, {asked!r})")
    opened(page)
    box = page.get_by_test_id("notify")
    if permission == "default":
        box.click()
    else:
        expect(box).to_be_disabled()
    expect(dialog(page).get_by_text(note)).to_be_visible()
    expect(box).not_to_be_checked()


def test_a_preset_for_new_chats_is_chosen(chat_page: Page, served: ServerProcess) -> None:
    page = chat_page
    url = f"{served.url}/api/presets"
    made = page.request.post(url, data={"name": "Pirate", "system": "Arr"}).json()
    opened(page)
    page.get_by_label("Preset for new chats").select_option("Pirate")
    expect(page.get_by_test_id("default-preset")).to_have_value(made["id"])
    page.wait_for_function(
        "(url) => fetch(url).then((r) => r.json()).then((all) => all.default)", arg=url
    )
    page.request.delete(f"{url}/{made['id']}")


def test_all_data_is_exported_deleted_and_imported_again(
    chat_page: Page, served: ServerProcess, tmp_path: Path
) -> None:
    page = chat_page
    url = f"{served.url}/api/conversations"
    page.request.delete(f"{url}?all=true")
    made = page.request.post(url, data={"title": "Koalas"}).json()
    page.request.patch(f"{url}/{made['id']}", data={"archived": True})
    shown = page.request.post(url, data={"title": "Wombats"}).json()
    page.goto(f"{served.url}/c/{shown['id']}")
    rows = page.get_by_test_id("conversation-item")
    expect(rows).to_have_count(1)

    opened(page)
    with page.expect_download() as saving:
        page.get_by_test_id("export-all").click()
    file = tmp_path / "all.json"
    saving.value.save_as(file)
    titles = {one["title"] for one in json.loads(file.read_text("utf-8"))["conversations"]}
    assert titles == {"Koalas", "Wombats"}

    page.get_by_test_id("delete-all").click()
    word = page.get_by_label("Type “delete” to confirm")
    expect(word).to_be_focused()
    check(page)
    expect(page.get_by_test_id("delete-all-now")).to_be_disabled()
    word.press("Escape")
    expect(page.get_by_test_id("delete-all")).to_be_focused()
    page.get_by_test_id("delete-all").click()
    word.fill(" Delete ")
    word.press("Enter")
    expect(dialog(page).get_by_text("All conversations are deleted.")).to_be_visible()
    expect(rows).to_have_count(0)
    expect(page).to_have_url(f"{served.url}/")
    assert page.request.get(f"{url}?archived=true").json()["conversations"] == []

    with page.expect_file_chooser() as choosing:
        page.get_by_test_id("import-all").click()
    choosing.value.set_files(file)
    expect(rows).to_have_text(["Wombats"])


def test_a_deletion_that_fails_says_so(chat_page: Page) -> None:
    page = chat_page
    page.route("**/api/conversations?all=true", lambda route: route.abort())
    opened(page)
    page.get_by_test_id("delete-all").click()
    page.get_by_test_id("delete-word").fill("delete")
    page.get_by_test_id("delete-all-now").click()
    expect(dialog(page).get_by_role("alert")).to_have_text("The server can't be reached.")
    expect(page.get_by_test_id("delete-word")).to_have_value("delete")
