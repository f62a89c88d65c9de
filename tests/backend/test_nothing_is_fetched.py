"""Addresses written by a user, a model or a request are never fetched (SSRF).

Python's audit events record the connections of a real server while some 200 addresses are sent to
every endpoint: it may connect to its model's server only. A trap listens where many of the
addresses lead, in case something connects below Python.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from websockets.asyncio.client import connect

from tests.backend.opened_page import opened_page
from tests.hostile import addresses
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

HOSTILE = Path(__file__).parents[1] / "hostile"

AT_ONCE = 9
"""Addresses in one message of a conversation."""


@dataclass
class Watched:
    """A server, the model behind it, and the recorded connections of both."""

    url: str
    lab: FakeOpenAI
    notes: Path
    canary: Path
    trap: int
    caught: list[str]

    @property
    def socket(self) -> str:
        return self.url.replace("http", "ws", 1)

    @property
    def urls(self) -> tuple[str, ...]:
        return addresses.urls(self.trap, str(self.canary))

    def http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, timeout=60)

    def asked(self) -> list[list[Any]]:
        """Return the process's audit events, except those for its model's server."""
        port = urlsplit(self.lab.url).port
        return [note for note in self.all_asked() if not _is_lab(note, port)]

    def all_asked(self) -> list[list[Any]]:
        return [json.loads(line) for line in self.notes.read_text().splitlines()]


def _is_lab(note: list[Any], port: int | None) -> bool:
    match note:
        case ["socket.connect", "127.0.0.1" | "::1", asked]:
            return bool(asked == port)
        case ["socket.getaddrinfo", "localhost" | "127.0.0.1" | "::1", asked, *_]:
            return str(asked) == str(port)
    return False


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    caught: list[str] = []

    def catch(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caught.append(str(writer.get_extra_info("peername")))
        writer.close()

    trap = await asyncio.start_server(catch, "127.0.0.1", 0)
    canary = tmp_path / "canary.txt"
    canary.write_text("a private text")
    notes = tmp_path / "notes"
    watch = (sys.executable, str(HOSTILE / "watched_server.py"), str(notes), "serve", "--port", "0")
    async with FakeOpenAI(count=3) as lab:
        server = ServerProcess(
            tmp_path,
            # by name, so that the lookup of the model's server is recorded, too
            lab.url.replace("127.0.0.1", "localhost"),
            command=watch,
            title_model=None,
            sharing="public",
            log_level="error",
            requests_per_minute=100_000,
            requests_per_minute_address=100_000,
            messages_per_minute=100_000,
            messages_per_minute_address=100_000,
        )
        async with server:
            port = trap.sockets[0].getsockname()[1]
            yield Watched(server.url, lab, notes, canary, port, caught)
    trap.close()
    await trap.wait_closed()


@pytest.fixture(autouse=True)
async def nobody_was_asked(watched: Watched) -> AsyncIterator[None]:
    """Assert that no address is fetched, and that a fetch would be recorded."""
    assert len(watched.urls) >= 200
    async with watched.http() as http:
        assert (await http.get("/api/models")).status_code == 200
    seen = {note[0] for note in watched.all_asked()}
    assert {"socket.connect", "socket.getaddrinfo"} <= seen, "the model's server is asked"
    at_start = watched.asked()  # a program that looks for libraries, for example
    assert not [note for note in at_start if note[0].startswith("socket.")]
    yield
    assert watched.asked() == at_start
    assert watched.caught == []


async def ask(client: Any, **fields: object) -> list[dict[str, Any]]:
    """Ask; return all frames up to the end."""
    await client.send(json.dumps({"type": "chat", **fields}))
    frames: list[dict[str, Any]] = []
    while not frames or frames[-1]["type"] not in ("done", "error"):
        frames.append(json.loads(await client.recv()))
    return frames


def groups(urls: Sequence[str]) -> list[str]:
    """Return texts with at most ``AT_ONCE`` addresses each."""
    return [
        "\n\n".join(map(addresses.in_markdown, urls[at : at + AT_ONCE]))
        for at in range(0, len(urls), AT_ONCE)
    ]


async def test_what_clients_and_the_model_write(watched: Watched) -> None:
    """Each question has an address, and the model answers with the same one."""
    async with connect(f"{watched.socket}/ws/ai-chat") as client:
        for number, url in enumerate(watched.urls):
            said = f"/lab say {addresses.in_markdown(url)}"
            frames = await ask(client, message=said, **({"id": "q"} if number % 2 else {}))
            assert frames[-1]["type"] == "done", url
            if number % 2:  # its own words are returned unchanged
                text = "".join(frame.get("content", "") for frame in frames)
                assert url.split("/")[0].split("<")[0] in text, url
        for url in watched.urls[::4]:
            strange = {"model": url, "attachments": [url], "conversation": url, "key": url}
            for name, value in strange.items():
                await ask(client, id="s", message="Hi", **{name: value})
            await client.send(json.dumps({"type": "resume", "id": "r", "stream": url, "offset": 0}))
            assert json.loads(await client.recv())["type"] == "error"


async def test_conversations_on_pages_in_files_and_in_lists(watched: Watched) -> None:
    texts = groups(watched.urls)
    async with watched.http() as http, connect(f"{watched.socket}/ws/ai-chat") as client:
        made = await http.post("/api/conversations", json={"title": "Addresses"})
        one = made.json()["id"]
        async with opened_page(watched.url, f"/c/{one}") as page:
            for number, text in enumerate(texts):
                said = f"/lab say {text}\n\nthat was {number}."
                assert (await ask(client, id="q", message=said, conversation=one))[-1][
                    "type"
                ] == "done"
            await page.until(f"that was {len(texts) - 1}.")
        async with opened_page(watched.url, f"/c/{one}") as again:
            await again.until(f"that was {len(texts) - 1}.")
        for name in ("markdown", "json", "html"):
            file = await http.get(f"/api/conversations/{one}/export", params={"format": name})
            assert "meta-data" in file.text
        share = await http.post(f"/api/conversations/{one}/shares")
        shared = await http.get(urlsplit(share.json()["link"]).path)
        assert "meta-data" in shared.text
        for url in watched.urls:
            title = await http.patch(f"/api/conversations/{one}", json={"title": url[:100] or "x"})
            assert title.status_code == 200, url
            found = await http.get("/api/conversations/search", params={"q": url[:200]})
            assert found.status_code == 200, url
            await http.get("/api/conversations", params={"tag": url[:40], "cursor": url[:200]})
        await http.get("/")
        for url in watched.urls[:AT_ONCE]:  # titles that the model writes
            watched.lab.answer_with(answer([addresses.in_markdown(url)]), answer([url]))
            await ask(client, id="t", message="Hi", conversation="new")


async def test_files_that_are_imported(watched: Watched) -> None:
    ours, theirs = [], []
    for number, url in enumerate(watched.urls):
        text = addresses.in_markdown(url)
        parts = [
            {"type": "text", "text": text},
            {"type": "reasoning", "text": text},
            {
                "type": "tool",
                "call": url,
                "name": url,
                "state": "done",
                "arguments": json.dumps({"url": url}),
                "result": text,
            },
        ]
        said = [{"model": url, "reason": "stop", "error": None, "usage": None, "parts": parts}]
        turn = {"id": url, "parent": None, "question": text, "created_at": "2026-01-01T00:00:00Z"}
        ours.append({"title": url, "tags": [url[:40]], "turns": [{**turn, "answer": said}]})
        pointer = {"content_type": "image_asset_pointer", "asset_pointer": url}
        message = {
            "author": {"role": "user", "metadata": {"avatar": url}},
            "content": {"content_type": "multimodal_text", "parts": [pointer, text]},
            "metadata": {"attachments": [{"id": url, "url": url}], "citations": [{"url": url}]},
        }
        node: dict[str, Any] = {"id": "a", "parent": None, "children": [], "message": message}
        theirs.append({"title": f"{number} {url}", "mapping": {"a": node}, "current_node": "a"})
    file = {"format": "wireside", "version": 1, "conversations": ours}
    async with watched.http() as http:
        for content in (file, theirs):
            result = await http.post("/api/conversations/import", content=json.dumps(content))
            assert result.status_code == 200, result.text
            names = result.json()["conversations"]
            assert len(names) >= len(watched.urls) * 0.9
            for name in names[::10]:
                html = await http.get(
                    f"/api/conversations/{name}/export", params={"format": "html"}
                )
                assert html.status_code == 200
            async with opened_page(watched.url, f"/c/{names[0]}") as page:
                await page.until("meta-data")
        for url in watched.urls:
            await http.post("/api/conversations/import", content=url)
            await http.post("/api/conversations/import", content=json.dumps({"url": url}))
            await http.get("/api/conversations/export", params={"ids": url})


async def test_heads_of_requests_and_the_doctor_s_routes(watched: Watched) -> None:
    async with watched.http() as http:
        for url in watched.urls:
            plain = url.encode("ascii", "replace").decode()
            host = urlsplit(plain.replace("[", "").replace("]", "")).netloc or "evil.invalid"
            headers = {
                "Referer": plain,
                "X-Forwarded-For": host,
                "X-Forwarded-Host": host,
                "X-Forwarded-Proto": plain,
                "X-Original-URL": plain,
                "X-Rewrite-URL": plain,
                "Forwarded": f"for={host};host={host};proto=http",
                "Via": f"1.1 {host}",
                "Link": f"<{plain}>; rel=preload",
                "SOAPAction": plain,
            }
            await http.get("/", headers={"X-Real-IP": host, "From": plain})
            await http.get("/api/doctor/echo", headers=headers)
            await http.get("/api/me", headers={"Origin": plain, "Host": host})
            await http.post("/api/tickets", json={"origin": url[:300]})
            await http.post("/api/tickets", headers={"Origin": plain})
            await http.get("/login", params={"next": url})
            await http.get("/assets/x", params={"url": url})
            measured = {"prober": "shell", "url": url, "base": url, "server": url}
            await http.post("/api/doctor/judge", json=measured)
            await http.get("/api/doctor/judge", params={"measured": json.dumps(measured)})
            await raw(watched, f"GET {plain.replace(' ', '')} HTTP/1.1\r\nHost: localhost\r\n")
            await raw(watched, f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n")
    for url in watched.urls[::20]:
        async with connect(f"{watched.socket}/ws/doctor") as client:
            await client.send(json.dumps({"type": "ping", "url": url, "host": url}))
            await client.recv()
            await client.send(json.dumps({"type": url, "url": url}))


async def raw(watched: Watched, head: str) -> None:
    """Send a request that no client library would send, and wait for its end."""
    port = urlsplit(watched.url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    async with asyncio.timeout(20):
        try:
            await reader.read(-1)
        except ConnectionResetError:
            pass
        finally:
            writer.close()
