"""Parses the frames of the server, as a client does: what a newer server adds is tolerated."""

from __future__ import annotations

from typing import Final

import msgspec

from wireside.errors import BadJson, BadMessage
from wireside.protocol.frames.heartbeats import REPLIES
from wireside.protocol.frames.server import JsonFrame, KeepaliveReply, ServerFrame, UnknownFrame

_decoder: Final[msgspec.json.Decoder[JsonFrame]] = msgspec.json.Decoder(JsonFrame)
_KNOWN_TYPES: Final = frozenset(frame.__struct_config__.tag for frame in JsonFrame.__args__)
_TEXTS: Final = {
    reply.text: reply for reply in REPLIES.values() if isinstance(reply, KeepaliveReply)
}


class _Typed(msgspec.Struct):
    type: str


_type_decoder: Final = msgspec.json.Decoder(_Typed)


def parse_server_frame(text: str) -> ServerFrame:
    """Parse a text frame of the server.

    Unknown keys are ignored, and a frame of an unknown type is returned as ``UnknownFrame``.

    Raises:
        BadJson: the frame is not JSON.
        BadMessage: the frame is not an object with a type, or a field of a known type is missing or
            invalid.
    """
    if text in _TEXTS:
        return _TEXTS[text]
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        return _unknown(text, error)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise BadJson("The frame is not JSON that can be read.") from error


def _unknown(text: str, reason: msgspec.ValidationError) -> UnknownFrame:
    """Return a frame that was refused for its type; raises ``BadMessage`` for another reason."""
    try:
        kind = _type_decoder.decode(text).type
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadMessage(f"The frame is invalid: {reason}.") from error
    if kind in _KNOWN_TYPES:
        raise BadMessage(f"The frame of type {kind} is invalid: {reason}.") from reason
    return UnknownFrame(type=kind, text=text)
