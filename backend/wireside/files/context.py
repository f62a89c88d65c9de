"""Puts the contents of files into the messages that a model gets.

The files of the question are always included. Those of earlier questions are included from the
newest on, as far as there is room: a follow-up question can refer to a file, and old files don't
displace the conversation.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from wireside.errors import InvalidAttachment, NotFound
from wireside.files.media_types import IMAGES
from wireside.files.service import MB, CallerFiles
from wireside.messages import Message
from wireside.parts import FilePart, ImagePart, Part, upload_of
from wireside.records import StoredFile

MAX_IMAGES_BYTES = 20 * MB
"""Total size of the images in a request; model services refuse more."""

IMAGES_TOO_LARGE = f"The images of a question may have {MAX_IMAGES_BYTES // MB} MB together."

CANNOT_SEE = "This model can't see images. Choose another model, or remove the image."


@dataclass(slots=True)
class _Room:
    """What may still be included."""

    chars: int
    image_bytes: int


CanSee = Callable[[], Awaitable[bool | None]]
"""Returns whether a model sees images; None if that is unknown."""


async def with_contents(
    files: CallerFiles, messages: Sequence[Message], *, can_see: CanSee
) -> tuple[Message, ...]:
    """Return messages whose references to files are replaced by what a model can read.

    Args:
        files: the files of the account that asks.
        messages: the context, the question last.
        can_see: called if there are files. Images of earlier questions are left out if the model
            does not see.

    Raises:
        InvalidAttachment: a file of the question can't be read, or the model can't see its image.
        NotFound: a file of the question is gone.
    """
    ids = {
        file_id for message in messages for part in message.parts if (file_id := upload_of(part))
    }
    if not ids:
        return tuple(messages)
    known = {file.id: file for file in await files.existing_files(sorted(ids))}
    sees = await can_see()
    room = _Room(files.rules.max_chars, MAX_IMAGES_BYTES)
    filled: list[Message] = []
    for message in reversed(messages):
        contents = _Contents(files, known, room, sees, is_question=not filled)
        filled.append(await contents.fill_message(message))
    return tuple(reversed(filled))


def check_images(files: Sequence[StoredFile], *, can_see: bool | None) -> None:
    """Check the images of a question. Raises ``InvalidAttachment``."""
    sizes = [file.size_bytes for file in files if file.media_type in IMAGES]
    if sizes and can_see is False:
        raise InvalidAttachment(CANNOT_SEE)
    if sum(sizes) > MAX_IMAGES_BYTES:
        raise InvalidAttachment(IMAGES_TOO_LARGE)


@dataclass(frozen=True, slots=True)
class _Contents:
    """Reads the files of one message."""

    files: CallerFiles
    known: dict[str, StoredFile]
    room: _Room
    can_see: bool | None
    is_question: bool

    async def fill_message(self, message: Message) -> Message:
        if not any(map(upload_of, message.parts)):
            return message
        return Message(message.role, tuple([await self._fill_part(part) for part in message.parts]))

    async def _fill_part(self, part: Part) -> Part:
        if (file_id := upload_of(part)) is None:
            return part
        file = self.known.get(file_id)
        try:
            if file is None:
                raise NotFound("A file of the question is gone.")
            if isinstance(part, ImagePart):
                return await self._fill_image(part, file)
            return await self._with_text(part, file)
        except (InvalidAttachment, NotFound):
            if self.is_question:
                raise
            return part  # a model is told its name

    async def _fill_image(self, part: ImagePart, file: StoredFile) -> Part:
        if self.can_see is False:
            raise InvalidAttachment(CANNOT_SEE)
        if file.size_bytes > self.room.image_bytes:
            raise InvalidAttachment(IMAGES_TOO_LARGE)
        self.room.image_bytes -= file.size_bytes
        content = b"".join([piece async for piece in await self.files.read_content(file)])
        encoded = await asyncio.to_thread(b64encode, content)
        return replace(part, url=f"data:{file.media_type};base64,{encoded.decode()}")

    async def _with_text(self, part: Part, file: StoredFile) -> Part:
        """Return a part with the text of its file, if there is room for it."""
        assert isinstance(part, FilePart)
        text = await self.files.text_of_file(file)
        if not self.is_question:
            if len(text) > self.room.chars:
                return part
            self.room.chars -= len(text)
        return replace(part, text=text)
