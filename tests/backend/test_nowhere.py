"""Paths without a page, and pages that fail: the response is short and nothing is logged."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import socketio

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

pytestmark = pytest.mark.slow

SECRET = "canary-of-a-link-8d1f"
BROWSER = {"Accept": "text/html,*/*;q=0.8", "Accept-Language": "de"}

BROKEN = f"""
import asyncio, sys
from wireside_ui import nicegui_socket
from wireside_ui.pages.chat import ChatPage

async def build(self, conversation_id, *_):
    if conversation_id == "breaks":
        raise ValueError("{SECRET}")
    await asyncio.sleep(60)

ChatPage.build = build
nicegui_socket.MAKING_S = 0.1
from wireside.cli.main import app
sys.argv = ["wireside", "serve", "--port", "0"]
app()
"""


class Running(ServerProcess):
    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self._browsers: list[httpx2.AsyncClient] = []

    def browser(self, **headers: str) -> httpx2.AsyncClient:
        self._browsers.append(httpx2.AsyncClient(base_url=self.url, headers=headers))
        return self._browsers[-1]

    async def __aexit__(self, *error: object) -> None:
        for browser in self._browsers:
            await browser.aclose()
        await super().__aexit__(*error)


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:
        lab = stack.enter_context(FakeOpenAI())

        async def start_server(**settings: Any) -> Running:
            server = Running(tmp_path, lab.url, log_level="debug", **settings)
            return await stack.enter_async_context(server)

        yield start_server


async def test_a_path_that_leads_nowhere_makes_no_page_for_nobody(start: Start) -> None:
    """A page costs a hundred times what such a request is counted as, and holds a client object."""
    server = await start(auth="password", sharing="public")
    nobody = server.browser(**BROWSER)
    for path in ("/_nicegui/foo", "/_nicegui/", "/_nicegui/3.18.0/foo", "/_nicegui/%ff"):
        response = await nobody.get(path)
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), path
        assert not {"x-nicegui-content", "set-cookie"} & response.headers.keys()
    for path in ("/logoX", "/favicon.icoX", "/manifest.webmanifestX", "/nowhere", "/_nicegui"):
        response = await nobody.get(path)
        assert (response.status_code, response.headers["location"][:7]) == (303, "/login?"), path


async def test_whoever_is_here_is_told_in_their_language_that_there_is_no_page(
    start: Start,
) -> None:
    server = await start()
    browser = server.browser(**BROWSER)
    for path in ("/nowhere", "/c/a/b", "/logoX", "/favicon.icoX", "/_niceguiX"):
        response = await browser.get(path)
        assert response.status_code == 404, path
        assert "x-nicegui-content" not in response.headers
        assert response.headers["content-type"].startswith("text/html"), path
    page = (await browser.get("/nowhere")).text
    assert '<html lang="de"' in page
    assert "Unter dieser Adresse gibt es keine Seite." in page
    assert '<a class="wa-button wa-main" href="/">' in page
    program = await server.browser().get("/nowhere")
    assert program.json() == {"message": "There is no /nowhere.", "code": "not_found"}
    assert (await browser.post("/nowhere")).status_code == 404
    assert (await browser.head("/nowhere")).status_code == 404


async def test_a_slash_too_much_leads_to_the_page(start: Start) -> None:
    server = await start()
    browser = server.browser(**BROWSER)
    for path, meant in (
        ("/c/abc/?turn=1", "/c/abc?turn=1"),
        ("/doctor/", "/doctor"),
        ("/logo/", "/logo"),
    ):
        response = await browser.get(path)
        assert (response.status_code, response.headers["location"]) == (307, meant)
    no_page = ("//evil.example/", "/nowhere/", "///", "/%5cevil.example/", "/c/a%0ab", "/c/a%0ab/")
    for path in no_page:
        response = await browser.get(server.url + path)
        assert response.status_code == 404, path


async def test_no_address_that_leads_nowhere_is_logged_with_a_secret(start: Start) -> None:
    server = await start(auth="password", sharing="public")
    nobody, ada = server.browser(**BROWSER), server.browser(**BROWSER)
    form = {
        "link": server.administrator_link().partition("link=")[2],
        "name": "ada",
        "password": "a long password",
    }
    assert (await ada.post("/join", data=form)).status_code == 303
    for who in (nobody, ada):
        for path in (f"/s/{SECRET}/", f"/s/{SECRET}", f"/s/{SECRET}/more"):
            response = await who.get(path, follow_redirects=True)
            assert response.status_code == 404, path
            assert response.url.path.startswith("/s/"), "needs no sign-in"
            assert '<html lang="de"' in response.text
        await who.get(f"/join/?link={SECRET}")
        await who.get(f"/nowhere?link={SECRET}")
        await who.get(f"/_nicegui/foo?link={SECRET}")
    assert SECRET not in server.log


async def test_a_browser_writes_no_line_of_the_log(start: Start) -> None:
    server = await start()
    page = (await server.browser(**BROWSER).get("/")).text
    client_id = _client_id(page)
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(
        server.url,
        headers={"Origin": server.url},
        socketio_path="/_nicegui_ws/socket.io",
        transports=["websocket"],
    )
    said: dict[str, Any] = {"client_id": client_id, "level": "error", "message": SECRET}
    names = {"tab_id": "t", "document_id": "d", "next_message_id": 0}
    too_long = {**said, **names, "tab_id": "t" * 1000}
    assert await client.call("handshake", too_long) is False  # it would be stored
    assert await client.call("handshake", {**said, **names}) is True
    await client.emit("log", said)
    await client.emit(SECRET, said)
    await client.emit("javascript_response", {**said, "request_id": SECRET, "result": SECRET})
    assert await client.call("wireside_ping") is True  # all events before it are handled
    await client.disconnect()
    assert SECRET not in server.log


def _client_id(page: str) -> str:
    found = re.search(r"client_id[\"']?\s*:\s*[\"']([0-9a-f-]{36})", page)
    assert found is not None
    return found[1]


async def test_a_page_that_fails_says_so_and_nothing_of_why(start: Start) -> None:
    server = await start(command=(sys.executable, "-c", BROKEN))
    browser = server.browser(**BROWSER)
    for path, status in (("/c/breaks", 500), ("/c/hangs", 503)):
        response = await browser.get(path)
        assert response.status_code == status, path
        assert "x-nicegui-content" not in response.headers
        assert '<html lang="de"' in response.text
        assert "Error" not in response.text
        assert SECRET not in response.text
    program = await server.browser().get("/c/breaks")
    assert (program.status_code, program.json()["code"]) == (500, "internal")
    assert SECRET not in server.log
    assert "ValueError" in server.log, "the log has the error"
