"""The lab over real sockets, as a client without any library sees it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Literal
from urllib.parse import urlsplit

import pytest

from wireside.testing import FakeOpenAI, Repeat, Script, answer, endless, failure
from wireside.testing.magic import HELP


class Client:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def of(cls, lab: FakeOpenAI) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", urlsplit(lab.url).port))

    def ask(self, question: str = "Hi", stream: bool = True, key: str = "k") -> None:
        messages = [{"role": "user", "content": question}]
        body = json.dumps({"messages": messages, "stream": stream}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: lab\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)

    async def head(self) -> str:
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def body(self) -> bytes:
        """A chunked body to its end."""
        pieces: list[bytes] = []
        while size := int(await self.reader.readline(), 16):
            pieces.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return b"".join(pieces)

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


def plain(script: Script) -> bytes:
    return b"".join(step for step in script.body if isinstance(step, bytes))


@pytest.mark.parametrize(
    "script",
    [answer(20), answer(20, rate=2000), answer(20).in_pieces(1), answer(20).stalled(3, 0.01)],
)
async def test_a_script_is_sent_to_the_byte(script: Script) -> None:
    async with FakeOpenAI() as lab:
        lab.answer_with(script)
        client = await Client.of(lab)
        client.ask()
        assert (await client.head()).startswith("HTTP/1.1 200")
        assert await client.body() == plain(script)
        await client.close()


async def test_a_silence_lasts_until_the_lab_is_told_to_go_on() -> None:
    script = answer(20).stalled(3)
    async with FakeOpenAI() as lab:
        lab.answer_with(script)
        client = await Client.of(lab)
        client.ask()
        await client.head()
        await lab.wait_open()
        lab.go_on()
        assert await client.body() == plain(script)
        lab.go_on()  # no answer is silent
        await client.close()


async def test_answers_come_in_turn_then_by_word_then_by_default() -> None:
    async with FakeOpenAI(count=3) as lab:
        lab.answer_with(answer("queued"))
        client = await Client.of(lab)
        for question in ("/lab say no", "/lab say yes", "anything"):
            client.ask(question)
        bodies = []
        for _ in range(3):
            await client.head()
            bodies.append(await client.body())
        assert bodies == [plain(answer(text)) for text in ("queued", "yes", 3)]
        assert [request.question for request in lab.requests] == [
            "/lab say no",
            "/lab say yes",
            "anything",
        ]
        assert lab.open_streams == 0
        await client.close()


async def test_open_streams_are_counted_and_their_end_is_seen() -> None:
    async with FakeOpenAI() as lab:
        lab.answer_with(endless(100), answer(3).slow_head(None))
        clients = [await Client.of(lab) for _ in range(2)]
        for client in clients:
            client.ask()
        await lab.wait_open(2)
        with pytest.raises(TimeoutError):
            await lab.wait_closed(0.02)
        for client in clients:
            client.writer.transport.abort()
        await lab.wait_closed()
        assert lab.open_connections == 0


async def test_a_reader_that_does_not_read_gets_no_more_than_fits() -> None:
    async with FakeOpenAI() as lab:
        lab.answer_with(Script((Repeat(b"x" * 100_000),)))
        client = await Client.of(lab)
        client.ask()
        await lab.wait_open()
        [connection] = lab._connections
        while connection._is_writable:
            await asyncio.sleep(0.001)
        assert connection._transport.get_write_buffer_size() < 1_000_000
        client.writer.transport.abort()
        await lab.wait_closed()


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_cut_ends_the_connection_as_told(how: str) -> None:
    async with FakeOpenAI() as lab:
        script = answer(20)
        lab.answer_with(script.cut(5, "rst" if how == "rst" else "fin"))
        client = await Client.of(lab)
        client.ask()
        await client.head()
        got = b""
        try:
            while data := await client.reader.read(1000):
                got += data
            ended = "fin"
        except ConnectionResetError:
            ended = "rst"
        assert ended == how
        if how == "fin":
            assert script.tokens[4].strip().split()[-1].encode() in got
        client.writer.transport.abort()


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_request_may_get_no_answer_at_all(how: Literal["fin", "rst"]) -> None:
    async with FakeOpenAI() as lab:
        lab.answer_with(answer(5).unanswered(how))
        client = await Client.of(lab)
        client.ask()
        if how == "rst":
            with pytest.raises(ConnectionResetError):
                await client.reader.read()
        else:
            assert await client.reader.read() == b""
        await lab.wait_closed()
        client.writer.close()


async def test_only_known_keys_are_let_in() -> None:
    async with FakeOpenAI(keys=["right"]) as lab:
        client = await Client.of(lab)
        client.ask(key="wrong")
        assert (await client.head()).startswith("HTTP/1.1 401")
        await client.close()
        client = await Client.of(lab)
        client.ask(key="right")
        assert (await client.head()).startswith("HTTP/1.1 200")
        await client.close()


def fetch(url: str, body: object = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=10) as response:
        return json.load(response)


def test_it_runs_in_a_thread_for_tests_without_a_loop() -> None:
    with FakeOpenAI(models=["a"]) as lab:
        assert fetch(f"{lab.url}/models") == {
            "object": "list",
            "data": [{"id": "a", "object": "model", "created": 1_700_000_000, "owned_by": "lab"}],
        }
        document = fetch(f"{lab.url}/chat/completions", {"messages": []})
        assert isinstance(document, dict)
        assert document["choices"][0]["message"]["content"] == lab.text(300)
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(f"{lab.url}/elsewhere")
        assert caught.value.code == 404
        caught.value.close()
        lab.answer_with(failure(503))
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(f"{lab.url}/chat/completions", {})
        assert caught.value.code == 503
        caught.value.close()


def test_it_runs_as_a_process_that_prints_its_url_first() -> None:
    command = [sys.executable, "-m", "wireside.testing", "--tokens", "5", "--rate", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        document = fetch(f"{url}/chat/completions", {})
        process.terminate()
        rest = process.stdout.read()
    assert isinstance(document, dict)
    assert document["choices"][0]["message"]["content"] == FakeOpenAI.text(5)
    assert HELP in rest
