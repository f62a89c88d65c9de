"""Violations of the pages' policy are reported: the other tests rely on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.server_process import ServerProcess

ADD = """const add = (parent, name, settings) =>
    parent.append(Object.assign(document.createElement(name), settings));"""


@pytest.mark.attacks_the_policy
@pytest.mark.parametrize(
    ("act", "directive"),
    [
        ("new Image().src = 'https://evil.invalid/x'", "img-src"),
        ("fetch('https://evil.invalid/x').catch(() => 0)", "connect-src"),
        ("document.body.insertAdjacentHTML('beforeend', '<b onclick=1>')", "script-src-attr"),
        ("add(document.body, 'iframe', { src: '/' })", "frame-src"),
        ("add(document.head, 'script', { textContent: 'window.ran = 1' })", "script-src-elem"),
        ("add(document.head, 'base', { href: 'https://evil.invalid' })", "base-uri"),
    ],
)
def test_what_the_policy_refuses_is_collected(
    page: Page, served: ServerProcess, violations: list[str], act: str, directive: str
) -> None:
    page.goto(served.url)
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    assert violations == []
    page.evaluate(f"() => {{ {ADD} {act} }}")
    until = time.monotonic() + 10
    while not violations and time.monotonic() < until:
        page.wait_for_timeout(20)
    assert [text.split()[0] for text in violations] == [directive]
    assert page.evaluate("window.ran") is None


def test_a_context_of_more_than_one_test_tells_too(
    lasting_context: Callable[..., AbstractContextManager[BrowserContext]], served: ServerProcess
) -> None:
    def refused() -> None:
        with lasting_context() as context:
            page = context.new_page()
            page.goto(served.url)
            page.evaluate(
                """() => new Promise((seen) => {
                    document.addEventListener("securitypolicyviolation", seen);
                    new Image().src = "https://evil.invalid/x";
                }).then(() => 0)"""
            )

    with pytest.raises(AssertionError, match="img-src refused https://evil"):
        refused()
