"""Parses server-sent events: bytes in, events out. No I/O.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html, parsed leniently:

- ``flush`` returns the last event even if the blank line after it is missing.
- A line that begins like a JSON object is data, as some servers send their errors.
- A field ``error`` is an event of that name (llama.cpp builds of 2025, GPUStack).
- If no blank lines separate the events, an event whose data is a JSON object ends at the next line
  of data.
- Data that begins with a colon is a comment that was wrapped into data.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress

from msgspec import Struct

MAX_EVENT_BYTES = 1024 * 1024
"""Maximum size of an event; a longer one is accepted only if it is media (``_without_media``)."""

MIN_MEDIA_BYTES = 64 * 1024
"""Minimum length of a base64 run that counts as an image or audio, not text."""

MEDIA = b"\x7f"
"""Replaces base64 runs that are removed from an event that is too long."""

_BOM = b"\xef\xbb\xbf"
_BASE64 = rb"(?:[A-Za-z0-9+/=_-]|\\[/nr])"
_MEDIA_KEY = rb'base64,|"(?:data|b64_json|b64|base64|bytes|image|audio)" ?: ?"'
_MEDIA_RUN = re.compile(rb"(%s)\x7f?%s{%d,}" % (_MEDIA_KEY, _BASE64, MIN_MEDIA_BYTES))
_MEDIA_TAIL = re.compile(rb"\x7f%s+" % _BASE64)
_HEARTBEAT = re.compile(rb"null|\[ *\]|\[?(ping|keep-?alive|heartbeat)\]?", re.IGNORECASE)


class EventTooLong(ValueError):
    """An event is longer than ``MAX_EVENT_BYTES``: no model writes that much at once.

    ``events`` are the complete events before it.
    """

    def __init__(self, events: list[Event]) -> None:
        super().__init__("an event is too long")
        self.events = events


class Event(Struct, frozen=True, gc=False):
    """One event. ``name`` is empty if the server sends none, which means ``message``."""

    data: bytes
    name: bytes = b""


class SseDecoder:
    """Splits a byte stream into events, independently of how the network splits it.

    Lines may end in LF, CRLF or CR. Events without data (comments, keep-alives) are dropped.
    """

    def __init__(self) -> None:
        self._line = bytearray()  # the incomplete line
        self._data: list[bytes] = []  # data lines of the incomplete event
        self._data_bytes = 0
        self._filled = 0  # number of its lines that are not blank
        self._last_filled = b""
        self._name = b""
        self._later_name: bytes | None = (
            None  # a name after the data: of this event, or of the next one
        )
        self._had_media = False
        self._after_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> list[Event]:
        """Parse ``data`` and return the events that it completes. Raises ``EventTooLong``."""
        is_one_event = (
            data.startswith(b"data: {")
            and data.find(b"\n") == len(data) - 2
            and data.endswith(b"\n\n")
            and b"\r" not in data
            and len(data) <= MAX_EVENT_BYTES
        )
        if is_one_event and not (
            self._at_start or self._after_cr or self._line or self._data or self._name
        ):  # fast path: nearly every read
            return [Event(data[6:-2])]
        if self._after_cr or b"\r" in data:
            data = self._with_lf(data)
        if self._at_start:
            data = bytes(self._line) + data
            self._line.clear()
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._line += data
                return []
            self._at_start = False
            data = data.removeprefix(_BOM)
        events: list[Event] = []
        if self._line or self._data or self._name:
            data = self._take_open_event(data, events)
        blocks = data.split(b"\n\n")
        rest = blocks.pop()
        for block in blocks:
            is_simple = block.startswith(b"data: ") and b"\n" not in block
            if (
                is_simple and block[6:7] != b":" and len(block) <= MAX_EVENT_BYTES
            ):  # fast path: nearly every event
                events.append(Event(block[6:]))
            else:
                self._take_lines(block + b"\n\n", events)
        if rest:
            self._take_lines(rest, events)
        return events

    def flush(self) -> list[Event]:
        """Return the event that the end of the stream completes, if any."""
        events: list[Event] = []
        with suppress(EventTooLong):
            self._take_lines(b"\n\n", events)
        return events

    def _take_open_event(self, data: bytes, events: list[Event]) -> bytes:
        """Parse lines until the open event ends; returns the rest of ``data``."""
        begin = 0
        while end := data.find(b"\n", begin) + 1:
            self._take_lines(data[begin:end], events)
            begin = end
            if not (self._data or self._name):
                return data[begin:]
        self._take_lines(data[begin:], events)
        return b""

    def _take_lines(self, data: bytes, events: list[Event]) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self._line or len(line) + self._data_bytes > MAX_EVENT_BYTES:
                self._extend_line(line, events)
                line = bytes(self._line)
                self._line.clear()
            self._take_line(line, events)
        self._extend_line(rest, events)

    def _extend_line(self, piece: bytes, events: list[Event]) -> None:
        self._line += piece
        if len(self._line) + self._data_bytes > MAX_EVENT_BYTES:
            self._line[:] = _without_media(bytes(self._line))
            self._had_media = True
            if len(self._line) + self._data_bytes > MAX_EVENT_BYTES:
                raise EventTooLong(events)

    def _take_line(self, line: bytes, events: list[Event]) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            name = self._name if self._later_name is None else self._later_name
            self._end_event(events, name)
        elif field == b"data":
            self._take_data(value, events)
        elif field == b"event":
            if self._data:
                self._later_name = value
            else:
                self._name = value
        elif field == b"error":
            self._take_data(value, events)
            self._name = b"error"
            self._later_name = None
        elif line.startswith(b"{"):
            self._take_data(line, events)

    def _take_data(self, value: bytes, events: list[Event]) -> None:
        if value.startswith(b":"):
            return
        if value and not value.isspace():
            if self._filled == 1 and _is_other_event(self._last_filled, value):
                next_name = self._later_name or b""
                self._end_event(events, self._name)
                self._name = next_name
            self._filled += 1
            self._last_filled = value
        self._data.append(value)
        self._data_bytes += len(value)

    def _end_event(self, events: list[Event], name: bytes) -> None:
        if self._data:
            data = b"\n".join(self._data)
            events.append(Event(_without_media(data) if self._had_media else data, name))
        self._data.clear()
        self._data_bytes = self._filled = 0
        self._name = b""
        self._later_name = None
        self._had_media = False

    def _with_lf(self, data: bytes) -> bytes:
        # A CR ends its line at once; an LF after it, even in the next read, is dropped. Waiting for
        # the LF would delay the last event of every read.
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr = self._after_cr or data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _without_media(data: bytes) -> bytes:
    """Replace base64 runs by ``MEDIA``; runs may also be cut piece by piece, with equal results."""
    return _MEDIA_TAIL.sub(MEDIA, _MEDIA_RUN.sub(rb"\1" + MEDIA, data))


def _is_other_event(data: bytes, value: bytes) -> bool:
    """Whether ``value`` begins another event, rather than continuing the one with ``data``."""
    if _is_object(data):
        return True
    is_whole = value.startswith((b"{", b"[DONE]")) or _HEARTBEAT.fullmatch(value.strip())
    return bool(is_whole and _HEARTBEAT.fullmatch(data.strip()))


def _is_object(data: bytes) -> bool:
    if not (data.startswith(b"{") and data.rstrip().endswith(b"}")):
        return False
    try:
        json.loads(data, parse_int=str)  # Python rejects very long integers
    except (ValueError, RecursionError):
        return False
    return True
