"""A real server with accounts in its own process, its users, and their pages."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import aiohttp
import httpx2
import socketio
from websockets.asyncio.client import connect

from tests.server_process import ServerProcess, failures_in
from wireside.testing import FakeOpenAI

PASSWORD = "a good long password"
SECRET = "the-secret-of-ada"
"""The text of Ada's questions and answers."""

WAIT_S = 20


@dataclass
class Person:
    """A user with a browser and an API key."""

    http: httpx2.AsyncClient
    key: str = ""
    id: str = ""

    @property
    def cookie(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies.jar)

    @property
    def with_cookie(self) -> dict[str, str]:
        return {"Cookie": self.cookie, "Origin": self.http.headers["Origin"]}

    @property
    def with_key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


class Running(ServerProcess):
    """A server with accounts, and its users."""

    link: str
    """The link that creates the administrator."""

    def start(self) -> Self:
        super().start()
        self.link = self.administrator_link()
        return self

    @property
    def socket(self) -> str:
        return self.socket_url

    def browser(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, headers={"Origin": self.url}, timeout=30)

    def program(self, key: str) -> Person:
        """Return a client that has an API key only."""
        headers = {"Authorization": f"Bearer {key}"}
        return Person(httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=30), key)

    async def join(self, link: str, name: str) -> Person:
        """Create an account by a link, and a key that may chat and read."""
        http = self.browser()
        secret = parse_qs(urlsplit(link).query)["link"][0]
        form = {"link": secret, "name": name, "password": PASSWORD}
        response = await http.post("/join", data=form)
        assert response.status_code == 303, response.text
        made = await http.post("/api/keys", json={"name": "key", "scopes": ["chat", "read"]})
        me = await http.get("/api/me")
        return Person(http, made.json()["key"], me.json()["id"])

    async def invite(self, admin: Person, name: str, role: str = "user") -> Person:
        """Invite a user as ``admin``, and create the account."""
        invited = await admin.http.post("/api/users", json={"role": role})
        return await self.join(invited.json()["link"], name)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Running]:
    """Serve; afterwards the log must contain no error, no message text and no link."""
    with FakeOpenAI() as lab:
        settings: dict[str, Any] = {
            "auth": "password",
            "sharing": "public",
            # a test sends requests to every endpoint, from one address
            "requests_per_minute_address": 1_000_000,
        }
        async with Running(folder, lab.url, **settings) as running:
            yield running
        assert failures_in(running.log) == []
        assert SECRET not in running.log
        assert not re.search(r"/s/[A-Za-z0-9_-]{20}", running.log)


async def ask(socket: str, person: Person, **fields: Any) -> list[dict[str, Any]]:
    """Send a frame with a user's key; return the frames up to its end."""
    async with connect(socket, additional_headers=person.with_key) as client:
        await client.send(json.dumps({"id": "1", **fields}))
        frames: list[dict[str, Any]] = []
        while not frames or frames[-1]["type"] not in ("done", "error"):
            frames.append(json.loads(await client.recv()))
        return frames


class Page:
    """A page in a user's browser: its HTML, and its connection over Socket.IO."""

    def __init__(self, url: str, text: str) -> None:
        """``text`` is its HTML."""
        self._url, self._text = url, text
        self._http = aiohttp.ClientSession()
        self._client = socketio.AsyncClient(reconnection=False, http_session=self._http)
        self.is_over = asyncio.Event()
        self._client.on("*", lambda event, *args: self.told.append([event, *args]))
        self._client.on("disconnect", lambda *_: self.is_over.set())
        self.told: list[Any] = []
        """All messages of the server to the page."""
        self._asked = 0
        self.is_over = asyncio.Event()
        found = re.search(r'id="ws-start">(.*?)</script>', text)
        assert found is not None, text[:500]
        start = json.loads(found[1])
        self.client_id = start["options"]["query"]["client_id"]
        self._elements = start["elements"]

    def again(self) -> Page:
        """Return the same page with a connection that is not open yet."""
        return Page(self._url, self._text)

    @property
    def listeners(self) -> dict[str, tuple[int, str]]:
        """The listeners of the page's elements, as ``"sidebar rename"``: an element, an event."""
        return {
            f"{element['tag'].rpartition('wireside_')[2]} {event['type']}": (
                int(number),
                event["listener_id"],
            )
            for number, element in self._elements.items()
            for event in element.get("events", ())
        }

    @property
    def handshake(self) -> dict[str, Any]:
        """The handshake by which a browser identifies its page."""
        return {
            "client_id": self.client_id,
            "tab_id": "t",
            "document_id": "d",
            "next_message_id": 0,
        }

    @property
    def address(self) -> dict[str, Any]:
        """The same, as a part of the address."""
        return {"implicit_handshake": "true", **self.handshake}

    async def connect(self, headers: dict[str, str], *, names_itself: bool = True) -> None:
        """Connect, with the page's id in the address unless it is sent later.

        Raises ``ConnectionError`` of Socket.IO if the page is not given.
        """
        query = self.address if names_itself else {}
        address = str(httpx2.URL(self._url, params=query))
        await self._client.connect(
            address,
            headers=headers,
            socketio_path="/_nicegui_ws/socket.io",
            transports=["websocket"],
            wait_timeout=WAIT_S,
        )

    async def claim(self) -> bool:
        """Send the page's id; return whether the page is given."""
        answer = await self._client.call("handshake", self.handshake, timeout=WAIT_S)
        return bool(answer)

    async def say(self, name: str, args: Any) -> None:
        """Send a component's event to the server: ``name`` as in ``listeners``."""
        number, listener = self.listeners[name]
        event = {"id": number, "listener_id": listener, "args": [json.dumps(args)]}
        await self.send_raw("event", {"client_id": self.client_id, **event})

    async def send_raw(self, name: str, data: Any) -> None:
        """Send any message."""
        await self._client.emit(name, data)

    async def has_been_heard(self) -> None:
        """Wait until the server has handled every event of a chat page so far.

        It runs several searches, so that handlers that use the store more than once have finished,
        too.
        """
        for _ in range(3):
            self._asked += 1
            query = f"nothing is called {self._asked}"
            await self.say("sidebar search", {"query": query, "cursor": None})
            await self.waits_for(query)

    async def waits_for(self, text: str) -> None:
        """Wait until the server has sent ``text``."""
        async with asyncio.timeout(WAIT_S):
            while text not in json.dumps(self.told):  # a list can't signal that it has grown
                await asyncio.sleep(0.02)

    async def ends(self) -> None:
        """Wait until the server closes the connection."""
        async with asyncio.timeout(WAIT_S):
            await self.is_over.wait()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.disconnect()
        await self._http.close()


@asynccontextmanager
async def page_of(server: Running, person: Person, path: str) -> AsyncIterator[Page]:
    """Open a page as ``person`` does with a browser."""
    response = await person.http.get(path)
    assert response.status_code == 200, path
    page = Page(server.url, response.text)
    try:
        await page.connect(person.with_cookie)
        yield page
    finally:
        await page.aclose()
