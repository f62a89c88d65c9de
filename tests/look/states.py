"""The states of the pages that ``make look`` draws."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e import test_axe as states
from tests.e2e.conftest import Lab
from tests.e2e.test_axe import PASSWORD, connected, ended, say
from wireside.testing import answer

Draw = Callable[[Page, Lab], None]


@dataclass(frozen=True, slots=True)
class State:
    """A state of a page: how it is reached, and what is set for its pictures."""

    name: str
    draw: Draw
    path: str = "/"
    media: tuple[tuple[str, Any], ...] = ()
    """Emulated media features besides the colour scheme."""
    language: str = "en-GB"
    is_guarded: bool = False
    """Whether the server has accounts; the page is that of the administrator."""
    is_anonymous: bool = False
    """Whether it is nobody's page there."""
    has_drawer: bool = False
    """Whether the narrow page shows the list of conversations."""


def nothing(page: Page, lab: Lab) -> None:
    """Draw what the path shows."""


def short_chat(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["Wombats live in burrows in **south-eastern** Australia."]))
    say(page, "Where do wombats live?")
    ended(page)


def rich_from_the_top(page: Page, lab: Lab) -> None:
    states.is_rich(page, lab)
    page.locator(".ws-transcript-scroller").evaluate("el => el.scrollTo(0, 0)")


def rich_further_down(page: Page, lab: Lab) -> None:
    states.is_rich(page, lab)
    page.reload()  # a button says that there is new text if the page was not at its end
    connected(page)
    page.locator(".ws-transcript-scroller").evaluate("el => el.scrollTo(0, 1400)")


def arabic(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["يعيش الومبات في **أستراليا**.\n\n1. جحور\n2. `code`\n"]))
    say(page, "أين يعيش الومبات؟")
    ended(page)


def thinks(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["<think>", "First I look at the map. ", "Then", " more"]).stalled(3))
    say(page, "Think first")
    expect(page.locator(".ws-turn-think")).to_be_visible()


def broken(page: Page, lab: Lab) -> None:
    say(page, "/lab error")
    expect(page.get_by_test_id("note-error")).to_be_visible()


def side_by_side(page: Page, lab: Lab) -> None:
    states.compares(page, lab)
    form = page.get_by_test_id("compare-form")
    for name in ("lab-1", "lab-2"):
        form.get_by_role("checkbox", name=name).check()
    form.get_by_role("button", name="Use").click()
    lab.answer_with(answer(["In **burrows**."]), answer(["Under the ground, in Australia."]))
    say(page, "Where do wombats live?")
    keep = page.get_by_test_id("columns").get_by_role("button", name="Keep this answer")
    expect(keep).to_have_count(2)


def shared(page: Page, lab: Lab) -> None:
    """Draw a conversation that is shared with a user, and a comment on it."""
    short_chat(page, lab)
    expect(page).to_have_url(re.compile("/c/"))
    base, _, conversation = page.url.partition("/c/")
    origin = {"Origin": base}
    if "grace" not in page.request.get(f"{base}/api/users").text():
        made = page.request.post(f"{base}/api/users", data={"role": "user"}, headers=origin)
        _accept_invitation(page, made.json()["link"])
    member = {"kind": "user", "name": "grace", "access": "read"}
    address = f"{base}/api/conversations/{conversation}"
    assert page.request.put(f"{address}/members", data=member, headers=origin).ok
    [turn] = page.request.get(address).json()["turns"]
    comment = {"turn": turn["id"], "text": "Also in Tasmania."}
    assert page.request.post(f"{address}/comments", data=comment, headers=origin).ok
    page.reload()
    connected(page)


def _accept_invitation(page: Page, link: str) -> None:
    browser = page.context.browser
    assert browser is not None
    theirs = browser.new_page(locale="en-GB")
    theirs.goto(link)
    theirs.get_by_label("Name").fill("grace")
    theirs.get_by_label("Password").fill(PASSWORD)
    theirs.get_by_role("button").click()
    connected(theirs)
    theirs.close()


def comments(page: Page, lab: Lab) -> None:
    shared(page, lab)
    page.get_by_role("button", name="Comments (1)").click()
    expect(page.get_by_role("region", name="Comments").get_by_role("listitem")).to_have_count(1)


def people_with_access(page: Page, lab: Lab) -> None:
    shared(page, lab)
    page.get_by_test_id("shared-with").click()
    expect(page.get_by_test_id("member")).to_have_count(1)


def dashboard(page: Page, lab: Lab) -> None:
    expect(page.locator(".ws-dashboard-card").first).to_be_visible()


def door_refuses(page: Page, lab: Lab) -> None:
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD + "?")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()


def banner(page: Page, lab: Lab) -> None:
    base = page.url.rstrip("/")
    page.goto(f"{base}/admin/banners")
    new = page.locator("section").last
    new.get_by_label("Text").fill("Maintenance on Sunday")
    new.get_by_label("Severity").select_option("warning")
    new.get_by_role("button", name="Add a banner").click()
    page.wait_for_load_state()
    page.goto(base)
    connected(page)
    expect(page.get_by_text("Maintenance on Sunday")).to_be_visible()


def paper(page: Page, lab: Lab) -> None:
    states.is_rich(page, lab)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    time.sleep(0.3)


FORCED = (("forced_colors", "active"),)
PRINT = (("media", "print"),)

ALL = [
    State("welcome", states.empty),
    State("missing-conversation", nothing, "/c/unknown"),
    State("error-404", nothing, "/nowhere"),
    State("short-chat", short_chat),
    State("waits", states.waits_for_the_first_word),
    State("streams", states.streams),
    State("queue", states.has_a_queue),
    State("rich", rich_from_the_top),
    State("rich-below", rich_further_down),
    State("tool-call", states.calls_a_tool),
    State("parts", states.has_parts),
    State("reasoning", states.shows_reasoning),
    State("reasoning-runs", thinks),
    State("refused-key", states.failed),
    State("provider-error", broken),
    State("overloaded", states.counts_down),
    State("stopped", states.was_stopped),
    State("length-reached", states.was_interrupted),
    State("says-nothing", states.says_nothing),
    State("edits", states.is_edited),
    State("versions", states.has_versions),
    State("feedback", states.takes_feedback),
    State("too-long", states.is_too_long),
    State("offline", states.is_offline),
    State("find", states.finds),
    State("file-attached", states.attached),
    State("file-sent", states.sent_with_a_file),
    State("search", states.searches, has_drawer=True),
    State("search-empty", states.finds_nothing, has_drawer=True),
    State("list-menu", states.item_menu),
    State("list-selects", states.selects, has_drawer=True),
    State("list-archive", states.archive, has_drawer=True),
    State("list-folders", states.folders_and_tags, has_drawer=True),
    State("models", states.opens("model-picker")),
    State("options", states.opens("options")),
    State("app-menu", states.opens("app-menu"), has_drawer=True),
    State("connection", states.opens("connection-status")),
    State("title-menu", states.title_menu),
    State("preferences", states.preferences),
    State("shortcuts", states.shortcuts),
    State("palette", states.palette),
    State("prompts", states.prompts),
    State("compares", states.compares),
    State("side-by-side", side_by_side),
    State("temporary", states.is_temporary),
    State("wrapped-code", states.has_wrapped_code),
    State("arabic", arabic, language="ar"),
    State("german", short_chat, language="de"),
    State("forced-colours", states.has_versions, media=FORCED),
    State("print", paper, media=PRINT),
    State("doctor", nothing, "/doctor"),
    State("dashboard", dashboard, "/dashboard"),
    State("providers", nothing, "/admin/providers"),
    State("admin-models", nothing, "/admin/models"),
    State("usage", nothing, "/admin/usage"),
    State("admin-feedback", nothing, "/admin/feedback"),
    State("banner", banner),  # the last one there: later pages would show it
    State("sign-in", nothing, "/login", is_guarded=True, is_anonymous=True),
    State("join", nothing, "/join?link=nothing", is_guarded=True, is_anonymous=True),
    State("settings", nothing, "/settings", is_guarded=True),
    State("people", nothing, "/people", is_guarded=True),
    State("audit", nothing, "/audit", is_guarded=True),
    State("comments", comments, is_guarded=True),
    State("people-with-access", people_with_access, is_guarded=True),
    State("sign-in-refused", door_refuses, "/login", is_guarded=True, is_anonymous=True),
]
