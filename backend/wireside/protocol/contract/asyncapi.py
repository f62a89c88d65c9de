"""The AsyncAPI 3.1 document of ``/ws/ai-chat``, served at ``/asyncapi.json``.

Its point of view is the server's: it *receives* the frames of clients and *sends* its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wireside.protocol.contract.client_schemas import client_schemas
from wireside.protocol.contract.documents import Schema, with_examples
from wireside.protocol.contract.examples import CLIENT, SERVER
from wireside.protocol.contract.server_schemas import server_schemas
from wireside.protocol.frames.heartbeats import REPLIES
from wireside.protocol.frames.limits import MAX_FRAME_BYTES, MIN_FRAME_BYTES
from wireside.protocol.frames.server import KeepaliveReply

_DESCRIPTION: Final = """\
One JSON object per text frame. A request without `id` belongs to level 1, the integration guide's
protocol, and is answered by `chunk`, `done`, `error` and `pong` only. A request with `id` belongs
to level 2: one connection carries several answers at once, and each can be resumed.

Clients ignore unknown keys and frames of an unknown type. `/docs/protocol` is normative.
"""

_ANSWER: Final = (
    *("Start", "Chunk", "Reasoning", "Tool", "Part", "Done", "Error", "UnknownFrame"),
    *("ChunkLevel1", "DoneLevel1", "ErrorLevel1"),
)


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation: a summary, the frames of the client, and those that respond."""

    summary: str
    frames: Sequence[str]
    replies: Sequence[str] = ()


_OPERATIONS: Final[Mapping[str, _Operation]] = {
    "ask": _Operation("Ask a question.", ("Chat", "ChatLevel1"), _ANSWER),
    "askSeveral": _Operation(
        "Ask several questions, answered one after another or, with `parallel`, some at once.",
        ("Batch", "BatchLevel1"),
        (*_ANSWER, "BatchDone"),
    ),
    "answerQuestion": _Operation("Answer a question of a conversation.", ("Answer",), _ANSWER),
    "resume": _Operation(
        "Continue an answer at an offset, after a disconnect.", ("Resume",), ("Resumed", *_ANSWER)
    ),
    "cancel": _Operation(
        "Stop an answer; its request ends with `done`.",
        ("Cancel", "CancelLevel1"),
        ("Done", "DoneLevel1"),
    ),
    "keepAlive": _Operation(
        "Keep the connection open.",
        ("Ping", "Heartbeat", "ClientPong", "KeepaliveText"),
        ("Pong", "KeepaliveReplyText"),
    ),
}


def asyncapi_document(
    *,
    version: str,
    max_message_chars: int,
    host: str = "127.0.0.1:8080",
    protocol: str = "ws",
    root_path: str = "",
) -> Schema:
    """Return the document.

    Args:
        version: version of the server.
        max_message_chars: limit for one message.
        host: host and port at which clients reach the server.
        protocol: ``ws`` or ``wss``.
        root_path: path below which the server is reached.
    """
    frames = with_examples({**client_schemas(max_message_chars), **server_schemas()})
    schemas = {
        **{name: _relocated(schema) for name, schema in frames.items()},
        **_keepalive_texts(),
    }
    names = [name for name in schemas if name in _messages_of(CLIENT, SERVER)]
    pathname = {"pathname": root_path} if root_path else {}
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Wireside",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "server": {
                "host": host,
                "protocol": protocol,
                **pathname,
                "description": "This server. Without accounts, no credential is needed.",
                "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in _SCHEMES],
            }
        },
        "channels": {"chat": _channel(names)},
        "operations": {name: _operation(one) for name, one in _OPERATIONS.items()},
        "components": {
            "messages": {name: _message(name, schemas[name]) for name in names},
            "schemas": schemas,
            "securitySchemes": _SCHEMES,
        },
    }


def _messages_of(*examples: Mapping[str, Sequence[Any]]) -> set[str]:
    return {"KeepaliveText", "KeepaliveReplyText"}.union(*examples)


def _channel(names: Iterable[str]) -> Schema:
    size = {
        "type": "integer",
        "minimum": MIN_FRAME_BYTES,
        "maximum": MAX_FRAME_BYTES,
        "description": "The largest frame that the server sends, in bytes.",
    }
    return {
        "address": "/ws/ai-chat",
        "title": "Chat",
        "description": "Questions and their answers, streamed.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "ws": {
                "method": "GET",
                "query": {"type": "object", "properties": {"max_frame_bytes": size}},
                "bindingVersion": "0.1.0",
            }
        },
    }


def _operation(operation: _Operation) -> Schema:
    channel = {"$ref": "#/channels/chat"}
    return {
        "action": "receive",
        "summary": operation.summary,
        "channel": channel,
        "messages": _references(operation.frames),
        "reply": {"channel": channel, "messages": _references(operation.replies)},
    }


def _references(names: Iterable[str]) -> list[Schema]:
    return [{"$ref": f"#/channels/chat/messages/{name}"} for name in names]


def _message(name: str, schema: Schema) -> Schema:
    is_text = schema["type"] == "string"
    summary: str = schema["description"]
    return {
        "name": name,
        "summary": summary,
        "contentType": "text/plain" if is_text else "application/json",
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": [{"payload": example} for example in schema["examples"]],
    }


def _keepalive_texts() -> dict[str, Schema]:
    """Return the schemas of the texts that client libraries send to keep a connection open."""
    replies = {reply.text for reply in REPLIES.values() if isinstance(reply, KeepaliveReply)}
    return {
        "KeepaliveText": {
            "type": "string",
            "enum": sorted(REPLIES),
            "description": "The keepalive of a client library: a text that is not JSON.",
            "examples": ["ping"],
        },
        "KeepaliveReplyText": {
            "type": "string",
            "enum": sorted(replies),
            "description": "The response that the library expects.",
            "examples": ["pong"],
        },
    }


def _relocated(schema: Any) -> Any:
    """Return a schema with its references pointing into ``components``."""
    match schema:
        case {"$ref": str(target)}:
            return {"$ref": target.replace("#/$defs/", "#/components/schemas/")}
        case dict():
            return {key: _relocated(value) for key, value in schema.items()}
        case list():
            return [_relocated(value) for value in schema]
        case _:
            return schema


_SCHEMES: Final[dict[str, Schema]] = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "ticket": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "`ai-chat, ticket.VALUE`, with a ticket of `POST /api/tickets`.",
    },
    "session": {
        "type": "httpApiKey",
        "in": "cookie",
        "name": "wireside_session",
        "description": "The session of a signed-in browser, from the same origin.",
    },
}
