"""Types of files are determined from their content; names only tell kinds of text apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.files.samples import MAIN_PARTS, archive, gif, jpeg, png, webp
from wireside.files.media_types import HEAD_BYTES, PDF, TypeSniffer, kind_for_models


def sniffed(name: str, *pieces: bytes) -> str | None:
    sniffer = TypeSniffer()
    for piece in pieces:
        sniffer.feed_bytes(piece)
    return sniffer.media_type(name)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (png(), "image/png"),
        (jpeg(3, 2), "image/jpeg"),
        (gif(3, 2), "image/gif"),
        (webp(b"VP8 ", 3, 2), "image/webp"),
        (b"%PDF-1.7\n%\xe2\xe3", PDF),
        (b"junk of a mail program\n%PDF-1.4\n\0", PDF),
        *((archive(name, "_rels/.rels"), kind) for kind, name in MAIN_PARTS.items()),
        *((archive(*map(str, range(9_000)), name), kind) for kind, name in MAIN_PARTS.items()),
        (archive("a.txt"), None),
        (b"MZ\x90\0\x03", None),
        (b"\x7fELF\x02\x01", None),
        (b"\0\0\0\x18ftypheic", None),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\x24\0\0\0AVI LIST", None),
        (b"ID3\x03\0\0\0\0\0\x21TIT2", "audio/mpeg"),
        (b"\xff\xfb\x90\x64\0", "audio/mpeg"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"OggS\0\x02\0", "audio/ogg"),
        (b"\0\0\0\x1cftypM4A \0", "audio/mp4"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01webm\0", "audio/webm"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01matroska\0", None),
    ],
)
def test_content_decides(content: bytes, media_type: str | None) -> None:
    for name in ("a.csv", "a.png", "a.html", "a"):
        assert sniffed(name, content) == media_type


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.CSV", "text/csv"),
        ("a.md", "text/markdown"),
        ("a.json", "application/json"),
        ("a.py", "text/plain"),
        ("a.png", "text/plain"),
        ("Makefile", "text/plain"),
        ("a.html", "text/plain"),
        ("a.svg", "text/plain"),
        ("a.docx", "text/plain"),
    ],
)
def test_markup_is_plain_text(name: str, media_type: str) -> None:
    """What a browser would run has a type that it does not run, whatever its name says."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    assert sniffed(name, svg) == media_type
    assert kind_for_models(media_type) == "text"


@pytest.mark.parametrize("text", ["a\tb\r\n", "Straße", "日本語", "\x1b[1mbold\x1b[0m"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_texts_of_any_encoding_are_text(text: str, encoding: str) -> None:
    assert sniffed("a.txt", text.encode(encoding)) == "text/plain"
    assert sniffed("a.csv", "Größe;1".encode("cp1252")) == "text/csv"
    assert sniffed("a.txt", b"ID3 is a tag.") == "text/plain"


def test_a_control_character_anywhere_makes_it_another_file() -> None:
    for at in (0, HEAD_BYTES, 3 * HEAD_BYTES):
        content = bytearray(b"a" * (3 * HEAD_BYTES + 1))
        content[at] = 1
        assert sniffed("a.txt", bytes(content)) is None


@given(content=st.sampled_from([png(), archive("xl/workbook.xml"), b"text"]), data=st.data())
def test_cuts_do_not_change_the_type(content: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(content)))
    assert sniffed("a", content[:cut], content[cut:]) == sniffed("a", content)
