"""Embeds the contents of files into JSON exports as ``data:`` URLs, piece by piece."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator

from wireside.errors import NotFound
from wireside.files.service import CallerFiles

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


async def _encode_base64(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    held = b""
    async for piece in pieces:
        held += piece
        whole = len(held) - len(held) % 3  # no padding between pieces
        yield b64encode(held[:whole]).decode()
        held = held[whole:]
    yield b64encode(held).decode()
