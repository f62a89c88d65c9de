"""Sharing with users: the header, the dialog, the list of another user, and the end of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.test_axe import check
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

pytestmark = pytest.mark.timeout(240)

PASSWORD = "a good long password"

NewContext = Callable[..., BrowserContext]


@dataclass
class House:
    """A server with accounts and two users."""

    server: ServerProcess
    states: dict[str, Path]

    def page(self, new_context: NewContext, name: str, path: str = "/", **settings: Any) -> Page:
        """Open a page as a user."""
        page = new_context(storage_state=self.states[name], **settings).new_page()
        page.goto(self.server.url + path)
        expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
        return page


@pytest.fixture(scope="module")
def house(
    lasting_context: Callable[..., AbstractContextManager[BrowserContext]],
    running_lab: FakeOpenAI,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("sharing")
    with ServerProcess(folder / "data", running_lab.url, auth="password") as server:
        states: dict[str, Path] = {}
        link = server.administrator_link()
        for name in ("Ada", "Grace"):
            with lasting_context() as context:
                page = context.new_page()
                page.goto(link)
                page.locator("input[name=name]").fill(name)
                page.locator("input[name=password]").fill(PASSWORD)
                page.locator("form button").last.click()
                expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
                if name == "Ada":
                    made = context.request.post(
                        f"{server.url}/api/users",
                        data={"role": "user"},
                        headers={"Origin": server.url},
                    )
                    link = made.json()["link"]
                states[name] = folder / f"{name}.json"
                context.storage_state(path=states[name])
        yield House(server, states)


def ask(page: Page, question: str) -> None:
    page.get_by_role("textbox", name="Ask me anything…").fill(question)
    page.keyboard.press("Enter")


def test_a_conversation_is_shared_read_answered_and_withdrawn(
    house: House, new_context: NewContext
) -> None:
    ada = house.page(new_context, "Ada")
    ask(ada, "/lab echo")
    expect(ada.get_by_test_id("message-assistant")).not_to_be_empty()
    expect(ada).to_have_url(re.compile("/c/"))
    path = urlsplit(ada.url).path
    status = ada.get_by_test_id("shared-with")
    expect(status).to_have_accessible_name("Only you")

    grace = house.page(new_context, "Grace")
    expect(grace.get_by_test_id("shared-with-me")).to_have_count(0)

    status.focus()
    ada.keyboard.press("Enter")
    dialog = ada.get_by_role("dialog", name="People with access")
    name = dialog.get_by_role("textbox", name="User name")
    name.fill("Nobody")
    ada.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("There is no other user of that name.")
    name.fill("Grace")
    ada.keyboard.press("Enter")
    expect(dialog.get_by_test_id("member")).to_have_count(1)
    expect(dialog.get_by_role("combobox", name="Access: grace")).to_have_value("read")
    check(ada)
    ada.keyboard.press("Escape")
    expect(status).to_have_accessible_name("Shared with grace")
    expect(status).to_be_focused()

    grace.get_by_test_id("shared-with-me").click()
    item = grace.get_by_test_id("conversation-item")
    expect(item).to_contain_text("ada")
    item.click()
    expect(grace.get_by_test_id("shared-with")).to_have_accessible_name("Shared by ada")
    expect(grace.get_by_test_id("message-user")).to_have_text("/lab echo")
    expect(grace.get_by_test_id("asked-by")).to_have_text("ada")
    box = grace.get_by_role("textbox", name="Shared with you to read only.")
    expect(box).to_be_disabled()
    expect(grace.get_by_role("button", name="Try again")).to_have_count(0)
    check(grace)

    # what is asked now streams on the other page
    ask(ada, "/lab say Later words.")
    expect(grace.get_by_test_id("message-user")).to_have_count(2)
    expect(grace.get_by_test_id("message-assistant").nth(1)).not_to_be_empty()

    # the owner changes the right; the message box opens at once
    status.click()
    dialog.get_by_role("combobox", name="Access: grace").select_option("reply")
    ada.keyboard.press("Escape")
    message = grace.get_by_role("textbox", name="Ask me anything…")
    expect(message).to_be_enabled()
    ask(grace, "Grace asks")
    last = ada.get_by_test_id("message-user").last
    expect(last).to_have_text("Grace asks")
    expect(ada.get_by_test_id("asked-by").last).to_have_text("grace")
    expect(grace.get_by_test_id("message-assistant").nth(2)).not_to_be_empty()

    # the end reaches open pages
    status.click()
    dialog.get_by_test_id("remove-member").click()
    expect(dialog.get_by_test_id("member")).to_have_count(0)
    expect(grace.get_by_test_id("message-user")).to_have_count(0)
    expect(grace.get_by_test_id("conversation-item")).to_have_count(0)
    ada.keyboard.press("Escape")
    expect(status).to_have_accessible_name("Only you")
    assert grace.goto(house.server.url + path).status == 404  # type: ignore[union-attr]


def test_people_comment_on_an_answer(house: House, new_context: NewContext) -> None:
    ada = house.page(new_context, "Ada")
    ask(ada, "/lab say An answer to comment on.")
    expect(ada.get_by_test_id("message-assistant")).to_contain_text("An answer")
    expect(ada).to_have_url(re.compile("/c/"))
    path = urlsplit(ada.url).path
    expect(ada.get_by_role("button", name="Comment", exact=True)).to_have_count(0)
    made = ada.request.put(
        f"{house.server.url}/api/conversations/{path.rpartition('/')[2]}/members",
        data={"name": "Grace", "access": "read"},
        headers={"Origin": house.server.url},
    )
    assert made.ok
    grace = house.page(new_context, "Grace", path, viewport={"width": 375, "height": 720})

    # a reader finds it by its text, with the owner's name
    finder = house.page(new_context, "Grace")
    finder.get_by_role("searchbox").fill("comment on")
    heading = finder.get_by_role("list", name="Search").get_by_role("listitem").first
    expect(heading).to_contain_text("ada · ")

    # a reader comments by keyboard; the owner sees it on the open page
    grace.get_by_role("button", name="Comment", exact=True).focus()
    grace.keyboard.press("Enter")
    thread = grace.get_by_role("region", name="Comments")
    expect(thread.get_by_text("No comments yet.")).to_be_visible()
    field = thread.get_by_role("textbox", name="Write a comment")
    expect(field).to_be_focused()
    hostile = "<b>Is it?</b>\n\u202e ![x](http://x.example/) $x$"
    field.fill(hostile)
    grace.keyboard.press("Control+Enter")
    expect(thread.get_by_role("listitem")).to_have_count(1)
    expect(field).to_have_value("")
    expect(field).to_be_focused()
    check(grace)

    button = ada.get_by_role("button", name="Comments (1)")
    button.click()
    threads = ada.get_by_role("region", name="Comments")
    expect(threads.get_by_role("listitem")).to_contain_text("grace")
    assert hostile in threads.get_by_role("listitem").inner_text()
    expect(threads.get_by_role("listitem").get_by_role("button", name="Edit")).to_have_count(0)
    threads.get_by_role("textbox", name="Write a comment").fill("It is.")
    threads.get_by_role("button", name="Comment", exact=True).click()
    expect(thread.get_by_role("listitem")).to_have_count(2)
    check(ada)

    # the author changes the text; a text that is written elsewhere stays
    threads.get_by_role("textbox", name="Write a comment").fill("half a")
    thread.get_by_role("listitem").first.get_by_role("button", name="Edit").click()
    edit = thread.get_by_role("textbox", name="Edit the comment")
    expect(edit).to_have_value(hostile)
    edit.fill("Is it, really?")
    thread.get_by_role("button", name="Save").click()
    expect(threads.get_by_role("listitem").first).to_contain_text("Is it, really?")
    expect(threads.get_by_role("listitem").first).to_contain_text("edited")
    expect(threads.get_by_role("textbox", name="Write a comment")).to_have_value("half a")

    # the owner deletes that of another user, at the second press
    threads.get_by_role("listitem").first.get_by_role("button", name="Delete").click()
    threads.get_by_role("button", name="Delete this comment?").click()
    expect(threads.get_by_role("listitem")).to_have_count(1)
    expect(thread.get_by_role("listitem")).to_have_count(1)

    # Escape closes the thread and stops nothing; the number stays
    threads.get_by_role("textbox", name="Write a comment").press("Escape")
    expect(threads).to_have_count(0)
    expect(button).to_be_focused()
    ada.reload()
    expect(ada.get_by_role("button", name="Comments (1)")).to_be_visible()


def test_a_comment_that_cannot_be_sent_stays_in_its_field(
    house: House, new_context: NewContext
) -> None:
    ada = house.page(new_context, "Ada")
    ask(ada, "/lab say An answer without a network.")
    expect(ada.get_by_test_id("message-assistant")).to_contain_text("network")
    expect(ada).to_have_url(re.compile("/c/"))
    conversation = urlsplit(ada.url).path.rpartition("/")[2]
    address = f"{house.server.url}/api/conversations/{conversation}"
    origin = {"Origin": house.server.url}
    ada.request.put(f"{address}/members", data={"name": "Grace"}, headers=origin)
    ada.route("**/comments*", lambda route: route.abort())
    ada.get_by_role("button", name="Comment", exact=True).click()
    thread = ada.get_by_role("region", name="Comments")
    expect(thread.get_by_role("status")).to_contain_text("The server can't be reached.")
    field = thread.get_by_role("textbox", name="Write a comment")
    field.fill("kept")
    thread.get_by_role("button", name="Comment", exact=True).click()
    expect(thread.get_by_role("status")).to_contain_text("The server can't be reached.")
    expect(field).to_have_value("kept")
    ada.unroute_all()
    thread.get_by_role("button", name="Comment", exact=True).click()
    expect(thread.get_by_role("listitem")).to_have_count(1)
    expect(field).to_have_value("")
