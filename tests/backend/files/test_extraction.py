"""Texts of documents, extracted by a process that a hostile document can only end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import cache
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.files.samples import archive, excel, pdf, powerpoint, with_entry, word
from wireside.errors import InvalidAttachment
from wireside.files import extraction
from wireside.files.extraction import Extractor, decode_text
from wireside.files.media_types import EXCEL, PDF, POWERPOINT, WORD

MAX_CHARS = 10_000
BOMB_BYTES = 600 * 2**20
CUT = "(The file goes on; the rest is cut off.)"


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 50_000):
        yield content[at : at + 50_000]


async def text_of(media_type: str, content: bytes, max_chars: int = MAX_CHARS) -> str:
    return await Extractor(max_chars).extract_text("a", media_type, pieces(content))


async def test_without_its_package_a_document_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "can_read", lambda _: False)
    with pytest.raises(InvalidAttachment, match=r"pip install 'wireside\[office\]'"):
        await text_of(WORD, word("Hello"))


class TestDocuments:
    async def test_a_pdf(self) -> None:
        text = await text_of(PDF, pdf("Hello", "World"))
        assert text == "[Page 1]\nHello\n\n[Page 2]\nWorld"

    async def test_a_word_document(self) -> None:
        text = await text_of(WORD, word("One", "Zwei €"))
        assert text == "# Report\n\nOne\n\nZwei €\n\nleft\tright cell"

    async def test_a_workbook(self) -> None:
        rows = [("name", "sum"), ("a", 1.5), (None, None), (None, "x\ny")]
        text = await text_of(EXCEL, excel(*rows))
        assert text == "[Sheet Sums]\nname\tsum\na\t1.5\n\tx y"

    async def test_a_presentation(self) -> None:
        text = await text_of(POWERPOINT, powerpoint("First", "Second"))
        assert text == "[Slide 1]\nFirst\nNotes: say this\n\n[Slide 2]\nSecond"

    async def test_a_long_text_is_cut(self) -> None:
        text = await text_of(WORD, word("x" * 20_000), max_chars=1_000)
        assert len(text) < 1_100
        assert text.endswith(CUT)

    @pytest.mark.parametrize("media_type", [PDF, WORD, EXCEL, POWERPOINT])
    @pytest.mark.parametrize("content", [b"%PDF-1.7", b"PK\x03\x04", archive("word/document.xml")])
    async def test_a_damaged_document(self, media_type: str, content: bytes) -> None:
        with pytest.raises(InvalidAttachment, match="is damaged"):
            await text_of(media_type, content)

    async def test_a_document_without_text(self) -> None:
        with pytest.raises(InvalidAttachment, match=r"has no text\. If it is a scan"):
            await text_of(PDF, pdf("", ""))

    async def test_a_document_with_a_password(self) -> None:
        with pytest.raises(InvalidAttachment, match="needs a password"):
            await text_of(PDF, pdf("secret", password=True))


@cache
def archive_bomb() -> bytes:
    """Return a small document that unpacks to ``BOMB_BYTES``."""
    blank = b" " * 2**20
    return with_entry(word("x"), "word/document.xml", repeat(blank, BOMB_BYTES // len(blank)))


@pytest.mark.slow
class TestHostileDocuments:
    async def test_an_archive_that_unpacks_to_much(self) -> None:
        bomb = archive_bomb()
        assert len(bomb) < 2_000_000
        with pytest.raises(InvalidAttachment, match="too large when it is unpacked"):
            await text_of(WORD, bomb)

    async def test_an_archive_that_lies_about_its_size(self) -> None:
        bomb = archive_bomb()
        size = BOMB_BYTES.to_bytes(4, "little")
        assert bomb.count(size)
        with pytest.raises(InvalidAttachment):
            await text_of(WORD, bomb.replace(size, (1_000).to_bytes(4, "little")))

    async def test_entities_that_expand(self) -> None:
        lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
        xml = f'<!DOCTYPE w [<!ENTITY l0 "lol">{lol}]><w>&l9;</w>'
        with pytest.raises(InvalidAttachment):
            await text_of(WORD, with_entry(word("x"), "word/document.xml", [xml.encode()]))

    async def test_a_file_of_the_server_is_not_read(self) -> None:
        xml = b'<!DOCTYPE w [<!ENTITY f SYSTEM "file:///etc/passwd">]><w>&f;</w>'
        for kind, name, document in (
            (WORD, "word/document.xml", word("x")),
            (EXCEL, "xl/sharedStrings.xml", excel(["x"])),
        ):
            try:
                text = await text_of(kind, with_entry(document, name, [xml]))
            except InvalidAttachment:
                continue
            assert "root:" not in text

    async def test_a_sheet_that_claims_all_cells(self) -> None:
        xml = (
            b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            b'<dimension ref="A1:XFD1048576"/><sheetData><row r="1"><c r="A1"><v>7</v></c></row>'
            b'<row r="1048576"><c r="XFD1048576"><v>8</v></c></row></sheetData></worksheet>'
        )
        text = await text_of(EXCEL, with_entry(excel(["x"]), "xl/worksheets/sheet1.xml", [xml]))
        assert text.startswith("[Sheet Sums]\n7\n")

    async def test_a_pdf_of_ten_thousand_pages(self) -> None:
        document = pdf(*(f"Page number {number}" for number in range(10_000)))
        text = await text_of(PDF, document)
        assert text.startswith("[Page 1]\nPage number 0")
        assert text.endswith(CUT)

    async def test_a_page_tree_without_end(self) -> None:
        document = pdf("x").replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]")
        with pytest.raises(InvalidAttachment):
            await text_of(PDF, document)

    async def test_a_process_that_takes_too_long_is_killed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started: list[asyncio.subprocess.Process] = []
        start = asyncio.create_subprocess_exec

        async def watched(*command: str, **options: object) -> asyncio.subprocess.Process:
            process = await start(*command, **options)  # type: ignore[arg-type]
            started.append(process)
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)

        async def endless() -> AsyncIterator[bytes]:
            yield b"%PDF-"
            await asyncio.sleep(60)

        before = time.monotonic()
        with pytest.raises(InvalidAttachment, match="takes too much time or memory"):
            await Extractor(100, timeout_s=0.3).extract_text("a", PDF, endless())
        assert time.monotonic() - before < 30
        assert started[0].returncode is not None

    async def test_the_process_has_no_secret_of_the_server(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "canary")
        seen: list[dict[str, str]] = []

        async def watched(*command: str, env: dict[str, str], **options: object) -> None:
            seen.append(env)
            raise ConnectionError

        monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
        with pytest.raises(ConnectionError):
            await text_of(PDF, b"")
        assert "canary" not in seen[0].values()
        assert set(seen[0]) <= set(extraction._ENVIRONMENT)


class TestTexts:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings(self, encoding: str) -> None:
        assert decode_text("Größe 日本".encode(encoding), 100, is_whole=True) == "Größe 日本"

    def test_a_table_of_an_older_program(self) -> None:
        assert decode_text("Größe;€".encode("cp1252"), 100, is_whole=True) == "Größe;€"

    @given(st.text(alphabet="aé日😀", min_size=1, max_size=30), st.integers(1, 40))
    def test_a_cut_within_a_character_loses_only_that(self, text: str, cut: int) -> None:
        data = text.encode()[:cut]
        found = decode_text(data, 1_000, is_whole=False).removesuffix(CUT).removesuffix("\n\n")
        assert text.startswith(found)
        assert len(text.encode()[: len(found.encode()) + 4]) >= min(cut, len(text.encode()))
