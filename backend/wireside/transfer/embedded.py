"""Embeds the contents of files into exports, as ``data:`` URLs.

JSON exports contain all files, HTML exports the images of questions.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from wireside.errors import NotFound
from wireside.files.media_types import IMAGES
from wireside.files.service import MB, CallerFiles
from wireside.parts import ImagePart, Part, upload_of
from wireside.records import TurnRecord

MAX_PAGE_IMAGES_BYTES: Final = 20 * MB
"""Total size of the images of questions in an HTML export."""

_REFERENCE = re.compile(r'"url":"upload:([A-Za-z0-9_-]{1,64})"')
"""Matches a reference in JSON. No text contains it: quotation marks in texts are escaped."""


async def with_contents(text: str, files: CallerFiles) -> AsyncIterator[str]:
    """Iterate over a JSON text in which references to files are replaced by their contents.

    The URL of a file that is gone is empty.
    """
    end = 0
    for reference in _REFERENCE.finditer(text):
        yield text[end : reference.start()]
        end = reference.end()
        try:
            file = await files.find_file(reference[1])
            pieces = await files.read_content(file)
        except NotFound:
            yield '"url":""'
            continue
        yield f'"url":"data:{file.media_type};base64,'
        async for piece in _encode_base64(pieces):
            yield piece
        yield '"'
    yield text[end:]


class PageImages:
    """Embeds the images of questions into one HTML page, from the first on, as long as they fit.

    Only raster images are embedded: their types were determined from their contents.
    """

    def __init__(self, files: CallerFiles, *, max_bytes: int = MAX_PAGE_IMAGES_BYTES) -> None:
        """``max_bytes`` is the total size of the images."""
        self._files = files
        self._bytes_left = max_bytes

    async def embed_images(self, record: TurnRecord) -> TurnRecord:
        """Return a turn whose images have ``data:`` URLs.

        An image that does not fit or is gone keeps its reference, which is exported as its name.
        """
        if not any(isinstance(part, ImagePart) for part in record.question_parts):
            return record
        parts = [await self._embed_image(part) for part in record.question_parts]
        return replace(record, question_parts=tuple(parts))

    async def _embed_image(self, part: Part) -> Part:
        file_id = upload_of(part)
        if not isinstance(part, ImagePart) or file_id is None:
            return part
        try:
            file = await self._files.find_file(file_id)
            if file.media_type not in IMAGES or file.size_bytes > self._bytes_left:
                return part
            content = b"".join([piece async for piece in await self._files.read_content(file)])
        except NotFound:
            return part
        self._bytes_left -= file.size_bytes
        encoded = await asyncio.to_thread(b64encode, content)
        return replace(part, url=f"data:{file.media_type};base64,{encoded.decode()}")


async def _encode_base64(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    held = b""
    async for piece in pieces:
        held += piece
        whole = len(held) - len(held) % 3  # no padding between pieces
        yield b64encode(held[:whole]).decode()
        held = held[whole:]
    yield b64encode(held).decode()
