"""The files of accounts: uploads within limits, their contents, and the removal of unused ones.

A content is kept before its file is stored, and removed after it: whatever ends the process, each
stored file has its content. Contents without a file are removed at the next start.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from wireside.errors import (
    BadMessage,
    InvalidAttachment,
    NotFound,
    TooLarge,
    TooMany,
    WiresideError,
)
from wireside.files.extraction import (
    MAX_CHAR_BYTES,
    NO_OFFICE,
    Extractor,
    cut_text,
    decode_text,
)
from wireside.files.images import MAX_PIXELS, pixel_size
from wireside.files.lock import ContentsLock
from wireside.files.media_types import AUDIO, IMAGES, TypeSniffer, can_read, kind_for_models
from wireside.files.names import clean_name
from wireside.identity import Caller
from wireside.parts import UPLOAD, FilePart, ImagePart, Part, has_files, text_parts, upload_of
from wireside.ports.clock import Clock
from wireside.ports.files import ContentStore, ContentWriter, FileStore
from wireside.ports.transcription import Transcriber
from wireside.records import StoredFile
from wireside.tokens import new_secret

MB = 1024 * 1024

UPLOADS_AT_ONCE = 4
"""Number of uploads of one account at a time."""

MAX_RECORDING_BYTES = 10 * MB
"""Largest recording: half an hour at the rate of the page takes 7 MB."""

TRANSCRIPTIONS_AT_ONCE = 4
"""Number of audio files that are transcribed at a time; each is held in memory meanwhile."""

SWEEP_S = 60.0
"""Seconds between two searches for files that are not used any longer."""

BUFFER_BYTES = 64 * 1024
"""Bytes of an upload that are collected before they are written."""

HASHES_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRules:
    """Limits of files.

    Attributes:
        max_bytes: largest file.
        per_message: number of files of one question; 0: files are not accepted.
        owner_bytes: total size of the files of an account; None: unlimited.
        upload_s: seconds for which an upload is kept that no question refers to.
        max_chars: characters of a file's text that a model gets.
        recording_s: longest recording of a microphone in seconds; 0: pages don't record.
    """

    max_bytes: int = 25 * MB
    per_message: int = 10
    owner_bytes: int | None = None
    upload_s: float = 86_400.0
    max_chars: int = 100_000
    recording_s: int = 300


class Files:
    """The files of all accounts; ``for_caller`` returns those of one.

    ``wall_clock`` returns seconds since 1970. All methods must be called on one event loop.
    """

    def __init__(
        self,
        store: FileStore,
        contents: ContentStore,
        rules: FileRules,
        wall_clock: Clock,
        *,
        transcriber: Transcriber | None = None,
    ) -> None:
        """``transcriber`` transcribes audio files, which are refused without one."""
        self.store = store
        self.contents = contents
        self.rules = rules
        self.now = wall_clock
        self.lock = ContentsLock()
        """Held from the first step of a file's addition or removal to the last."""
        self.extractor = Extractor(rules.max_chars)
        self.transcriber = transcriber
        self.transcribing = asyncio.Semaphore(TRANSCRIPTIONS_AT_ONCE)
        self.uploading: Counter[str] = Counter()
        """Number of running uploads by account."""
        self._swept_at: float | None = None

    def for_caller(self, caller: Caller) -> CallerFiles:
        """Return the files of the account of ``caller``."""
        return CallerFiles(self, caller)

    async def remove_unused(self) -> None:
        """Remove files that are not used any longer; call it every few seconds.

        Files of removed conversations and expired uploads are searched once in ``SWEEP_S``. The
        first call also removes what a killed process has left. Raises ``StoreError``.
        """
        now = self.now()
        if self._swept_at is None:
            await asyncio.to_thread(self.contents.remove_unfinished)
            await self._remove_strays()
        elif 0 <= now - self._swept_at < SWEEP_S:
            return
        self._swept_at = now
        hashes: Sequence[str] = ("",)
        while hashes:
            async with self.lock.removing():
                hashes = await self.store.remove_unused(now - self.rules.upload_s)
                await self.remove_contents(hashes)

    async def remove_contents(self, hashes: Sequence[str]) -> None:
        """Remove those of the contents that no file has. The caller holds the lock for that."""
        for sha256 in await self.store.unknown_hashes(hashes) if hashes else ():
            await asyncio.to_thread(self.contents.remove_content, sha256)

    async def _remove_strays(self) -> None:
        hashes = await asyncio.to_thread(self.contents.all_hashes)
        while some := await asyncio.to_thread(lambda: list(islice(hashes, HASHES_AT_ONCE))):
            async with self.lock.removing():
                await self.remove_contents(some)


class CallerFiles:
    """The files of one account. The methods raise ``Forbidden`` and ``StoreError``."""

    def __init__(self, files: Files, caller: Caller, conversation_id: str | None = None) -> None:
        """``conversation_id``: one that the caller may read, whose files are included."""
        self.rules = files.rules
        self._files = files
        self._caller = caller
        self._conversation_id = conversation_id

    def within(self, conversation_id: str) -> CallerFiles:
        """Return these files and those of a conversation, which the caller must be able to read."""
        return CallerFiles(self._files, self._caller, conversation_id)

    async def upload_file(self, name: str, pieces: AsyncIterator[bytes]) -> StoredFile:
        """Keep a file and return it. Its type is determined from its content.

        Args:
            name: the name that the client gave to it, which may be a path.
            pieces: its content, in pieces of any size.

        Raises:
            TooLarge: it is larger than the limit, or the account has no room for it.
            InvalidAttachment: a model can't read files of its type, or it is damaged.
            ProviderError: it is an audio file, and the service does not transcribe it now.
            TooMany: the account has too many uploads at once.
            BadMessage: files are not accepted.
        """
        self._caller.require("chat")
        if not self.rules.per_message:
            raise BadMessage("This server accepts no files.")
        with self._count_upload():
            file = await self._write_content(clean_name(name), pieces)
            try:
                await self.text_of_file(file)
            except WiresideError:
                await self.remove_file(file.id)
                raise
            return file

    async def _write_content(self, name: str, pieces: AsyncIterator[bytes]) -> StoredFile:
        files, sniffer, size_bytes = self._files, TypeSniffer(), 0
        writer = await asyncio.to_thread(files.contents.new_writer)
        try:
            async for data in join_pieces(pieces):
                size_bytes += len(data)
                if size_bytes > self.rules.max_bytes:
                    raise TooLarge(
                        f"{name} is too large: a file may have {_format_mb(self.rules.max_bytes)}."
                    )
                await asyncio.to_thread(_write_and_sniff, writer, sniffer, data)
            media_type = checked_type(
                name, sniffer, size_bytes, has_audio=files.transcriber is not None
            )
            return await self._commit_upload(writer, name, media_type, size_bytes)
        finally:
            await asyncio.to_thread(writer.discard)

    async def _commit_upload(
        self, writer: ContentWriter, name: str, media_type: str, size_bytes: int
    ) -> StoredFile:
        files = self._files
        async with files.lock.adding():
            file = StoredFile(
                id=new_secret(),
                owner=self._caller.user_id,
                name=name,
                media_type=media_type,
                size_bytes=size_bytes,
                sha256=await asyncio.to_thread(writer.commit),
                created_at=files.now(),
            )
            if await files.store.add_file_record(file, max_owner_bytes=self.rules.owner_bytes):
                return file
        async with files.lock.removing():
            await files.remove_contents([file.sha256])
        raise TooLarge(
            f"There is no room for {name}: your files may take"
            f" {_format_mb(self.rules.owner_bytes or 0)} together. Delete conversations with files."
        )

    async def find_file(self, file_id: str) -> StoredFile:
        """Return a file. Raises ``NotFound``."""
        self._caller.require("read")
        return await self._file_of_caller(file_id)

    async def _file_of_caller(self, file_id: str) -> StoredFile:
        found = await self.existing_files([file_id])
        if not found:
            raise NotFound("There is no such file.")
        return found[0]

    async def read_content(self, file: StoredFile) -> AsyncIterator[bytes]:
        """Return the content of a file in pieces. Raises ``NotFound``."""
        return _in_threads(await asyncio.to_thread(self._files.contents.read_content, file.sha256))

    async def text_of_file(self, file: StoredFile) -> str:
        """Return the text of a file for a model; "" for an image.

        That of a document is extracted once, and then stored, like what is spoken in an audio file.

        Raises:
            InvalidAttachment: it has no text that can be read.
            ProviderError: the service does not transcribe an audio file now.
            NotFound: its content is gone.
        """
        kind = kind_for_models(file.media_type)
        if kind == "image":
            return ""
        if kind == "text":
            return await self._decode_file(file)
        if file.text is not None:
            return file.text
        if kind == "audio":
            text = await self._transcribe(file)
        else:
            extractor = self._files.extractor
            text = await extractor.extract_text(
                file.name, file.media_type, await self.read_content(file)
            )
        await self._files.store.keep_text(file.id, text)
        return text

    async def _transcribe(self, file: StoredFile) -> str:
        files, max_chars = self._files, self.rules.max_chars
        if files.transcriber is None:  # the setting was removed since the upload
            raise InvalidAttachment(f"{file.name} {NO_AUDIO}")
        async with files.transcribing:
            content = b"".join([piece async for piece in await self.read_content(file)])
            text = await files.transcriber.transcribe(content, file.media_type)
        if not text:
            raise InvalidAttachment(f"{file.name} has no speech that can be transcribed.")
        return cut_text(text, max_chars)

    @property
    def recording_s(self) -> int:
        """Longest recording in seconds that a page may make; 0: it has no microphone button."""
        return self.rules.recording_s if self._files.transcriber is not None else 0

    async def transcribe_recording(
        self, content: bytes, before: Callable[[], Awaitable[None]]
    ) -> tuple[str, str]:
        """Return what is spoken in a recording, "" for no speech, and the model; keep nothing.

        Args:
            content: the recording; its type is determined from it.
            before: called once the recording is accepted, before the model is asked.

        Raises:
            BadMessage: this server transcribes nothing.
            InvalidAttachment: it is no audio.
            TooLarge: it is larger than the limit.
            TooMany: the account has too many uploads and recordings at once.
            ProviderError: the service does not transcribe it now.
        """
        self._caller.require("chat")
        transcriber = self._files.transcriber
        if transcriber is None:
            raise BadMessage(NO_TRANSCRIPTIONS)
        if len(content) > MAX_RECORDING_BYTES:
            raise TooLarge(
                f"The recording is too large: it may have {_format_mb(MAX_RECORDING_BYTES)}."
            )
        sniffer = TypeSniffer()
        sniffer.feed_bytes(content)
        media_type = sniffer.media_type("")
        if media_type not in AUDIO:
            raise InvalidAttachment("The recording is not an audio file of a known type.")
        with self._count_upload():
            await before()
            async with self._files.transcribing:
                text = await transcriber.transcribe(content, media_type)
        return text[: self.rules.max_chars], transcriber.model

    async def _decode_file(self, file: StoredFile) -> str:
        data, max_chars = bytearray(), self.rules.max_chars
        async for piece in await self.read_content(file):
            data += piece
            if len(data) >= max_chars * MAX_CHAR_BYTES:
                break
        return decode_text(bytes(data), max_chars, is_whole=len(data) == file.size_bytes)

    async def remove_file(self, file_id: str) -> None:
        """Remove a file that no question refers to. Raises ``NotFound``, ``BadMessage``."""
        self._caller.require("chat")
        file = await CallerFiles(self._files, self._caller)._file_of_caller(file_id)
        async with self._files.lock.removing():
            if not await self._files.store.remove_file(file.owner, file.id):
                raise BadMessage(
                    f"{file.name} belongs to a question; it is deleted with its conversation."
                )
            await self._files.remove_contents([file.sha256])

    async def adopt_parts(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """Return the parts of an imported question whose embedded contents are kept as files.

        A content that can't be kept, and a reference to a file, which may be another account's,
        leave only the name.
        """
        if not has_files(parts):
            return tuple(parts)
        return tuple([await self._adopt_part(part) for part in parts])

    async def _adopt_part(self, part: Part) -> Part:
        if not isinstance(part, ImagePart | FilePart):
            return part
        if upload_of(part) is not None:
            return replace(part, url="")
        if not part.url.startswith("data:"):
            return part
        if not self.rules.per_message:  # this server accepts no files
            return replace(part, url="")
        try:
            content = await asyncio.to_thread(_embedded_content, part.url)
            return part_of_file(
                await self._write_content(clean_name(part.name), _single_piece(content))
            )
        except (BadMessage, InvalidAttachment, TooLarge):
            return replace(part, url="")

    async def existing_files(self, file_ids: Sequence[str]) -> Sequence[StoredFile]:
        """Return those of the files that exist, in any order."""
        return await self._files.store.find_files(
            self._caller.user_id, file_ids, conversation_id=self._conversation_id
        )

    async def conversations_using(self, file_id: str) -> Sequence[str]:
        """Return the ids of all conversations, of any account, whose turns refer to a file."""
        return await self._files.store.conversations_using(file_id)

    async def copy_parts(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """Return the parts of another account's question with copies of its files for the caller.

        A file that is gone, or for which the caller has no room, leaves only its name.
        """
        ids = [file_id for part in parts if (file_id := upload_of(part))]
        if not ids:
            return tuple(parts)
        known = {file.id: file for file in await self.existing_files(ids)}
        return tuple([await self._copy_part(part, known) for part in parts])

    async def _copy_part(self, part: Part, known: Mapping[str, StoredFile]) -> Part:
        file_id = upload_of(part)
        if file_id is None or not isinstance(part, ImagePart | FilePart):
            return part
        file = known.get(file_id)
        if file is None:
            return replace(part, url="")
        if file.owner == self._caller.user_id:
            return part
        files = self._files
        copy = replace(file, id=new_secret(), owner=self._caller.user_id, created_at=files.now())
        async with files.lock.adding():
            if await files.store.unknown_hashes([file.sha256]):  # removed since it was looked up
                return replace(part, url="")
            limit = self.rules.owner_bytes
            if await files.store.add_file_record(copy, max_owner_bytes=limit):
                return part_of_file(copy)
        return replace(part, url="")

    def check_count(self, count: int) -> None:
        """Raise ``BadMessage`` if a question may not have that many files."""
        if count > self.rules.per_message:
            raise BadMessage(f"attachments: at most {self.rules.per_message} fit, got {count}.")

    async def attached_files(self, file_ids: Sequence[str]) -> tuple[StoredFile, ...]:
        """Return the files of a question. Raises ``BadMessage``, ``NotFound``."""
        if not file_ids:
            return ()
        self._caller.require("chat")
        self.check_count(len(file_ids))
        files = {file.id: file for file in await self.existing_files(file_ids)}
        for file_id in file_ids:
            if file_id not in files:
                raise NotFound(f"attachments: there is no upload {file_id[:64]!r}.")
        return tuple(files[file_id] for file_id in dict.fromkeys(file_ids))

    @contextmanager
    def _count_upload(self) -> Iterator[None]:
        owner, uploading = self._caller.user_id, self._files.uploading
        if uploading[owner] >= UPLOADS_AT_ONCE:
            raise TooMany(f"{UPLOADS_AT_ONCE} files are being uploaded already; wait for one.")
        uploading[owner] += 1
        try:
            yield
        finally:
            uploading[owner] -= 1
            if not uploading[owner]:
                del uploading[owner]


def question_parts(text: str, files: Sequence[StoredFile]) -> tuple[Part, ...]:
    """Return the parts of a question, whose text may be blank if it has files."""
    return (*text_parts(text if text.strip() else ""), *map(part_of_file, files))


def part_of_file(file: StoredFile) -> ImagePart | FilePart:
    """Return a file as a part of a question."""
    url = f"{UPLOAD}{file.id}"
    if file.media_type in IMAGES:
        return ImagePart(url=url, media_type=file.media_type, name=file.name)
    return FilePart(url=url, media_type=file.media_type, name=file.name, size_bytes=file.size_bytes)


NO_TRANSCRIPTIONS = "This server transcribes no recordings (WIRESIDE_TRANSCRIPTION_MODEL)."

NO_AUDIO = "is an audio file: this server transcribes none (WIRESIDE_TRANSCRIPTION_MODEL)."


def checked_type(
    name: str, sniffer: TypeSniffer, size_bytes: int, *, has_audio: bool = False
) -> str:
    """Return the type of a complete content. Raises ``InvalidAttachment``.

    ``has_audio``: audio files are accepted.
    """
    if not size_bytes:
        raise InvalidAttachment(f"{name} is empty.")
    media_type = sniffer.media_type(name)
    if media_type is None or kind_for_models(media_type) is None:
        audio = " audio," if has_audio else ""
        raise InvalidAttachment(
            f"{name} is of a type that can't be read. Attach an image (PNG, JPEG, GIF, WebP),"
            f"{audio} text, code, CSV, PDF, Word (.docx), Excel (.xlsx) or PowerPoint (.pptx)."
        )
    if not can_read(media_type):
        raise InvalidAttachment(f"{name} {NO_OFFICE}")
    if media_type in AUDIO and not has_audio:
        raise InvalidAttachment(f"{name} {NO_AUDIO}")
    if media_type in IMAGES:
        size = pixel_size(media_type, bytes(sniffer.head))
        if size is None:
            raise InvalidAttachment(f"{name} is a damaged image.")
        if size[0] * size[1] > MAX_PIXELS:
            raise InvalidAttachment(
                f"{name} is too large an image: {size[0]} × {size[1]} pixels;"
                f" at most {MAX_PIXELS // 1_000_000} megapixels fit."
            )
    return media_type


async def join_pieces(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join pieces to at least ``BUFFER_BYTES``: a client may send single bytes."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        if len(held) >= BUFFER_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def _embedded_content(url: str) -> bytes:
    """Return the content of a ``data:`` URL. Raises ``BadMessage``."""
    head, comma, data = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise BadMessage("The content of a file is not base64.")
    try:
        return b64decode(data, validate=True)
    except ValueError as error:
        raise BadMessage("The content of a file is not base64.") from error


async def content_of_data_url(url: str) -> AsyncIterator[bytes]:
    """Yield the content of a ``data:`` URL. Raises ``BadMessage``."""
    yield await asyncio.to_thread(_embedded_content, url)


async def _single_piece(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _write_and_sniff(writer: ContentWriter, sniffer: TypeSniffer, data: bytes) -> None:
    writer.write(data)
    sniffer.feed_bytes(data)


def _format_mb(size_bytes: int) -> str:
    return f"{size_bytes / MB:,.0f} MB"
