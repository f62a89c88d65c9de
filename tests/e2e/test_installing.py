"""The installed application: the page without a connection, and texts that others share."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.test_axe import check
from tests.server_process import ServerProcess

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.browser_context_args(service_workers="allow"),
]

READY = "navigator.serviceWorker.ready.then((it) => it.active.state === 'activated')"


def test_without_a_connection_a_page_says_so_and_goes_on_by_itself(
    new_context: Callable[..., BrowserContext], served: ServerProcess
) -> None:
    context = new_context(locale="de")
    page = context.new_page()
    page.goto(served.url)
    expect(page.get_by_test_id("connection-status")).to_have_attribute("data-state", "connected")
    page.wait_for_function(READY)
    assert page.evaluate("caches.keys()") == []

    context.set_offline(True)
    page.goto(f"{served.url}/?q=Hallo")
    expect(page.get_by_role("heading", name="Keine Verbindung")).to_be_visible()
    expect(page).to_have_title("Keine Verbindung · Wireside")
    check(page)
    page.get_by_role("button", name="Noch einmal").click()
    expect(page.get_by_role("status")).to_have_text("Es gibt noch immer keine Verbindung.")
    api = "fetch('api/health/live').then(() => 'answered', () => 'failed')"
    assert page.evaluate(api) == "failed"  # the worker answers navigations only

    context.set_offline(False)
    expect(page.get_by_test_id("input-chat")).to_have_value("Hallo")


def test_a_signed_out_page_has_the_manifest_and_the_worker(
    page: Page, served: ServerProcess
) -> None:
    page.goto(f"{served.url}/doctor")  # made as the sign-in page is
    page.wait_for_function(READY)
    assert page.evaluate("navigator.serviceWorker.ready.then((it) => it.scope)") == f"{served.url}/"
    assert page.locator("link[rel=manifest]").get_attribute("href") == "/manifest.webmanifest"


def test_a_shared_text_is_filled_in_and_not_sent(page: Page, served: ServerProcess) -> None:
    manifest = page.request.get(f"{served.url}/manifest.webmanifest").json()
    target = manifest["share_target"]
    names = target["params"]
    shared = {names["title"]: "A page", names["text"]: "Look", names["url"]: "https://a.example/"}
    page.goto(f"{served.url}/{target['action']}?{urlencode(shared)}")
    expect(page.get_by_test_id("input-chat")).to_have_value("A page\nLook\nhttps://a.example/")
    expect(page).to_have_url(f"{served.url}/")
    expect(page.get_by_test_id("message-user")).to_have_count(0)
