"""Small files of every type, some of them hostile."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import IO

from pypdf import PdfWriter

from wireside.files.media_types import EXCEL, POWERPOINT, WORD


def png(width: int = 2, height: int = 2) -> bytes:
    """A PNG image. Only one of at most a few pixels has all of them."""
    raw = b"".join(b"\0" + b"\x20\x60\xa0" * min(width, 64) for _ in range(min(height, 64)))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def jpeg(width: int, height: int, *, preview_bytes: int = 0) -> bytes:
    """The beginning of a JPEG image, with segments before its size."""
    segments = b"".join(
        b"\xff\xe1" + struct.pack(">H", 60_002) + b"\0" * 60_000
        for _ in range(preview_bytes // 60_000)
    )
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\0" * 9
    return b"\xff\xd8" + segments + frame + b"\xff\xda\x00\x08" + b"\0" * 6


def gif(width: int, height: int) -> bytes:
    """The beginning of a GIF image."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;"


def webp(kind: bytes, width: int, height: int) -> bytes:
    """The beginning of a WebP image of one of the three kinds."""
    if kind == b"VP8X":
        body = struct.pack("<I", 0) + (width - 1).to_bytes(3, "little")
        body += (height - 1).to_bytes(3, "little")
    elif kind == b"VP8L":
        body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    else:
        body = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF" + struct.pack("<I", 100) + b"WEBP" + kind + struct.pack("<I", 10) + body


def archive(*names: str, content: bytes = b"<x/>") -> bytes:
    """A zip archive with these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, content)
    return packed.getvalue()


def pdf(*pages: str, password: bool = False) -> bytes:
    """A PDF with a line of text on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for page in pages:
        stream = f"BT /F1 12 Tf 72 700 Td ({page}) Tj ET"
        number = len(objects) + 1
        kids.append(f"{number} 0 R")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {number + 1} 0 R"
            " /Resources << /Font << /F1"
            " << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects[1] = f"<< /Type /Pages /Count {len(pages)} /Kids [{' '.join(kids)}] >>"
    plain = _pdf_file(objects)
    if not password:
        return plain
    writer = PdfWriter(clone_from=io.BytesIO(plain))
    writer.encrypt("secret", algorithm="RC4-128")
    packed = io.BytesIO()
    writer.write(packed)
    return packed.getvalue()


def _pdf_file(objects: Sequence[str]) -> bytes:
    content, places = bytearray(b"%PDF-1.4\n"), []
    for number, one in enumerate(objects, 1):
        places.append(len(content))
        content += f"{number} 0 obj\n{one}\nendobj\n".encode()
    start = len(content)
    content += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    content += b"".join(b"%010d 00000 n \n" % place for place in places)
    content += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\n".encode()
    return bytes(content) + f"startxref\n{start}\n%%EOF\n".encode()


def word(*paragraphs: str) -> bytes:
    """A Word document with a heading, paragraphs and a table."""
    import docx  # the extra office; the other samples need no package

    document = docx.Document()
    document.add_heading("Report", 1)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right\ncell"
    return _saved(document.save)


def excel(*rows: Sequence[object]) -> bytes:
    """A workbook with one sheet."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Sums"
    for row in rows:
        sheet.append(row)
    return _saved(book.save)


def powerpoint(*texts: str) -> bytes:
    """A presentation with a slide for each text, and notes on the first."""
    import pptx

    presentation = pptx.Presentation()
    for text in texts:
        slide = presentation.slides.add_slide(presentation.slide_layouts[6])
        slide.shapes.add_textbox(0, 0, 100, 100).text_frame.text = text
    notes = presentation.slides[0].notes_slide.notes_text_frame
    assert notes is not None
    notes.text = "say this"
    return _saved(presentation.save)


def _saved(save: Callable[[IO[bytes]], object]) -> bytes:
    packed = io.BytesIO()
    save(packed)
    return packed.getvalue()


def with_entry(document: bytes, name: str, content: Iterable[bytes]) -> bytes:
    """Return a document in which one of its files is replaced."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(document)) as old,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.namelist():
            if entry != name:
                new.writestr(entry, old.read(entry))
        with new.open(name, "w", force_zip64=True) as file:
            for piece in content:
                file.write(piece)
    return packed.getvalue()


MAIN_PARTS = {
    WORD: "word/document.xml",
    EXCEL: "xl/workbook.xml",
    POWERPOINT: "ppt/presentation.xml",
}
