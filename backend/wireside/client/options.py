"""Options of questions, and the frames that they make."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from wireside.client.rest import Upload
from wireside.errors import BadMessage
from wireside.messages import Message
from wireside.protocol.frames import MAX_BATCH, MAX_PARALLEL, BatchFrame, ChatFrame


class _Common(TypedDict, total=False):
    model: str | None
    """The model; the server's default without."""
    system: str | None
    """Replaces the server's system prompt."""
    temperature: float | None
    """From 0 to 2."""
    max_tokens: int | None
    """Limit on the tokens of an answer."""
    sanitize: bool
    """Whether ``<script`` is escaped."""
    key: str | None
    """Name of the request: the same key gives the same answer; random by default."""


class AskOptions(_Common, total=False):
    """Options of one question."""

    messages: Sequence[Message]
    """The turns before it, for a question that is not stored."""
    options: Mapping[str, Any]
    """The model's own options."""
    attachments: Sequence[str | Upload]
    """Uploads, or their ids."""
    steer: bool
    """Whether an answer that runs in the conversation ends where it is."""


class BatchOptions(_Common, total=False):
    """Options of a batch."""

    parallel: int
    """Number of questions that are answered at once, from 1 to 8; 1 by default."""


def chat_frame(message: str, conversation: str | None, options: AskOptions) -> ChatFrame:
    """Return the frame of a question, without an id."""
    own = options.get("options")
    return ChatFrame(
        message=_well_formed(message),
        conversation=conversation,
        messages=tuple(options.get("messages", ())),
        attachments=tuple(map(_id_of, options.get("attachments", ()))),
        options=json.dumps(own) if own else "",
        model=options.get("model"),
        system=options.get("system"),
        temperature=options.get("temperature"),
        max_tokens=options.get("max_tokens"),
        sanitize=options.get("sanitize", False),
        steer=options.get("steer", False),
        key=options.get("key"),
    )


def batch_frame(
    messages: Sequence[str], conversation: str | None, options: BatchOptions
) -> BatchFrame:
    """Return the frame of a batch, without an id.

    Raises:
        BadMessage: the number of questions or ``parallel`` is out of range.
    """
    if isinstance(messages, str) or not 1 <= len(messages) <= MAX_BATCH:
        raise BadMessage(f"messages: expected 1 to {MAX_BATCH} strings.")
    parallel = options.get("parallel", 1)
    if not 1 <= parallel <= MAX_PARALLEL:
        raise BadMessage(f"parallel: expected a whole number from 1 to {MAX_PARALLEL}.")
    return BatchFrame(
        messages=tuple(map(_well_formed, messages)),
        conversation=conversation,
        parallel=parallel,
        model=options.get("model"),
        system=options.get("system"),
        temperature=options.get("temperature"),
        max_tokens=options.get("max_tokens"),
        sanitize=options.get("sanitize", False),
        key=options.get("key"),
    )


def _id_of(upload: str | Upload) -> str:
    return upload if isinstance(upload, str) else upload.id


def _well_formed(text: str) -> str:
    """Replace lone surrogates, which the protocol refuses."""
    return text.encode("utf-8", "replace").decode()
