"""Answers outside of conversations, which no database has: read from the server that wrote them.

The name of such an answer begins with the id of its server (``server_of_name``). A reader elsewhere
asks that server for what follows an offset; the server replies once there is something, and is
asked again. A lost message is asked for again: the text arrives exactly, or not at all.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final
from weakref import WeakValueDictionary, ref

from wireside.errors import BY_CODE, NotFound, Overloaded, StoreError, WiresideError
from wireside.generation.runner import Runner, Stream
from wireside.generation.tasks import Tasks
from wireside.messages import End
from wireside.ports.clock import Clock
from wireside.replicas.exchange import Exchange
from wireside.replicas.mirrors import Mirror
from wireside.replicas.wire import decode_end, decode_entries, encode_end, encode_entries

REPLY_S = 1.0
"""Longest time after which a server replies although there is nothing new, in seconds."""

PAUSE_S = 0.02
"""How long a server collects text of a growing answer before it replies, in seconds."""

ASK_AGAIN_S = 2.0
"""Seconds without a reply after which a server is asked again."""

FIRST_REPLY_S = 2.0
"""Seconds within which a server must reply for the first time."""

MAX_CHARS = 200_000
"""Number of characters in one reply."""

AWAY = "The server that has this answer can't be reached at the moment; try again."

_NAME: Final = re.compile(r"([A-Za-z0-9_-]{16})\.[A-Za-z0-9_-]{1,64}")
"""The form of a name: the id of a server's row, and what is unique there."""

IsMember = Callable[[str], Awaitable[bool]]
"""Returns whether the server of that id belongs to the database's servers."""


def server_of_name(name: str) -> str | None:
    """Return the id of the server that writes an answer outside of conversations.

    None for a name that no server has made: clients send names, which select a channel of the bus.
    """
    match = _NAME.fullmatch(name)
    return match[1] if match else None


class UnstoredAnswers:
    """Serves the unstored answers of this server to others, and reads those of others."""

    def __init__(
        self, exchange: Exchange, runner: Runner, tasks: Tasks, is_member: IsMember, clock: Clock
    ) -> None:
        self._exchange = exchange
        self._runner = runner
        self._tasks = tasks
        self._is_member = is_member
        self._clock = clock
        self._mirrors: WeakValueDictionary[tuple[str, str], Mirror] = WeakValueDictionary()
        self._first_replies: dict[tuple[str, str], asyncio.Future[Mirror]] = {}
        self._stopping: set[tuple[str, str]] = set()
        self._serving: set[tuple[str, str, str]] = set()
        exchange.handle("pull", self._receive_pull)
        exchange.handle("pulled", self._receive_reply)

    # ---- reading the answers of other servers --------------------------------------------------

    async def find_stream(self, name: str, owner: str) -> Stream:
        """Return the answer of that name and owner of another server.

        Raises:
            NotFound: there is none, or its server is gone.
            Expired: it has left the resume window.
            Overloaded: its server can't be reached at present.
        """
        server = server_of_name(name)
        if server is None or server in self._exchange.own_ids:
            return self._runner.find_stream(name, owner)
        key = name, owner
        if mirror := self._mirrors.get(key):
            return mirror
        reply = self._first_replies.get(key)
        if reply is None:
            reply = asyncio.get_running_loop().create_future()
            self._first_replies[key] = reply
            self._pull(name, owner, 0, server)
        try:
            async with asyncio.timeout(FIRST_REPLY_S):
                return await asyncio.shield(reply)
        except TimeoutError:
            raise Overloaded(AWAY) if await self._is_member(server) else NotFound from None
        finally:
            if self._first_replies.get(key) is reply:
                del self._first_replies[key]
            if reply.done() and not reply.cancelled():
                reply.exception()  # retrieved, if its other readers have left

    def _pull(self, name: str, owner: str, offset: int, server: str) -> None:
        self._exchange.post("pull", (name, owner, offset), to=server)

    def _receive_reply(self, server: str, value: Sequence[Any]) -> None:
        name, owner, error, about, offset, entries, end = value
        key = name, owner
        mirror = self._mirrors.get(key)
        first = self._first_replies.get(key)
        if error is not None:
            kind = BY_CODE.get(error, NotFound)
            if first is not None and not first.done():
                first.set_exception(kind())
            if mirror is not None:
                mirror.add_entries(mirror.log.written, (), End("interrupted"))
            return
        if mirror is None:
            if first is None or first.done() or offset:
                return
            model, sanitize, created_at, index = about
            mirror = Mirror(
                name,
                model,
                owner=owner,
                sanitize=sanitize,
                server=server,
                is_kept=False,
            )
            mirror.stop_elsewhere = lambda _: self._stop(key, server)
            mirror.created_at, mirror.index = created_at, index
            self._mirrors[key] = mirror
        before = mirror.log.written
        mirror.heard_at = self._clock()
        is_next = mirror.add_entries(offset, decode_entries(entries), decode_end(end))
        if first is not None and not first.done():
            first.set_result(mirror)
            self._tasks.create_task(self._watch(ref(mirror), key, server), name="unstored answer")
        if mirror.is_live and is_next and (mirror.log.written > before or offset == before):
            self._pull(name, owner, mirror.log.written, server)  # not for a reply that came twice

    async def _watch(self, held: ref[Mirror], key: tuple[str, str], server: str) -> None:
        """Ask again while nothing comes; interrupt the mirror once its server is gone."""
        while True:
            await asyncio.sleep(ASK_AGAIN_S / 2)
            mirror = held()
            if mirror is None or not mirror.is_live:
                return self._stopping.discard(key)
            if key in self._stopping:
                self._stop(key, server)
            if self._clock() - mirror.heard_at >= ASK_AGAIN_S:
                with suppress(StoreError):
                    if not await self._is_member(server):
                        mirror.add_entries(mirror.log.written, (), End("interrupted"))
                        return
                self._pull(*key, mirror.log.written, server)
            del mirror

    def _stop(self, key: tuple[str, str], server: str) -> None:
        """Ask the server to stop an answer; repeated until the end is known."""
        self._stopping.add(key)
        self._exchange.post("stop", key, to=server)

    # ---- serving this server's answers ---------------------------------------------------------

    def _receive_pull(self, server: str, value: Sequence[Any]) -> None:
        name, owner, offset = value
        key = server, name, owner
        if key not in self._serving:  # one that was asked again is being replied to
            self._serving.add(key)
            work = self._reply(server, name, owner, offset)
            task = self._tasks.create_task(work, name="reply to another server")
            task.add_done_callback(lambda _: self._serving.discard(key))

    async def _reply(self, server: str, name: str, owner: str, offset: int) -> None:
        try:
            stream = self._runner.find_stream(name, owner)
            if stream.is_stored:  # read from the store
                raise NotFound
            reader = stream.new_reader(offset)
            if offset and not reader.has_new_pieces and stream.is_live:
                with suppress(TimeoutError):
                    async with asyncio.timeout(REPLY_S):
                        await reader.wait_for_news()
                        await asyncio.sleep(PAUSE_S)
            until = min(stream.log.head, offset + MAX_CHARS)
            entries = encode_entries(stream.log.entries_between(offset, until))
            end = encode_end(stream.log.end if until == stream.log.head else None)
            about = stream.model, stream.sanitize, stream.created_at, stream.index
            reply: tuple[Any, ...] = name, owner, None, about, offset, entries, end
        except WiresideError as error:
            reply = name, owner, error.code, None, 0, (), None
        self._serving.discard((server, name, owner))
        self._exchange.post("pulled", reply, to=server)
