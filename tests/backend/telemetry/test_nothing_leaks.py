"""Every error is raised with a key and a message in play.

The log contains neither, and no client, reader or monitor receives the key.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.backend.opened_page import opened_page
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer, failure
from wireside.testing.scripts import Script, error_event, json_page, page

pytestmark = pytest.mark.slow

KEY = "canary-of-a-key-7f3a9b2c41d8"
WORDS = "canary of a question: the blue heron stands on 471139066281 legs"
SAID = "canary of an answer: herons have two"
TOKEN = "canary-of-a-token-551284017763"

BOTH = f"refused {KEY} because of {WORDS}"
LEAK = re.compile(r"canary|heron|47113906|55128401|7f3a9b2c", re.IGNORECASE)
"""Parts of the secrets, too long to occur in a process id, port or time by chance."""

SECRET = re.compile(r"canary.of.a.(key|token)|7f3a9b2c|55128401", re.IGNORECASE)
"""The secrets that no client may receive, not even the one that has asked."""

REFUSALS: list[Script] = [
    *(failure(status, BOTH) for status in (400, 401, 402, 403, 404, 408, 409, 413, 422, 500, 503)),
    failure(429, BOTH, retry_after=60),
    failure(400, BOTH, code="content_filter", kind=BOTH, param=BOTH),
    failure(400, BOTH, code=WORDS),
    failure(400, "maximum context length: " + BOTH),
    json_page({"detail": BOTH}, 422),
    json_page([BOTH], 400),
    page(BOTH, 502),
    page(BOTH),
    page(BOTH, content_type="text/event-stream"),
    page(f"data: {BOTH}\n\n", content_type="text/event-stream"),
    page(f'{{"choices": "{BOTH}"}}', content_type="application/json"),
    Script((error_event(BOTH, code="server_error"),)),
    answer([SAID]).insert(1, error_event(f"after {SAID}: {BOTH}")).up_to(1),
    answer([SAID, SAID]).insert(1, error_event(f"after {SAID}")),
    answer([SAID, SAID]).insert(1, f"data: {SAID} is no JSON\n\n".encode()),
    answer([SAID, SAID]).cut(1),
    answer([SAID, SAID]).cut(1, "rst"),
    answer([SAID, SAID]).insert(1, b"\r\n" + SAID.encode() + b"\r\n"),
    answer([SAID, SAID]).stalled(1),
    answer([SAID], finish=None, done=False),
    answer([SAID]),
]
BAD_FRAMES: list[str | bytes] = [
    WORDS,
    json.dumps([WORDS]),
    json.dumps({"type": WORDS}),
    json.dumps({"type": "chat", "message": [WORDS]}),
    json.dumps({"type": "chat", "message": WORDS * 5000}),
    json.dumps({"type": "chat", "id": WORDS, "message": WORDS}),
    json.dumps({"type": "chat", "id": "a", "message": WORDS, "key": [WORDS]}),
    json.dumps({"type": "chat", "id": "b", "message": WORDS, "conversation": WORDS}),
    json.dumps({"type": "chat", "id": "c", "message": WORDS, "attachments": [WORDS]}),
    json.dumps({"type": "chat", "id": "d", "message": WORDS, "model": WORDS}),
    json.dumps({"type": "resume", "id": "e", "stream": WORDS, "offset": 0}),
    json.dumps({"type": "resume", "id": "f", "stream": "x", "offset": WORDS}),
    json.dumps({"type": "batch", "messages": [WORDS, 5]}),
    json.dumps({"type": "ping", "t": WORDS}),
    '{"message": "' + WORDS + '\ud83d"}',
]

Start = Callable[..., Any]


@pytest.fixture
async def lab() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as running:
        yield running


@pytest.fixture
async def start(lab: FakeOpenAI, tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start_server(**settings: str) -> ServerProcess:
            server = ServerProcess(
                tmp_path,
                lab.url,
                OPENAI_API_KEY=KEY,
                title_model=None,
                metrics_token=TOKEN,
                log_level="debug",
                log_interval_s=0.5,
                silence_s=1,
                messages_per_minute=10_000,
                **settings,
            )
            return await stack.enter_async_context(server)

        yield start_server


async def ask(client: ClientConnection, **fields: object) -> dict[str, Any]:
    """Ask, and return the last frame, which has the conversation's id; check all for secrets."""
    await client.send(json.dumps({"type": "chat", "message": WORDS, **fields}))
    conversation = ""
    while True:
        received = await client.recv()
        assert not SECRET.search(str(received))
        frame: dict[str, Any] = json.loads(received)
        conversation = frame.get("conversation", conversation)
        if frame["type"] in ("done", "error"):
            return {**frame, "conversation": conversation}


async def send_raw(server: ServerProcess, frame: str | bytes) -> None:
    async with connect(server.socket_url) as client:
        try:
            await client.send(frame)
            async with asyncio.timeout(0.3):
                while True:
                    assert not SECRET.search(str(await client.recv()))
        except (TimeoutError, ConnectionClosed):
            pass


async def seen_of(server: ServerProcess, conversations: list[str]) -> dict[str, str]:
    """Return everything readable of conversations and of the server, head and body, by path."""
    formats = ("markdown", "json", "html")
    paths = ["/api/conversations", "/api/health/live", "/api/health/ready", "/api/models"]
    for one in conversations:
        exports = [f"/api/conversations/{one}/export?format={name}" for name in formats]
        paths += [f"/api/conversations/{one}", *exports]
    found: dict[str, str] = {}
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as http:
        for path in paths:
            response = await http.get(path)
            assert response.status_code == 200, path
            found[path] = f"{dict(response.headers)} {response.text}"
        metrics = await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert metrics.status_code == 200
        found["/metrics"] = f"{dict(metrics.headers)} {metrics.text}"
    for one in conversations:
        async with opened_page(server.url, f"/c/{one}") as page:
            await page.until(WORDS)
            found[f"/c/{one}"] = page.text
    return found


@pytest.mark.timeout(120)
async def test_what_the_model_s_server_says(start: Start, lab: FakeOpenAI) -> None:
    server = await start(log_format="json")
    ends = []
    for number, refusal in enumerate(REFUSALS):
        lab.answer_with(refusal, refusal, refusal)  # also for retries
        async with connect(server.socket_url) as client:
            where = {"conversation": "new"} if number % 2 else {}
            ends.append(await ask(client, id="q", **where))
        lab.forget()
    conversations = [end["conversation"] for end in ends if end["conversation"]]
    assert len(conversations) == len(REFUSALS) // 2
    for path, text in (await seen_of(server, conversations)).items():
        assert not SECRET.search(text), path
        is_of_one = any(one in path for one in conversations)
        assert not is_of_one or WORDS in text, path  # has the message, but not the secrets
    failed = [end["code"] for end in ends if end["type"] == "error"]
    assert len(failed) >= len(REFUSALS) - 4
    assert len(set(failed)) >= 7, "the errors of the tree that a provider can raise"
    assert server.log.count("model_service_failed") >= len(failed) - 4
    assert [request for request in lab.chats if KEY in request.headers["authorization"]]
    assert not LEAK.findall(server.log)
    lines = [json.loads(line) for line in server.log.splitlines()]
    told = [line for line in lines if line["event"] == "model_service_failed"]
    assert all("connection" in line and "stream" in line for line in told)
    assert len({line["connection"] for line in told}) == len({line["stream"] for line in told})


@pytest.mark.timeout(120)
async def test_what_clients_send(start: Start, lab: FakeOpenAI) -> None:
    server = await start()
    for frame in BAD_FRAMES:
        if isinstance(frame, bytes):
            await send_raw(server, frame)
            continue
        await send_raw(server, frame.encode(errors="surrogatepass"))
        if "\ud83d" not in frame:
            await send_raw(server, frame)
    headers = {"Authorization": f"Bearer {KEY}", "Cookie": f"session={KEY}"}
    async with httpx2.AsyncClient(base_url=server.url, headers=headers) as http:
        assert (await http.get("/metrics")).status_code == 401
        good = await http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert good.status_code == 200
        assert not LEAK.findall(good.text)
        answers: list[httpx2.Response] = []
        for path in (
            "/",
            "/api/conversations",
            "/api/conversations/search",
            "/api/nope",
            "/ws/ai-chat",
        ):
            query = {"q": WORDS, "ticket": KEY, "cursor": WORDS, "limit": WORDS}
            answers.append(await http.get(path, params=query))
        for body in (WORDS, json.dumps([{"title": WORDS, "mapping": WORDS}]), json.dumps(WORDS)):
            for path in ("/api/conversations/import", "/api/conversations"):
                as_json = {"Content-Type": "application/json"}
                answers.append(await http.post(path, content=body, headers=as_json))
        foreign = await http.get("/", headers={"Host": "evil.example", "Origin": f"http://{KEY}"})
        assert foreign.status_code == 400
        for response in (*answers, foreign, good):
            told = f"{dict(response.headers)} {response.text}"
            assert not SECRET.search(told), response.request.url.path
    while "server_metrics" not in server.log:
        await asyncio.sleep(0.05)
    assert server.log.count("request") > 10
    assert not LEAK.findall(server.log)


@pytest.mark.timeout(120)
async def test_what_the_store_can_t_keep(start: Start, lab: FakeOpenAI, tmp_path: Path) -> None:
    server = await start()
    lab.answer_with(answer([SAID] * 60, rate=20))
    async with connect(server.socket_url) as client:
        asking = asyncio.create_task(ask(client, id="q", conversation="new"))
        while not lab.open_streams:
            await asyncio.sleep(0.01)
        with sqlite3.connect(tmp_path / "wireside.db", isolation_level=None) as other:
            tables = [
                name
                for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                if "piece" in name or "segment" in name or "stream" in name
            ]
            assert tables
            for name in tables:
                other.execute(f"ALTER TABLE {name} RENAME TO gone_{name}")
        other.close()
        assert (await asking)["type"] == "done"
    await asyncio.to_thread(server.stop)
    assert "saving_is_behind" in server.log
    assert not LEAK.findall(server.log)
