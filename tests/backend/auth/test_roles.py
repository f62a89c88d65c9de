"""What roles and scopes allow, at every endpoint of a real server (docs/accounts.md)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection
from itertools import product
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from tests.backend.auth.doors import DOORS, Need, foreign, things_of
from tests.backend.auth.whole_server import Person, Running, ask, page_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

READ_ONLY = "You may read here, but not write."
REFUSED = (READ_ONLY, "This key may not read conversations.", "Only administrators may do this.")

SLOW = "/lab endless 5"

Ids = dict[str, str]


async def walk(who: Person, ids: Ids, needs: Collection[Need]) -> dict[str, list[httpx2.Response]]:
    """Send a request with ``ids`` to each endpoint that needs one of ``needs``."""
    found: dict[str, list[httpx2.Response]] = {}
    for name, door in DOORS.items():
        method, path = name.split(" ", 1)
        if door.needs not in needs or path in ("/login", "/join", "/logout"):
            continue
        for form in door.forms or (None,):
            address, request = door.request(path, form, ids)
            found.setdefault(name, []).append(await who.http.request(method, address, **request))
    return found


def is_a_page(name: str) -> bool:
    return not name.partition(" ")[2].startswith(("/api/", "/v1/", "/metrics"))


def is_refused(response: httpx2.Response) -> bool:
    return response.status_code == 403 and any(words in response.text for words in REFUSED)


def leads_to_who_may_not(name: str, response: httpx2.Response) -> bool:
    """Whether the response is the dashboard's redirect to a page that names the missing role.

    The dashboard is a NiceGUI page, so it redirects instead of answering 403.
    """
    return (name, response.status_code, response.headers.get("location")) == (
        "GET /dashboard", 303, "/audit",
    )  # fmt: skip


OPEN = frozenset(
    {
        "GET /asyncapi.json",
        "GET /docs",
        "GET /docs/protocol",
        "GET /favicon.ico",
        "GET /icon.svg",
        "GET /logo",
        "GET /manifest.webmanifest",
        "GET /service-worker.js",
        "GET /wireside/favicon.ico",
    }
)
"""Pages and files for every caller, with or without credentials."""

MAY: dict[str, frozenset[Need]] = {
    "chat": frozenset({"nothing", "chat"}),
    "read": frozenset({"nothing", "read"}),
    "admin": frozenset({"nothing", "admin", "a person"}),
}
"""The needs that a key of each scope satisfies."""

ALL: frozenset[Need] = frozenset({"nothing", "read", "chat", "admin", "a person"})


def none_of(ids: Ids) -> Ids:
    """Return ids that do not exist, so that an allowed request changes nothing."""
    return {name: value[::-1] for name, value in ids.items()}


@pytest.mark.parametrize("scope", ["chat", "read", "admin"])
async def test_a_key_opens_the_doors_of_its_scope(server: Running, ada: Person, scope: str) -> None:
    """A key reaches the endpoints of its scope only.

    Requests of an administrator's key, with the administrator's ids: what the scope excludes is
    refused and has no effect, what it allows is done; pages do not accept keys.
    """
    ids = await things_of(server, ada)
    made = await ada.http.post("/api/keys", json={"name": "walks", "scopes": [scope]})
    program = server.program(made.json()["key"])
    before = await all_of(ada)
    refused = await walk(program, ids, ALL - MAY[scope])
    let_in = await walk(program, none_of(ids), MAY[scope])
    assert {*refused, *let_in} >= {name for name in DOORS if not is_a_page(name)}
    for name, answers in (refused | let_in).items():
        for answer in answers:
            where = f"{name}: {answer.status_code} {answer.text[:200]}"
            if name in OPEN or "/oidc/" in name:
                continue  # open to every caller
            if (name, scope) == ("POST /api/keys", "admin"):
                continue  # a key grants no scopes that it lacks, here reading
            if is_a_page(name):
                is_read = name.startswith("GET")
                assert answer.status_code == (303 if is_read else 401), where
                assert not is_read or answer.headers["location"].startswith("/login"), where
            else:
                assert is_refused(answer) == (name in refused), where
                assert answer.status_code not in (401, 500), where
    if scope == "read":
        assert await all_of(ada) == before
    await program.http.aclose()


@pytest.mark.parametrize("scope", ["chat", "read", "admin"])
async def test_a_key_may_say_what_its_scope_allows(
    server: Running, ada: Person, scope: str
) -> None:
    """Asking needs ``chat``; following an answer needs ``read`` or ``chat``."""
    ids = await things_of(server, ada)
    made = await ada.http.post("/api/keys", json={"name": "asks", "scopes": [scope]})
    program = server.program(made.json()["key"])
    for question in (
        {"message": "Hi"},
        {"message": "Hi", "conversation": "new"},
        {"message": "Hi", "conversation": ids["conversation_id"]},
    ):
        last = (await ask(server.socket, program, type="chat", **question))[-1]
        assert last["type"] == ("done" if scope == "chat" else "error"), question
        assert scope == "chat" or last["message"] == READ_ONLY
    for stream in (ids["stream"], ids["lone_stream"]):
        last = (await ask(server.socket, program, type="resume", stream=stream, offset=0))[-1]
        assert last["type"] == ("error" if scope == "admin" else "done")
    await program.http.aclose()


async def by_requests(server: Running, vera: Person, *everybodys: Ids) -> None:
    """An owner may read what is hers; a key may read less."""
    hers, adas = everybodys
    program = server.program(vera.key)
    for who, may in ((vera, {"nothing", "read", "a person"}), (program, {"nothing", "read"})):
        refused = ALL - may
        for ids in everybodys:
            answers = await walk(who, ids, refused)
            assert len(answers) >= 15
            for name, told in answers.items():
                for answer in told:
                    where = f"{name}: {answer.status_code} {answer.text[:200]}"
                    if leads_to_who_may_not(name, answer) and who is vera:
                        continue
                    if who is program and is_a_page(name):
                        assert answer.status_code in (303, 401), where
                    elif ids is hers or answer.status_code != 404:
                        assert is_refused(answer), where
        if who is vera:
            for name, told in (await walk(vera, hers, {"read"})).items():
                assert {answer.status_code for answer in told} == {200}, name
    settings = (await vera.http.get("/settings")).text
    assert f'href="/c/{hers["conversation_id"]}"' in settings  # her shared conversation is listed
    assert "/settings/shares/revoke" not in settings  # and there is no button that she may not use
    for name, told in (await walk(vera, none_of(adas), {"a person"})).items():
        assert not any(is_refused(answer) for answer in told), name
    await program.http.aclose()


async def by_frames(server: Running, vera: Person, *everybodys: Ids) -> None:
    for ids in everybodys:
        for fields in (
            {},
            {"key": "one"},
            {"key": "another"},
            {"conversation": "new"},
            {"conversation": ids["conversation_id"]},
        ):
            (told,) = await ask(server.socket, vera, type="chat", message="Hi", **fields)
            assert told["type"] == "error", fields
            if ids is everybodys[0] or fields.get("conversation", "new") == "new":
                assert told["message"] == READ_ONLY, fields
        for headers in (vera.with_key, vera.with_cookie):
            async with connect(server.socket, additional_headers=headers) as client:
                for frame in (
                    {"type": "chat", "message": "Hi"},
                    {"type": "batch", "messages": ["Hi", "Ho"]},
                    {"type": "batch", "messages": ["Hi", "Ho"], "id": "2"},
                ):
                    await client.send(json.dumps(frame))
                    for _ in frame.get("messages", ["Hi"]):
                        assert json.loads(await client.recv())["message"] == READ_ONLY
                # an answer that can be read can't be cancelled
                resume = {"type": "resume", "id": "3", "stream": ids["live"], "offset": 0}
                await client.send(json.dumps(resume))
                first = json.loads(await client.recv())
                assert first["type"] == ("resumed" if ids is everybodys[0] else "error")
                await client.send(json.dumps({"type": "cancel", "id": "3"}))
                await client.send(json.dumps({"type": "cancel"}))
                await client.send(json.dumps({"type": "ping", "id": "4", "t": 1}))
                while json.loads(await client.recv())["type"] != "pong":
                    pass


async def by_events(server: Running, vera: Person, *everybodys: Ids) -> None:
    hers = everybodys[0]
    paths = ("/", f"/c/{hers['conversation_id']}", f"/c/{hers['live_in']}")
    for path, ids in product(paths, everybodys):
        async with page_of(server, vera, path) as page:
            events = foreign(ids)
            assert page.listeners.keys() == events.keys()
            last = {"composer open": events.pop("composer open")}
            for name, different in (events | last).items():
                for args in different:
                    await page.say(name, args)
                await page.has_been_heard()
            await page.waits_for(READ_ONLY)


@pytest.mark.parametrize("write", [by_requests, by_frames, by_events])
async def test_a_viewer_changes_nothing(
    server: Running, ada: Person, write: Callable[..., Awaitable[None]]
) -> None:
    """Neither their own things, created when they were a user, nor other users'."""
    vera = await server.invite(ada, "vera")
    hers, adas = await things_of(server, vera, ada), await things_of(server, ada)
    for who, ids in ((vera, hers), (ada, adas)):
        asking = {"type": "chat", "id": "1", "message": SLOW, "conversation": "new"}
        async with connect(server.socket, additional_headers=who.with_key) as client:
            await client.send(json.dumps(asking))
            started = json.loads(await client.recv())
        ids["live"], ids["live_in"] = started["stream"], started["conversation"]
    changed = await ada.http.patch(f"/api/users/{vera.id}", json={"role": "viewer"})
    assert changed.status_code == 204
    before = [await all_of(vera), await all_of(ada)]
    await write(server, vera, hers, adas)
    assert [await all_of(vera), await all_of(ada)] == before
    await vera.http.aclose()


async def all_of(who: Person) -> list[Any]:
    """Return what a user owns and how their answers ended, without the progress of answers."""
    listed = (await who.http.get("/api/conversations")).json()["conversations"]
    seen: list[Any] = [listed, (await who.http.get("/api/shares")).json()]
    for one in listed:
        shown = (await who.http.get(f"/api/conversations/{one['id']}")).json()
        for turn in shown["turns"]:
            for stream in turn["answer"]:
                if stream["state"] == "live":
                    del stream["head"], stream["parts"], stream["saved"]
        seen.append(shown)
    users = await who.http.get("/api/users")
    if users.status_code == 200:
        seen.append([{**user, "seen_at": None} for user in users.json()])
    return seen
