"""The frames of ``/ws/ai-chat`` in both directions, as values with ``encode``, and their parsers.

A frame without ``id`` belongs to level 1, that of the integration guide; one with ``id`` to level
2.
"""

from wireside.protocol.frames.client import (
    BatchFrame,
    CancelFrame,
    ChatFrame,
    ClientFrame,
    PingFrame,
    RefusedFrame,
    ResumeFrame,
)
from wireside.protocol.frames.client_parser import parse_client_frame
from wireside.protocol.frames.heartbeats import Heartbeat
from wireside.protocol.frames.limits import (
    CONTEXT_CHARS,
    DEFAULT_FRAME_BYTES,
    MAX_BATCH,
    MAX_FRAME_BYTES,
    MAX_NAME_CHARS,
    MAX_PARALLEL,
    checked_frame_bytes,
)
from wireside.protocol.frames.server import (
    BatchDoneFrame,
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    KeepaliveReply,
    Level,
    PartFrame,
    PongFrame,
    ReasoningFrame,
    ResumedFrame,
    ServerFrame,
    StartFrame,
    StreamState,
    ToolFrame,
    UnknownFrame,
    encode_chunk,
)
from wireside.protocol.frames.server_parser import parse_server_frame
from wireside.protocol.frames.sizes import CHAR_BYTES, CHUNK_BYTES, split_text

__all__ = [
    "CHAR_BYTES",
    "CHUNK_BYTES",
    "CONTEXT_CHARS",
    "DEFAULT_FRAME_BYTES",
    "MAX_BATCH",
    "MAX_FRAME_BYTES",
    "MAX_NAME_CHARS",
    "MAX_PARALLEL",
    "BatchDoneFrame",
    "BatchFrame",
    "CancelFrame",
    "ChatFrame",
    "ChunkFrame",
    "ClientFrame",
    "DoneFrame",
    "ErrorFrame",
    "Heartbeat",
    "KeepaliveReply",
    "Level",
    "PartFrame",
    "PingFrame",
    "PongFrame",
    "ReasoningFrame",
    "RefusedFrame",
    "ResumeFrame",
    "ResumedFrame",
    "ServerFrame",
    "StartFrame",
    "StreamState",
    "ToolFrame",
    "UnknownFrame",
    "checked_frame_bytes",
    "encode_chunk",
    "parse_client_frame",
    "parse_server_frame",
    "split_text",
]
