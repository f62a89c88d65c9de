"""Messages between servers by kind: to all of them, or to one by the id of its row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from wireside.replicas.bus import Bus
from wireside.replicas.wire import decode_message, encode_message

_log = structlog.get_logger(__name__)

ALL = "all"
"""The channel of all servers."""

Handler = Callable[[str, Any], None]
"""Handles a message; its arguments are the id of the sender and the value. Must be cheap."""


class Exchange:
    """Sends values to other servers and calls the handlers of what they send.

    A value consists of what MessagePack has: numbers, texts, bytes, lists and maps. Kinds without a
    handler are ignored: a newer server may send them. A server never receives its own messages.
    """

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.own_id = ""
        """The id of this server's row; "" before it has joined."""
        self.own_ids: set[str] = set()
        """All ids that this server has had."""
        self._handlers: dict[str, Handler] = {}
        bus.listen(ALL, self._receive)

    def join(self, own_id: str) -> None:
        """Send and receive as the server ``own_id``.

        A server that was removed while it was frozen joins under another id. It still receives what
        is sent to the earlier ones: it may have answers in memory that were begun under them.
        """
        if own_id != self.own_id:
            self.own_id = own_id
            self.own_ids.add(own_id)
            self.bus.listen(_channel_of(own_id), self._receive)

    def handle(self, kind: str, handler: Handler) -> None:
        """Call ``handler`` with each message of ``kind``."""
        self._handlers[kind] = handler

    def post(self, kind: str, value: Any, *, to: str | None = None) -> None:
        """Send a value to the server ``to``, or to all; see ``Bus.post``."""
        channel = ALL if to is None else _channel_of(to)
        try:
            data = encode_message((kind, self.own_id, value))
        except ValueError as error:  # such as an unpaired surrogate: lost like any other message
            _log.warning("bus_message_not_sent", kind=kind, error=type(error).__name__)
            return
        self.bus.post(channel, data)

    def _receive(self, data: bytes) -> None:
        kind, sender, value = decode_message(data)
        handler = self._handlers.get(kind)
        if handler is not None and sender != self.own_id:
            handler(sender, value)


def _channel_of(server_id: str) -> str:
    return f"server.{server_id}"
