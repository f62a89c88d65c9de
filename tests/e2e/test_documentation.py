"""The documentation at /docs in a real browser: nothing foreign, search, diagrams, the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.documentation import built_site
from tests.e2e.conftest import Lab
from tests.server_process import ServerProcess
from wireside.testing import answer

pytestmark = pytest.mark.timeout(300)  # the first test builds the site

ROOT = Path(__file__).parents[2]


@pytest.fixture
def documentation(page: Page, served: ServerProcess) -> Iterator[str]:
    """The address of the site. A request to another host, or an error in the console, fails."""
    built_site()
    problems: list[str] = []
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((served.url, "data:")) else problems.append(request.url)
        ),
    )
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    yield f"{served.url}/docs/"
    assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_follow_the_scheme(page: Page, documentation: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for name in ("", "start/", "protocol/", "settings/", "api/chat/", "console/"):
        page.goto(documentation + name)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (scheme == "dark")
        for width in (1440, 375):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
    page.reload()  # a page that did not change keeps its policy
    expect(page.locator("h1")).to_have_text(re.compile("Live console"))


def test_search_finds_a_page(page: Page, documentation: str) -> None:
    page.goto(documentation)
    search = page.get_by_role("textbox", name="Search")
    search.click()
    expect(page.locator(".md-search-result__meta")).to_have_text("Type to start searching")
    search.press_sequentially("troubleshooting")  # it listens for keys
    results = page.locator(".md-search-result__item")
    expect(results.first).to_be_visible()
    results.locator("a[href*='/troubleshooting/']").first.click()
    expect(page).to_have_url(re.compile("/docs/troubleshooting/"))
    expect(page.locator("h1")).to_have_text(re.compile("Troubleshooting"))


def test_diagrams_are_drawn(page: Page, documentation: str) -> None:
    page.goto(f"{documentation}architecture/")
    source = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    expect(page.locator("div.diagram svg")).to_have_count(source.count("```mermaid"))
    expect(page.locator("div.diagram svg").first).to_contain_text("bootstrap/")


def test_the_console_shows_frames_of_both_levels_and_resumes(
    page: Page, documentation: str, lab: Lab
) -> None:
    lab.answer_with(answer(["Hello ", "you"]), answer(["Hello ", "again"]))
    page.goto(f"{documentation}console/")
    console = page.locator("#console")
    log = console.get_by_role("log")
    console.get_by_role("button", name="Connect").click()
    expect(console.get_by_role("status")).to_have_text("connected")
    console.get_by_role("button", name="Send").click()
    expect(log).to_contain_text('← {"type":"chunk","content":"Hello ')
    expect(log).to_contain_text('← {"type":"done"}')
    console.get_by_role("button", name="Clear").click()
    console.get_by_label("Example").select_option("chat, level 2")
    console.get_by_role("textbox", name="Frame").press("Control+Enter")
    expect(log).to_contain_text('"reason":"stop"')
    (stream,) = re.findall(r'"stream":"([^"]+)"', log.inner_text())
    console.get_by_role("button", name="Disconnect").click()
    expect(log).to_contain_text("closed: 1000")
    console.get_by_label("Example").select_option("resume")
    frame = console.get_by_role("textbox", name="Frame")
    assert stream in frame.input_value()
    frame.fill(re.sub(r'"offset": \d+', '"offset": 6', frame.input_value()))
    console.get_by_role("button", name="Clear").click()
    console.get_by_role("button", name="Send").click()  # connects by itself
    expect(log).to_contain_text('"type":"resumed"')
    expect(log).to_contain_text('"content":"again"')
    frame.fill("no JSON")
    console.get_by_role("button", name="Send").click()
    expect(log).to_contain_text("→ no JSON")
    expect(log).to_contain_text('"code":"bad_json"')


def test_the_snippet_for_the_browser_console_works(
    page: Page, documentation: str, lab: Lab
) -> None:
    lab.answer_with(answer(["Hello ", "you"]))
    text = (ROOT / "docs" / "start.md").read_text("utf-8")
    snippet = re.search(r"### Browser console.*?```js\n(.*?)```", text, re.DOTALL)
    assert snippet is not None
    page.goto(documentation)
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    with page.expect_console_message(lambda message: "done" in message.text):
        page.evaluate(f"{snippet[1]};undefined")  # it would call a function
    assert any("chunk" in text for text in logged)
