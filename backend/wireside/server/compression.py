"""permessage-deflate with almost no memory for an idle connection.

A compressor takes 28 KB. RFC 7692 requires the decompressor to keep its window, but allows a
compressor to start any message with an empty one. So the compressor exists only while answers are
streamed, and is dropped when the connection is idle. For incoming messages only the window is kept,
which is the end of what the client has sent; each message gets a new decompressor primed with it.

The response names no parameter that was not offered. RFC 7692 would allow that, but clients refuse
the connection (nhooyr.io/websocket) or ignore the parameter (Tornado).
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
"""Smaller messages are sent uncompressed.

A token is 40 bytes in a packet of 100, and compressing it costs as much CPU as the rest of sending
it.
"""

WINDOW_BITS: Final = 12
"""Window size of the compressor, in bits.

A window smaller than the client expects need not be negotiated.
"""

MEMORY_LEVEL: Final = 5
"""zlib's ``memLevel`` of the compressor."""


class LazyDeflate(PerMessageDeflate):
    """Server side of permessage-deflate, with a compressor created and dropped on demand."""

    def __init__(
        self, *, keeps_window: bool, local_bits: int, remote_bits: int, remote_keeps_window: bool
    ) -> None:
        # With "no context takeover" both ways, the base class creates no context before its first
        # use.
        super().__init__(True, True, remote_bits, local_bits)
        self.remote_no_context_takeover = False  # decoders are created and dropped in this class
        self._keeps_window = keeps_window
        self._remote_window = 1 << remote_bits if remote_keeps_window else 0
        self._received = b""
        """The window of the client's compressor: the end of what it has sent."""
        self._compressor: Any = None  # zlib does not export the type
        self._was_used = False

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Return the frame with its payload decompressed. Raises the base class's exceptions."""
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
        """Return the compressed payload of a whole message."""
        compressor = self._compressor
        if compressor is None:
            compressor = zlib.compressobj(wbits=-self.local_max_window_bits, memLevel=MEMORY_LEVEL)
            if self._keeps_window:
                self._compressor = compressor
        self._was_used = True
        out: bytes = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return out[:-4]  # the empty block that ends a sync flush is omitted on the wire

    def rest(self) -> None:
        """Drop the compressor if it was not used since the last call."""
        if not self._was_used:
            self._compressor = None
        self._was_used = False

    @property
    def holds_memory(self) -> bool:
        """Whether a compressor is allocated."""
        return self._compressor is not None

    def encode(self, frame: Frame) -> Frame:
        """Return the frame unchanged: a control frame, or one not passed to :meth:`compress`."""
        return frame


class LazyDeflateFactory(ServerPerMessageDeflateFactory):
    """Negotiates :class:`LazyDeflate`."""

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Return the response's parameters and the extension. Raises ``NegotiationError``."""
        # The base class creates contexts where the client allows takeover; they are freed at once.
        response, agreed = super().process_request_params(params, accepted_extensions)
        return response, LazyDeflate(
            keeps_window=not agreed.local_no_context_takeover,
            local_bits=min(WINDOW_BITS, agreed.local_max_window_bits),
            remote_bits=agreed.remote_max_window_bits,
            remote_keeps_window=not agreed.remote_no_context_takeover,
        )


def readable_offers(values: Iterable[str]) -> list[str]:
    """Return the valid offers in ``Sec-WebSocket-Extensions`` headers, normalised.

    An invalid offer is declined and does not refuse the connection: clients send the header empty,
    or with an extra comma or semicolon.
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
