"""The process that extracts the text of a document: ``python -m wireside.files.extractor``.

A document is hostile: an archive that unpacks to gigabytes, a page tree without end, a formula that
takes hours. This process reads one from standard input under limits on memory and time, writes its
text to standard output as it finds it, and may be killed at any moment. It opens no file and no
connection, and nothing in a document is run.
"""

from __future__ import annotations

import logging
import os
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from io import BytesIO
from typing import Any

from wireside.files.media_types import EXCEL, PDF, POWERPOINT, WORD

MEMORY_BYTES = 1024 * 1024 * 1024
"""Address space of the process."""

CPU_S = 20
"""Processor time of the process in seconds."""

UNPACKED_BYTES = 512 * 1024 * 1024
"""Declared size of an unpacked document; the limit of memory holds for what is not declared."""

MAX_ENTRIES = 10_000
"""Number of files in a document."""

MAX_CELL_CHARS = 2_000
"""Characters of one cell of a sheet."""


class Outcome(IntEnum):
    """Exit codes of the process. Any other one means that it was killed or failed."""

    WHOLE = 0
    CUT = 3
    """There is more text than was requested."""
    ENCRYPTED = 4
    DAMAGED = 5


class Encrypted(Exception):
    """The document needs a password."""


def main() -> None:
    """Write the text of the document on standard input to standard output.

    The arguments are its media type and the number of characters to write at most.
    """
    media_type, max_chars = sys.argv[1], int(sys.argv[2])
    limit_resources()
    logging.disable(logging.CRITICAL)  # libraries report each fault of a document
    content = BytesIO(sys.stdin.buffer.read())
    sys.exit(extract_text(media_type, content, max_chars, sys.stdout.buffer.write))


def extract_text(
    media_type: str, content: BytesIO, max_chars: int, write: Callable[[bytes], object]
) -> Outcome:
    """Pass the text of a document to ``write``, as UTF-8 and in pieces."""
    left = max_chars
    try:
        for piece in READERS[media_type](content):
            text = piece[:left]
            write(text.encode("utf-8", "replace"))
            sys.stdout.buffer.flush()
            left -= len(text)
            if len(text) < len(piece):
                return Outcome.CUT
    except Encrypted:
        return Outcome.ENCRYPTED
    except Exception:  # libraries raise nearly everything for a damaged document
        return Outcome.CUT if left < max_chars else Outcome.DAMAGED
    return Outcome.WHOLE


def limit_resources() -> None:
    """Limit memory, time and files of this process, where the system can."""
    if hasattr(os, "nice"):
        os.nice(3)
    try:
        import resource
    except ImportError:  # Windows: the parent ends the process after its time
        return
    for kind, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (most, most))


# ---- readers: iterate over the text of a document ------------------------------------------------


def read_pdf(content: BytesIO) -> Iterator[str]:
    """Iterate over the pages of a PDF."""
    from pypdf import PasswordType, PdfReader

    reader = PdfReader(content)
    if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
        raise Encrypted
    for number, page in enumerate(reader.pages, 1):
        if text := page.extract_text().strip():
            yield f"[Page {number}]\n{text}\n\n"


def read_word(content: BytesIO) -> Iterator[str]:
    """Iterate over the paragraphs and tables of a Word document."""
    from docx import Document
    from docx.table import Table

    check_archive(content)
    for block in Document(content).iter_inner_content():
        if isinstance(block, Table):
            yield from (_line_of_cells(cell.text for cell in row.cells) for row in block.rows)
            yield "\n"
        elif block.text.strip():
            style = block.style.name if block.style is not None else ""
            level = style.removeprefix("Heading ") if style else ""
            mark = "#" * int(level) + " " if level in tuple("123456") else ""
            yield f"{mark}{block.text}\n\n"


def read_excel(content: BytesIO) -> Iterator[str]:
    """Iterate over the rows of all sheets of a workbook, with the values of its formulas."""
    from openpyxl import load_workbook

    check_archive(content)
    book = load_workbook(content, read_only=True, data_only=True, keep_links=False)
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # a sheet may claim a million empty columns
        yield f"[Sheet {sheet.title}]\n"
        for row in sheet.iter_rows(values_only=True):
            if any(value is not None for value in row):
                yield _line_of_cells("" if value is None else str(value) for value in row)
        yield "\n"


def read_powerpoint(content: BytesIO) -> Iterator[str]:
    """Iterate over the slides of a presentation, with their notes."""
    from pptx import Presentation

    check_archive(content)
    for number, slide in enumerate(Presentation(content).slides, 1):
        yield f"[Slide {number}]\n"
        yield from _texts_of_shapes(slide.shapes)
        notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        if notes is not None and notes.text.strip():
            yield f"Notes: {notes.text}\n"
        yield "\n"


def _texts_of_shapes(shapes: Iterable[Any]) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):  # a group
            yield from _texts_of_shapes(shape.shapes)
        elif shape.has_text_frame and shape.text_frame.text.strip():
            yield f"{shape.text_frame.text}\n"
        elif getattr(shape, "has_table", False):
            for row in shape.table.rows:
                yield _line_of_cells(cell.text for cell in row.cells)


def _line_of_cells(cells: Iterable[str]) -> str:
    flat = (" ".join(cell[:MAX_CELL_CHARS].split()) for cell in cells)
    return "\t".join(flat).rstrip() + "\n"


def check_archive(content: BytesIO) -> None:
    """Raise ``ValueError`` for an archive that is larger than its limits when unpacked."""
    with zipfile.ZipFile(content) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES or sum(e.file_size for e in entries) > UNPACKED_BYTES:
            raise ValueError("the document is too large when it is unpacked")
    content.seek(0)


READERS: dict[str, Callable[[BytesIO], Iterator[str]]] = {
    PDF: read_pdf,
    WORD: read_word,
    EXCEL: read_excel,
    POWERPOINT: read_powerpoint,
}


if __name__ == "__main__":
    main()
