"""Sign-in by a proxy: a real server, and connections from different addresses.

127.0.0.2 and 127.3.0.0/16 are the proxy's; connections from 127.0.0.1 and all other addresses come
from clients that have found the server's port.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.server_process import ServerProcess, failures_in
from wireside.testing import FakeOpenAI

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PROXY = "127.0.0.2"
STRANGERS = ("127.0.0.1", "127.0.0.3", "127.4.0.1")

Headers = list[tuple[str, str]]


def said(user: str, *groups: str) -> Headers:
    """Return the headers that the proxy sends for a user."""
    return [("X-Forwarded-User", user), ("X-Forwarded-Groups", ", ".join(groups))]


ADA = said("ada", "admins")
BOB = said("bob", "staff")


class Running(ServerProcess):
    """A server in proxy mode."""

    async def ask(
        self, path: str, headers: Headers, *, by: str = PROXY, method: str = "GET", **more: Any
    ) -> httpx2.Response:
        """Send a request from the address ``by``."""
        transport = httpx2.AsyncHTTPTransport(local_address=by)
        lines = [(name.encode(), value.encode()) for name, value in headers]
        async with httpx2.AsyncClient(transport=transport, timeout=30) as client:
            return await client.request(method, self.url + path, headers=lines, **more)

    async def me(self, headers: Headers, *, by: str = PROXY) -> tuple[str, str] | None:
        """Return name and role of the user that the server authenticates, None without one."""
        response = await self.ask("/api/me", headers, by=by)
        if response.status_code in (401, 403):
            assert response.json()["code"] == "unauthorized"
            return None
        assert response.status_code == 200, response.text
        me = response.json()
        return me["name"], me["role"]

    def connect(self, path: str, headers: Headers, *, by: str = PROXY) -> connect:
        """Open a WebSocket from the address ``by``."""
        address = self.url.replace("http", "ws") + path
        return connect(address, additional_headers=headers, local_addr=(by, 0))


CHAT = "/ws/ai-chat"
PAGE = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    settings = {
        "auth": "proxy",
        "trusted_proxies": f"{PROXY}, 127.3.0.0/16",
        "admin_groups": "admins",
        "user_groups": "staff, Büro",
    }
    with FakeOpenAI() as lab:
        async with Running(tmp_path, lab.url, **settings) as running:
            yield running
        assert failures_in(running.log) == []


async def assert_closed(socket: ClientConnection) -> None:
    """Assert that it is closed as at a sign-out."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_the_proxys_word_counts_from_the_proxy_only(server: Running) -> None:
    assert await server.me(ADA) == ("ada", "admin")
    assert await server.me(ADA, by="127.3.200.1") == ("ada", "admin")
    for stranger in STRANGERS:
        assert await server.me(ADA, by=stranger) is None
        for pretended in (("X-Forwarded-For", PROXY), ("X-Real-IP", PROXY), ("Forwarded", "for=x")):
            assert await server.me([*ADA, pretended], by=stranger) is None
        turned = await server.ask("/settings", ADA, by=stranger)
        assert (turned.status_code, turned.headers["location"]) == (303, "/login?next=/settings")
        door = await server.ask("/login", ADA, by=stranger)
        assert door.status_code == 200
        assert "proxy in front" in door.text
        assert "ada" not in door.text
        posted = await server.ask("/api/keys", ADA, by=stranger, method="POST", json={})
        assert posted.status_code == 401
    page = await server.ask("/settings", ADA)
    assert page.status_code == 200
    assert ">ada<" in page.text
    assert "/logout" not in page.text  # signing out is the proxy's task


async def test_whom_the_proxy_has_seen_elsewhere_is_still_the_proxys_word(server: Running) -> None:
    """The client address that a trusted proxy forwards does not make the proxy untrusted."""
    headers = [*BOB, ("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")]
    assert await server.me(headers) == ("bob", "user")


LOOK_ALIKES: list[Headers] = [
    [],
    [("X-Forwarded-User", "")],
    [("X-Forwarded-User", "\u00a0")],
    [("X_Forwarded_User", "ada")],
    [("X-Forwarded_User", "ada")],
    [("HTTP_X_FORWARDED_USER", "ada")],
    [("X-Forwarded-Users", "ada")],
    [("X-Forwarded-Email", "ada")],
    [("Remote-User", "ada")],
    [("X-Forwarded-User", "ada"), ("X-Forwarded-User", "bob")],
    [("X-Forwarded-User", "ada"), ("X-FORWARDED-USER", "ada")],
    [("X-Forwarded-User", ""), ("X-Forwarded-User", "ada")],
    [*ADA, ("X-Forwarded-Groups", "staff")],
    [*BOB, ("x-forwarded-groups", "admins")],
    [("X-Forwarded-User", "a" * 256)],
    [("X-Forwarded-User", "a" * 5000)],
    [("Cookie", "wireside_session=ada; X-Forwarded-User=ada")],
    [("Authorization", "Basic YWRhOmFkYQ==")],
    [("Authorization", "Bearer ada")],
]


async def test_what_only_looks_like_the_proxys_word_lets_nobody_in(server: Running) -> None:
    for headers in LOOK_ALIKES:
        assert await server.me(headers) is None, headers
    assert await server.me(ADA) == ("ada", "admin")
    users = (await server.ask("/api/users", ADA)).json()
    assert [user["name"] for user in users] == ["ada"]  # nor has it created an account


async def test_a_header_beside_the_proxys_changes_nothing(server: Running) -> None:
    spoofed = [("X_Forwarded_User", "ada"), ("X_Forwarded_Groups", "admins"), ("User", "ada")]
    assert await server.me([*spoofed, *BOB, *spoofed]) == ("bob", "user")


async def test_names_and_groups_may_be_of_any_script(server: Running) -> None:
    assert await server.me(said("Jörg", "Büro")) == ("jörg", "user")
    assert await server.me(said("李小龙")) == ("李小龙", "viewer")
    first, second = said("x" * 250 + "1", "staff"), said("x" * 250 + "2", "staff")
    one, another = await server.me(first), await server.me(second)
    assert one is not None
    assert another is not None
    assert one[0] != another[0]  # shortened names still differ
    transport = httpx2.AsyncHTTPTransport(local_address=PROXY)
    async with httpx2.AsyncClient(transport=transport, timeout=30) as client:
        latin = [(b"X-Forwarded-User", "Zoë".encode("latin-1"))]
        response = await client.get(server.url + "/api/me", headers=latin)
    assert response.json()["name"] == "zoë"


async def test_groups_give_the_role_at_each_request(server: Running) -> None:
    roles = []
    for groups in (["staff"], ["admins", "staff"], ["Büro"], ["guests"], [], ["ADMINS"]):
        me = await server.me(said("mover", *groups))
        assert me is not None
        roles.append(me[1])
    assert roles == ["user", "admin", "user", "viewer", "viewer", "viewer"]
    entries = (await server.ask("/api/audit?q=role_changed", ADA)).json()
    assert entries[-1]["subject"] == "mover: user to admin"
    assert len(entries) == 3


async def test_who_loses_a_role_loses_what_was_opened_with_it(server: Running) -> None:
    async with server.connect(CHAT, BOB) as socket:
        assert await server.me(said("bob", "guests")) == ("bob", "viewer")
        await assert_closed(socket)


async def test_both_sockets_believe_the_proxy_only(server: Running) -> None:
    for path in (CHAT, PAGE):
        async with server.connect(path, BOB) as socket:
            await socket.ping()
        for stranger in STRANGERS:
            with pytest.raises(InvalidStatus) as refused:
                await server.connect(path, BOB, by=stranger)
            assert refused.value.response.status_code == 401, (path, stranger)
        for headers in (
            [("X_Forwarded_User", "bob")],
            [("X-Forwarded-User", "")],
            [*BOB, ("X-Forwarded-User", "ada")],
            [*BOB, ("Origin", "https://evil.example")],
            [*BOB, ("Sec-Fetch-Site", "cross-site")],
        ):
            with pytest.raises(InvalidStatus) as refused:
                await server.connect(path, headers)
            assert refused.value.response.status_code in (401, 403), (path, headers)
    polling = PAGE.replace("transport=websocket", "transport=polling")
    assert (await server.ask(polling, BOB, by=STRANGERS[0])).status_code == 401


async def test_a_page_of_another_site_does_nothing_by_the_proxys_word(server: Running) -> None:
    for origin in (("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")):
        response = await server.ask("/api/keys", [*ADA, origin], method="POST", json={})
        assert response.status_code in (401, 403)
        response = await server.ask("/people/invite", [*ADA, origin], method="POST", data={})
        assert response.status_code == 403


async def test_a_disabled_account_is_out_at_once_and_told_so(server: Running) -> None:
    assert await server.me(BOB) == ("bob", "user")
    users = (await server.ask("/api/users", ADA)).json()
    bobs = next(f"/api/users/{user['id']}" for user in users if user["name"] == "bob")
    ticket = (await server.ask("/api/tickets", BOB, method="POST")).json()["ticket"]
    async with server.connect(CHAT, BOB) as chat, server.connect(PAGE, BOB) as page:
        changed = await server.ask(bobs, ADA, method="PATCH", json={"disabled": True})
        assert changed.status_code == 204
        await assert_closed(chat)
        await assert_closed(page)
    refused = await server.ask("/api/me", BOB)
    assert (refused.status_code, refused.json()["message"]) == (403, "This account is disabled.")
    for path in (CHAT, PAGE):
        with pytest.raises(InvalidStatus):
            await server.connect(path, BOB)
    with pytest.raises(InvalidStatus):
        await connect(
            server.url.replace("http", "ws") + CHAT,
            subprotocols=["ai-chat", f"ticket.{ticket}"],  # type: ignore[list-item]
        )
    turned = await server.ask("/", BOB)
    assert (turned.status_code, turned.headers["location"]) == (303, "/login")
    door = await server.ask("/login", BOB)
    alert = re.search(r'role="alert">([^<]+)<', door.text)
    assert alert is not None
    assert (door.status_code, alert[1]) == (403, "This account is disabled.")
    await server.ask(bobs, ADA, method="PATCH", json={"disabled": False})
    assert await server.me(BOB) == ("bob", "user")


async def test_who_is_disabled_by_the_command_line_is_out_too(server: Running) -> None:
    async with server.connect(CHAT, BOB) as chat, server.connect(CHAT, ADA) as other:
        await asyncio.to_thread(server.run, "users", "disable", "bob")
        await assert_closed(chat)
        await other.ping()
    assert await server.me(BOB) is None


async def test_it_is_kept_when_somebody_was_last_here(server: Running) -> None:
    await server.me(BOB)
    await server.me(BOB)
    users = {user["name"]: user for user in (await server.ask("/api/users", ADA)).json()}
    assert users["bob"]["seen_at"] is not None


async def test_programs_come_with_keys_from_anywhere(server: Running) -> None:
    """The proxy must let the paths for keys pass without a sign-in."""
    made = await server.ask(
        "/api/keys", BOB, method="POST", json={"name": "key", "scopes": ["chat", "read"]}
    )
    with_key = [("Authorization", f"Bearer {made.json()['key']}")]
    for address in (PROXY, *STRANGERS):
        assert await server.me(with_key, by=address) == ("bob", "user")
    # the key counts, not the proxy's user
    assert await server.me([*with_key, *ADA]) == ("bob", "user")


async def test_there_is_no_other_way_in(server: Running) -> None:
    form = {"name": "ada", "password": "a good long password", "link": "made-up"}
    origin = [("Origin", server.url)]
    for path in ("/login", "/join"):
        response = await server.ask(path, origin, by=STRANGERS[0], method="POST", data=form)
        assert "set-cookie" not in response.headers
    for path in ("/oidc/login", "/oidc/callback?code=x&state=y"):
        response = await server.ask(path, [], by=STRANGERS[0])
        assert (response.status_code, response.headers["location"]) == (303, "/login")
    invited = await server.ask("/api/users", ADA, method="POST", json={})
    assert invited.status_code == 400
