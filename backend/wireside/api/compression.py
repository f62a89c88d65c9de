"""permessage-deflate that an idle connection does not pay for.

A compressor holds 28 KB. RFC 7692 makes the decompressor keep its window, but lets a compressor
begin with an empty one at any message: so ours exists only while answers flow, and is thrown away
when the connection rests. The other direction is asked to do without context takeover, so that a
decompressor lives no longer than one message.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Final

from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame
from websockets.typing import ExtensionParameter

MIN_COMPRESSED_BYTES: Final = 128
"""Smaller messages leave as they are: a token is 40 bytes in a packet of 100, compressing it costs
as much CPU as all the rest of sending it."""

WINDOW_BITS: Final = 12
MEMORY_LEVEL: Final = 5


class LazyDeflate(PerMessageDeflate):
    """permessage-deflate as the server end, with a compressor that comes and goes."""

    def __init__(self, *, keeps_window: bool, local_bits: int, remote_bits: int) -> None:
        # Told "no takeover" both ways, the base class makes no context before its first use.
        super().__init__(True, True, remote_bits, local_bits)
        self._keeps_window = keeps_window
        self._compressor: Any = None  # zlib does not export the type
        self._was_used = False

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

    def __init__(self) -> None:
        super().__init__(client_no_context_takeover=True, server_max_window_bits=WINDOW_BITS)

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Return the response's parameters and the extension. Raises ``NegotiationError``."""
        # The base class builds a context where the client lets us keep one: freed at once.
        response, agreed = super().process_request_params(params, accepted_extensions)
        return response, LazyDeflate(
            keeps_window=not agreed.local_no_context_takeover,
            local_bits=agreed.local_max_window_bits,
            remote_bits=agreed.remote_max_window_bits,
        )
