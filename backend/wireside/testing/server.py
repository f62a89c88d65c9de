"""The lab's server: an OpenAI-compatible API over real HTTP/1.1 that plays scripts."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from types import TracebackType
from typing import Any, Self, cast

from wireside.messages import ModelInfo
from wireside.openai_wire.encode import model_list
from wireside.testing import scripts
from wireside.testing.magic import habit_for, script_for
from wireside.testing.scripts import Cut, Repeat, Script, Step, Wait

MAX_QUESTIONS = 10_000
"""Maximum number of questions whose repetitions are counted."""

_TLS = b"\x16"
"""First byte of a TLS handshake; it is answered with 400, as by servers without TLS."""

_PATHS = ("/models", "/chat/completions", "/audio/transcriptions")

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A received request.

    Header names are in lower case; ``body`` is {} if it is neither a JSON object nor a form, whose
    files are bytes.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def question(self) -> str:
        """The last user message."""
        for message in reversed(self.body.get("messages") or ()):
            if message.get("role") == "user":
                return str(message.get("content") or "")
        return ""


class FakeOpenAI:
    """A server on loopback; ``url`` is its base URL, up to ``/v1``.

    Answers are taken from ``answer_with``, then from ``/lab …`` in the question (``magic.py``,
    ``habits.py``), else the default is used: ``count`` tokens at ``rate`` tokens per second (None:
    all at once). ``keys`` are the accepted API keys; None accepts any. With ``only_at``
    (``/openai/v1``) the API is at that path only; ``elsewhere`` is the answer at other paths.

    Use it with ``async with`` in an event loop, or with ``with``, which runs it in its own thread.
    """

    def __init__(
        self,
        *,
        count: int = 300,
        rate: float | None = None,
        seed: int = 1,
        models: Sequence[str] = ("lab-1", "lab-2"),
        keys: Sequence[str] | None = None,
        port: int = 0,
        only_at: str | None = None,
    ) -> None:
        self.elsewhere = scripts.json_page({"detail": "Not Found"}, 404)
        self.default = scripts.answer(count, seed=seed, rate=rate)
        self.requests: list[Request] = []
        infos = [ModelInfo(id=name, name=name, owner="lab") for name in models]
        self.models_answer = scripts.json_page(model_list(infos, created=scripts.CREATED))
        self.url = self.origin = ""
        self._rate = rate
        self._keys = keys
        self._port = port
        self._only_at = only_at
        self._times: Counter[str] = Counter()
        self.transcription = scripts.json_page({"text": "Good morning."})
        """The answer to ``/audio/transcriptions``, unless one is queued."""
        self._queue: deque[Script] = deque()
        self._transcriptions: deque[Script] = deque()
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: set[_Connection] = set()
        self._thread: _Thread | None = None

    def answer_with(self, *answers: Script) -> None:
        """Queue answers for the next requests, one each."""
        self._queue.extend(answers)

    def transcribe_with(self, *answers: Script) -> None:
        """Queue answers for the next requests for transcriptions, one each."""
        self._transcriptions.extend(answers)

    def forget(self) -> None:
        """Drop the queued answers."""
        self._queue.clear()
        self._transcriptions.clear()

    def go_on(self) -> None:
        """Resume answers that are stalled without a time limit. Thread-safe."""
        assert self._loop is not None
        for connection in tuple(self._connections):
            self._loop.call_soon_threadsafe(connection.go_on)

    @staticmethod
    def text(count: int, seed: int = 1) -> str:
        """Return the text of ``count`` tokens of the default answer."""
        return "".join(scripts.tokens(count, seed))

    @property
    def chats(self) -> list[Request]:
        """The received requests for chat completions."""
        return [request for request in self.requests if request.path.endswith("/completions")]

    @property
    def open_streams(self) -> int:
        """The number of running answers."""
        return sum(connection.is_answering for connection in tuple(self._connections))

    @property
    def open_connections(self) -> int:
        """The number of open connections, including idle ones."""
        return len(self._connections)

    async def wait_open(self, count: int = 1, timeout_s: float = 5.0) -> None:
        """Wait until ``count`` answers are running. Raises ``TimeoutError``."""
        await self._wait_for(lambda: self.open_streams >= count, timeout_s)

    async def wait_closed(self, timeout_s: float = 1.0) -> None:
        """Wait until no answer is running. Raises ``TimeoutError``."""
        await self._wait_for(lambda: self.open_streams == 0, timeout_s)

    async def start(self) -> None:
        """Start to listen, in the running event loop."""
        self._loop = loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self._port, backlog=1024
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self.origin = f"http://127.0.0.1:{self._port}"
        self.url = f"{self.origin}{self._only_at or '/v1'}"

    async def stop(self) -> None:
        """Stop listening and reset the open connections."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.reset()
        while self._connections:  # noqa: ASYNC110 (they end in the loop's next iterations)
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        self._thread = _Thread(self)
        self._thread.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._thread is not None
        self._thread.end()

    def _script_for(self, request: Request) -> Script:
        self.requests.append(request)
        if self._keys is not None and request.headers.get("authorization") not in {
            f"Bearer {key}" for key in self._keys
        }:
            return scripts.failure(401, "Incorrect API key provided.", code="invalid_api_key")
        path = request.path.partition("?")[0]
        at = self._only_at
        if at is not None and path not in [f"{at}{one}" for one in _PATHS]:
            return self.elsewhere
        if request.method == "GET" and path.endswith("/models"):
            return self.models_answer
        if request.method == "POST" and path.endswith("/audio/transcriptions"):
            return self._transcriptions.popleft() if self._transcriptions else self.transcription
        if request.method != "POST" or not path.endswith("/chat/completions"):
            return self.elsewhere
        script = self._next(request)
        if request.body.get("stream") or not script.tokens:
            return script
        return scripts.completion(script.tokens)

    def _next(self, request: Request) -> Script:
        if self._queue:
            return self._queue.popleft()
        question = request.question
        if len(self._times) > MAX_QUESTIONS:
            self._times.clear()
        self._times[question] += 1
        return (
            habit_for(question, request.body, self._times[question])
            or script_for(question, self._rate)
            or self.default
        )

    @staticmethod
    async def _wait_for(is_so: Any, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not is_so():  # noqa: ASYNC110 (the server may run in another thread's loop)
                await asyncio.sleep(0.002)


class _Thread:
    """A thread with an event loop that runs a lab."""

    def __init__(self, lab: FakeOpenAI) -> None:
        self._lab = lab
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lab", daemon=True)

    def begin(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._lab.start(), self._loop).result(10)

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._lab.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class _Connection(asyncio.Protocol):
    """One connection: receives requests, and plays their scripts one after the other.

    Scripts are played by callbacks: a task per answer would cost more than the answer itself.
    """

    def __init__(self, lab: FakeOpenAI) -> None:
        self._lab = lab
        self._received = b""
        self._steps: tuple[Step, ...] = ()
        self._at = 0
        self._pace_s = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_writable = True
        self._is_silent = False
        self.is_answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._lab._connections.add(self)
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, error: Exception | None) -> None:
        self._end_of_answer()
        self._lab._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received[:1] == _TLS:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            self._transport.close()
            return
        if not self.is_answering and (request := self._whole_request()):
            self._play(self._lab._script_for(request))

    def pause_writing(self) -> None:
        self._is_writable = False

    def resume_writing(self) -> None:
        self._is_writable = True
        if self.is_answering and self._timer is None and not self._is_silent:
            self._go_on()

    def go_on(self) -> None:
        """Resume an answer that is stalled without a time limit."""
        if self._is_silent:
            self._is_silent = False
            self._due = self._loop.time()
            self._go_on()

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self._transport.abort()

    def _whole_request(self) -> Request | None:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return None
        self._received = rest[length:]
        method, path, _ = first.split(" ", 2)
        return Request(
            method=method, path=path, headers=headers, body=_body(headers, rest[:length])
        )

    def _play(self, script: Script) -> None:
        self.is_answering = True
        self._steps, self._at = script.steps, 0
        self._pace_s, self._due = script.pace_s, self._loop.time()
        if script.wait_s is None:
            return  # until the client disconnects
        if script.wait_s:
            self._timer = self._loop.call_later(script.wait_s, self._open, script)
        else:
            self._open(script)

    def _open(self, script: Script) -> None:
        if script.refusal is not None:
            self._cut(script.refusal)
            return
        self._due = self._loop.time()
        if not script.pace_s and self._steps and isinstance(step := self._steps[0], bytes):
            self._at = 1
            self._transport.write(script.head + step)  # without a pace, in a single write
        else:
            self._transport.write(script.head)
        self._go_on()

    def _go_on(self) -> None:
        self._timer = None
        while self._at < len(self._steps):
            if not self._is_writable:
                return  # ``resume_writing`` continues
            step = self._steps[self._at]
            if isinstance(step, Repeat):
                self._transport.write(step.data)
                self._again(step.every_s)
                return
            self._at += 1
            if isinstance(step, bytes):
                self._transport.write(step)
                if self._pace_s:
                    self._due += self._pace_s  # from the last due time: delays don't add up
                    self._timer = self._loop.call_at(self._due, self._go_on)
                    return
            elif isinstance(step, Wait):
                if step.seconds is None:
                    self._is_silent = True
                else:
                    self._again(step.seconds)
                return
            else:
                self._cut(step)
                return
        self._end_of_answer()
        self.data_received(b"")  # the next request may have been received already

    def _again(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._due, self._go_on)

    def _cut(self, cut: Cut) -> None:
        if cut.how == "rst":
            self.reset()
        else:
            self._transport.close()

    def _end_of_answer(self) -> None:
        self.is_answering = self._is_silent = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _body(headers: dict[str, str], data: bytes) -> dict[str, Any]:
    content_type = headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        return _object(data)
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = BytesParser(policy=HTTP).parsebytes(head + data)
    fields: dict[str, Any] = {}
    for field in form.iter_parts() if isinstance(form, EmailMessage) else ():
        content = field.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = str(field.get_param("name", "", "content-disposition"))
        fields[name] = content if field.get_filename() else content.decode()
    return fields


def _object(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
