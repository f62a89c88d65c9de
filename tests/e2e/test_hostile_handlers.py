"""Hostile text in what a chat of handlers adds to the page: it runs, sends and covers nothing.

Titles, descriptions, starters, the welcome text, the form of options, and views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.hostile_chat import OPTION_TEXTS, TITLES, VIEW_TEXTS, groups
from tests.hostile.watch import Watch, watched
from tests.server_process import SERVE, ServerProcess

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[2]

POLICIES = ["with the policy", "without a policy"]

OWN_TEXTS = (
    ".ws-composer-own legend, .ws-composer-own-label, .ws-composer-own-field > span,"
    " .ws-composer-own-field > small, .ws-composer-own-chip > span"
)
OWN_TAGS = {
    *("fieldset", "legend", "div", "label", "span", "small", "input", "select", "option"),
    *("ul", "li", "button", "svg", "path"),
}
TAGS = "root => [...new Set([...root.querySelectorAll('*')].map(el => el.localName))]"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ServerProcess(
        tmp_path_factory.mktemp("hostile"),
        command=[*SERVE, "tests.e2e.hostile_chat:chat"],
        PYTHONPATH=str(ROOT),
    ) as process:
        yield process.url


@pytest.fixture(params=POLICIES)
def stage(
    request: pytest.FixtureRequest,
    new_context: Callable[..., BrowserContext],
    server: str,
    corpus: ModuleType,
) -> tuple[Watch, Page]:
    """The page of an empty chat; without a policy, its own handling of the texts is tested."""
    context = new_context(bypass_csp=request.param == "without a policy")
    watch, page = watched(context, corpus, server)
    page.goto(server)
    expect(page.get_by_test_id("model-picker")).to_be_enabled()
    return watch, page


def pick(page: Page, number: int) -> None:
    """Choose a handler by its place."""
    page.get_by_test_id("model-picker").click()
    page.locator(".ws-picker [role=option]").nth(number).click()


def test_titles_descriptions_starters_and_the_welcome_text(stage: tuple[Watch, Page]) -> None:
    watch, page = stage
    welcome = page.locator(".ws-welcome-text")
    expect(welcome.locator("li").first).to_be_attached()
    watch.judge(page, ".ws-welcome-text, .ws-welcome button, .ws-composer-hint, .ws-picker-button")
    page.get_by_test_id("model-picker").click()
    assert page.locator(".ws-picker [role=option]").count() > len(TITLES)
    watch.judge(page, ".ws-picker .ws-menu ul, .ws-picker [role=option]")
    page.locator(".ws-picker [role=option]").last.click()
    expect(page.locator(".ws-welcome").get_by_role("listitem")).not_to_have_count(0)
    watch.judge(page, ".ws-welcome button, .ws-picker-button")


def test_the_form_of_options(stage: tuple[Watch, Page]) -> None:
    watch, page = stage
    for index, texts in enumerate(groups(OPTION_TEXTS)):
        pick(page, index + 1)
        page.get_by_test_id("options").click()
        form = page.get_by_test_id("own-options")
        expect(form.get_by_test_id("option-entries").get_by_role("listitem")).to_have_count(
            len(texts)
        )
        assert form.locator("select > option").count() == len(texts)
        assert set(form.evaluate(TAGS)) <= OWN_TAGS
        watch.judge(page, OWN_TEXTS)
        page.keyboard.press("Escape")


def test_views_and_the_text_of_a_view_that_is_not_there(stage: tuple[Watch, Page]) -> None:
    watch, page = stage
    pick(page, 0)
    for index, texts in enumerate(groups(VIEW_TEXTS)):
        page.get_by_test_id("input-chat").fill(str(index))
        page.keyboard.press("Enter")
        # scrolling before the turn is there would leave it below the mounted ones
        expect(page.locator(".ws-turn-bubble").last).to_have_text(str(index))
        expect(page.locator(".ws-turn").last).to_have_attribute("data-state", "done")
        frame = page.get_by_test_id("view").last
        frame.scroll_into_view_if_needed()
        inner = frame.content_frame
        expect(inner.locator(".shown")).to_have_count(len(texts))
        expect(inner.locator("td")).not_to_have_count(0)
        assert inner.locator("script:not([nonce])").count() == 0
        watch.judge(page, ".ws-turn-data, .ws-turn-bubble")
