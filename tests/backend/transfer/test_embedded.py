"""Images in exported pages: those that fit, of types in which nothing can run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.backend.files.samples import png
from wireside.files.folder import FolderContents
from wireside.files.service import CallerFiles, FileRules, Files, part_of_file
from wireside.identity import LOCAL
from wireside.parts import FilePart, ImagePart, Part, TextPart
from wireside.records import TurnRecord
from wireside.store.store import SqlStore
from wireside.transfer.embedded import PageImages


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[CallerFiles]:
    store = SqlStore(f"sqlite:///{tmp_path / 'x.db'}")
    await store.open()
    contents = FolderContents(tmp_path / "files")
    yield Files(store.files, contents, FileRules(), lambda: 0.0).for_caller(LOCAL)
    await store.aclose()


async def keep(files: CallerFiles, name: str, content: bytes) -> Part:
    async def pieces() -> AsyncIterator[bytes]:
        yield content

    return part_of_file(await files.upload_file(name, pieces()))


def asked(*parts: Part) -> TurnRecord:
    return TurnRecord(
        id="t", conversation_id="c", branch=0, depth=0, question_parts=parts, created_at=0
    )


def urls(record: TurnRecord) -> list[str]:
    """The beginnings of the URLs of the images and files of a question."""
    parts = record.question_parts
    return [part.url[:15] for part in parts if isinstance(part, ImagePart | FilePart)]


async def test_images_are_embedded_as_long_as_they_fit(files: CallerFiles) -> None:
    large, small = png(64, 64), png()
    first, big, last = [
        await keep(files, "a.png", content) for content in (small, large + b"\0" * 99, small)
    ]
    images = PageImages(files, max_bytes=2 * len(small))
    one = await images.embed_images(asked(TextPart("?"), first, big))
    assert urls(one) == ["data:image/png;", big.url[:15]]  # type: ignore[union-attr]
    assert one.question_parts[0] == TextPart("?")
    assert urls(await images.embed_images(asked(last))) == ["data:image/png;"]
    assert urls(await images.embed_images(asked(last))) == [last.url[:15]]  # type: ignore[union-attr]


async def test_a_reference_that_is_no_image_stays_as_it_is(files: CallerFiles) -> None:
    """An imported or forged part can call a file an image, whatever its type."""
    text = await keep(files, "a.svg", b"<svg><script>alert(1)</script></svg>")
    assert isinstance(text, FilePart)
    forged = ImagePart(url=text.url, media_type="image/png", name="a.png")
    gone = ImagePart(url="upload:none", media_type="image/png", name="b.png")
    elsewhere = ImagePart(url="https://evil.example/x.png", name="c.png")
    record = asked(text, forged, gone, elsewhere)
    assert await PageImages(files).embed_images(record) == record
