"""Folders, tags, copies and filters in the page of the real server, by role; with axe."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Lab
from tests.e2e.test_axe import check, ended, say
from wireside.testing import answer


def test_a_conversation_is_organised(chat_page: Page, lab: Lab) -> None:
    page = chat_page
    lab.answer_with(answer(["They eat eucalyptus."]))
    say(page, "What do wombats eat?")
    ended(page)
    lab.answer_with(answer(["They sleep a lot."]))
    say(page, "And then?")
    expect(page.get_by_test_id("message-assistant")).to_have_count(2)
    ended(page)
    conversations = page.get_by_test_id("conversation-list")

    # a new conversation from the first answer
    page.get_by_test_id("message-user").first.hover()
    page.get_by_role("button", name="More", exact=True).first.click()
    page.get_by_role("menuitem", name="New conversation from here").click()
    expect(page.get_by_test_id("conversation-title")).to_have_text("What do wombats eat? (2)")
    expect(page.get_by_test_id("message-assistant")).to_have_count(1)
    expect(conversations.get_by_role("link", name="What do wombats eat?")).to_have_count(2)

    # into a new folder, by the menu of the title
    page.get_by_test_id("conversation-title").click()
    page.get_by_role("menuitem", name="Move to folder…").click()
    dialog = page.get_by_role("dialog", name="Move to folder")
    check(page)
    dialog.get_by_label("New folder").fill("Animals")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog).to_have_count(0)
    folder = page.get_by_role("button", name="Animals", exact=True)
    expect(folder).to_be_visible()
    expect(conversations.get_by_role("link", name="What do wombats eat?")).to_have_count(1)
    check(page)

    # tags
    page.get_by_test_id("conversation-title").click()
    page.get_by_role("menuitem", name="Tags…").click()
    tags = page.get_by_role("dialog", name="Tags")
    tags.get_by_label("New tag").fill("koalas")
    tags.get_by_label("New tag").press("Enter")
    expect(tags.get_by_role("checkbox", name="koalas")).to_be_checked()
    check(page)
    page.keyboard.press("Escape")
    folder.click()
    expect(conversations.get_by_role("link")).to_contain_text("koalas")
    page.reload()
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    folder.click()
    expect(conversations.get_by_role("link")).to_contain_text("koalas")
    page.get_by_role("button", name="Edit folder: Animals").click()
    expect(page.get_by_role("dialog", name="Edit folder")).to_be_visible()
    check(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Back to the list").click()

    # filters
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("combobox", name="Tag").select_option("koalas")
    expect(page.get_by_test_id("search-hit")).to_have_count(1)
    check(page)
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_test_id("search-hit")).to_have_count(0)

    # the settings of a conversation as a preset
    page.get_by_test_id("conversation-title").click()
    page.get_by_role("menuitem", name="Use as preset…").click()
    expect(page.get_by_role("dialog", name="New preset")).to_be_visible()
