"""``wireside.client`` with a real server: answers, batches, conversations, files, cuts, memory."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.clients import python_cuts
from tests.clients.wires import Wire
from tests.server_process import ServerProcess
from wireside.client import (
    AsyncClient,
    Client,
    ClientClosed,
    ConnectionLost,
    WiresideError,
)
from wireside.client.address import ServerAddress
from wireside.client.rest import RestApi
from wireside.errors import NotFound, Unauthorized, UnknownModel
from wireside.testing import FakeOpenAI, answer


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.url) as connected:
        yield connected


@pytest.fixture
def sync_client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.url) as connected:
        yield connected


async def test_an_answer_is_read_by_pieces_or_whole(client: AsyncClient, lab: FakeOpenAI) -> None:
    lab.answer_with(answer("One two three"), answer("Four"))
    reply = client.ask("Hi", system="Be brief.", temperature=0, max_tokens=9)
    pieces = [piece async for piece in reply]
    assert "".join(pieces) == "One two three"
    assert (reply.reason, reply.is_over, reply.is_saved) == ("stop", True, True)
    assert reply.model
    assert reply.usage.output_tokens
    assert await client.ask("Hi").text() == "Four"
    assert [m["content"] for m in lab.chats[-2].body["messages"]] == ["Be brief.", "Hi"]
    assert client.metrics.average_latency_s is not None
    assert client.metrics.messages_received > 4


async def test_reasoning_is_a_part(client: AsyncClient) -> None:
    kinds = [piece.type async for piece in client.ask("/lab reasoning").parts()]
    assert {"reasoning", "chunk"} <= set(kinds)


async def test_errors_have_classes_and_the_text_before_them_is_read(client: AsyncClient) -> None:
    with pytest.raises(UnknownModel):
        await client.ask("Hi", model="nope").text()
    text = ""
    with pytest.raises(WiresideError) as caught:
        async for piece in client.ask("/lab cut"):
            text += piece
    assert text
    assert caught.value.code.startswith("provider_")
    with pytest.raises(NotFound):
        await client.follow("nothing").started()


async def test_leaving_the_block_stops_the_answer(client: AsyncClient, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(["One ", "b"]).stalled(1))
    async with client.ask("Hi") as reply:
        async for piece in reply:
            assert piece == "One "
            break
    await reply.end()
    assert reply.reason == "cancelled"


async def test_a_stop_reaches_the_server_before_the_client_is_closed(
    server: ServerProcess, lab: FakeOpenAI
) -> None:
    lab.answer_with(answer(["One ", "b"]).stalled(1))
    async with AsyncClient(server.url) as client:
        reply = client.ask("Hi")
        await anext(aiter(reply))
        reply.stop()
    async with AsyncClient(server.url) as client:
        assert reply.stream
        again = client.follow(reply.stream)
        assert await again.text() == "One "
        assert again.reason == "cancelled"


async def test_a_parallel_batch(client: AsyncClient, lab: FakeOpenAI) -> None:
    batch = client.batch([f"Say {number}" for number in range(5)], parallel=3)
    ended = [reply.index async for reply in batch.as_ended()]
    assert sorted(index or 0 for index in ended) == list(range(5))
    expected = FakeOpenAI.text(300)
    assert [await reply.text() for reply in batch] == [expected] * 5
    lab.answer_with(answer(["One ", "b"]).stalled(1), answer(["One ", "b"]).stalled(1))
    batch = client.batch(["x", "y", "z"], parallel=2)
    await batch.answers[1].started()
    batch.answers[1].stop()
    await batch.answers[1].end()
    assert batch.answers[1].reason == "cancelled"
    assert await batch.answers[2].text() == expected
    batch.stop()
    await batch.answers[0].end()
    assert batch.answers[0].reason == "cancelled"
    for wrong in ([], "text", ["x"] * 21):
        with pytest.raises(WiresideError):
            client.batch(wrong)


async def test_a_conversation_is_stored_listed_and_deleted(
    client: AsyncClient, lab: FakeOpenAI
) -> None:
    lab.answer_with(answer("Blue."), answer("Why?"), answer("A title"))
    conversation = client.conversation()
    first, second = conversation.ask("What colour?"), conversation.ask("Really?")
    assert (await first.text(), await second.text()) == ("Blue.", "Why?")
    assert conversation.id is not None
    assert first.conversation == second.conversation == conversation.id
    stored = await client.rest.conversation(conversation.id)
    assert [(turn.question, turn.answer[0].text) for turn in stored.turns] == [
        ("What colour?", "Blue."),
        ("Really?", "Why?"),
    ]
    changed = await client.rest.change_conversation(conversation.id, title="Colours", tags=["a"])
    assert (changed.title, changed.tags) == ("Colours", ["a"])
    listed = await client.rest.conversations(limit=200)
    assert conversation.id in {info.id for info in listed.conversations}
    assert any(hit.conversation == conversation.id for hit in await client.rest.search("colour"))
    assert b"Blue." in await client.rest.export_conversation(conversation.id)
    await client.rest.delete_conversation(conversation.id)
    with pytest.raises(NotFound):
        await client.rest.conversation(conversation.id)


async def test_files_are_part_of_a_question(
    client: AsyncClient, lab: FakeOpenAI, tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("The sky is green.")
    uploads = [await client.upload(file), await client.upload(b"As bytes.", "b.txt")]
    with file.open("rb") as opened:
        uploads.append(await client.upload(opened))
    assert [upload.name for upload in uploads] == ["notes.txt", "b.txt", "notes.txt"]
    assert await client.rest.download(uploads[1].id) == b"As bytes."
    await client.ask("What does it say?", attachments=uploads).end()
    assert "The sky is green." in str(lab.chats[-1].body["messages"][-1]["content"])
    assert "As bytes." in str(lab.chats[-1].body["messages"][-1]["content"])


async def test_models_and_the_account(client: AsyncClient) -> None:
    assert [model.id for model in await client.rest.models()][:1] == ["lab-1"]
    assert "chat" in (await client.rest.account()).scopes


async def test_answers_go_on_after_the_connection_is_lost(
    client: AsyncClient, lab: FakeOpenAI
) -> None:
    client._core._dice = lambda: 0.02
    lab.answer_with(answer(["one ", *(["-"] * 20), "two"], rate=20))
    reply = client.ask("Hi")
    assert await anext(aiter(reply)) == "one "
    assert client._socket is not None
    client._socket.transport.abort()
    assert await reply.text() == "-" * 20 + "two"
    assert client.metrics.reconnect_count == 1


async def test_a_server_that_is_not_there_is_waited_for(server: ServerProcess) -> None:
    states: list[str] = []
    async with AsyncClient("127.0.0.1:1", on_state=lambda state, _: states.append(state)) as client:
        reply = client.ask("Hi")
        while client.state != "waiting" or client.error is None:
            await asyncio.sleep(0.01)
        assert isinstance(client.error, ConnectionLost)
        with pytest.raises(ConnectionLost):
            await client.rest.models()
    with pytest.raises(ClientClosed):
        await reply.text()
    assert states[:2] == ["connecting", "waiting"]
    assert states[-1] == "closed"


async def test_accounts_need_a_key(closed: ServerProcess) -> None:
    async with AsyncClient(closed.url) as client:
        with pytest.raises(Unauthorized):
            await client.ask("Hi").text()
        assert client.state == "closed"
    user = {"X-Forwarded-User": "ada", "Remote-User": "ada"}
    async with AsyncClient(closed.url, key="wrong", headers=user) as client:
        with pytest.raises(Unauthorized):
            await client.ask("Hi").text()


ADA = {"X-Forwarded-User": "ada"}


async def test_keys_and_tickets_are_accepted_until_they_are_revoked(
    closed: ServerProcess, lab: FakeOpenAI
) -> None:
    async with httpx2.AsyncClient(base_url=closed.url, headers=ADA) as http:
        made = (await http.post("/api/keys", json={"name": "client", "scopes": ["chat"]})).json()
        async with AsyncClient(closed.url, key=made["key"]) as client:
            client._core._dice = lambda: 0.02
            assert (await client.rest.account()).name == "ada"
            assert await client.ask("/lab say keyed").text() == "keyed"
            async with AsyncClient(closed.url, ticket=client.rest.ticket) as other:
                assert await other.ask("/lab say by ticket").text() == "by ticket"
            lab.answer_with(answer(["One ", "b"]).stalled(1))
            reply = client.ask("Hi")
            await anext(aiter(reply))
            await http.delete(f"/api/keys/{made['id']}")
            with pytest.raises(Unauthorized):
                await reply.end()


async def test_a_ticket_that_can_not_be_fetched_is_tried_again(
    server: ServerProcess, lab: FakeOpenAI
) -> None:
    reasons: list[str] = []
    faults = iter([OSError("The shop is closed."), ValueError("none")])

    async def ticket() -> str:
        if (fault := next(faults, None)) is not None:
            raise fault
        return "abc"

    def note(state: str, error: WiresideError | None) -> None:
        reasons.append(str(error))
        raise RuntimeError("of the caller's function")

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with AsyncClient(server.url, ticket=ticket, on_state=note) as client:
        client._core._dice = lambda: 0.02
        assert await client.ask("/lab say here").text() == "here"
    assert [text for text in reasons if "could not be fetched" in text] == [
        "The ticket could not be fetched: The shop is closed.",
        "The ticket could not be fetched: none",
    ]


async def test_a_server_on_this_machine_is_reached_without_the_proxy_of_the_environment(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with AsyncClient(server.url) as client:
        assert await client.rest.models()
        assert await client.ask("/lab say here").text() == "here"


async def test_header_fields_are_sent_to_the_api_too(closed: ServerProcess) -> None:
    async with AsyncClient(closed.url, headers=ADA) as client:
        assert (await client.rest.account()).name == "ada"
        assert await client.ask("/lab say here").text() == "here"


async def test_a_silent_connection_is_replaced(
    server: ServerProcess, lab: FakeOpenAI, wire: Wire
) -> None:
    wire.open()
    lab.answer_with(answer(["One ", *(["-"] * 20)], rate=20))
    url = f"http://127.0.0.1:{wire.port}"
    async with AsyncClient(url, ping_s=0.2, silence_s=0.4) as client:
        client._core._dice = lambda: 0.02
        reply = client.ask("Hi")
        assert await anext(aiter(reply)) == "One "
        wire.swallow()
        while client.state == "connected":
            await asyncio.sleep(0.01)
        assert client.error is not None
        wire.open()
        assert await reply.text() == "-" * 20


async def test_a_failure_of_the_client_itself_ends_its_answers(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise KeyError("unforeseen")

    monkeypatch.setattr(client, "_connect", fail)
    with pytest.raises(ConnectionLost, match="unforeseen"):
        await client.ask("Hi").text()


async def test_a_slow_reader_pauses_the_connection_and_loses_nothing(
    client: AsyncClient, lab: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wireside.client.aio.MAX_UNREAD_CHARS", 500)
    lab.answer_with(answer("0123456789" * 2_000))
    reply, other = client.ask("Hi"), client.ask("/lab say other")
    await asyncio.sleep(0.3)
    assert client._unread_chars < 100_000
    text = "".join([piece async for piece in reply])
    assert text == "0123456789" * 2_000
    assert await other.text() == "other"


async def test_answers_that_nothing_reads_do_not_pause_the_connection(
    client: AsyncClient, lab: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wireside.client.aio.MAX_UNREAD_CHARS", 500)
    lab.answer_with(*(answer("0123456789" * 1_000) for _ in range(3)))
    dropped = [client.ask("Hi") for _ in range(3)]
    await asyncio.sleep(0.2)
    del dropped
    gc.collect()
    assert await client.ask("/lab say other").text() == "other"


def test_the_client_without_asyncio(sync_client: Client, lab: FakeOpenAI, tmp_path: Path) -> None:
    lab.answer_with(answer("One two"), answer("Three"))
    reply = sync_client.ask("Hi")
    assert "".join(reply) == "One two"
    assert (reply.reason, reply.open_question, reply.error) == ("stop", None, None)
    conversation = sync_client.conversation()
    assert conversation.ask("Hi").text() == "Three"
    assert conversation.id
    rest = sync_client.rest
    assert rest.conversation(conversation.id).total == 1
    assert rest.conversations().conversations
    rest.change_conversation(conversation.id, pinned=True)
    rest.delete_conversation(conversation.id)
    rest.restore_conversation(conversation.id)
    rest.delete_conversation(conversation.id)
    assert rest.models()[0].id == "lab-1"
    upload = sync_client.upload(b"x", "x.txt")
    assert rest.download(upload.id) == b"x"
    rest.delete_upload(upload.id)
    batch = sync_client.batch(["a", "b"], parallel=2)
    assert {reply.index for reply in batch.as_ended()} == {0, 1}
    assert [len(reply.text()) for reply in batch] == [len(FakeOpenAI.text(300))] * 2
    with pytest.raises(UnknownModel):
        sync_client.ask("Hi", model="nope").text()
    assert sync_client.state == "connected"
    assert sync_client.metrics.messages_sent > 3
    with pytest.raises(ValueError, match="no address"):
        Client("ftp://x")


def test_many_threads_share_a_client(sync_client: Client) -> None:
    texts: list[str] = []
    threads = [
        threading.Thread(target=lambda: texts.append(sync_client.ask("Hi").text()))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [FakeOpenAI.text(300)] * 12


def test_closing_twice_and_asking_after_it(server: ServerProcess) -> None:
    client = Client(server.url)
    client.open()
    client.close()
    client.close()
    with pytest.raises(ClientClosed):
        client.ask("Hi")


@pytest.mark.parametrize(
    ("url", "base", "socket"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "ws://127.0.0.1:8080/ws/ai-chat"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", "ws://127.0.0.1:8080/ws/ai-chat"),
        ("localhost", "http://localhost", "ws://localhost/ws/ai-chat"),
        ("chat.example.com", "https://chat.example.com", "wss://chat.example.com/ws/ai-chat"),
        ("wss://x.org/ws/ai-chat", "https://x.org", "wss://x.org/ws/ai-chat"),
        (
            "https://x.org/tools/chat/",
            "https://x.org/tools/chat",
            "wss://x.org/tools/chat/ws/ai-chat",
        ),
        ("[::1]:8080", "http://[::1]:8080", "ws://[::1]:8080/ws/ai-chat"),
    ],
)
def test_addresses(url: str, base: str, socket: str) -> None:
    address = ServerAddress.parse(url)
    assert (address.base_url, address.socket_url) == (base, socket)


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:port", "http://x:"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        ServerAddress.parse(url)


async def test_a_server_of_another_kind_is_named(lab: FakeOpenAI) -> None:
    rest = RestApi(ServerAddress.parse(lab.url))
    with pytest.raises(WiresideError):
        await rest.models()
    await rest.aclose()


@pytest.mark.timeout(120)
def test_cuts_lose_nothing_and_ask_nothing_twice(tmp_path: Path) -> None:
    found = asyncio.run(python_cuts.run(tmp_path, cuts=40, mean_s=0.4, clients=6))
    assert found["errors"] == []
    assert found["cuts"] >= 40
    assert (found["wrong"], found["answers"]) == (0, found["asked"])


async def test_the_memory_of_a_long_stream_is_flat(client: AsyncClient, lab: FakeOpenAI) -> None:
    lab.answer_with(*(answer(["0123456789" * 100] * 1_000) for _ in range(4)))
    ours = [
        tracemalloc.Filter(True, f"*/{package}/*")
        for package in ("wireside/client", "wireside/protocol", "websockets")
    ]
    sizes = []
    tracemalloc.start()
    try:
        for _ in range(4):
            async for piece in client.ask("Hi"):
                assert piece
            del piece  # a reader that lags gets a large one
            gc.collect()
            traces = tracemalloc.take_snapshot().filter_traces(ours).traces
            sizes.append(sum(trace.size for trace in traces))
    finally:
        tracemalloc.stop()
    assert sizes[-1] - sizes[1] < 50_000  # of 2 MB that were read in between
