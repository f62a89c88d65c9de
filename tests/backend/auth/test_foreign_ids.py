"""A walk through all doors of a real server with another user's ids: nothing opens, nothing leaks,
nothing changes.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import socketio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from wireside.testing import FakeOpenAI

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PASSWORD = "a good long password"
SECRET = "the-secret-of-ada"


@dataclass
class Person:
    """Somebody with a browser, and with a key."""

    http: httpx2.AsyncClient
    key: str = ""

    @property
    def cookie(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies.jar)


@dataclass
class Running:
    """A server with accounts, and who is on it."""

    process: asyncio.subprocess.Process
    url: str
    link: str
    log: list[str] = field(default_factory=list)

    @property
    def socket(self) -> str:
        return self.url.replace("http", "ws") + "/ws/ai-chat"

    def browser(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, headers={"Origin": self.url}, timeout=30)

    async def join(self, link: str, name: str) -> Person:
        http = self.browser()
        secret = parse_qs(urlsplit(link).query)["link"][0]
        form = {"link": secret, "name": name, "password": PASSWORD}
        response = await http.post("/join", data=form)
        assert response.status_code == 303, response.text
        person = Person(http)
        made = await http.post("/api/keys", json={"name": "key", "scopes": ["chat", "read"]})
        person.key = made.json()["key"]
        return person


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "NICEGUI"))}
    with FakeOpenAI() as lab:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wireside", "serve", "--port", "0"),
            env={
                **kept,
                "OPENAI_BASE_URL": lab.url,
                "WIRESIDE_DATA_DIR": str(tmp_path),
                "WIRESIDE_TITLE_MODEL": "off",
                "WIRESIDE_AUTH": "password",
                "WIRESIDE_SHARING": "public",
            },
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().split()[-1]
        link = (await process.stdout.readline()).decode().split()[-1]
        running = Running(process, url, link)
        reading = asyncio.create_task(_read(process, running.log))
        yield running
        process.terminate()
        await process.wait()
        await reading
        assert not [line for line in running.log if "Traceback" in line or SECRET in line]
        assert not re.search(r"/s/[A-Za-z0-9_-]{20}", "".join(running.log))


async def _read(process: asyncio.subprocess.Process, lines: list[str]) -> None:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        lines.append(line.decode())


async def ask(socket: str, person: Person, **fields: Any) -> list[dict[str, Any]]:
    """Send a frame with a person's key; returns what comes up to its end."""
    headers = {"Authorization": f"Bearer {person.key}"}
    async with connect(socket, additional_headers=headers) as client:
        await client.send(json.dumps({"id": "1", **fields}))
        frames: list[dict[str, Any]] = []
        while not frames or frames[-1]["type"] not in ("done", "error"):
            frames.append(json.loads(await client.recv()))
        return frames


@pytest.fixture
async def people(server: Running) -> AsyncIterator[tuple[Person, Person, dict[str, str]]]:
    """Ada, who has all kinds of things; Eve; and the ids of what Ada has."""
    ada = await server.join(server.link, "ada")
    invited = await ada.http.post("/api/users", json={"role": "user"})
    eve = await server.join(invited.json()["link"], "eve")
    frames = await ask(server.socket, ada, type="chat", message=SECRET, conversation="new")
    conversation_id, stream = frames[0]["conversation"], frames[0]["stream"]
    alone = await ask(server.socket, ada, type="chat", message=SECRET, key="one")
    shown = (await ada.http.get(f"/api/conversations/{conversation_id}")).json()
    share = await ada.http.post(f"/api/conversations/{conversation_id}/shares")
    keys = (await ada.http.get("/api/keys")).json()
    sessions = (await ada.http.get("/api/sessions")).json()
    me = (await ada.http.get("/api/me")).json()
    ids = {
        "conversation_id": conversation_id,
        "stream": stream,
        "lone_stream": alone[0]["stream"],
        "turn": shown["turns"][0]["id"],
        "share_id": share.json()["id"],
        "key_id": keys[0]["id"],
        "session_id": sessions[0]["id"],
        "user_id": me["id"],
    }
    yield ada, eve, ids
    await ada.http.aclose()
    await eve.http.aclose()


async def state_of(ada: Person, ids: dict[str, str]) -> list[Any]:
    paths = (
        f"/api/conversations/{ids['conversation_id']}",
        "/api/conversations",
        "/api/keys",
        "/api/sessions",
        "/api/shares",
        "/api/users",
    )
    seen = [(await ada.http.get(path)).json() for path in paths]
    text = re.sub(r'"(seen_at|used_at)": *("[^"]*"|null)', "", json.dumps(seen))
    return [text]


async def test_no_route_opens_to_another_users_ids(
    server: Running, people: tuple[Person, Person, dict[str, str]]
) -> None:
    ada, eve, ids = people
    before = await state_of(ada, ids)
    api = (await ada.http.get("/api/openapi.json")).json()
    bodies = {
        "/api/conversations": {"title": "mine"},
        "/api/conversations/{conversation_id}": {"title": "mine now"},
        "/api/users": {"role": "admin"},
        "/api/users/{user_id}": {"role": "viewer", "disabled": True},
    }
    queries = {
        "/api/conversations/search": {"q": "secret"},
        "/api/conversations/export": {"ids": ids["conversation_id"]},
    }
    walked = 0
    async with server.browser() as nobody, server.browser() as with_key:
        with_key.headers["Authorization"] = f"Bearer {eve.key}"
        for path, operations in api["paths"].items():
            for method in operations:
                if method not in ("get", "post", "put", "patch", "delete"):
                    continue
                walked += 1
                address = path.format(**ids)
                request = {"json": bodies.get(path), "params": queries.get(path)}
                for who in (nobody, eve.http, with_key):
                    response = await who.request(method.upper(), address, **request)
                    where = f"{method} {path}: {response.status_code} {response.text[:200]}"
                    assert SECRET not in response.text, where
                    assert response.status_code < 500, where
                    if who is nobody and not path.startswith("/api/health/"):
                        assert response.status_code == 401, where
                    elif "{" in path:  # somebody else's
                        assert response.status_code in (401, 403, 404), where
                    assert not any(value in response.text for value in ids.values()), where
    assert walked >= 27
    assert await state_of(ada, ids) == before


async def test_no_page_opens_to_another_users_ids(
    server: Running, people: tuple[Person, Person, dict[str, str]]
) -> None:
    ada, eve, ids = people
    before = await state_of(ada, ids)
    conversation_id = ids["conversation_id"]
    async with server.browser() as nobody:
        for path in (f"/c/{conversation_id}", "/", "/settings", "/people"):
            response = await nobody.get(path)
            assert response.status_code == 303, path
            assert response.headers["location"].startswith("/login"), path
        for path in ("/settings/keys/revoke", f"/people/{ids['user_id']}", "/settings/password"):
            assert (await nobody.post(path, data={})).status_code == 401, path
    page = await eve.http.get(f"/c/{conversation_id}?turn={ids['turn']}")
    assert page.status_code == 404
    assert SECRET not in page.text
    assert SECRET in (await ada.http.get(f"/c/{conversation_id}")).text
    for path, form in (
        ("/settings/keys/revoke", {"key": ids["key_id"]}),
        ("/settings/shares/revoke", {"share": ids["share_id"]}),
        ("/settings/sessions", {"session": ids["session_id"]}),
        (f"/people/{ids['user_id']}", {"do": "disable"}),
        (f"/people/{ids['user_id']}", {"do": "role", "role": "viewer"}),
        (f"/people/{ids['user_id']}", {"do": "reset"}),
        ("/people/invite", {"role": "admin"}),
    ):
        response = await eve.http.post(path, data=form)
        assert response.status_code in (303, 403, 404), path
        assert "join?link" not in response.text, path
    assert await state_of(ada, ids) == before


async def test_no_frame_reaches_another_users_streams(
    server: Running, people: tuple[Person, Person, dict[str, str]]
) -> None:
    ada, eve, ids = people
    before = await state_of(ada, ids)
    for stream in (ids["stream"], ids["lone_stream"]):
        (refused,) = await ask(server.socket, eve, type="resume", stream=stream, offset=0)
        assert (refused["type"], refused["code"]) == ("error", "not_found")
        again = await ask(server.socket, ada, type="resume", stream=stream, offset=0)
        assert again[-1]["type"] == "done"
    (refused,) = await ask(
        server.socket, eve, type="chat", message="Hi", conversation=ids["conversation_id"]
    )
    assert (refused["type"], refused["code"]) == ("error", "not_found")
    # the key of a request is each one's own
    frames = await ask(server.socket, eve, type="chat", message=SECRET, key="one")
    assert frames[0]["stream"] != ids["lone_stream"]
    assert await state_of(ada, ids) == before


async def test_no_event_of_a_page_reaches_another_users_page(
    server: Running, people: tuple[Person, Person, dict[str, str]]
) -> None:
    ada, eve, ids = people
    before = await state_of(ada, ids)
    page = (await ada.http.get(f"/c/{ids['conversation_id']}")).text
    found = re.search(r"client_id[\"']?\s*:\s*[\"']([0-9a-f-]{36})", page)
    assert found is not None
    client_id = found[1]

    async def connected(who: Person, **query: str) -> socketio.AsyncClient:
        client = socketio.AsyncClient(reconnection=False)
        address = server.url + "".join(
            f"{'?' if not n else '&'}{k}={v}" for n, (k, v) in enumerate(query.items())
        )
        await client.connect(
            address,
            headers={"Cookie": who.cookie, "Origin": server.url},
            socketio_path="/_nicegui_ws/socket.io",
            transports=["websocket"],
        )
        return client

    handshake = {"client_id": client_id, "tab_id": "t", "document_id": "d", "next_message_id": 0}
    intruder = await connected(eve)
    told: list[Any] = []
    intruder.on("update", told.append)
    intruder.on("run_javascript", told.append)
    assert await intruder.call("handshake", handshake) is False
    for name in ("event", "javascript_response", "ack", "log"):
        await intruder.emit(name, {"client_id": client_id, "id": 1, "args": [], "level": "info"})
    with pytest.raises(socketio.exceptions.ConnectionError):
        await connected(eve, implicit_handshake="true", **{k: str(v) for k, v in handshake.items()})
    owner = await connected(ada)
    assert await owner.call("handshake", handshake) is True
    assert told == []
    await intruder.disconnect()
    await owner.disconnect()
    assert await state_of(ada, ids) == before


async def test_whoever_is_put_out_is_out_at_once(
    server: Running, people: tuple[Person, Person, dict[str, str]]
) -> None:
    ada, eve, _ = people
    with_key = {"Authorization": f"Bearer {eve.key}"}
    with_cookie = {"Cookie": eve.cookie, "Origin": server.url}
    ticket = (await eve.http.post("/api/tickets")).json()["ticket"]
    async with (
        connect(server.socket, additional_headers=with_key) as first,
        connect(server.socket, additional_headers=with_cookie) as second,
        connect(
            server.socket, subprotocols=["ai-chat", f"ticket.{ticket}"], origin=server.url
        ) as third,  # type: ignore[arg-type,list-item]
    ):
        assert third.subprotocol == "ai-chat"  # the ticket is not echoed
        people_of_ada = (await ada.http.get("/api/users")).json()
        eves_id = next(one["id"] for one in people_of_ada if one["name"] == "eve")
        changed = await ada.http.patch(f"/api/users/{eves_id}", json={"disabled": True})
        assert changed.status_code == 204
        for client in (first, second, third):
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
    for headers in (with_key, with_cookie, {}):
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.socket, additional_headers=headers)
        assert refused.value.response.status_code == 401
    assert (await eve.http.get("/api/me")).status_code == 401


async def test_what_is_shared_can_be_read_until_it_is_not(
    server: Running, people: tuple[Person, Person, dict[str, str]]
) -> None:
    ada, eve, ids = people
    conversation_id = ids["conversation_id"]
    link = (await ada.http.post(f"/api/conversations/{conversation_id}/shares")).json()["link"]
    async with server.browser() as nobody:
        page = await nobody.get(link)
        assert (page.status_code, SECRET in page.text) == (200, True)
        assert "<script" not in page.text.lower()
        later = "what was said after it"
        await ask(server.socket, ada, type="chat", message=later, conversation=conversation_id)
        assert later not in (await nobody.get(link)).text  # a snapshot
        shares = (await ada.http.get("/api/shares")).json()
        for share in shares:
            assert (await eve.http.delete(f"/api/shares/{share['id']}")).status_code == 404
            assert (await ada.http.delete(f"/api/shares/{share['id']}")).status_code == 204
        assert (await nobody.get(link)).status_code == 404


async def test_scopes_hold(server: Running, people: tuple[Person, Person, dict[str, str]]) -> None:
    ada, _, ids = people
    made = {}
    for scope in ("chat", "read", "admin"):
        response = await ada.http.post("/api/keys", json={"name": scope, "scopes": [scope]})
        made[scope] = Person(server.browser(), response.json()["key"])
        made[scope].http.headers["Authorization"] = f"Bearer {made[scope].key}"
    address = f"/api/conversations/{ids['conversation_id']}"
    for scope, reads, writes, administers in (
        ("chat", 403, 200, 403),
        ("read", 200, 403, 403),
        ("admin", 403, 403, 200),
    ):
        http = made[scope].http
        assert (await http.get("/api/conversations")).status_code == reads, scope
        assert (await http.get(f"{address}/export?format=json")).status_code == reads, scope
        assert (await http.patch(address, json={"title": "t"})).status_code == writes, scope
        assert (await http.get("/api/users")).status_code == administers, scope
        assert (await http.get("/api/keys")).status_code == administers, scope
        (last,) = (await ask(server.socket, made[scope], type="chat", message="Hi"))[-1:]
        assert last["type"] == ("done" if scope == "chat" else "error"), scope
        await http.aclose()
