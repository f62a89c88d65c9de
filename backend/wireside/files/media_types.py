"""Determines the type of a file from its content. Names tell kinds of text apart, nothing else."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Final, Literal

Kind = Literal["image", "text", "document", "audio"]
"""How a model gets a file: as an image, as its text, as text that is extracted from it, or as the
text that is spoken in it."""

PDF: Final = "application/pdf"
WORD: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
EXCEL: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
POWERPOINT: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"

IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Raster images: a browser shows them and nothing in them can run."""

DOCUMENTS: Final = frozenset({PDF, WORD, EXCEL, POWERPOINT})

OFFICE: Final = {WORD: "docx", EXCEL: "openpyxl", POWERPOINT: "pptx"}
"""Documents that only the packages of the extra ``office`` can read, with the module of each."""

AUDIO: Final = {
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/webm": "webm",
}
"""Audio files that services transcribe, with the extensions by which they know them."""

HEAD_BYTES: Final = 512 * 1024
"""Bytes from the start that are examined; cameras write previews before the size of an image."""

TAIL_BYTES: Final = 64 * 1024
"""Bytes from the end that are examined: the directory of an archive."""

_TEXTS: Final = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "md": "text/markdown",
    "json": "application/json",
}
_PARTS: Final = {
    b"word/document.xml": WORD,
    b"xl/workbook.xml": EXCEL,
    b"ppt/presentation.xml": POWERPOINT,
}
_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b")) + b"\x7f"
_MP4_BRANDS: Final = (
    *(b"M4A ", b"M4B ", b"isom", b"iso2", b"mp41", b"mp42", b"3gp4", b"3gp5"),
    *(b"iso4", b"iso5", b"iso6"),  # recordings of browsers
)
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


def kind_for_models(media_type: str) -> Kind | None:
    """Return how a model gets a file of this type; None if it can't."""
    if media_type in IMAGES:
        return "image"
    if media_type in DOCUMENTS:
        return "document"
    if media_type in AUDIO:
        return "audio"
    is_text = media_type.startswith("text/") or media_type in _TEXTS.values()
    return "text" if is_text else None


@cache
def can_read(media_type: str) -> bool:
    """Return whether the package that reads files of this type is installed."""
    return media_type not in OFFICE or find_spec(OFFICE[media_type]) is not None


class TypeSniffer:
    """Determines the type of a content that is passed in pieces."""

    def __init__(self) -> None:
        self.head = bytearray()
        """The first bytes, at most ``HEAD_BYTES``."""
        self._tail = b""
        self._has_controls = False

    def feed_bytes(self, data: bytes) -> None:
        """Examine the next bytes."""
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        if not self._has_controls:
            self._has_controls = len(data.translate(None, _CONTROLS)) < len(data)

    def media_type(self, name: str) -> str | None:
        """Return the type of the content that was passed so far; None if it is not a known one.

        ``name`` is the name of the file, which tells kinds of text apart.
        """
        head = self.head
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return "image/png"
        if head.startswith(b"\xff\xd8\xff"):
            return "image/jpeg"
        if head.startswith((b"GIF87a", b"GIF89a")):
            return "image/gif"
        if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
            return "image/webp"
        if (audio := _audio_type(head)) is not None:
            return audio
        if b"%PDF-" in head[:1024]:
            return PDF
        if head.startswith(b"PK\x03\x04"):
            both = head + self._tail
            return next((found for part, found in _PARTS.items() if part in both), None)
        if self._has_controls and not head.startswith(_UTF_16):
            return None
        extension = name.lower().rpartition(".")[2]
        return _TEXTS.get(extension, "text/plain")


def _audio_type(head: bytearray) -> str | None:
    """Return the type of an audio file, or of a film, of which services take the sound."""
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"OggS"):
        return "audio/ogg"
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[4:8] == b"ftyp" and head.startswith(_MP4_BRANDS, 8):
        return "audio/mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head[:64]:
        return "audio/webm"
    # a frame of MPEG audio: eleven bits of synchronisation, then the version and the layer
    is_mpeg = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2
    has_tags = head.startswith(b"ID3") and len(head) > 3 and head[3] < 0x10
    return "audio/mpeg" if is_mpeg or has_tags else None
