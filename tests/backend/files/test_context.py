"""What a model gets of the files of a conversation."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.files.samples import excel, png, word
from wireside.errors import InvalidAttachment, NotFound
from wireside.files.context import MAX_IMAGES_BYTES, check_images, with_contents
from wireside.files.folder import FolderContents
from wireside.files.service import CallerFiles, FileRules, Files, part_of_file
from wireside.identity import LOCAL
from wireside.messages import Message
from wireside.parts import FilePart, ImagePart, TextPart
from wireside.records import StoredFile
from wireside.store.store import SqlStore

RULES = FileRules(max_chars=1_000)


@pytest.fixture
def mine(store: SqlStore, tmp_path: Path) -> CallerFiles:
    return Files(store.files, FolderContents(tmp_path / "files"), RULES, lambda: 5.0).for_caller(
        LOCAL
    )


async def one(content: bytes) -> AsyncIterator[bytes]:
    yield content


def texts(message: Message) -> list[str]:
    return [part.text for part in message.parts if isinstance(part, FilePart)]


def asked(*files: StoredFile) -> Message:
    return Message("user", (TextPart("?"), *map(part_of_file, files)))


async def sees() -> bool | None:
    return True


async def is_unknown() -> bool | None:
    return None


async def is_blind() -> bool | None:
    return False


async def test_a_question_without_files_is_unchanged(mine: CallerFiles) -> None:
    async def fail() -> bool | None:
        raise AssertionError

    messages = (Message.of_text("user", "?"),)
    assert await with_contents(mine, messages, can_see=fail) == messages


async def test_texts_and_images_are_included(mine: CallerFiles) -> None:
    text = await mine.upload_file("a.csv", one(b"1;2"))
    table = await mine.upload_file("b.xlsx", one(excel(["x", 1])))
    image = await mine.upload_file("c.png", one(png()))
    for can_see in (sees, is_unknown):
        (message,) = await with_contents(mine, [asked(text, table, image)], can_see=can_see)
        question, first, second, picture = message.parts
        assert question == TextPart("?")
        attached = part_of_file(text)
        assert isinstance(attached, FilePart)
        assert first == replace(attached, text="1;2")
        assert isinstance(second, FilePart)
        assert "[Sheet Sums]\nx\t1" in second.text
        assert isinstance(picture, ImagePart)
        head, _, data = picture.url.partition(",")
        assert (head, b64decode(data)) == ("data:image/png;base64", png())


async def test_a_text_is_extracted_once(mine: CallerFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    file = await mine.upload_file("a.docx", one(word("One")))
    monkeypatch.setattr("wireside.files.extraction.Extractor.extract_text", None)
    (message,) = await with_contents(mine, [asked(file)], can_see=sees)
    assert texts(message) == ["# Report\n\nOne\n\nleft\tright cell"]


async def test_a_document_that_cannot_be_read_is_not_kept(
    mine: CallerFiles, store: SqlStore
) -> None:
    with pytest.raises(InvalidAttachment, match="is damaged"):
        await mine.upload_file("a.pdf", one(b"%PDF-1.7 nothing"))
    assert await store.files.size_of_all("") == 0


async def test_a_model_that_cannot_see_is_told_of_before(mine: CallerFiles) -> None:
    image = await mine.upload_file("a.png", one(png()))
    with pytest.raises(InvalidAttachment, match="can't see images"):
        await with_contents(mine, [asked(image)], can_see=is_blind)
    with pytest.raises(InvalidAttachment, match="can't see images"):
        check_images([image], can_see=False)
    check_images([image], can_see=None)
    answered = Message.of_text("assistant", "Yes.")
    later = [asked(image), answered, Message.of_text("user", "Sure?")]
    assert await with_contents(mine, later, can_see=is_blind) == tuple(later)


def test_the_images_of_a_question_have_a_limit() -> None:
    file = StoredFile(
        id="f",
        owner="",
        name="a.png",
        media_type="image/png",
        size_bytes=MAX_IMAGES_BYTES // 2,
        sha256="",
        created_at=0.0,
    )
    check_images([file, file], can_see=True)
    with pytest.raises(InvalidAttachment, match="20 MB together"):
        check_images([file] * 3, can_see=True)


async def test_earlier_files_have_the_room_that_is_left(mine: CallerFiles) -> None:
    old = await mine.upload_file("old.txt", one(b"o" * 600))
    new = await mine.upload_file("new.txt", one(b"n" * 600))
    now = await mine.upload_file("now.txt", one(b"x" * 5_000))
    filled = await with_contents(mine, [asked(old), asked(new), asked(now)], can_see=sees)
    assert filled[0].parts[1] == part_of_file(old)
    assert texts(filled[1]) == ["n" * 600]
    (text,) = texts(filled[2])
    assert text == "x" * 1_000 + "\n\n(The file goes on; the rest is cut off.)"


async def test_a_file_that_is_gone_is_missed_in_the_question_only(mine: CallerFiles) -> None:
    file = await mine.upload_file("a.txt", one(b"a"))
    await mine.remove_file(file.id)
    with pytest.raises(NotFound):
        await with_contents(mine, [asked(file)], can_see=sees)
    later = [asked(file), Message.of_text("user", "?")]
    assert await with_contents(mine, later, can_see=sees) == tuple(later)
