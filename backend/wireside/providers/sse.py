"""Server-sent events: bytes in, events out. No I/O.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html, with two leniencies:
``flush`` gives the last event also where the blank line behind it is missing, and a line that
begins as a JSON object is data, as some servers write their errors.
"""

from __future__ import annotations

from msgspec import Struct

MAX_EVENT_BYTES = 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """An event is longer than ``MAX_EVENT_BYTES``: no model writes that in one go."""


class Event(Struct, frozen=True, gc=False):
    """One event. ``name`` is empty where the server gives none, which means ``message``."""

    data: bytes
    name: bytes = b""


class SseDecoder:
    """Cuts a byte stream into events, however the network cut it.

    Lines may end in LF, CRLF or CR. Events without data (comments, keep-alives) are left out.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._more = bytearray()  # behind the rest; no event ends in it
        self._after_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that ``data`` completes. Raises ``EventTooLong``."""
        if self._after_cr or b"\r" in data:
            data = self._with_lf(data)
        if self._goes_on(data):
            return []
        data = self._whole_rest() + data
        if self._at_start:
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._rest = data
                return []
            self._at_start = False
            data = data.removeprefix(_BOM)
        blocks = data.split(b"\n\n")
        self._rest = blocks.pop()
        if len(data) > MAX_EVENT_BYTES:
            _check(blocks, self._rest)
        return [event for block in blocks if (event := _event(block))]

    def flush(self) -> list[Event]:
        """Return what the end of the stream completes."""
        event = _event(self._whole_rest())
        self._rest = b""
        return [event] if event else []

    def _goes_on(self, data: bytes) -> bool:
        """Put ``data`` aside if no event ends in it: to look at all that is held with each read
        would cost a server that sends a long event in tiny ones our whole time.
        """
        last = bytes(self._more[-1:]) or self._rest[-1:]
        if not last or self._at_start or b"\n\n" in last + data:
            return False
        self._more += data
        if len(self._rest) + len(self._more) > MAX_EVENT_BYTES:
            raise EventTooLong
        return True

    def _whole_rest(self) -> bytes:
        rest = self._rest + self._more
        self._more.clear()
        return rest

    def _with_lf(self, data: bytes) -> bytes:
        # A CR ends its line at once; the LF that may follow, even in the next read, is its second
        # half. Waiting for it would keep back the last event of every read.
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr = self._after_cr or data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _check(blocks: list[bytes], rest: bytes) -> None:
    if len(rest) > MAX_EVENT_BYTES or any(len(block) > MAX_EVENT_BYTES for block in blocks):
        raise EventTooLong


def _event(block: bytes) -> Event | None:
    if block.startswith(b"data: ") and b"\n" not in block:  # nearly every event there is
        return Event(block[6:])
    name = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
        elif line.startswith(b"{"):
            data.append(line)
    return Event(b"\n".join(data), name) if data else None
