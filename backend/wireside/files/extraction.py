"""Texts of files for models: decoded, or extracted from documents by a process with limits."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress

import structlog

from wireside.errors import InvalidAttachment
from wireside.files.extractor import Outcome
from wireside.files.media_types import can_read

_log = structlog.get_logger(__name__)

AT_ONCE = 2
"""Number of processes at a time; further documents are queued."""

TIMEOUT_S = 120.0
"""Seconds for one document; its process has less processor time than that."""

MAX_CHAR_BYTES = 4
"""Bytes of a character in UTF-8, and in UTF-16."""

NO_OFFICE = (
    "can't be read: this server lacks the packages for Word, Excel and PowerPoint files"
    " (`pip install 'wireside[office]'`). Attach it as a PDF."
)

_CUT = "\n\n(The file goes on; the rest is cut off.)"

_ENVIRONMENT = ("PATH", "PYTHONPATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""What a process gets of the server's environment, which has its secrets."""


class Extractor:
    """Extracts the text of documents, at most ``max_chars`` of each."""

    def __init__(self, max_chars: int, *, timeout_s: float = TIMEOUT_S) -> None:
        self.max_chars = max_chars
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def extract_text(self, name: str, media_type: str, pieces: AsyncIterator[bytes]) -> str:
        """Return the text of a document.

        Args:
            name: its name, for the sentences of errors.
            media_type: one of ``media_types.DOCUMENTS``.
            pieces: its content.

        Raises:
            InvalidAttachment: it has no text, or none that can be read within the limits.
        """
        if not can_read(media_type):  # it may have been when the file was uploaded
            raise InvalidAttachment(f"{name} {NO_OFFICE}")
        async with self._slots:
            data, code = await self._run_process(media_type, pieces)
        # a process that was killed may have stopped within a character
        text = data.decode("utf-8", "ignore").strip()
        if code == Outcome.ENCRYPTED:
            raise InvalidAttachment(f"{name} needs a password; attach it without one.")
        if not text:
            raise InvalidAttachment(f"{name} {_WHY_NOT.get(code, _TOO_MUCH)}")
        if code not in (Outcome.WHOLE, Outcome.CUT):
            _log.info("extraction_ended_early", code=code, chars=len(text))
        return text if code == Outcome.WHOLE else text + _CUT

    async def _run_process(
        self, media_type: str, pieces: AsyncIterator[bytes]
    ) -> tuple[bytes, int]:
        """Return the output of the process and its exit code."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wireside.files.extractor", media_type, str(self.max_chars)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )
        output = bytearray()
        feeding = asyncio.create_task(_feed_process(process, pieces))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout_s):
                    await self._read_output(process, output)
                    return bytes(output), await process.wait()
        finally:
            feeding.cancel()
            with suppress(ProcessLookupError):
                process.kill()
            await asyncio.gather(feeding, process.wait(), return_exceptions=True)
        return bytes(output), -9

    async def _read_output(self, process: Process, output: bytearray) -> None:
        assert process.stdout is not None
        limit = self.max_chars * MAX_CHAR_BYTES
        while len(output) < limit and (data := await process.stdout.read(65_536)):
            output += data


async def _feed_process(process: Process, pieces: AsyncIterator[bytes]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # it may end before it has read all
        async for piece in pieces:
            process.stdin.write(piece)
            await process.stdin.drain()
        process.stdin.close()


_WHY_NOT: dict[int, str] = {
    Outcome.WHOLE: "has no text. If it is a scan, attach its pages as images.",
    Outcome.DAMAGED: "is damaged, or too large when it is unpacked: it can't be read.",
}
_TOO_MUCH = "takes too much time or memory to read."


def cut_text(text: str, max_chars: int) -> str:
    """Return a text of at most ``max_chars`` characters, with a note where it goes on."""
    return text if len(text) <= max_chars else text[:max_chars] + _CUT


def decode_text(data: bytes, max_chars: int, *, is_whole: bool) -> str:
    """Return the text of a file of text.

    Args:
        data: its beginning; ``MAX_CHAR_BYTES`` times ``max_chars`` are enough.
        max_chars: characters to return at most, with a note where the text goes on.
        is_whole: whether ``data`` is all of it.
    """
    text = _decode_bytes(data, is_whole=is_whole)
    return text if is_whole and len(text) <= max_chars else text[:max_chars] + _CUT


def _decode_bytes(data: bytes, *, is_whole: bool) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not is_whole and error.start > len(data) - MAX_CHAR_BYTES:  # cut within a character
            return data[: error.start].decode("utf-8-sig")
        return data.decode("cp1252", "replace")
