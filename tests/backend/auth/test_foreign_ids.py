"""Requests to every endpoint of a real server with another user's ids have no effect.

No access, no leak, no change.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import socketio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.backend.auth.doors import DOORS, ELSEWHERE, doors_of, foreign, things_of
from tests.backend.auth.whole_server import SECRET, Person, Running, ask, page_of
from wireside.app import create_app
from wireside.settings.model import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
async def eve(server: Running, ada: Person) -> AsyncIterator[Person]:
    """Another user, with an account of her own."""
    eve = await server.invite(ada, "eve")
    yield eve
    await eve.http.aclose()


@pytest.fixture
async def ids(server: Running, ada: Person) -> dict[str, str]:
    """The ids of all kinds of things that Ada owns."""
    return await things_of(server, ada)


async def state_of(ada: Person, ids: dict[str, str]) -> list[Any]:
    paths = (
        f"/api/conversations/{ids['conversation_id']}",
        f"/api/conversations/{ids['conversation_id']}/comments",
        "/api/conversations",
        "/api/prompts",
        "/api/presets",
        "/api/keys",
        "/api/sessions",
        "/api/shares",
        "/api/users",
    )
    seen = [(await ada.http.get(path)).json() for path in paths]
    text = re.sub(r'"(seen_at|used_at)": *("[^"]*"|null)', "", json.dumps(seen))
    return [text]


def test_every_door_is_walked_through(tmp_path: Path) -> None:
    """A new route needs an entry that defines the response to another user's ids."""
    app = create_app(Settings(auth="password", sharing="public", data_dir=tmp_path))
    found = set(doors_of(app.app.routes))
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


async def test_no_response_opens_to_another_user(
    server: Running, ada: Person, eve: Person, ids: dict[str, str]
) -> None:
    for name in (ids["stream"], ids["lone_stream"]):
        for more in ("", "?stream=true", "/input_items"):
            path = f"/v1/responses/resp_{name}{more}"
            has_items = name == ids["stream"] or not more.startswith("/")
            assert ((await ada.http.get(path)).status_code == 200) == has_items
            refused = await eve.http.get(path)
            assert refused.status_code == 404
            assert SECRET not in refused.text


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
    # idempotency keys are separate for each user
    frames = await ask(server.socket, eve, type="chat", message=SECRET, key="one")
    assert frames[0]["stream"] != ids["lone_stream"]
    assert await state_of(ada, ids) == before


async def test_no_page_is_given_to_somebody_else(
    server: Running, ada: Person, eve: Person, ids: dict[str, str]
) -> None:
    """A page is given neither by its id in the address, nor in a handshake, nor in a message."""
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
        for name in page.listeners:  # ada's page exists, and would receive the event
            for args in foreign(ids)[name]:
                await intruder.say(name, args)
        for name in ("javascript_response", "ack", "log"):
            message = {"client_id": page.client_id, "request_id": "1", "next_message_id": 10**6}
            await intruder.send_raw(name, {**message, "level": "info", "message": SECRET})
        assert not await intruder.claim()  # after all these events
        assert intruder.told == []
        await page.say("transcript copy", {"id": ids["turn"], "ask": "it is still hers"})
        await page.waits_for("it is still hers")
    assert await state_of(ada, ids) == before


async def test_no_event_of_a_page_reaches_another_users_things(
    server: Running, ada: Person, eve: Person, ids: dict[str, str]
) -> None:
    """No event of Eve's page reads or changes Ada's data.

    The page sends every event that a page can send, with Ada's ids: from an empty page, and with a
    conversation of hers open.
    """
    before = await state_of(ada, ids)
    own = (await ask(server.socket, eve, type="chat", message="own", conversation="new"))[0]
    own_turn = (await eve.http.get(f"/api/conversations/{own['conversation']}")).json()["turns"][0]
    events = foreign(ids)
    for path in ("/", f"/c/{own['conversation']}"):
        async with page_of(server, eve, path) as page:
            assert page.listeners.keys() == events.keys()  # a new listener needs an entry
            for name, different in events.items():
                if name == "composer open" and path != "/":
                    continue  # it would leave the conversation, so it is sent last
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
    # the same events from Ada's own page work: the ones above were well-formed
    async with page_of(server, ada, "/") as page:
        for args in events["composer open"]:
            await page.say("composer open", args)
            await page.has_been_heard()  # one that is overtaken by the next is not shown
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
        assert later not in (await nobody.get(link)).text  # a shared link is a snapshot
        shares = (await ada.http.get("/api/shares")).json()
        for share in shares:
            assert (await eve.http.delete(f"/api/shares/{share['id']}")).status_code == 404
            assert (await ada.http.delete(f"/api/shares/{share['id']}")).status_code == 204
        assert (await nobody.get(link)).status_code == 404


async def test_no_frame_of_the_ai_sdk_reaches_another_users_chats(
    server: Running, ada: Person, eve: Person, ids: dict[str, str]
) -> None:
    before = await state_of(ada, ids)
    address = server.socket.replace("ai-chat", "ai-sdk")
    with pytest.raises(InvalidStatus) as refused:
        await connect(address)
    assert refused.value.response.status_code == 401
    chat = ids["conversation_id"]
    message = {"id": ids["turn"], "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    asking: dict[str, Any] = {"id": chat, "headers": {}, "body": {}, "messages": [message]}
    frames: list[dict[str, Any]] = [
        {"type": "resume", "id": chat, "headers": {}, "body": {}},
        {"type": "send", "trigger": "submit-message", "messageId": ids["turn"], **asking},
        {"type": "send", "trigger": "regenerate-message", "messageId": ids["stream"], **asking},
    ]
    async with connect(address, additional_headers=eve.with_key) as socket:
        for number, frame in enumerate(frames):
            await socket.send(json.dumps({**frame, "requestId": str(number)}))
            while True:
                text = await socket.recv(decode=True)
                assert SECRET not in text
                if json.loads(text)["type"] in ("end", "error", "no-active"):
                    break
    assert await state_of(ada, ids) == before
    ticket = (await eve.http.post("/api/tickets")).json()["ticket"]
    page = {"Origin": eve.http.headers["Origin"]}
    async with connect(f"{address}?ticket={ticket}", additional_headers=page):
        pass
    with pytest.raises(InvalidStatus) as refused:  # a ticket of the query is valid once, too
        await connect(f"{address}?ticket={ticket}", additional_headers=page)
    assert refused.value.response.status_code == 401
