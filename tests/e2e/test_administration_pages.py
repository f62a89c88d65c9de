"""The pages of administrators, and banners on the chat page, in a browser; with axe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.test_axe import check, connected, ended, say
from tests.server_process import ServerProcess, failures_in
from wireside.testing import FakeOpenAI, answer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

NewContext = Callable[..., BrowserContext]

PRICES = '{"a": {"input": 0, "output": 1000000, "currency": "€"}}'


@pytest.fixture
def lab() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(models=["a"]) as lab:
        yield lab


@pytest.fixture
def server(tmp_path: Path, lab: FakeOpenAI) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, lab.url, prices=PRICES, user_tokens_per_day=9999) as server:
        yield server
        assert failures_in(server.log) == []


@pytest.fixture
def opened(new_context: NewContext, server: ServerProcess) -> Page:
    context = new_context(base_url=server.url, locale="en-GB")
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())
    return page


def add_banner(page: Page, text: str) -> None:
    page.goto("/admin/banners")
    new = page.locator("section").last
    new.get_by_label("Text").fill(text)
    new.get_by_label("Severity").select_option("warning")
    new.get_by_role("button", name="Add a banner").click()
    page.wait_for_load_state()


def test_a_provider_is_added_by_its_form_and_its_models_are_offered(opened: Page) -> None:
    page = opened
    with FakeOpenAI(models=["b"], keys=["sk-b"]) as other:
        page.goto("/admin/providers")
        new = page.locator("section").last
        new.get_by_label("Name").fill("other")
        new.get_by_label("Address").fill(other.url)
        new.get_by_label("API key").fill("sk-b")
        new.get_by_role("button", name="Add a provider").click()
        page.get_by_role("button", name="Test: other").click()
        expect(page.get_by_role("status")).to_contain_text(
            "other answers and lists its models (1): b"
        )
        check(page)
        page.get_by_text("Change", exact=True).click()
        check(page)
        page.goto("/admin/models")
        page.get_by_role("button", name="Hide: a", exact=True).click()
        expect(page.get_by_test_id("model").first).to_contain_text("hidden from users")
        check(page)
        page.goto("/")
        connected(page)
        expect(page.get_by_test_id("model-picker")).to_contain_text("b")
        page.goto("/admin/providers")
        page.get_by_role("button", name="Remove: other").click()
        expect(page.get_by_test_id("provider")).to_have_count(1)


def test_a_banner_appears_at_once_and_stays_dismissed(
    opened: Page, new_context: NewContext, server: ServerProcess
) -> None:
    reader = new_context(base_url=server.url, locale="en-GB").new_page()
    reader.goto("/")
    connected(reader)
    expect(reader.get_by_test_id("banner")).to_have_count(0)
    add_banner(opened, "Maintenance at noon, see https://status.example/" + "long" * 20)
    for width in (320, 1280):
        opened.set_viewport_size({"width": width, "height": 720})
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
    opened.get_by_role("button", name="Remove: Maintenance").click()
    add_banner(opened, "Maintenance at noon")
    check(opened)
    banner = reader.get_by_test_id("banner")
    expect(banner).to_contain_text("Warning: Maintenance at noon")
    box = banner.bounding_box()
    assert box is not None
    assert box["height"] < 60  # as high as its text
    check(reader)
    for width in (320, 820):
        reader.set_viewport_size({"width": width, "height": 640})
        expect(banner).to_be_visible()
        assert reader.evaluate("document.documentElement.scrollWidth") <= width
    banner.get_by_role("button", name="Dismiss").click()
    expect(banner).to_have_count(0)
    reader.reload()
    connected(reader)
    expect(banner).to_have_count(0)
    opened.get_by_text("Change", exact=True).click()
    opened.get_by_label("Text").first.fill("Maintenance at one")
    opened.get_by_role("button", name="Save").click()
    expect(banner).to_contain_text("Maintenance at one")
    opened.get_by_role("button", name="Remove: Maintenance at one").click()
    expect(banner).to_have_count(0)


def test_hostile_texts_are_shown_as_texts(opened: Page, corpus: ModuleType) -> None:
    add_banner(opened, "<img src=x onerror=alert(1)><b>bold</b>")
    opened.goto("/")
    connected(opened)
    expect(opened.get_by_test_id("banner")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(opened.locator(".ws-banners img, .ws-banners b")).to_have_count(0)


def test_the_cost_is_in_the_details_and_in_the_usage(opened: Page, lab: FakeOpenAI) -> None:
    page = opened
    page.goto("/")
    connected(page)
    for tokens in (["x"], ["y", "z"]):
        lab.answer_with(answer(tokens))
        say(page, "Hi")
        ended(page)
        expect(page.locator(".ws-turn-foot")).to_have_count(len(tokens))
    page.locator(".ws-turn-foot").last.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Details").click()
    details = page.get_by_test_id("details")
    expect(details).to_contain_text("Cost€2")
    expect(details).to_contain_text("Cost of the conversation€3")
    for _ in range(30):  # usage is stored every two seconds
        page.goto("/admin/usage?by=model")
        if page.get_by_role("row", name="a 2").count():
            break
        page.wait_for_timeout(500)
    expect(page.get_by_role("row", name="a 2")).to_contain_text("€3.00")
    check(page)
    page.goto("/")
    connected(page)
    page.get_by_test_id("app-menu").click()
    limits = page.get_by_test_id("limits")
    expect(limits).to_contain_text("spent today€3")
    expect(limits).to_contain_text("spent in 30 days€3")
    expect(limits).to_contain_text("tokens a day")
    check(page)


def test_ratings_are_listed_with_their_numbers(opened: Page, lab: FakeOpenAI) -> None:
    page = opened
    page.goto("/")
    connected(page)
    lab.answer_with(answer(["x"]))
    say(page, "Hi")
    ended(page)
    page.get_by_test_id("message-assistant").hover()
    page.get_by_role("button", name="Bad answer").click()
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    page.goto("/admin/feedback")
    expect(page.get_by_test_id("rating")).to_contain_text("Bad answer")
    expect(page.get_by_test_id("rating")).to_contain_text("text not shared")
    expect(page.get_by_role("row", name="a 0 1 0 %")).to_be_visible()
    check(page)
    page.get_by_label("Rating").select_option("Good answer")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_test_id("rating")).to_have_count(0)
    expect(page.get_by_text("There are no ratings in this period.")).to_be_visible()


WIDER_THAN_THE_PAGE = """() => [...document.querySelectorAll("body *")]
  .filter((el) => !el.closest(".wa-table table"))
  .filter((el) => {
    const box = el.getBoundingClientRect();
    return box.width > 2 && (box.right > innerWidth + 1 || box.left < -1);
  }).map((el) => el.outerHTML.slice(0, 120))"""

UNMARKED_TABLES = """() => [...document.querySelectorAll(".wa-table")]
  .filter((el) => el.scrollWidth > el.clientWidth)
  .filter((el) => !getComputedStyle(el).backgroundImage.includes("gradient"))
  .map((el) => el.getAttribute("aria-label"))"""


@pytest.mark.parametrize("locale", ["de-DE", "ar"])
def test_only_shaded_tables_are_wider_than_a_phone(
    new_context: NewContext, server: ServerProcess, lab: FakeOpenAI, locale: str
) -> None:
    page = new_context(base_url=server.url, locale=locale).new_page()
    page.goto("/")
    connected(page)
    lab.answer_with(answer(["x"]))
    say(page, "Hi")
    ended(page)
    for _ in range(30):  # usage is stored every two seconds
        page.goto("/admin/usage?by=model")
        if page.locator(".wa-table").count():
            break
        page.wait_for_timeout(500)
    expect(page.locator(".wa-table")).to_be_visible()
    for path in ("providers", "models", "banners", "usage?by=model", "feedback"):
        page.goto(f"/admin/{path}")
        for width in (320, 375):
            page.set_viewport_size({"width": width, "height": 720})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.evaluate(WIDER_THAN_THE_PAGE) == [], path
            assert page.evaluate(UNMARKED_TABLES) == [], path
        marked = page.locator(".wa-bar nav [aria-current]")
        expect(marked).to_have_attribute("href", "/admin/providers")
