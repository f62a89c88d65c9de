"""Limits of frames, which no setting changes."""

from __future__ import annotations

from typing import Final

from wireside.errors import BadMessage

MAX_BATCH: Final = 20
"""Messages of one ``batch``."""

MAX_PARALLEL: Final = 8
"""Messages of one ``batch`` that are answered at once."""

MAX_ATTACHMENTS: Final = 100
"""Files of one ``chat``; a setting allows fewer."""

MAX_CONTEXT: Final = 200
"""Messages in the context of one ``chat``."""

CONTEXT_CHARS: Final = 5
"""Characters of that context, as a multiple of the limit for one message."""

MIN_FRAME_BYTES: Final = 1_024
"""Smallest ``max_frame_bytes`` that a client can request."""

DEFAULT_FRAME_BYTES: Final = 8_000
"""Bytes of a frame to a client. 8 KiB is the smallest limit among common client libraries."""

MAX_FRAME_BYTES: Final = 1_048_576
"""Largest ``max_frame_bytes`` that a client can request."""

MAX_ECHO_CHARS: Final = 256
"""Characters of ``t`` in a ping.

A client that never reads would otherwise queue a pong of a megabyte for each ping.
"""

MAX_NAME_CHARS: Final = 200
"""Characters of the name of a model, conversation or stream.

A queued request keeps these names in memory.
"""

MAX_SENTENCE_CHARS: Final = 500
"""Characters of an error's sentence; a model service may send pages of text."""


def checked_frame_bytes(value: int) -> int:
    """Return a size of frames that clients can request.

    Raises:
        BadMessage: it is out of range.
    """
    if not MIN_FRAME_BYTES <= value <= MAX_FRAME_BYTES:
        raise BadMessage(
            f"max_frame_bytes: expected a whole number from {MIN_FRAME_BYTES} to {MAX_FRAME_BYTES}."
        )
    return value
