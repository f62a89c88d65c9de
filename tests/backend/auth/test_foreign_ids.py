"""A walk through all doors of a real server with another user's ids: nothing opens, nothing leaks,
nothing changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
import socketio
from tests.backend.auth.whole_server import SECRET, Person, Running, ask, page_of
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from wireside.app import create_app
from wireside.settings import Settings
from wireside_ui import nowhere
from wireside_ui.components.transcript import ActionName

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
async def eve(server: Running, ada: Person) -> AsyncIterator[Person]:
    """Somebody with an account of her own."""
    eve = await server.invite(ada, "eve")
    yield eve
    await eve.http.aclose()


@pytest.fixture
async def ids(server: Running, ada: Person) -> dict[str, str]:
    """The ids of all kinds of things that Ada has."""
    return await things_of(server, ada)


async def things_of(server: Running, who: Person) -> dict[str, str]:
    """Have somebody make all kinds of things; returns their ids."""
    frames = await ask(server.socket, who, type="chat", message=SECRET, conversation="new")
    conversation_id, stream = frames[0]["conversation"], frames[0]["stream"]
    alone = await ask(server.socket, who, type="chat", message=SECRET, key="one")
    deleted = (await who.http.post("/api/conversations", json={"title": "gone"})).json()["id"]
    await who.http.delete(f"/api/conversations/{deleted}")
    shown = (await who.http.get(f"/api/conversations/{conversation_id}")).json()
    share = (await who.http.post(f"/api/conversations/{conversation_id}/shares")).json()
    keys = (await who.http.get("/api/keys")).json()
    sessions = (await who.http.get("/api/sessions")).json()
    return {
        "conversation_id": conversation_id,
        "stream": stream,
        "lone_stream": alone[0]["stream"],
        "turn": shown["turns"][0]["id"],
        "deleted_id": deleted,
        "share_id": share["id"],
        "secret": share["link"].rpartition("/")[2],
        "key_id": keys[0]["id"],
        "session_id": sessions[0]["id"],
        "user_id": who.id,
    }


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


@dataclass(frozen=True)
class Door:
    """What to send to a route with another's ids, and what may be answered to Eve and to nobody.

    Whatever the status, nothing of Ada's is in the answer, and nothing of hers changes.
    """

    eve: int
    nobody: int = 401
    body: Any = None
    forms: tuple[dict[str, str], ...] = ()
    query: dict[str, str] = field(default_factory=dict)

    def request(
        self, path: str, form: dict[str, str] | None, ids: dict[str, str]
    ) -> tuple[str, dict[str, Any]]:
        """Return an address, and what to send to it, with ``ids`` in their places."""

        def filled(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: filled(one) for key, one in value.items()}
            return value.format(**ids, what="nothing") if isinstance(value, str) else value

        sent = {"params": filled(self.query), "json": filled(self.body)}
        return filled(path), sent if form is None else {**sent, "data": filled(form)}


OTHERS = 404
SIGN_IN = 303

ASKED = {"id": "t0", "parent": None, "question": "Hi", "answer": []}
FILE = {
    "format": "wireside",
    "version": 1,
    "conversations": [{"title": "mine", "tags": [], "turns": [ASKED]}],
}
"""What an import takes."""

DOORS = {
    "GET /api/openapi.json": Door(200),
    "GET /api/health/live": Door(200, 200),
    "GET /api/health/ready": Door(200, 200),
    "GET /api/models": Door(200),
    "GET /metrics": Door(200, 200),
    "GET /api/conversations": Door(200),
    "POST /api/conversations": Door(201, body={"title": "mine"}),
    "GET /api/conversations/search": Door(200, query={"q": SECRET[:5]}),
    "GET /api/conversations/export": Door(OTHERS, query={"ids": "{conversation_id}"}),
    "POST /api/conversations/import": Door(200, body=FILE),
    "GET /api/conversations/{conversation_id}": Door(OTHERS),
    "PATCH /api/conversations/{conversation_id}": Door(OTHERS, body={"title": "mine now"}),
    "DELETE /api/conversations/{conversation_id}": Door(OTHERS),
    "POST /api/conversations/{conversation_id}/restore": Door(OTHERS),
    "GET /api/conversations/{conversation_id}/export": Door(OTHERS, query={"format": "json"}),
    "POST /api/conversations/{conversation_id}/shares": Door(OTHERS),
    "GET /api/me": Door(200),
    "POST /api/tickets": Door(201),
    "GET /api/keys": Door(200),
    "POST /api/keys": Door(201, body={"name": "n", "scopes": ["read"]}),
    "DELETE /api/keys/{key_id}": Door(OTHERS),
    "GET /api/sessions": Door(200),
    "DELETE /api/sessions/{session_id}": Door(OTHERS),
    "GET /api/users": Door(403),
    "POST /api/users": Door(403, body={"role": "admin"}),
    "PATCH /api/users/{user_id}": Door(403, body={"role": "viewer", "disabled": True}),
    "DELETE /api/users/{user_id}": Door(403),
    "POST /api/users/{user_id}/reset": Door(403),
    "GET /api/audit": Door(403),
    "GET /api/shares": Door(200),
    "DELETE /api/shares/{share_id}": Door(OTHERS),
    "GET /api/doctor/echo": Door(200),
    "POST /api/doctor/echo": Door(200),
    "GET /api/doctor/stream": Door(200),
    "POST /api/doctor/large": Door(200),
    "POST /api/doctor/judge": Door(400, body={"what": "{conversation_id}"}),
    "GET /api/doctor/judge": Door(422),
    "GET /logo": Door(200, 200),
    "GET /manifest.webmanifest": Door(200, 200),
    "GET /login": Door(SIGN_IN, 200, query={"next": "/c/{conversation_id}"}),
    "POST /login": Door(403, 403, forms=({"name": "ada", "password": "guessed at random"},)),
    "GET /join": Door(404, 404, query={"link": "{secret}"}),
    "POST /join": Door(404, 404, forms=({"link": "{secret}", "password": "guessed at random"},)),
    "GET /oidc/login": Door(303, 303),
    "GET /oidc/callback": Door(303, 303, query={"state": "{session_id}", "code": "c"}),
    "GET /doctor": Door(200, SIGN_IN),
    "GET /settings": Door(200, SIGN_IN),
    "POST /settings/{what}": Door(404, forms=({},)),
    "POST /settings/keys/revoke": Door(404, forms=({"key": "{key_id}"},)),
    "POST /settings/shares/revoke": Door(404, forms=({"share": "{share_id}"},)),
    "POST /settings/sessions": Door(404, forms=({"session": "{session_id}"},)),
    "GET /people": Door(403, SIGN_IN),
    "POST /people/{user_id}": Door(
        403,
        forms=(
            {"do": "disable"},
            {"do": "enable"},
            {"do": "role", "role": "viewer"},
            {"do": "reset"},
            {"do": "remove"},
            {"do": "something else"},
        ),
    ),
    "POST /people/invite": Door(403, forms=({"role": "admin"}, {"take_back": "{share_id}"})),
    "GET /audit": Door(403, SIGN_IN, query={"q": "ada"}),
    "GET /dashboard": Door(SIGN_IN, SIGN_IN),
    "GET /": Door(200, SIGN_IN, query={"turn": "{turn}"}),
    "GET /c/{conversation_id}": Door(OTHERS, SIGN_IN, query={"turn": "{turn}"}),
    "POST /logout": Door(303, forms=({},)),  # the last one: Eve is out
}

ELSEWHERE = {
    "GET /s/{secret}": "test_what_is_shared_can_be_read_until_it_is_not",
    "WS /ws/ai-chat": "test_no_frame_reaches_another_users_streams",
    "WS /ws/doctor": "test_the_doctors_socket_needs_somebody",
    "MOUNT /_nicegui_ws": "test_no_event_of_a_page_reaches_another_users_things",
}
"""What is no request and answer, and where it is looked at."""

NOBODYS = ("/assets", "/_nicegui/", "/api/{path}")
"""Files of the program, and what answers that there is nothing."""


def doors_of(routes: Iterable[Any], prefix: str = "") -> Iterator[str]:
    """Every door of a server."""
    for route in routes:
        if included := getattr(route, "original_router", None):
            yield from doors_of(included.routes, prefix)
            continue
        if isinstance(route, nowhere._Unknown):
            continue  # what answers that there is nothing
        path = re.sub(":path}", "}", prefix + route.path)
        if path.startswith(NOBODYS):
            continue
        kind = type(route).__name__
        if kind == "Mount" and path != "/_nicegui_ws":
            yield from doors_of(route.routes, path)
        elif kind == "Mount":
            yield f"MOUNT {path}"
        elif kind == "WebSocketRoute":
            yield f"WS {path}"
        else:
            yield from (f"{method} {path}" for method in route.methods - {"HEAD"})


def test_every_door_is_walked_through(tmp_path: Path) -> None:
    """A route that is new needs an entry: what may somebody get there with another's ids?"""
    app = create_app(Settings(auth="password", sharing="public", data_dir=tmp_path))
    found = set(doors_of(app.routes))
    by_name = {"POST /settings/{what}", "POST /people/{user_id}"}
    parts = {name for name in DOORS if name.startswith(("POST /settings/", "POST /people/"))}
    assert found >= by_name
    assert found - {*DOORS, *ELSEWHERE} == set(), "has no entry"
    assert {*DOORS, *ELSEWHERE} - found - parts == set(), "is not there any more"


async def test_no_door_opens_to_another_users_ids(
    server: Running, ada: Person, eve: Person, ids: dict[str, str]
) -> None:
    before = await state_of(ada, ids)

    wrong: list[str] = []
    async with server.browser() as nobody, server.browser() as with_key:
        with_key.headers["Authorization"] = f"Bearer {eve.key}"
        for name, door in DOORS.items():
            method, path = name.split(" ", 1)
            for form in door.forms or (None,):
                address, request = door.request(path, form, ids)
                sent = address + repr(request)
                for who, wanted in ((nobody, door.nobody), (with_key, None), (eve.http, door.eve)):
                    response = await who.request(method, address, **request)
                    told = response.text + str(response.headers)
                    if (
                        response.status_code >= 500
                        or wanted not in (response.status_code, None)
                        or any(text in told for text in (SECRET, "join?link"))
                        or any(text in told and text not in sent for text in ids.values())
                    ):
                        wrong.append(f"{name} {form}: {response.status_code} not {wanted}")
    assert wrong == []
    assert await state_of(ada, ids) == before
    assert SECRET in (await ada.http.get(f"/c/{ids['conversation_id']}")).text


async def test_the_doctors_socket_needs_somebody(
    server: Running, ada: Person, eve: Person, ids: dict[str, str]
) -> None:
    address = server.socket.replace("ai-chat", "doctor")
    with pytest.raises(InvalidStatus) as refused:
        await connect(address)
    assert refused.value.response.status_code == 401
    async with connect(address, additional_headers=eve.with_key):
        pass


async def test_no_frame_reaches_another_users_streams(
    server: Running, ada: Person, eve: Person, ids: dict[str, str]
) -> None:
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


async def test_no_page_is_given_to_somebody_else(
    server: Running, ada: Person, eve: Person, ids: dict[str, str]
) -> None:
    """Not by its name in the address, not by a handshake, not by a message that names it."""
    before = await state_of(ada, ids)
    async with (
        page_of(server, ada, f"/c/{ids['conversation_id']}") as page,
        aclosing(page.again()) as named,
        aclosing(page.again()) as intruder,
    ):
        with pytest.raises(socketio.exceptions.ConnectionError):
            await named.connect(eve.with_cookie)
        await intruder.connect(eve.with_cookie, names_itself=False)
        assert not await intruder.claim()
        for name in page.listeners:  # ada's page is there, and would hear it
            for args in foreign(ids)[name]:
                await intruder.say(name, args)
        for name in ("javascript_response", "ack", "log"):
            message = {"client_id": page.client_id, "request_id": "1", "next_message_id": 10**6}
            await intruder.send_raw(name, {**message, "level": "info", "message": SECRET})
        assert not await intruder.claim()  # after all that was said
        assert intruder.told == []
        await page.say("transcript copy", {"id": ids["turn"], "ask": "it is still hers"})
        await page.waits_for("it is still hers")
    assert await state_of(ada, ids) == before


def foreign(ids: dict[str, str]) -> dict[str, list[Any]]:
    """Every event that the chat page's components listen to, with what is Ada's in it."""
    conversation, turn, stream = ids["conversation_id"], ids["turn"], ids["stream"]
    names = [conversation, ids["deleted_id"], turn, stream, ids["share_id"], ids["user_id"]]
    sending = {"question": "Hi", "options": {}}
    actions = get_args(ActionName)
    return {
        "q-layout sub_pages_open": [f"/c/{conversation}"],
        "q-layout sub_pages_navigate": [f"/c/{conversation}"],
        "sidebar need": [
            {"cursor": cursor, "archived": archived}
            for cursor in (None, *names)
            for archived in (True, False)
        ],
        "sidebar search": [
            {"query": query, "cursor": None} for query in (SECRET[:7], SECRET[0], *names)
        ],
        "sidebar rename": [{"id": name, "title": "mine now"} for name in names],
        "sidebar pin": [{"ids": names, "on": on} for on in (True, False)],
        "sidebar archive": [{"ids": names, "on": on} for on in (True, False)],
        "sidebar delete": [{"ids": [name]} for name in names],
        "sidebar restore": [{"ids": names}],
        "model_picker retry": [None],
        "status visible": [False, True],
        "transcript action": [
            {"name": action, "id": name, "words": "mine", "automatic": automatic}
            for action in actions
            for name in (turn, stream)
            for automatic in (True, False)
        ],
        "transcript need": [0, 1],
        "transcript copy": [{"id": name, "ask": "a"} for name in names],
        "composer send": [
            {**sending, "turn_id": turn, "edits": None},
            {**sending, "turn_id": turn, "edits": turn},
            {**sending, "turn_id": "edits", "edits": turn},
            {**sending, "turn_id": "stream", "edits": stream},
            {**sending, "turn_id": stream, "edits": None},
        ],
        "composer stop": [None],
        "composer editLast": [None],
        "composer open": [
            *({"id": name, "turn": turn} for name in names),
            *({"id": name, "turn": None} for name in names),
        ],
    }


async def test_no_event_of_a_page_reaches_another_users_things(
    server: Running, ada: Person, eve: Person, ids: dict[str, str]
) -> None:
    """Eve's own page says everything that a page can say, with Ada's ids: on an empty page, and
    with a conversation of hers open.
    """
    before = await state_of(ada, ids)
    own = (await ask(server.socket, eve, type="chat", message="own", conversation="new"))[0]
    own_turn = (await eve.http.get(f"/api/conversations/{own['conversation']}")).json()["turns"][0]
    events = foreign(ids)
    for path in ("/", f"/c/{own['conversation']}"):
        async with page_of(server, eve, path) as page:
            assert page.listeners.keys() == events.keys()  # what is new needs an entry
            for name, different in events.items():
                if name == "composer open" and path != "/":
                    continue  # it would leave the conversation: it comes last
                for args in different:
                    await page.say(name, args)
                await page.has_been_heard()
            if path != "/":
                await page.say("transcript copy", {"id": own_turn["id"], "ask": "eve's own"})
                await page.waits_for("eve's own")
                assert "own" in json.dumps(page.told)
            for args in events["composer open"]:
                await page.say("composer open", args)
            await page.has_been_heard()
            assert SECRET not in json.dumps(page.told)
            assert '"mine now"' not in json.dumps(page.told)
    assert await state_of(ada, ids) == before
    # the same from ada's own page is heard: what was said above was well said
    async with page_of(server, ada, "/") as page:
        for args in events["composer open"]:
            await page.say("composer open", args)
        await page.waits_for(SECRET)
        await page.say("sidebar rename", events["sidebar rename"][0])
        await page.waits_for("mine now")
    assert await state_of(ada, ids) != before


async def test_what_is_shared_can_be_read_until_it_is_not(
    server: Running, ada: Person, eve: Person, ids: dict[str, str]
) -> None:
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
