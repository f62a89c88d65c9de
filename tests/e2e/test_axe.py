"""axe finds no violation in any state of any page, in light and in dark colours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import Lab
from tests.server_process import ServerProcess
from wireside.testing import answer, failure

RICH = (Path(__file__).parent / "rich_answer.md").read_text(encoding="utf-8")
PASSWORD = "a good long password"
RULES: dict[str, Any] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"label-content-name-mismatch": {"enabled": True}},
    "resultTypes": ["violations"],  # does not describe each element that breaks no rule
}
COLOUR_RULES: dict[str, Any] = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}
"""The rules of ``RULES`` that depend on the colours."""

SCHEMES: tuple[tuple[Literal["light", "dark"], dict[str, Any]], ...] = (
    ("light", RULES),
    ("dark", COLOUR_RULES),
)

STILL = "() => document.getAnimations().every((a) => a.playState !== 'running')"
"""Disables transitions: a colour may have too little contrast during one."""

NewContext = Callable[..., BrowserContext]


def check(page: Page) -> None:
    """Raise for violations that axe finds, in light and in dark colours."""
    for scheme, rules in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_function(STILL)
        expect(page.locator(".q-loading-bar[role=progressbar]")).to_have_count(0)  # of a fetch
        found = Axe().run(page, options=rules)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"


def connected(page: Page) -> None:
    expect(page.get_by_test_id("connection-status")).to_have_attribute("data-state", "connected")


def say(page: Page, text: str) -> None:
    page.get_by_test_id("input-chat").fill(text)
    page.get_by_test_id("button-send").click()


def ended(page: Page) -> None:
    expect(page.get_by_test_id("button-stop")).to_have_count(0)
    expect(page.locator(".ws-turn-foot").last).to_be_visible()


# ---- states of the chat page: each function brings the page into one ----------------------------


def empty(page: Page, lab: Lab) -> None:
    expect(page.locator(".ws-welcome-starters")).to_be_visible()


def waits_for_the_first_word(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["late"]).stalled(0))
    say(page, "Hi")
    expect(page.get_by_test_id("typing")).to_be_visible()


def streams(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["# Some words\n\n- and ", "more"]).stalled(1))
    say(page, "Hi")
    expect(page.get_by_test_id("message-assistant")).to_contain_text("and")


def has_a_queue(page: Page, lab: Lab) -> None:
    streams(page, lab)
    say(page, "And then?")
    expect(page.get_by_test_id("waiting")).to_be_visible()


def is_rich(page: Page, lab: Lab) -> None:
    lab.answer_with(answer([RICH + "\n\n![a picture](https://pictures.example/x.png)\n"]))
    say(page, "Everything")
    ended(page)
    expect(page.get_by_test_id("diagram")).to_be_visible(timeout=30_000)


def is_rich_and_narrow(page: Page, lab: Lab) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    is_rich(page, lab)


def calls_a_tool(page: Page, lab: Lab) -> None:
    say(page, "/lab tool")
    ended(page)
    page.locator(".ws-turn-tool-call summary").click()


def shows_reasoning(page: Page, lab: Lab) -> None:
    say(page, "/lab reasoning")
    ended(page)
    page.locator(".ws-turn-think summary").click()


def has_parts(page: Page, lab: Lab) -> None:
    def data(kind: str, value: Any, part_id: str = "", text: str = "") -> dict[str, Any]:
        content = json.dumps({"id": part_id, **value})
        named = {"id": part_id, "text": text or kind}
        return {"type": "data", "kind": kind, "data": content, **named}

    fields = [
        {"name": kind, "label": f"A {kind}", "type": kind, "options": ["a"]}
        for kind in ("text", "number", "switch", "choice")
    ]
    asked = {"prompt": "Well?", "answer": None}
    parts = [
        data("step", {"name": "Search", "state": "failed", "input": "in", "output": "out"}, "s"),
        data("step", {"name": "Read", "state": "running", "parent": "s"}, "t"),
        data("source", {"title": "A source", "url": "https://a.example/", "text": "Excerpt"}),
        data("source", {"title": "Another source", "text": "Excerpt"}),
        data("table", {"columns": [f"Column {n}" for n in range(30)], "rows": [[1] * 30] * 40}),
        data("figure", {"figure": {"data": [{"type": "bar", "y": [1, 2]}]}}, text="[figure: Sums]"),
        {"type": "image", "url": "https://a.example/a.png", "name": "A picture"},
        {"type": "file", "url": "data:text/plain;base64,YQ==", "name": "a.txt"},
        data("question", {**asked, "type": "approve", "answer": True}, "q0"),
        data(
            "question", {**asked, "type": "choose", "options": ["a", "b"], "multiple": True}, "q1"
        ),
        data("question", {**asked, "type": "form", "fields": fields}, "q2"),
        data("question", {**asked, "type": "text", "multiline": True}, "q3"),
    ]
    turn = {"id": "t", "question": "Show", "answer": [{"reason": "stop", "parts": parts}]}
    file = {"format": "wireside", "version": 1, "conversations": [{"title": "T", "turns": [turn]}]}
    base = page.url.rstrip("/")
    imported = page.request.post(f"{base}/api/conversations/import", data=json.dumps(file))
    (name,) = imported.json()["conversations"]
    page.goto(f"{base}/c/{name}")
    expect(page.locator(".ws-turn-ask")).to_have_count(4)
    page.evaluate(
        "id => getElement(document.querySelector('.ws-transcript')).update(id, {state: 'asking'})",
        page.locator(".ws-turn").get_attribute("data-id"),
    )
    expect(page.locator(".ws-turn-ask-form")).to_have_count(3)
    for summary in page.locator(".ws-turn-answer summary").all():
        summary.click()
    expect(page.locator(".ws-turn-figure .main-svg").first).to_be_visible(timeout=60_000)
    page.locator(".ws-turn-source-chip").first.focus()


def failed(page: Page, lab: Lab) -> None:
    lab.answer_with(failure(401))
    say(page, "Hi")
    expect(page.get_by_test_id("note-error")).to_be_visible()


def counts_down(page: Page, lab: Lab) -> None:
    lab.answer_with(failure(429, retry_after=60))
    say(page, "Hi")
    expect(page.get_by_test_id("countdown")).to_be_visible()


def was_stopped(page: Page, lab: Lab) -> None:
    streams(page, lab)
    page.get_by_test_id("button-stop").click()
    expect(page.get_by_test_id("note-stopped")).to_be_visible()


def was_interrupted(page: Page, lab: Lab) -> None:
    say(page, "/lab length")
    ended(page)


def says_nothing(page: Page, lab: Lab) -> None:
    lab.answer_with(answer([]))
    say(page, "Hi")
    ended(page)


def is_edited(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["ok"]))
    say(page, "Hi")
    ended(page)
    page.get_by_test_id("input-chat").press("ArrowUp")
    expect(page.locator(".ws-composer-editing")).to_be_visible()


def has_versions(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["one"]), answer(["two"]))
    say(page, "Hi")
    ended(page)
    page.locator('[data-action="retry"]').last.click()
    expect(page.get_by_test_id("versions")).to_be_visible()
    expect(page.get_by_test_id("message-assistant")).to_contain_text("two")
    ended(page)


def takes_feedback(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["ok"]))
    say(page, "Hi")
    ended(page)
    page.get_by_role("button", name="Good answer").click()


def offers_ways_to_copy(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["ok"]))
    say(page, "Hi")
    ended(page)
    page.get_by_role("button", name="More", exact=True).click()


def is_too_long(page: Page, lab: Lab) -> None:
    page.get_by_test_id("input-chat").fill("x" * 100_002)
    expect(page.get_by_text("2 characters too many")).to_be_visible()


def is_offline(page: Page, lab: Lab) -> None:
    page.route("**/*", lambda route: route.abort())
    page.evaluate("window.socket.io.engine.close(); window.socket.io.reconnection(false)")
    expect(page.get_by_test_id("connection-status")).to_have_text("Disconnected")
    page.get_by_test_id("input-chat").fill("kept")


def finds(page: Page, lab: Lab) -> None:
    for n in range(6):
        lab.answer_with(answer([f"Reply {n}. " + "Some more words. " * 200]))
        say(page, f"Question {n}")
        expect(page.get_by_test_id("message-assistant").last).to_contain_text(f"Reply {n}")
        ended(page)
    page.reload()
    connected(page)
    expect(page.get_by_text("Question 5")).to_be_visible()
    page.locator(".ws-transcript-scroller").focus()
    page.keyboard.press("Control+Shift+f")
    page.get_by_role("searchbox", name="Find in this").fill("reply 0")
    expect(page.get_by_test_id("find-place")).to_have_text("Message 1 of 1")


def opens(test_id: str) -> Callable[[Page, Any], None]:
    def open_(page: Page, lab: Lab) -> None:
        page.get_by_test_id(test_id).click()
        expect(page.locator(".ws-menu, dialog[open]").first).to_be_visible()

    return open_


def list_of(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["wombats dig"]))
    say(page, "Where do wombats live?")
    ended(page)
    expect(page.locator(".ws-sidebar-item").first).to_be_visible()


def searches(page: Page, lab: Lab) -> None:
    list_of(page, lab)
    page.get_by_test_id("search").focus()
    page.get_by_test_id("search").fill("wombats")
    expect(page.locator(".ws-sidebar-hit").first).to_be_visible()


def finds_nothing(page: Page, lab: Lab) -> None:
    page.get_by_test_id("search").focus()
    page.get_by_test_id("search").fill("zebrafishes")
    expect(page.get_by_text("Nothing found for")).to_be_visible()


def item_menu(page: Page, lab: Lab) -> None:
    list_of(page, lab)
    page.locator(".ws-sidebar-item").first.hover()
    page.locator(".ws-sidebar-item-more").first.click()
    expect(page.get_by_role("menu")).to_be_visible()


def renames(page: Page, lab: Lab) -> None:
    item_menu(page, lab)
    page.get_by_role("menuitem", name="Rename").click()
    expect(page.locator(".ws-sidebar-item-rename")).to_be_visible()


def selects(page: Page, lab: Lab) -> None:
    item_menu(page, lab)
    page.get_by_role("menuitem", name="Select").click()
    expect(page.locator(".ws-sidebar-selection")).to_be_visible()


def deleted(page: Page, lab: Lab) -> None:
    item_menu(page, lab)
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.locator(".ws-sidebar-toast")).to_be_visible()


def archive(page: Page, lab: Lab) -> None:
    page.get_by_role("button", name="Archived").click()


def drawer(page: Page, lab: Lab) -> None:
    page.set_viewport_size({"width": 375, "height": 700})
    page.get_by_test_id("sidebar-toggle").click()
    expect(page.get_by_test_id("search")).to_be_visible()


def low(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["ok " * 400]))
    say(page, "Hi")
    ended(page)
    page.set_viewport_size({"width": 320, "height": 256})


def title_menu(page: Page, lab: Lab) -> None:
    list_of(page, lab)
    page.get_by_test_id("conversation-title").click()
    expect(page.get_by_role("menu")).to_be_visible()


def preferences(page: Page, lab: Lab) -> None:
    page.get_by_test_id("app-menu").click()
    page.get_by_test_id("open-preferences").click()
    expect(page.get_by_test_id("preferences")).to_be_visible()


def shortcuts(page: Page, lab: Lab) -> None:
    page.get_by_test_id("app-menu").click()
    page.get_by_test_id("shortcuts").click()
    expect(page.locator("dialog[open]")).to_be_visible()


def palette(page: Page, lab: Lab) -> None:
    list_of(page, lab)
    page.keyboard.press("ControlOrMeta+k")
    expect(page.get_by_role("combobox", name="Command palette")).to_be_focused()


def prompts(page: Page, lab: Lab) -> None:
    page.get_by_test_id("open-prompts").click()
    expect(page.get_by_role("listbox", name="Prompts")).to_be_visible()


def compares(page: Page, lab: Lab) -> None:
    page.get_by_test_id("model-picker").click()
    page.get_by_test_id("compare-models").click()
    expect(page.get_by_test_id("compare-form")).to_be_visible()


def attached(page: Page, lab: Lab) -> None:
    page.locator(".ws-composer input[type=file]").set_input_files(
        {"name": "numbers.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"}
    )
    expect(page.locator(".ws-composer-chip")).to_be_visible()
    expect(page.locator(".ws-composer-chip progress")).to_have_count(0)
    page.get_by_test_id("input-chat").fill("What is in it?")


def sent_with_a_file(page: Page, lab: Lab) -> None:
    attached(page, lab)
    lab.answer_with(answer(["Two columns and one row."]))
    page.get_by_test_id("button-send").click()
    ended(page)


def folders_and_tags(page: Page, lab: Lab) -> None:
    base = page.url.rstrip("/")
    folder = page.request.post(f"{base}/api/folders", data={"name": "Animals"}).json()
    turn = {"id": "t", "question": "Q", "answer": [{"reason": "stop", "parts": []}]}
    talks = [{"title": title, "turns": [turn]} for title in ("Koalas", "Tides", "Taxes")]
    file = {"format": "wireside", "version": 1, "conversations": talks}
    made = page.request.post(f"{base}/api/conversations/import", data=json.dumps(file)).json()
    for name, change in zip(
        made["conversations"], ({"folder": folder["id"]}, {"tags": ["sea"]}), strict=False
    ):
        page.request.patch(f"{base}/api/conversations/{name}", data=change)
    page.reload()
    connected(page)
    page.get_by_role("button", name="Animals", exact=True).click()


def is_temporary(page: Page, lab: Lab) -> None:
    page.get_by_role("button", name="Temporary chat", exact=True).click()
    lab.answer_with(answer(["Nothing of this is kept."]))
    say(page, "Hi")
    ended(page)
    expect(page.get_by_test_id("temporary-note")).to_be_visible()


def has_wrapped_code(page: Page, lab: Lab) -> None:
    lab.answer_with(answer(["```py\n" + "word = " * 60 + "0\n```\n"]))
    say(page, "Hi")
    ended(page)
    page.get_by_role("button", name="Wrap lines").click()


CHAT = [
    empty,
    waits_for_the_first_word,
    streams,
    has_a_queue,
    is_rich,
    is_rich_and_narrow,
    calls_a_tool,
    has_parts,
    shows_reasoning,
    failed,
    counts_down,
    was_stopped,
    was_interrupted,
    says_nothing,
    is_edited,
    has_versions,
    takes_feedback,
    offers_ways_to_copy,
    is_too_long,
    is_offline,
    finds,
    searches,
    finds_nothing,
    item_menu,
    renames,
    selects,
    deleted,
    archive,
    drawer,
    low,
    title_menu,
    preferences,
    shortcuts,
    palette,
    prompts,
    compares,
    attached,
    sent_with_a_file,
    folders_and_tags,
    is_temporary,
    has_wrapped_code,
    *(opens(name) for name in ("model-picker", "connection-status", "options", "app-menu")),
]
NAMES = [state.__name__ for state in CHAT[:-4]] + ["models", "connection", "options", "app-menu"]


@pytest.mark.parametrize("state", CHAT, ids=NAMES)
def test_the_chat_page(
    page: Page, served: ServerProcess, lab: Lab, state: Callable[[Page, Any], None]
) -> None:
    page.goto(served.url)
    connected(page)
    state(page, lab)
    check(page)
    for folder in page.request.get(f"{served.url}/api/folders").json()["folders"]:
        page.request.delete(f"{served.url}/api/folders/{folder['id']}")  # other tests find none


@pytest.mark.parametrize("path", ["/c/unknown", "/nowhere", "/doctor", "/dashboard"])
def test_pages_without_accounts(page: Page, served: ServerProcess, path: str) -> None:
    page.goto(served.url + path)
    if path == "/dashboard":
        expect(page.locator(".ws-dashboard-card").first).to_be_visible()
    if path == "/c/unknown":
        connected(page)
    check(page)


# ---- accounts -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(
    running_lab: Any, tmp_path_factory: pytest.TempPathFactory, served_with: Any
) -> Iterator[Any]:
    """A server with accounts; ``link`` creates the administrator."""
    server = served_with(
        running_lab.url,
        tmp_path_factory.mktemp("axe"),
        WIRESIDE_AUTH="password",
        WIRESIDE_SHARING="users",
    )
    server.link = server.administrator_link()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def state_of_ada(
    guarded: Any,
    lasting_context: Callable[..., AbstractContextManager[BrowserContext]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The cookies of the administrator, with a conversation, a shared link to it and an API key."""
    file: Path = tmp_path_factory.mktemp("axe-state") / "ada.json"
    with lasting_context() as context:
        page = context.new_page()
        page.goto(guarded.link)
        page.get_by_label("Name").fill("Ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button").click()
        connected(page)
        say(page, "/lab say A shared word, and `code`.")
        ended(page)
        page.locator(".ws-sidebar-item").first.hover()
        page.locator(".ws-sidebar-item-more").first.click()
        page.get_by_role("menuitem", name="Share").click()
        guarded.share = page.locator(".ws-sidebar-shared input").input_value()
        context.storage_state(path=file)
    return file


@pytest.fixture
def ada(guarded: Any, new_context: NewContext, state_of_ada: Path) -> Page:
    return new_context(storage_state=state_of_ada, base_url=guarded.url).new_page()


@pytest.mark.parametrize("path", ["/", "/settings", "/people", "/audit", "/dashboard", "share"])
def test_pages_of_an_administrator(ada: Page, guarded: Any, path: str) -> None:
    if path == "share":  # its policy forbids scripts, including axe's: the same text without it
        ada.set_content(ada.request.get(guarded.share).text())
    else:
        ada.goto(path)
    if path == "/":
        connected(ada)
    check(ada)


def test_what_administration_shows_once(ada: Page) -> None:
    ada.goto("/settings")
    ada.get_by_label("What it is for").fill("axe")
    ada.get_by_role("button", name="Make a key").click()
    expect(ada.get_by_text("Your new key")).to_be_visible()
    check(ada)
    ada.goto("/settings")
    ada.get_by_label("Current password").fill("not the password")
    ada.get_by_label("New password").fill("another good password")
    ada.get_by_role("button", name="Change the password").click()
    expect(ada.get_by_role("alert")).to_be_visible()
    check(ada)
    ada.goto("/people")
    ada.get_by_role("button", name=re.compile("Invite|invitation", re.IGNORECASE)).click()
    expect(ada.locator(".wa-once")).to_be_visible()
    check(ada)


def test_the_door(page: Page, guarded: Any, state_of_ada: Path) -> None:
    page.goto(f"{guarded.url}/login")
    check(page)
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    check(page)
    page.goto(f"{guarded.url}/join/nothing")
    check(page)
