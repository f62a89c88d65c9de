"""Revoked access and changed roles take effect at once, on every connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from urllib.parse import urlencode

import pytest
import socketio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.backend.auth.whole_server import Page, Person, Running, page_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def set_role(ada: Person, who: Person, role: str) -> None:
    changed = await ada.http.patch(f"/api/users/{who.id}", json={"role": role})
    assert changed.status_code == 204


async def titles_of(who: Person) -> list[str]:
    listed = (await who.http.get("/api/conversations")).json()
    return [one["title"] for one in listed["conversations"]]


@pytest.mark.parametrize("named", ["in the address", "later"])
async def test_a_page_is_not_kept_by_somebody_whose_role_is_another_one(
    server: Running, ada: Person, named: str
) -> None:
    eve = await server.invite(ada, "eve")
    async with page_of(server, eve, "/") as page:
        await page.say("composer send", {"turn_id": "one", "question": "first"})
        await page.waits_for("accepted")
        await set_role(ada, eve, "viewer")
        await page.ends()
        async with aclosing(page.again()) as again:
            if named == "in the address":
                with pytest.raises(socketio.exceptions.ConnectionError):
                    await again.connect(eve.with_cookie)
            else:
                await again.connect(eve.with_cookie, names_itself=False)
                assert not await again.claim()
                await again.say("composer send", {"turn_id": "two", "question": "second"})
                assert not await again.claim()  # after the earlier messages
        assert await titles_of(eve) == ["first"]
    async with page_of(server, eve, "/") as anew:
        await anew.say("composer send", {"turn_id": "three", "question": "third"})
        await anew.waits_for("You may read here, but not write.")
    assert await titles_of(eve) == ["first"]
    await eve.http.aclose()


async def test_who_administers_no_more_is_shown_no_more_figures(
    server: Running, ada: Person
) -> None:
    bob = await server.invite(ada, "bob", "admin")
    async with page_of(server, bob, "/dashboard") as page:
        await page.waits_for("push")
        await set_role(ada, bob, "user")
        await page.ends()
        async with aclosing(page.again()) as again:
            with pytest.raises(socketio.exceptions.ConnectionError):
                await again.connect(bob.with_cookie)
    await bob.http.aclose()


Finish = Callable[[], Awaitable[int]]


async def begun(server: Running, who: Person, method: str, path: str, body: bytes) -> Finish:
    """Send a request without its body's end; return a function that sends it for the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    kind = "application/json" if path.startswith("/api/") else "application/x-www-form-urlencoded"
    lines = {"Host": f"127.0.0.1:{server.port}", "Content-Type": kind, **who.with_cookie}
    lines |= {"Content-Length": str(len(body)), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body[:1])
    await writer.drain()

    async def finish() -> int:
        writer.write(body[1:])
        answered = await reader.read()
        writer.close()
        return int(answered.split()[1])

    return finish


async def test_a_request_that_is_still_coming_does_nothing_for_who_was_put_out(
    server: Running, ada: Person
) -> None:
    """A body may take an hour: a former administrator could restore their role with it."""
    bob = await server.invite(ada, "bob", "admin")
    myself = f"/api/users/{bob.id}"
    conversation = b'{"format": "wireside", "version": 1, "conversations": []}'
    late = [
        await begun(server, bob, "PATCH", myself, b'{"role": "admin", "disabled": false}'),
        await begun(server, bob, "POST", f"/people/{bob.id}", b"do=role&role=admin"),
        await begun(server, bob, "POST", "/api/users", b'{"role": "admin"}'),
        await begun(server, bob, "POST", "/people/invite", b"role=admin&name="),
        await begun(server, bob, "POST", "/api/keys", b'{"name": "key", "scopes": ["admin"]}'),
        await begun(server, bob, "POST", "/api/conversations/import", conversation),
    ]
    await set_role(ada, bob, "user")
    assert [await finish() for finish in late] == [401] * len(late)
    people = (await ada.http.get("/api/users")).json()
    assert {one["name"]: one["role"] for one in people} == {"ada": "admin", "bob": "user"}
    assert 'name="take_back"' not in (await ada.http.get("/people")).text
    assert len((await bob.http.get("/api/keys")).json()) == 1  # the new connection has the new role
    in_time = await begun(server, bob, "POST", "/api/keys", b'{"name": "k", "scopes": ["chat"]}')
    assert await in_time() == 201
    await bob.http.aclose()


@asynccontextmanager
async def live_page(server: Running, headers: dict[str, str]) -> AsyncIterator[ClientConnection]:
    """Open a page, and only the WebSocket of its connection, to see how it is closed."""
    async with server.browser() as browser:
        browser.headers.update(headers)
        page = Page(server.url, (await browser.get("/")).text)
        await page.aclose()
    query = {"EIO": "4", "transport": "websocket", **page.address}
    address = f"{server.socket.removesuffix('/ws/ai-chat')}/_nicegui_ws/socket.io/?"
    async with connect(address + urlencode(query), additional_headers=headers) as socket:
        assert str(await socket.recv()).startswith("0")
        await socket.send("40")
        assert str(await socket.recv()).startswith("40{")  # the page is given to the user
        yield socket


async def log_out(_: Person, who: Person) -> None:
    assert (await who.http.post("/logout")).status_code == 303


async def disable(ada: Person, who: Person) -> None:
    await ada.http.patch(f"/api/users/{who.id}", json={"disabled": True})


async def remove(ada: Person, who: Person) -> None:
    assert (await ada.http.delete(f"/api/users/{who.id}")).status_code == 204


async def change_role(ada: Person, who: Person) -> None:
    await set_role(ada, who, "viewer")


async def revoke_key(_: Person, who: Person) -> None:
    (key,) = (await who.http.get("/api/keys")).json()
    assert (await who.http.delete(f"/api/keys/{key['id']}")).status_code == 204


@pytest.mark.parametrize(
    ("end", "ended", "comes_back"),
    [
        (log_out, ("cookie",), ("key",)),
        (revoke_key, ("key",), ("cookie",)),
        (change_role, ("cookie", "key", "ticket"), ("cookie", "key")),
        (disable, ("cookie", "key", "ticket"), ()),
        (remove, ("cookie", "key", "ticket"), ()),
    ],
)
async def test_whoever_is_put_out_is_out_at_once(
    server: Running,
    ada: Person,
    end: Callable[[Person, Person], Awaitable[None]],
    ended: tuple[str, ...],
    comes_back: tuple[str, ...],
) -> None:
    """Sockets and pages are closed with 1008; connections opened by other credentials stay open."""
    eve = await server.invite(ada, "eve")
    ticket = (await eve.http.post("/api/tickets")).json()["ticket"]
    headers = {"cookie": eve.with_cookie, "key": eve.with_key, "ticket": {"Origin": server.url}}
    async with AsyncExitStack() as open_ones:
        sockets = {
            how: await open_ones.enter_async_context(
                connect(
                    server.socket,
                    additional_headers=headers[how],
                    subprotocols=["ai-chat", f"ticket.{ticket}"] if how == "ticket" else None,  # type: ignore[list-item]
                )
            )
            for how in ("cookie", "key", "ticket")
        }
        assert sockets["ticket"].subprotocol == "ai-chat"  # the ticket is not echoed
        page = await open_ones.enter_async_context(live_page(server, eve.with_cookie))
        await end(ada, eve)
        for how in ended:
            for socket in (sockets[how], page) if how == "cookie" else (sockets[how],):
                with pytest.raises(ConnectionClosed) as closed:
                    while True:  # frames that were already sent
                        await socket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1008, how
        for how in {"cookie", "key"} - set(ended):
            await (await sockets[how].ping())
            if how == "cookie":
                await (await page.ping())
    for how, with_it in (("cookie", headers["cookie"]), ("key", headers["key"]), ("nothing", {})):
        if how in comes_back:
            async with connect(server.socket, additional_headers=with_it):
                pass
        else:
            with pytest.raises(InvalidStatus) as refused:
                await connect(server.socket, additional_headers=with_it)
            assert refused.value.response.status_code == 401
    status = (await eve.http.get("/api/me")).status_code
    assert status == (200 if "cookie" in comes_back else 401)
    await eve.http.aclose()
