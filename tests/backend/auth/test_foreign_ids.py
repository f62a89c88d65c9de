"""A walk through all doors of a real server with another user's ids: nothing opens, nothing leaks,
nothing changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import socketio
from tests.backend.auth.whole_server import SECRET, Person, Running, ask, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
async def people(server: Running) -> AsyncIterator[tuple[Person, Person, dict[str, str]]]:
    """Ada, who has all kinds of things; Eve; and the ids of what Ada has."""
    ada = await server.join(server.link, "ada")
    eve = await server.invite(ada, "eve")
    frames = await ask(server.socket, ada, type="chat", message=SECRET, conversation="new")
    conversation_id, stream = frames[0]["conversation"], frames[0]["stream"]
    alone = await ask(server.socket, ada, type="chat", message=SECRET, key="one")
    shown = (await ada.http.get(f"/api/conversations/{conversation_id}")).json()
    share = await ada.http.post(f"/api/conversations/{conversation_id}/shares")
    keys = (await ada.http.get("/api/keys")).json()
    sessions = (await ada.http.get("/api/sessions")).json()
    ids = {
        "conversation_id": conversation_id,
        "stream": stream,
        "lone_stream": alone[0]["stream"],
        "turn": shown["turns"][0]["id"],
        "share_id": share.json()["id"],
        "key_id": keys[0]["id"],
        "session_id": sessions[0]["id"],
        "user_id": ada.id,
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
