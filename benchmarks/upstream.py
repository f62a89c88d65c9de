"""The model: an OpenAI-compatible server that only sends precomputed bytes.

It is an ``asyncio.Protocol``, so that it is never the bottleneck of a benchmark. Each event is one
HTTP chunk, as common servers send them; each paced token is a separate ``write``.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
import time
from functools import lru_cache
from typing import cast

from benchmarks import answers
from benchmarks.answers import Plan
from benchmarks.loops import run

MODELS = b'{"object":"list","data":[{"id":"bench","object":"model","owned_by":"bench"}]}'

_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)

_phases = itertools.cycle(number * 0.618034 % 1 for number in range(1000))
"""Offsets of the streams' writes within their interval, spread evenly, as with real models."""


class UpstreamConnection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self) -> None:
        self._received = b""
        self._paced: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport for writing."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop writing paced tokens."""
        if self._paced is not None:
            self._paced.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer each request once it is complete; pipelining is not supported."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or (length and len(body) < int(length[1])):
            return
        self._received = b""
        if head.startswith(b"POST"):
            self._answer(Plan.found_in(body))
        else:
            size = str(len(MODELS)).encode()
            start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
            self._transport.write(start + size + b"\r\n\r\n" + MODELS)

    def _answer(self, plan: Plan) -> None:
        if plan.rate == 0:
            self._transport.write(_burst(plan))
            return
        self._transport.write(_STREAM_HEAD + _chunk(answers.opening()))
        interval_s = 1 / plan.rate
        loop = asyncio.get_running_loop()
        start = loop.time() + next(_phases) * interval_s
        self._pace(plan, 0, start, interval_s, loop)

    def _pace(
        self,
        plan: Plan,
        sent: int,
        due: float,
        interval_s: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        if sent == plan.tokens:
            self._transport.write(_end(plan.tokens))
            return

        def write() -> None:
            if plan.kind == "stamps":
                self._transport.write(stamp())
            else:
                self._transport.write(_chunks(plan.kind, plan.tokens)[sent])
            self._pace(plan, sent + 1, due + interval_s, interval_s, loop)

        self._paced = loop.call_at(due, write)


def stamp() -> bytes:
    """Return the chunk of a token that contains its send time."""
    return _chunk(answers.event(f"{time.monotonic_ns():016x} "))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@lru_cache(maxsize=64)
def _chunks(kind: answers.Kind, count: int) -> list[bytes]:
    made = {event: _chunk(event) for event in dict.fromkeys(answers.events(kind, count))}
    return [made[event] for event in answers.events(kind, count)]


@lru_cache(maxsize=64)
def _end(count: int) -> bytes:
    return _chunk(answers.closing(count)) + b"0\r\n\r\n"


def _burst(plan: Plan) -> bytes:
    if plan.kind == "stamps":
        head = _STREAM_HEAD + _chunk(answers.opening())
        return head + b"".join(stamp() for _ in range(plan.tokens)) + _end(plan.tokens)
    return _ready_burst(plan)


@lru_cache(maxsize=64)
def _ready_burst(plan: Plan) -> bytes:
    tokens = b"".join(_chunks(plan.kind, plan.tokens))
    return _STREAM_HEAD + _chunk(answers.opening()) + tokens + _end(plan.tokens)


async def serve(port: int) -> None:
    """Serve until the process is terminated."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(UpstreamConnection, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    run(serve(int(sys.argv[1])))
