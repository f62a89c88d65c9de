"""permessage-deflate that an idle connection hardly pays for.

A compressor holds 28 KB. RFC 7692 makes the decompressor keep its window, but lets a compressor
begin with an empty one at any message: so ours exists only while answers flow, and is thrown away
when the connection rests. In the other direction only the window is kept, which is the end of what
the client has sent, and each message gets a decompressor of its own that begins with it.

The response names no parameter that was not offered. RFC 7692 would allow that, but clients refuse
the connection (nhooyr.io/websocket) or go on as if it had not been said (Tornado).
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from websockets.exceptions import InvalidHeader
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame, Opcode
from websockets.headers import parse_extension
from websockets.typing import ExtensionParameter

MIN_COMPRESSED_BYTES: Final = 128
"""Smaller messages leave as they are: a token is 40 bytes in a packet of 100, compressing it costs
as much CPU as all the rest of sending it."""

WINDOW_BITS: Final = 12
"""Of our compressor. A smaller window than the client expects needs no word about it."""

MEMORY_LEVEL: Final = 5


class LazyDeflate(PerMessageDeflate):
    """permessage-deflate as the server end, with a compressor that comes and goes."""

    def __init__(
        self, *, keeps_window: bool, local_bits: int, remote_bits: int, remote_keeps_window: bool
    ) -> None:
        # Told "no takeover" both ways, the base class makes no context before its first use.
        super().__init__(True, True, remote_bits, local_bits)
        self.remote_no_context_takeover = False  # decoders are made and dropped here
        self._keeps_window = keeps_window
        self._remote_window = 1 << remote_bits if remote_keeps_window else 0
        self._received = b""
        """The window of the client's compressor: the end of what it has sent."""
        self._compressor: Any = None  # zlib does not export the type
        self._was_used = False

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Return the frame with its payload decompressed. Raises as the base class does."""
        is_first = frame.opcode in (Opcode.TEXT, Opcode.BINARY)
        if is_first and not frame.rsv1:
            return frame
        if is_first:
            self.decoder = zlib.decompressobj(
                wbits=-self.remote_max_window_bits, zdict=self._received
            )
        is_compressed = is_first or (frame.opcode is Opcode.CONT and self.decode_cont_data)
        decoded = super().decode(frame, max_size=max_size)
        if is_compressed:
            if self._remote_window:
                window = self._received + bytes(decoded.data[-self._remote_window :])
                self._received = window[-self._remote_window :]
            if frame.fin:
                del self.decoder
        return decoded

    def compress(self, data: bytes) -> bytes:
        """Return the payload of a whole compressed message."""
        compressor = self._compressor
        if compressor is None:
            compressor = zlib.compressobj(wbits=-self.local_max_window_bits, memLevel=MEMORY_LEVEL)
            if self._keeps_window:
                self._compressor = compressor
        self._was_used = True
        out: bytes = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return out[:-4]  # the empty block that ends a sync flush is left out on the wire

    def rest(self) -> None:
        """Drop the compressor if it was not used since the last call."""
        if not self._was_used:
            self._compressor = None
        self._was_used = False

    @property
    def holds_memory(self) -> bool:
        """Whether there is a compressor to drop."""
        return self._compressor is not None

    def encode(self, frame: Frame) -> Frame:
        """Leave frames as they are: control frames, and what :meth:`compress` was not given."""
        return frame


class LazyDeflateFactory(ServerPerMessageDeflateFactory):
    """Negotiates :class:`LazyDeflate`."""

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Return the response's parameters and the extension. Raises ``NegotiationError``."""
        # The base class builds contexts where the client lets us keep them: freed at once.
        response, agreed = super().process_request_params(params, accepted_extensions)
        return response, LazyDeflate(
            keeps_window=not agreed.local_no_context_takeover,
            local_bits=min(WINDOW_BITS, agreed.local_max_window_bits),
            remote_bits=agreed.remote_max_window_bits,
            remote_keeps_window=not agreed.remote_no_context_takeover,
        )


def readable_offers(values: Iterable[str]) -> list[str]:
    """Return the values of ``Sec-WebSocket-Extensions`` that can be read, tidied up.

    An offer that can't be read is one that is declined, no reason to refuse the connection: clients
    send the header empty, or with a comma or a semicolon too many.
    """
    offers: list[str] = []
    for value in values:
        for offer in value.split(","):
            parts = [part.strip() for part in offer.split(";")]
            tidy = "; ".join(part for part in parts if part)
            with contextlib.suppress(InvalidHeader):
                if parse_extension(tidy):
                    offers.append(tidy)
    return offers
