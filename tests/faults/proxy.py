"""A proxy between clients and a server that fails in each way in which a network can fail."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import socket
import struct

RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


class BadWire:
    """Forwards bytes, in pieces of any size, until the next fault is due.

    A fault is an end, a reset, a half-closed or a silent connection. ``cuts`` counts them. After
    ``most`` of them new connections have none, so that the clients reach their end: on a busy
    machine an answer that is read from its beginning may take longer than connections live.
    """

    def __init__(
        self, target: int, dice: random.Random, *, mean_s: float, most: float = math.inf
    ) -> None:
        self._target = target
        self._dice = dice
        self._mean_s = mean_s
        self._most = most
        self.first_s = 0.0
        """Moving average of the time until the server's first response, in seconds.

        If it is long because the machine is busy, connections live longer: otherwise no response
        would ever arrive.
        """
        self._server: asyncio.Server | None = None
        self.port = 0
        self.cuts = 0

    async def __aenter__(self) -> BadWire:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            return writer.transport.abort()
        loop = asyncio.get_running_loop()
        began, heard = loop.time(), asyncio.Event()
        pumps = [
            asyncio.create_task(self._pump(reader, back)),
            asyncio.create_task(self._pump(there, writer, heard)),
        ]
        listening = asyncio.create_task(heard.wait())
        life_s = self._dice.expovariate(1 / (self._mean_s + 3 * self.first_s))
        first = asyncio.FIRST_COMPLETED
        try:
            await asyncio.wait([*pumps, listening], timeout=life_s, return_when=first)
            took_s = (loop.time() - began) * (1 if heard.is_set() else 2)
            self.first_s = 0.95 * self.first_s + 0.05 * took_s
            left_s = max(0.0, began + life_s - loop.time()) if self.cuts < self._most else None
            await asyncio.wait(pumps, timeout=left_s, return_when=first)
            if not any(pump.done() for pump in pumps):
                self.cuts += 1
                await self._break(writer, back)
        finally:
            listening.cancel()
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
            for end in (writer, back):
                end.transport.abort()

    async def _break(self, writer: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
        match self._dice.choice(("end", "end", "reset", "half", "silence")):
            case "reset":
                for end in (writer, back):
                    wire: socket.socket = end.get_extra_info("socket")
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            case "half":
                with contextlib.suppress(OSError):
                    self._dice.choice((writer, back)).write_eof()
                await asyncio.sleep(self._dice.uniform(0, 0.05))
            case "silence":
                await asyncio.sleep(self._dice.uniform(0, 0.1))

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        heard: asyncio.Event | None = None,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(self._dice.choice((1, 7, 4096, 65536))):
                if heard is not None:
                    heard.set()
                if self._dice.random() < 0.02:
                    await asyncio.sleep(self._dice.uniform(0, 0.02))
                sink.write(data)
                await sink.drain()
