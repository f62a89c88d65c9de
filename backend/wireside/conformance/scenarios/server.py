"""Serves scenarios over sockets: a WebSocket for the client under test, a page for its author."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from wireside.conformance.address import PATH
from wireside.conformance.results import Result
from wireside.conformance.scenarios.page import render_page, render_rows
from wireside.conformance.scenarios.stage import Cancel, Command, Stage, StagedAnswer, StagedReply
from wireside.conformance.scenarios.visits import (
    Action,
    CloseAtOnce,
    CloseSocket,
    CutHandshake,
    CutStep,
    GoSilent,
    Handshake,
    Pause,
    PingSocket,
    RefuseStep,
    SendHalf,
    SendStep,
)
from wireside.messages import Usage
from wireside.protocol.frames import DoneFrame

TICK_S: Final = 0.05
CUT_S: Final = 2.0
"""Time for a client to notice the end of a TCP connection, in seconds; then it is aborted."""

PONG_S: Final = 5.0
"""Time for the pong of a WebSocket, in seconds."""

GOODBYE_S: Final = 5.0
"""Time for a client to end its connection after the last scenario, in seconds."""

MAX_FRAME_BYTES: Final = 4 * 1_048_576
MAX_CONNECTIONS: Final = 100

_HALF_RESPONSE: Final = b"HTTP/1.1 101 Switching Protocols\r\nUpgr"

_silent = logging.getLogger("wireside.conformance.server")
_silent.propagate = False
_silent.addHandler(logging.NullHandler())


@dataclass(eq=False)
class _Client:
    """A connection: its number, and the answers that are being played on it."""

    number: int
    socket: ServerConnection
    plan: Handshake | None = None
    answers: dict[str | None, tuple[StagedAnswer, asyncio.Task[None]]] = field(default_factory=dict)
    is_dropped: bool = False


class ScenarioServer:
    """Plays the scenarios of a stage to all clients that connect.

    Args:
        stage: decides what to do, and judges.
        on_result: gets each result when it is known.
        goodbye_s: time for a client to end its connection after the last scenario, in seconds.
    """

    def __init__(
        self, stage: Stage, on_result: Callable[[Result], None], *, goodbye_s: float = GOODBYE_S
    ) -> None:
        self._stage = stage
        self._on_result = on_result
        self._goodbye_s = goodbye_s
        self._clients: dict[ServerConnection, _Client] = {}
        self._defect: Exception | None = None

    async def run(
        self, host: str, port: int, on_listening: Callable[[str], None] = lambda url: None
    ) -> None:
        """Serve until all scenarios have results and the client has left.

        When the task is cancelled, what has not been decided is judged as it is.

        Raises:
            OSError: the address can't be used.
        """
        async with serve(
            self._handle,
            host,
            port,
            process_request=self._respond,
            subprotocols=[Subprotocol("ai-chat")],
            select_subprotocol=_select_subprotocol,
            compression=None,
            ping_interval=None,
            close_timeout=CUT_S,
            max_size=MAX_FRAME_BYTES,
            logger=_silent,
            server_header="wireside-conformance",
        ) as server:
            name, bound = next(iter(server.sockets)).getsockname()[:2]
            on_listening(f"http://{f'[{name}]' if ':' in name else name}:{bound}")
            try:
                await self._judge_until_finished()
            finally:
                self._stage.finish(time.monotonic())
                self._report()

    async def _judge_until_finished(self) -> None:
        while not self._stage.is_finished:
            await asyncio.sleep(TICK_S)
            if self._defect is not None:
                raise self._defect
            self._stage.tick(time.monotonic())
            self._report()
        # a client that was cut last may be waiting to connect again
        ends = time.monotonic() + self._goodbye_s
        while not self._stage.has_left and time.monotonic() < ends:  # noqa: ASYNC110 (time ends it)
            await asyncio.sleep(TICK_S)

    def _report(self) -> None:
        for result in self._stage.take_results():
            self._on_result(result)

    # ---- handshakes ----------------------------------------------------------------------------

    def _respond(self, socket: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0].rstrip("/")
        is_upgrade = "websocket" in request.headers.get("Upgrade", "").lower()
        if path == "" and not is_upgrade:
            html = render_page(self._stage.scenarios, self._stage.results)
            return _response(200, "text/html", html)
        if path == "/rows":
            rows = render_rows(self._stage.scenarios, self._stage.results)
            return _response(200, "text/html", rows)
        if path != PATH:
            return _response(404, "application/json", f'{{"message": "The path is {PATH}."}}')
        if not is_upgrade:
            return _response(426, "application/json", '{"message": "Use a WebSocket."}')
        if len(self._clients) >= MAX_CONNECTIONS:
            return _response(429, "application/json", '{"message": "Too many connections."}')
        number, plan = self._stage.connect(time.monotonic())
        if isinstance(plan, RefuseStep):
            return _response(plan.status, "application/json", '{"message": "Not ready."}')
        if isinstance(plan, CutHandshake):
            socket.transport.write(_HALF_RESPONSE)
            socket.transport.close()
            return _response(503, "text/plain", "")  # nothing of it is sent
        self._clients[socket] = _Client(number, socket, plan)
        return None

    # ---- frames --------------------------------------------------------------------------------

    async def _handle(self, socket: ServerConnection) -> None:
        client = self._clients[socket]
        try:
            if isinstance(client.plan, CloseAtOnce):
                client.is_dropped = True
                return await socket.close(client.plan.code)
            async for data in socket:
                if client.is_dropped or isinstance(data, bytes):
                    continue
                for command in self._stage.receive(client.number, data, time.monotonic()):
                    await self._execute(client, command)
        except ConnectionClosed:
            pass
        finally:
            for _, task in client.answers.values():
                task.cancel()
            frame = socket.protocol.close_rcvd
            self._stage.disconnect(
                client.number,
                time.monotonic(),
                code=None if frame is None else int(frame.code),
                by_client=not client.is_dropped,
            )
            del self._clients[socket]

    async def _execute(self, client: _Client, command: Command) -> None:
        match command:
            case StagedReply():
                await client.socket.send(command.text)
            case StagedAnswer():
                task = asyncio.create_task(self._play(client, command))
                client.answers[command.id] = command, task
            case Cancel():
                await self._cancel(client, command.id)

    async def _cancel(self, client: _Client, request_id: str | None) -> None:
        answer, task = client.answers.pop(request_id, (None, None))
        if answer is None or task is None or task.done():
            return
        task.cancel()
        self._stage.cancel(answer, time.monotonic())
        done = DoneFrame()
        if request_id is not None:
            offset = answer.request.offset
            done = DoneFrame(id=request_id, offset=offset, reason="cancelled", usage=Usage())
        await client.socket.send(done.encode())

    async def _play(self, client: _Client, answer: StagedAnswer) -> None:
        try:
            for action in answer.actions:
                if client.is_dropped:
                    return
                await self._perform(client, answer, action)
                if isinstance(action, CutStep | CloseSocket | GoSilent):
                    return
        except (ConnectionClosed, OSError):
            pass  # the receiving task reports the end
        except Exception as defect:
            self._defect = defect

    async def _perform(self, client: _Client, answer: StagedAnswer, action: Action) -> None:
        socket, number = client.socket, client.number
        match action:
            case SendStep():
                self._stage.note(answer, action, time.monotonic())
                await socket.send(action.text)
                return
            case SendHalf():
                data = Frame(Opcode.TEXT, action.text.encode()).serialize(mask=False)
                socket.transport.write(data[: len(data) // 2])
            case Pause():
                await asyncio.sleep(action.seconds)
            case PingSocket():
                await self._ping(socket, answer)
            case CutStep():
                client.is_dropped = True
                self._stage.drop(number, "cut", time.monotonic())
                await _end_tcp(socket)
            case CloseSocket():
                client.is_dropped = True
                await self._close(socket, number, action)
            case GoSilent():
                self._stage.drop(number, "silent", time.monotonic())
                client.is_dropped = True
        self._stage.note(answer, action, time.monotonic())

    async def _ping(self, socket: ServerConnection, answer: StagedAnswer) -> None:
        try:
            async with asyncio.timeout(PONG_S):
                await (await socket.ping())
        except TimeoutError:
            self._stage.note_fault(answer, "a pong for a ping of the WebSocket", "none")

    async def _close(self, socket: ServerConnection, number: int, action: CloseSocket) -> None:
        if action.linger_s:
            socket.transport.pause_reading()  # else the library ends the TCP connection at once
            payload = Close(action.code, action.reason).serialize()
            frame = Frame(Opcode.CLOSE, payload).serialize(mask=False)
            socket.transport.write(frame)
            self._stage.drop(number, "close", time.monotonic(), action.code)
            await asyncio.sleep(action.linger_s)
            await _end_tcp(socket)
        else:
            self._stage.drop(number, "close", time.monotonic(), action.code)
            await socket.close(action.code, action.reason)


async def _end_tcp(socket: ServerConnection) -> None:
    """End the TCP connection so that the client receives everything before.

    A full close could lose it: a client that sends to a closed socket gets a reset.
    """
    if socket.transport.can_write_eof():
        socket.transport.write_eof()
    await asyncio.sleep(CUT_S)
    socket.transport.abort()


def _select_subprotocol(socket: ServerConnection, offered: object) -> Subprotocol | None:
    return Subprotocol("ai-chat") if "ai-chat" in (offered or ()) else None  # type: ignore[operator]


def _response(status: int, content_type: str, body: str) -> Response:
    data = body.encode()
    headers = Headers(
        {
            "Content-Type": f"{content_type}; charset=utf-8",
            "Content-Length": str(len(data)),
            "Connection": "close",
            "Cache-Control": "no-store",
            "Access-Control-Allow-Origin": "*",
        }
    )
    return Response(status, "", headers, data)
