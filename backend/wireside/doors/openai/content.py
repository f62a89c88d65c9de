"""What of an answer fits into OpenAI's API, and the files of its requests."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from wireside.chat.service import ChatService
from wireside.doors.questions import question_in_words
from wireside.errors import BadMessage, NotFound, StoreError, TooLarge
from wireside.extension.questions import KIND as QUESTION
from wireside.files.service import part_of_file
from wireside.generation.log import PartPiece, Piece, ReasoningPiece, TextPiece, ToolPiece
from wireside.messages import Message
from wireside.parts import (
    DataPart,
    FilePart,
    ImagePart,
    Part,
    ToolCallPart,
    data_of,
    is_hidden,
    label_of,
    part_to_object,
    text_of,
    upload_of,
)

NO_TEXT: Final = frozenset(("step", "source", "edited", "summary"))
"""Kinds of parts that are not written into the text: they are steps towards it, or its sources."""

MAX_INLINE_URL_CHARS: Final = 2_000
"""Maximum length of the URL of an image that is written into the text."""

Content = TextPiece | ReasoningPiece | ToolPiece | PartPiece


class TextOfParts:
    """Represents the parts of one answer as text, each in a paragraph, in its first state."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def text_of_piece(self, piece: ToolPiece | PartPiece) -> str:
        """Return what is written into the text for a piece, "" for nothing."""
        return self.text_for(piece.delta.part) if isinstance(piece, PartPiece) else ""

    def text_for(self, part: Part) -> str:
        """Return what is written into the text for a part, "" for nothing."""
        if is_hidden(part) or (isinstance(part, DataPart) and part.kind in NO_TEXT):
            return ""
        if isinstance(part, DataPart) and part.id:
            if part.id in self._shown:
                return ""
            self._shown.add(part.id)
        return f"\n\n{_as_text(part)}\n\n"


def _as_text(part: Part) -> str:
    match part:
        case DataPart(kind=kind) if kind == QUESTION:
            return question_in_words(part)
        case ImagePart() if part.url.startswith("https:") and len(part.url) < MAX_INLINE_URL_CHARS:
            return f"![{part.name}]({part.url})"
        case ImagePart() | FilePart() | DataPart():
            return label_of(part)
        case _:
            return ""


def visible(pieces: Iterable[Piece]) -> Iterator[Content]:
    """Yield the pieces that any client may see."""
    for piece in pieces:
        if not (isinstance(piece, PartPiece) and is_hidden(piece.delta.part)):
            yield piece


def part_object(piece: ToolPiece | PartPiece) -> dict[str, Any]:
    """Return a part, or a tool call that the server has run, as in Wireside's own protocol."""
    if isinstance(piece, PartPiece):
        return part_to_object(piece.delta.part)
    call = piece.delta
    return part_to_object(
        ToolCallPart(
            call=call.call,
            name=call.name,
            state=call.state,
            arguments=call.arguments,
            result=call.result,
        )
    )


def citation_of(piece: PartPiece) -> dict[str, Any] | None:
    """Return a source with an address as ``url`` and ``title``, None for any other part."""
    return citation_of_part(piece.delta.part)


def citation_of_part(part: Part) -> dict[str, Any] | None:
    """Return what ``citation_of`` does, for a part."""
    if not isinstance(part, DataPart) or part.kind != "source":
        return None
    data = data_of(part)
    if not isinstance(data, dict) or not isinstance(data.get("url"), str) or not data["url"]:
        return None
    return {"url": data["url"], "title": str(data.get("title") or "")}


# ---- requests ------------------------------------------------------------------------------------


def check_length(chat: ChatService, messages: Sequence[Message]) -> None:
    """Raise ``TooLarge`` if the last question is longer than questions may be."""
    asked = next((one.text for one in reversed(messages) if one.role == "user"), "")
    if len(asked) > chat.max_message_chars:
        raise TooLarge(
            f"The message has {len(asked):,} characters; at most {chat.max_message_chars:,} fit."
        )


async def with_uploads(
    chat: ChatService, messages: Sequence[Message], kept: list[str]
) -> tuple[Message, ...]:
    """Return messages whose files are uploads; images stay as they are.

    The ids of the uploads that this makes are appended to ``kept``, also if it raises.

    Raises:
        BadMessage, InvalidAttachment, NotFound, TooLarge, TooMany: a file can't be used.
    """
    contents = [part for message in messages for part in message.parts if _has_content(part)]
    if len(contents) > chat.files.rules.per_message:
        raise BadMessage(f"A request may have {chat.files.rules.per_message} files.")
    found: list[Message] = []
    for message in messages:
        parts = [await _as_upload(chat, part, kept) for part in message.parts]
        found.append(replace(message, parts=tuple(parts)))
    return tuple(found)


async def remove_uploads(chat: ChatService, file_ids: Sequence[str]) -> None:
    """Remove uploads, unless a question refers to them by now."""
    for file_id in file_ids:
        with suppress(BadMessage, NotFound, StoreError):
            await chat.files.remove_file(file_id)


def _has_content(part: Part) -> bool:
    """Whether a part is a file that must be kept, so that its text can be read."""
    return isinstance(part, FilePart) and upload_of(part) is None


async def _as_upload(chat: ChatService, part: Part, kept: list[str]) -> Part:
    if isinstance(part, FilePart) or upload_of(part):
        (file_id,) = await upload_ids(chat, [part])
        if _has_content(part):
            kept.append(file_id)
        (file,) = await chat.files.attached_files([file_id])
        return part_of_file(file)
    return part


async def upload_ids(chat: ChatService, parts: Sequence[Part]) -> tuple[str, ...]:
    """Keep the images and files among parts; return the ids of all.

    Raises the errors of ``with_uploads``.
    """
    ids: list[str] = []
    for part in parts:
        if known := upload_of(part):
            ids.append(known)
        elif isinstance(part, ImagePart | FilePart):
            content = await asyncio.to_thread(_decode, part.url)
            name = part.name or f"image.{part.media_type.partition('/')[2] or 'png'}"
            ids.append((await chat.files.upload_file(name, _single(content))).id)
    return tuple(ids)


def _decode(url: str) -> bytes:
    try:
        return base64.b64decode(url.partition(",")[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadMessage("A file of the request is not valid base64.") from error


async def _single(content: bytes) -> AsyncIterator[bytes]:
    yield content


def question_of(messages: Sequence[Message]) -> tuple[str, tuple[Part, ...]]:
    """Return the text and the files of the last message. Raises ``BadMessage``."""
    last = messages[-1]
    if last.role != "user":
        raise BadMessage("messages: the last one of a stored conversation must be the user's.")
    files = tuple(part for part in last.parts if isinstance(part, ImagePart | FilePart))
    return text_of(last.parts), files
