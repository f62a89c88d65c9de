"""Chats mounted in a host application, and the bubble on a page of the host."""

from __future__ import annotations

import os
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Page, expect

HOST = Path(__file__).with_name("mounting_host.py")
NAMES = ("WIRESIDE_", "OPENAI_", "PYTEST", "NICEGUI")

Start = Callable[..., str]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Call to start a host, with or without NiceGUI pages of its own; returns its address."""
    with ExitStack() as stack:

        def run(*, nicegui: bool = False, root_path: str = "") -> str:
            folder = tmp_path_factory.mktemp("host")
            port = _free_port()
            environment = {k: v for k, v in os.environ.items() if not k.startswith(NAMES)}
            command = [sys.executable, str(HOST), str(folder), str(port)]
            process = psutil.Popen(
                [*command, "nicegui" if nicegui else "-", root_path], cwd=folder, env=environment
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            url = f"http://127.0.0.1:{port}"
            while not _answers(f"{url}/help/api/health/live"):
                assert process.poll() is None
                time.sleep(0.05)
            return url

        yield run


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def say(page: Page | FrameLocator, text: str) -> None:
    box = page.get_by_test_id("input-chat")
    box.fill(text)
    box.press("Enter")


def answer_of(page: Page | FrameLocator, text: str) -> None:
    last = page.get_by_test_id("message-assistant").last
    expect(last).to_contain_text(text)
    expect(last).to_have_attribute("aria-busy", "false")


def colour(page: Page) -> str:
    script = "getComputedStyle(document.documentElement).getPropertyValue('--ws-accent').trim()"
    return str(page.evaluate(script))


@pytest.mark.parametrize("has_nicegui", [False, True])
def test_two_chats_and_a_host_are_side_by_side(
    start: Start, new_context: Callable[..., BrowserContext], has_nicegui: bool
) -> None:
    url = start(nicegui=has_nicegui)
    page = new_context(color_scheme="light").new_page()
    page.goto(f"{url}/help/")
    expect(page).to_have_title("Sign in")
    assert page.url.endswith("/sign-in?to=%2Fhelp%2F")
    page.goto(f"{url}/sign-in?name=ada&to=/help/")
    expect(page).to_have_title("Help desk")
    other = page.context.new_page()
    other.goto(f"{url}/data/")
    expect(other).to_have_title("Analyst")
    assert (colour(page), colour(other)) == ("#0a7d4f", "#b3261e")
    expect(page.get_by_text("Ask us anything")).to_be_visible()
    expect(other.get_by_role("button", name="Revenue by month")).to_be_visible()
    say(page, "one")
    answer_of(page, "Help desk heard: one")
    say(other, "two")
    answer_of(other, "Analyst heard: two")
    for opened, path, name in ((page, "help", "Help desk"), (other, "data", "Analyst")):
        expect(opened).to_have_url(re.compile(rf"{url}/{path}/c/[\w-]+"))
        opened.reload()
        answer_of(opened, f"{name} heard")
        expect(opened.get_by_test_id("connection-status")).to_have_attribute(
            "data-state", "connected"
        )
    if has_nicegui:
        own = page.context.new_page()
        own.goto(url)
        expect(own).to_have_title("The host")
        own.get_by_role("button", name="More").click()
        expect(own.get_by_text("1", exact=True)).to_be_visible()
        expect(own.get_by_text("visit 1")).to_be_visible()
        pink = "getComputedStyle(document.body).backgroundColor"
        assert own.evaluate(pink) == "rgb(255, 105, 180)"
        assert page.evaluate(pink) != "rgb(255, 105, 180)", "the host's pages only"


def test_a_draft_belongs_to_its_chat_and_user(
    start: Start, new_context: Callable[..., BrowserContext]
) -> None:
    url = start()
    page = new_context().new_page()
    page.goto(f"{url}/sign-in?name=ada&to=/help/")
    page.get_by_test_id("input-chat").fill("a draft of Ada's")
    for name, path, text in (
        ("ada", "data", ""),
        ("bob", "help", ""),
        ("ada", "help", "a draft of Ada's"),
    ):
        page.goto(f"{url}/sign-in?name={name}&to=/{path}/")
        expect(page.get_by_test_id("connection-status")).to_have_attribute(
            "data-state", "connected"
        )
        expect(page.get_by_test_id("input-chat")).to_have_value(text)


def test_the_bubble_opens_the_chat_in_a_frame(
    start: Start, new_context: Callable[..., BrowserContext]
) -> None:
    url = start()
    page = new_context().new_page()
    page.goto(f"{url}/sign-in?name=ada&to=/with-bubble")
    button = page.get_by_role("button", name="Ask the help desk")
    expect(button).to_have_attribute("aria-expanded", "false")
    assert page.locator("iframe").count() == 0, "the chat is loaded when it is opened"
    button.click()
    frame = page.frame_locator("iframe")
    say(frame, "from a frame")
    answer_of(frame, "Help desk heard: from a frame")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("iframe")).to_be_hidden()
    page.evaluate("wiresideBubble.open()")
    answer_of(frame, "Help desk heard: from a frame")


def test_a_chat_that_allows_no_ancestor_is_not_shown_in_a_frame(start: Start, page: Page) -> None:
    url = start()
    page.goto(f"{url}/sign-in?name=ada&to=/with-bubble")
    with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
        page.evaluate(
            "src => document.body.append(Object.assign(document.createElement('iframe'), { src }))",
            f"{url}/data/",
        )
