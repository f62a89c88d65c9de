"""Conversations over REST."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
import zipfile
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from wireside.api.errors import ErrorResponses
from wireside.api.routes.conversations import ConversationRoutes
from wireside.api.routes.folders import FolderRoutes
from wireside.chat.asking import NEW
from wireside.chat.service import ChatService
from wireside.messages import Options
from wireside.providers.scripted import ScriptedProvider
from wireside.records import Feedback
from wireside.store.store import SqlStore
from wireside.transfer.import_limits import ImportLimits
from wireside.transfer.sharing import Sharing


@pytest.fixture
def import_limits() -> ImportLimits:
    return ImportLimits()


@pytest.fixture
async def http(chat: ChatService, import_limits: ImportLimits) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    ErrorResponses(count=lambda _: None).register_handlers(app)
    routes = ConversationRoutes(lambda text: f"<p>{text}</p>", time.time, import_limits)
    app.include_router(routes.build_router())
    app.include_router(FolderRoutes().build_router())

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"chat": chat}
        await app(scope, receive, send)

    transport = httpx2.ASGITransport(asked)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://test/api/conversations", follow_redirects=True
    ) as client:
        yield client


@pytest.fixture
def ask(chat: ChatService, provider: ScriptedProvider) -> Any:
    """Ask a question, have it answered, and return the conversation's id."""

    async def ask_and_answer(question: str, text: str = "an answer", where: str = NEW) -> str:
        number = len(provider.calls)
        conversation, turn = await chat.ask_in_conversation(
            where, question, key=None, options=Options()
        )
        call = await provider.call(number)
        call.say(text)
        call.finish()
        while turn.is_live or not turn.segments:
            await asyncio.sleep(0.001)
        return conversation.id

    return ask_and_answer


async def test_the_list_is_paged_by_key(http: httpx2.AsyncClient, ask: Any) -> None:
    for number in range(5):
        await ask(f"question {number}")
    first = (await http.get("", params={"limit": 3})).json()
    rest = (await http.get("", params={"limit": 3, "cursor": first["cursor"]})).json()
    titles = [c["title"] for c in first["conversations"] + rest["conversations"]]
    assert titles == [f"question {n}" for n in (4, 3, 2, 1, 0)]
    assert rest["cursor"] is None
    assert (await http.get("", params={"limit": 0})).status_code == 422


async def test_a_conversation_is_read_by_page(http: httpx2.AsyncClient, ask: Any) -> None:
    name = await ask("one", "1")
    for word in ("two", "three"):
        await ask(word, word, name)
    page = (await http.get(f"/{name}", params={"limit": 2})).json()
    assert [t["question"] for t in page["turns"]] == ["two", "three"]
    assert page["total"] == 3
    answer = page["turns"][1]["answer"][0]
    assert (answer["state"], answer["head"], answer["reason"]) == ("finished", 5, "stop")
    assert answer["parts"][0] == {
        "type": "text", "text": "three", "name": None, "call": None, "state": None,
        "arguments": None, "result": None, "kind": None, "part": None, "data": None,
    }  # fmt: skip
    before = page["turns"][0]["index"]
    earlier = (await http.get(f"/{name}", params={"before": before})).json()
    assert [t["question"] for t in earlier["turns"]] == ["one"]
    missing = await http.get("/nowhere")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_what_changes_is_told_and_kept(http: httpx2.AsyncClient, ask: Any) -> None:
    name = await ask("one")
    other = await ask("two")
    changes = {"title": "  A  name ", "pinned": True, "tags": ["a", "b", "a"]}
    changed = (await http.patch(f"/{name}", json=changes)).json()
    assert (changed["title"], changed["pinned"], changed["tags"]) == ("A name", True, ["a", "b"])
    listed = (await http.get("")).json()["conversations"]
    assert [c["id"] for c in listed] == [name, other]
    assert [c["id"] for c in (await http.get("", params={"tag": "b"})).json()["conversations"]] == [
        name
    ]
    await http.patch(f"/{name}", json={"archived": True})
    assert [c["id"] for c in (await http.get("")).json()["conversations"]] == [other]
    archived = (await http.get("", params={"archived": True})).json()["conversations"]
    assert [c["id"] for c in archived] == [name]
    refused = await http.patch(f"/{name}", json={"title": " "})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_message")


async def test_deleting_can_be_taken_back(http: httpx2.AsyncClient, ask: Any) -> None:
    name = await ask("a wombat")
    assert (await http.delete(f"/{name}")).status_code == 204
    assert (await http.get(f"/{name}")).status_code == 404
    assert (await http.get("/search", params={"q": "wombat"})).json()["hits"] == []
    assert (await http.post(f"/{name}/restore")).json()["id"] == name
    assert (await http.get(f"/{name}")).json()["total"] == 1
    assert (await http.delete("/nowhere")).status_code == 404
    assert (await http.post("/nowhere/restore")).status_code == 404


async def test_search_says_where(http: httpx2.AsyncClient, ask: Any) -> None:
    name = await ask("Which animal digs?", "The wombat digs deep.")
    hits = (await http.get("/search", params={"q": "WOMB deep"})).json()["hits"]
    assert [(h["conversation"], h["kind"]) for h in hits] == [(name, "answer")]
    assert hits[0]["snippet"][1::2] == ["womb", "deep"]
    assert hits[0]["turn"]
    kinds = [h["kind"] for h in (await http.get("/search?q=animal")).json()["hits"]]
    assert sorted(kinds) == ["question", "title"]


async def test_an_empty_conversation_can_be_begun_and_gone_on_with(
    http: httpx2.AsyncClient, ask: Any
) -> None:
    created = await http.post("", json={"title": "Plans"})
    assert created.status_code == 201
    await ask("first", where=created.json()["id"])
    page = (await http.get(f"/{created.json()['id']}")).json()
    assert (page["title"], page["total"]) == ("Plans", 1)


async def test_files_go_out_and_in(http: httpx2.AsyncClient, ask: Any) -> None:
    names = [await ask("one <b>", "**1**"), await ask("two", "2")]
    markdown = await http.get(f"/{names[0]}/export")
    assert markdown.headers["content-type"].startswith("text/markdown")
    assert "**1**" in markdown.text
    html = await http.get(f"/{names[0]}/export", params={"format": "html"})
    assert "<p>**1**</p>" in html.text
    assert "one <b>" not in html.text
    both = await http.get("/export", params={"ids": ",".join(names)})
    assert len(json.loads(both.text)["conversations"]) == 2
    unchanged = (await http.post("/import", content=both.content)).json()
    assert (unchanged["imported"], unchanged["unchanged"]) == (0, 2)
    for name in names:
        await http.delete(f"/{name}")
    result = (await http.post("/import", content=both.content)).json()
    assert (result["imported"], result["passed_over"]) == (2, 0)
    again = (await http.get(f"/{result['conversations'][0]}")).json()
    assert again["turns"][0]["question"] == "one <b>"
    assert again["turns"][0]["answer"][0]["parts"][0]["text"] == "**1**"
    refused = await http.post("/import", content=b"no json")
    assert refused.status_code == 400
    assert "conversations.json" in refused.json()["message"]


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "Asia/Calcutta", "Etc/GMT+5", "US/Pacific", "+05:30"]
)
async def test_a_file_names_the_zone_of_its_times(
    http: httpx2.AsyncClient, ask: Any, zone: str
) -> None:
    name = await ask("one", "1")
    for kind in ("markdown", "html"):
        said = await http.get(f"/{name}/export", params={"format": kind, "tz": zone})
        assert f"{zone})" in said.text
    assert "(UTC)" in (await http.get(f"/{name}/export")).text


@pytest.mark.parametrize(
    "zone",
    ["Nowhere/Town", "../etc/passwd", "/etc/passwd", "Europe", "zone.tab", "", "a\0", "+99:00"],
)
async def test_a_zone_that_is_none_is_refused(
    http: httpx2.AsyncClient, ask: Any, zone: str
) -> None:
    said = await http.get(f"/{await ask('one', '1')}/export", params={"tz": zone})
    assert (said.status_code, "tz" in said.json()["message"]) == (400, True)


async def test_a_file_that_is_imported_again_updates_what_it_continues(
    http: httpx2.AsyncClient,
) -> None:
    def message(number: int, sender: str, text: str) -> dict[str, str]:
        at = f"2025-02-19T10:00:0{number}Z"
        return {"uuid": str(number), "sender": sender, "text": text, "created_at": at}

    def export(*messages: dict[str, str]) -> bytes:
        at = {"created_at": "2025-02-19T10:00:00Z", "updated_at": "2025-02-19T10:01:00Z"}
        chat = {"uuid": "c", "name": "A chat", **at, "chat_messages": list(messages)}
        return json.dumps([chat, chat]).encode()

    first = (message(1, "human", "Hi"), message(2, "assistant", "Hello"))
    more = (*first, message(3, "human", "More"), message(4, "assistant", "Of course"))

    async def put_in(data: bytes) -> tuple[int, int, int]:
        counts = (await http.post("/import", content=data)).json()
        return counts["imported"], counts["updated"], counts["unchanged"]

    async def there() -> list[tuple[str, int]]:
        listed = (await http.get("")).json()["conversations"]
        found = [(await http.get(f"/{one['id']}")).json() for one in listed]
        return [(one["title"], one["total"]) for one in found]

    assert await put_in(export(*first)) == (1, 0, 1), "twice in one file is once"
    assert await put_in(export(*first)) == (0, 0, 2)
    (listed,) = (await http.get("")).json()["conversations"]
    await http.patch(f"/{listed['id']}", json={"title": "My title", "tags": ["a"]})
    assert await put_in(export(*more)) == (0, 1, 1)
    assert await there() == [("My title", 2)]
    assert await put_in(export(*first)) == (0, 0, 2), "an older file changes nothing"
    assert await there() == [("My title", 2)]


@pytest.mark.parametrize("field", ["created_at", "turns"])
async def test_a_file_without_times_is_known_again(http: httpx2.AsyncClient, field: str) -> None:
    def message(sender: str, text: str) -> dict[str, str]:
        at = {} if field == "turns" else {"created_at": "2025-02-19T10:00:01Z"}
        return {"uuid": text, "sender": sender, "text": text, **at}

    def export(*messages: dict[str, str]) -> bytes:
        return json.dumps([{"uuid": "c", "name": "A chat", "chat_messages": messages}]).encode()

    async def put_in(data: bytes) -> tuple[int, int, int]:
        counts = (await http.post("/import", content=data)).json()
        return counts["imported"], counts["updated"], counts["unchanged"]

    first = (message("human", "Hi"), message("assistant", "Hello"))
    more = (*first, message("human", "Hi again"), message("assistant", "Yes?"))
    assert await put_in(export(*first)) == (1, 0, 0)
    assert await put_in(export(*first)) == (0, 0, 1)
    assert await put_in(export(*more)) == (0, 1, 0)
    assert await put_in(export(*more)) == (0, 0, 1)
    assert len((await http.get("")).json()["conversations"]) == 1


async def test_an_update_keeps_what_was_chosen_and_shared(
    http: httpx2.AsyncClient, chat: ChatService, store: SqlStore
) -> None:
    def export(*turns: str) -> bytes:
        at = "2025-02-19T10:00:00Z"
        made: list[dict[str, Any]] = [
            {"id": text, "parent": parent, "question": text, "created_at": at, "answer": []}
            for text, parent in zip(turns, (None, *turns), strict=False)
        ]
        one = {"id": "x", "title": "A chat", "created_at": at, "updated_at": at, "turns": made}
        whole = {"format": "wireside", "version": 1, "conversations": [one]}
        return json.dumps(whole).encode()

    (name,) = (await http.post("/import", content=export("one"))).json()["conversations"]
    turn = (await http.get(f"/{name}")).json()["turns"][0]["id"]
    await store.set_feedback(name, turn, Feedback("up", "fine"))
    await store.keep_options(name, Options(model="chosen"))
    sharing = Sharing(store.accounts, str, lambda: 0.0, audience="public")
    opened = await chat.library.open_conversation(name)
    assert opened is not None
    _, secret = await sharing.share_conversation(chat.library, opened)
    result = (await http.post("/import", content=export("one", "two"))).json()
    assert result["updated"] == 1
    (new,) = result["conversations"]
    stored = await store.conversation(new)
    assert stored is not None
    assert stored.options == Options(model="chosen")
    page = (await http.get(f"/{new}")).json()
    assert [turn["feedback"] for turn in page["turns"]] == ["up", None]
    await store.purge_conversations(float("inf"))
    assert "one" in await sharing.page_of_secret(secret)


async def test_others_are_served_while_an_answer_is_rendered_for_a_file(
    chat: ChatService, ask: Any
) -> None:
    begun, served = threading.Event(), threading.Event()

    def render(text: str) -> str:
        begun.set()
        return f"{text} {served.wait(5)}"

    routes = ConversationRoutes(render, lambda: 0)
    response = await routes.export(chat.library, await ask("one", "1"), "html")
    rest = asyncio.create_task(_joined(response.body_iterator))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    served.set()  # in time only if the event loop is not blocked
    assert "1 True" in await rest


async def _joined(pieces: AsyncIterable[Any]) -> str:
    return "".join([str(piece) async for piece in pieces])


@pytest.mark.parametrize("import_limits", [ImportLimits(max_conversations=2)])
async def test_nothing_is_kept_of_a_file_that_is_refused_at_its_end(
    http: httpx2.AsyncClient,
) -> None:
    chat = {"mapping": {"q": {"message": {"author": {"role": "user"}, "content": {"text": "Q"}}}}}
    refused = await http.post("/import", content=json.dumps([chat] * 3))
    assert (refused.status_code, "more than 2" in refused.json()["message"]) == (400, True)
    assert (await http.get("")).json()["conversations"] == []


async def test_a_broken_file_in_an_archive_is_counted(http: httpx2.AsyncClient) -> None:
    chat = {"mapping": {"q": {"message": {"author": {"role": "user"}, "content": {"text": "Q"}}}}}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("conversations-0.json", json.dumps([chat]))
        archive.writestr("conversations-1.json", "no json")
    counts = (await http.post("/import", content=packed.getvalue())).json()
    assert (counts["imported"], counts["passed_over"]) == (1, 1)


async def test_everybody_brings_one_file_at_a_time(http: httpx2.AsyncClient) -> None:
    """A second import of a user is refused with 429; imports of other users are queued.

    A user with a hundred uploads at once would fill the disk and delay the other users.
    """
    begun, rest = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"no "
        begun.set()
        await rest.wait()
        yield b"json"

    first = asyncio.create_task(http.post("/import", content=slow()))
    await begun.wait()
    second = await http.post("/import", content=b"no json")
    assert (second.status_code, second.json()["code"]) == (429, "too_many")
    rest.set()
    assert (await first).status_code == 400
    assert (await http.post("/import", content=b"no json")).status_code == 400, "it is free again"


async def test_a_deletion_that_is_taken_back_twice_is_answered_the_same(
    http: httpx2.AsyncClient, ask: Any
) -> None:
    name = await ask("a question")
    assert (await http.post("/nowhere/restore")).status_code == 404
    await http.delete(f"/{name}")
    first = await http.post(f"/{name}/restore")
    again = await http.post(f"/{name}/restore")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()


@pytest.mark.parametrize("cursor", ["-1", "9223372036854775808", "1" * 400])
async def test_a_cursor_that_no_search_gave_is_refused(
    http: httpx2.AsyncClient, cursor: str
) -> None:
    response = await http.get("/search", params={"q": "a", "cursor": cursor})
    assert response.status_code == 422


@pytest.mark.parametrize("changes", [{"archived": 0}, {"pinned": "yes"}, {"title": 7}])
async def test_a_change_of_another_type_is_refused(
    http: httpx2.AsyncClient, ask: Any, changes: dict[str, object]
) -> None:
    name = await ask("a question")
    assert (await http.patch(f"/{name}", json=changes)).status_code == 422


async def test_a_conversation_is_copied(http: httpx2.AsyncClient, ask: Any) -> None:
    name = await ask("one")
    await ask("two", where=name)
    turn = (await http.get(f"/{name}")).json()["turns"][0]["id"]
    whole = await http.post(f"/{name}/copies", json={})
    part = await http.post(f"/{name}/copies", json={"turn": turn})
    assert (whole.status_code, part.status_code) == (201, 201)
    assert (await http.get(f"/{whole.json()['id']}")).json()["total"] == 2
    assert (await http.get(f"/{part.json()['id']}")).json()["total"] == 1
    assert (await http.post(f"/{name}/copies", json={"turn": "none"})).status_code == 404
    assert (await http.post("/none/copies", json={})).status_code == 404


async def test_an_answer_is_edited(http: httpx2.AsyncClient, ask: Any) -> None:
    name = await ask("one", "The first text.")
    turn = (await http.get(f"/{name}")).json()["turns"][0]["id"]
    edited = await http.post(f"/{name}/turns/{turn}/edits", json={"text": "Another text."})
    assert edited.status_code == 201
    (shown,) = (await http.get(f"/{name}")).json()["turns"]
    assert shown["id"] == edited.json()["turn"] != turn
    assert (shown["sibling"], shown["siblings"]) == (1, 2)
    texts = [part["text"] for part in shown["answer"][-1]["parts"] if part["type"] == "text"]
    assert texts == ["Another text."]
    blank = await http.post(f"/{name}/turns/{turn}/edits", json={"text": " "})
    assert (blank.status_code, blank.json()["code"]) == (400, "bad_message")
    missing = await http.post(f"/{name}/turns/none/edits", json={"text": "a"})
    assert missing.status_code == 404
    assert (await http.post(f"/none/turns/{turn}/edits", json={"text": "a"})).status_code == 404


async def test_older_turns_are_summarised_and_that_is_undone(
    http: httpx2.AsyncClient, ask: Any, provider: ScriptedProvider
) -> None:
    name = await ask("one")
    nothing = await http.post(f"/{name}/summaries")
    assert (nothing.status_code, nothing.json()) == (200, {"outcome": "nothing"})
    for question in ("two", "three", "four"):
        await ask(question, where=name)
    asked = asyncio.create_task(http.post(f"/{name}/summaries"))
    call = await provider.call(len(provider.calls))
    call.say("What was said.")
    call.finish()
    assert (await asked).json() == {"outcome": "done"}
    turns = (await http.get(f"/{name}")).json()["turns"]
    summarised = [
        turn["id"]
        for turn in turns
        if any("What was said." in str(part) for part in turn["answer"][-1]["parts"])
    ]
    assert summarised == [turns[1]["id"]]
    assert (await http.delete(f"/{name}/summaries/{turns[0]['id']}")).status_code == 404
    assert (await http.delete(f"/{name}/summaries/{turns[1]['id']}")).status_code == 204
    last = (await http.get(f"/{name}")).json()["turns"][1]["answer"][-1]["parts"][-1]
    assert (last["kind"], last["data"]["undone"]) == ("summary", True)
    assert (await http.post("/none/summaries")).status_code == 404


async def test_folders_are_created_filled_renamed_and_deleted(
    http: httpx2.AsyncClient, ask: Any
) -> None:
    folders = "http://test/api/folders"
    made = await http.post(folders, json={"name": "Work"})
    assert made.status_code == 201
    folder = made.json()["id"]
    inside, outside = await ask("one"), await ask("two")
    moved = await http.patch(f"/{inside}", json={"folder": folder})
    assert moved.json()["folder"] == folder

    async def listed(query: str) -> list[str]:
        page = (await http.get(f"?folder={query}")).json()
        return [one["id"] for one in page["conversations"]]

    assert await listed(folder) == [inside]
    assert await listed("") == [outside]
    assert (await http.patch(f"/{inside}", json={"title": "x"})).json()["folder"] == folder
    refused = await http.patch(f"/{inside}", json={"title": "y", "folder": "none"})
    assert refused.status_code == 404
    assert (await http.get(f"/{inside}")).json()["title"] == "x"  # all of it was refused
    assert (await http.post(folders, json={"name": "work"})).json()["id"] == folder
    renamed = await http.patch(f"{folders}/{folder}", json={"name": "Office"})
    assert renamed.json()["name"] == "Office"
    exported = await http.get(f"/{inside}/export", params={"format": "json"})
    assert exported.json()["conversations"][0]["folder"] == "Office"
    assert (await http.delete(f"{folders}/{folder}")).status_code == 204
    assert (await http.delete(f"{folders}/{folder}")).status_code == 404
    assert (await http.get(f"/{inside}")).json()["folder"] is None
    changed = exported.text.replace("re one", "other").replace("an answer", "another")
    imported = (await http.post("/import", content=changed)).json()
    (fresh,) = imported["conversations"]
    (office,) = (await http.get(folders)).json()["folders"]
    assert office["name"] == "Office"
    assert (await http.get(f"/{fresh}")).json()["folder"] == office["id"]
    assert (await http.patch(f"/{fresh}", json={"folder": None})).json()["folder"] is None


async def test_a_search_has_filters(http: httpx2.AsyncClient, ask: Any) -> None:
    one, two = await ask("about wombats"), await ask("more wombats")
    await http.patch(f"/{one}", json={"tags": ["zoo"]})
    assert (await http.get("/tags")).json() == {"tags": [{"tag": "zoo", "conversations": 1}]}

    async def found(**params: str) -> list[tuple[str, str]]:
        response = await http.get("/search", params={"q": "wombats", **params})
        return [(hit["conversation"], hit["kind"]) for hit in response.json()["hits"]]

    assert await found(kind="title") == [(two, "title"), (one, "title")]
    assert await found(tag="zoo", kind="question") == [(one, "question")]
    assert await found(q="", tag="zoo") == [(one, "title")]
    assert await found(until="2001-01-01T00:00:00") == []
    assert len(await found(since="2001-01-01T00:00:00+02:00", model="model-a")) == 2
    assert await found(model="none") == await found(folder="none") == []
    wrong = await http.get("/search", params={"q": "x", "kind": "other"})
    assert wrong.status_code == 422


async def test_all_conversations_are_exported_and_deleted(
    http: httpx2.AsyncClient, ask: Any, chat: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wireside.chat.library.PAGE", 2)
    names = [await ask(f"question {number}") for number in range(3)]
    await http.patch(f"/{names[0]}", json={"archived": True})
    others = replace(chat.caller, user_id="another")
    kept = await chat.for_caller(others).library.create("Of another user")

    everything = (await http.get("/export")).json()["conversations"]
    assert len(everything) == 3
    assert (await http.get("/export", params={"ids": ""})).json()["conversations"] == []

    assert (await http.delete("")).status_code == 422, "not by a missing id"
    assert (await http.delete("", params={"all": "false"})).status_code == 422
    assert (await http.delete("", params={"all": "true"})).status_code == 204
    for archived in (False, True):
        listing = (await http.get("", params={"archived": archived})).json()
        assert listing["conversations"] == []
    assert (await http.get(f"/{names[1]}")).status_code == 404
    assert await chat.for_caller(others).library.open_conversation(kept.id) is not None
    assert (await http.delete("", params={"all": "true"})).status_code == 204
