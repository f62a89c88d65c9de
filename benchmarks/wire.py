"""A TCP relay that counts the bytes on the wire, after compression."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Self

PIECE = 65_536


class Wire:
    """Forwards its own port to a server's; ``received`` counts the bytes of WebSockets.

    Files are not counted: a font for the first bold word is not a cost of an answer. The relay
    runs in a thread, because the browser's driver needs the main one.
    """

    def __init__(self, server_port: int) -> None:
        self.received = 0
        self._server_port = server_port
        self._writers: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        """The base URL for the browser."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._pass_on, "127.0.0.1", 0)

    async def _close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._writers += [writer, up_writer]
        await asyncio.gather(self._copy_up(reader, up_writer), self._copy_down(up_reader, writer))

    async def _copy_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(PIECE):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _copy_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_socket: bool | None = None
        with suppress(OSError):
            while data := await reader.read(PIECE):
                if is_socket is None:
                    is_socket = data.startswith(b"HTTP/1.1 101")
                self.received += len(data) if is_socket else 0
                writer.write(data)
                await writer.drain()
        writer.close()
