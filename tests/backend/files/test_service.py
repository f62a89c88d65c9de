"""Files of accounts: limits, owners, and what is removed when."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.files.samples import jpeg, png, word
from tests.hand_clock import HandClock
from wireside.errors import (
    BadMessage,
    Forbidden,
    InvalidAttachment,
    NotFound,
    RequestError,
    TooLarge,
    TooMany,
)
from wireside.files import service
from wireside.files.folder import FolderContents, FolderWriter
from wireside.files.lock import ContentsLock
from wireside.files.service import (
    SWEEP_S,
    UPLOADS_AT_ONCE,
    CallerFiles,
    FileRules,
    Files,
    part_of_file,
)
from wireside.identity import LOCAL, Caller
from wireside.parts import FilePart, ImagePart
from wireside.store.store import SqlStore

ADA = Caller(user_id="ada", name="Ada", role="user")
EVE = Caller(user_id="eve", name="Eve", role="user")
RULES = FileRules(max_bytes=100_000, per_message=3, owner_bytes=150_000, upload_s=3600)


@pytest.fixture
def wall_clock() -> HandClock:
    return HandClock()


@pytest.fixture
def files(store: SqlStore, tmp_path: Path, wall_clock: HandClock) -> Files:
    return Files(store.files, FolderContents(tmp_path / "files"), RULES, wall_clock)


@pytest.fixture
def ada(files: Files) -> CallerFiles:
    return files.for_caller(ADA)


class SlowContents(FolderContents):
    """Contents that a service takes long to keep, until the test lets it go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun = threading.Event()
        self.may_go_on = threading.Event()

    def new_writer(self) -> FolderWriter:
        writer = super().new_writer()
        commit = writer.commit

        def slow_commit() -> str:
            if not self.begun.is_set():
                self.begun.set()
                assert self.may_go_on.wait(30)
            return commit()

        writer.commit = slow_commit  # type: ignore[method-assign]
        return writer


async def pieces(content: bytes, size: int = 7_000) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def whole(files: CallerFiles, file_id: str) -> bytes:
    file = await files.find_file(file_id)
    return b"".join([piece async for piece in await files.read_content(file)])


def kept(files: Files) -> int:
    return len(list(files.contents.all_hashes()))


async def test_an_upload_is_read_as_it_was_sent(ada: CallerFiles) -> None:
    file = await ada.upload_file("../notes.md", pieces(b"# Notes" * 9_000))
    assert (file.name, file.media_type, file.size_bytes) == ("notes.md", "text/markdown", 63_000)
    assert await whole(ada, file.id) == b"# Notes" * 9_000


async def test_parts_refer_to_files(ada: CallerFiles) -> None:
    image = await ada.upload_file("a.png", pieces(png()))
    text = await ada.upload_file("b.csv", pieces(b"1;2"))
    files = await ada.attached_files([image.id, text.id, image.id])
    assert tuple(map(part_of_file, files)) == (
        ImagePart(url=f"upload:{image.id}", media_type="image/png", name="a.png"),
        FilePart(url=f"upload:{text.id}", media_type="text/csv", name="b.csv", size_bytes=3),
    )
    assert await ada.attached_files([]) == ()


async def test_files_of_others_do_not_exist(files: Files, ada: CallerFiles) -> None:
    file = await ada.upload_file("a.txt", pieces(b"secret"))
    eve = files.for_caller(EVE)
    with pytest.raises(NotFound):
        await eve.find_file(file.id)
    with pytest.raises(NotFound):
        await eve.attached_files([file.id])
    with pytest.raises(NotFound):
        await eve.remove_file(file.id)
    assert await whole(ada, file.id) == b"secret"


async def test_who_may_only_read_uploads_nothing(files: Files) -> None:
    viewer = files.for_caller(replace(ADA, role="viewer"))
    with pytest.raises(Forbidden):
        await viewer.upload_file("a.txt", pieces(b"a"))


@pytest.mark.parametrize(
    ("name", "content", "error", "sentence"),
    [
        ("a.txt", b"a" * 100_001, TooLarge, "a.txt is too large: a file may have 0 MB."),
        ("a.txt", b"", InvalidAttachment, "a.txt is empty."),
        ("a.exe", b"MZ\0\1", InvalidAttachment, "a.exe is of a type that can't be read."),
        ("a.png", png()[:20], InvalidAttachment, "a.png is a damaged image."),
        ("a.png", png(2**31 - 1, 9), InvalidAttachment, "a.png is too large an image: 2147483647"),
        ("a.jpg", jpeg(60_000, 60_000), InvalidAttachment, "a.jpg is too large an image"),
    ],
    ids=["large", "empty", "unknown", "damaged", "pixels", "jpeg"],
)
async def test_what_is_refused_leaves_nothing(
    files: Files,
    ada: CallerFiles,
    name: str,
    content: bytes,
    error: type[RequestError],
    sentence: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(error) as raised:
        await ada.upload_file(name, pieces(content))
    assert str(raised.value).startswith(sentence)
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []


async def test_a_document_that_the_server_can_not_read_is_refused_at_once(
    ada: CallerFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "can_read", lambda _: False)
    with pytest.raises(InvalidAttachment, match=r"a\.docx can't be read.*wireside\[office\]"):
        await ada.upload_file("a.docx", pieces(word("Hello")))


async def test_an_account_has_a_quota(files: Files, ada: CallerFiles) -> None:
    first = await ada.upload_file("a.txt", pieces(b"a" * 90_000))
    with pytest.raises(TooLarge, match=r"There is no room for b\.txt"):
        await ada.upload_file("b.txt", pieces(b"b" * 90_000))
    assert kept(files) == 1
    with pytest.raises(TooLarge):  # the same content counts again, and stays
        await ada.upload_file("again.txt", pieces(b"a" * 90_000))
    assert await whole(ada, first.id) == b"a" * 90_000
    await files.for_caller(EVE).upload_file("b.txt", pieces(b"b" * 90_000))
    await ada.remove_file(first.id)
    await ada.upload_file("b.txt", pieces(b"b" * 90_000))
    assert kept(files) == 1


async def test_questions_have_a_limit(ada: CallerFiles) -> None:
    with pytest.raises(BadMessage, match="attachments: at most 3 fit, got 4"):
        await ada.attached_files(["1", "2", "3", "4"])


async def test_a_server_may_accept_no_files(store: SqlStore, tmp_path: Path) -> None:
    none = Files(store.files, FolderContents(tmp_path), FileRules(per_message=0), lambda: 0.0)
    with pytest.raises(BadMessage, match="accepts no files"):
        await none.for_caller(LOCAL).upload_file("a.txt", pieces(b"a"))


async def test_one_account_has_few_uploads_at_once(files: Files, ada: CallerFiles) -> None:
    may_end = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"a"
        await may_end.wait()

    running = [
        asyncio.create_task(ada.upload_file("a.txt", slow())) for _ in range(UPLOADS_AT_ONCE)
    ]
    await asyncio.sleep(0.01)
    with pytest.raises(TooMany):
        await ada.upload_file("b.txt", pieces(b"b"))
    await files.for_caller(EVE).upload_file("b.txt", pieces(b"b"))
    may_end.set()
    await asyncio.gather(*running)
    await ada.upload_file("b.txt", pieces(b"b"))
    assert not files.uploading


async def test_a_cut_upload_leaves_nothing(files: Files, ada: CallerFiles, tmp_path: Path) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b"a" * 80_000
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await ada.upload_file("a.txt", cut())
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []
    assert not files.uploading


async def test_unused_uploads_expire(files: Files, ada: CallerFiles, wall_clock: HandClock) -> None:
    file = await ada.upload_file("a.txt", pieces(b"a"))
    twin = await ada.upload_file("b.txt", pieces(b"a"))
    await files.remove_unused()
    wall_clock.now += RULES.upload_s - 1
    late = await files.for_caller(EVE).upload_file("a.txt", pieces(b"a"))
    await files.remove_unused()
    assert await whole(ada, twin.id) == b"a"
    wall_clock.now += SWEEP_S + 2
    await files.remove_unused()
    for gone in (file, twin):
        with pytest.raises(NotFound):
            await ada.find_file(gone.id)
    assert await whole(files.for_caller(EVE), late.id) == b"a"
    wall_clock.now += RULES.upload_s + SWEEP_S
    await files.remove_unused()
    assert kept(files) == 0


async def test_contents_without_a_file_are_removed_at_the_start(files: Files) -> None:
    """A process that is killed between its two steps leaves them."""
    file = await files.for_caller(ADA).upload_file("a.txt", pieces(b"a"))
    writer = files.contents.new_writer()
    writer.write(b"left")
    writer.commit()
    assert kept(files) == 2
    await files.remove_unused()
    assert list(files.contents.all_hashes()) == [file.sha256]


async def test_a_slow_service_delays_no_other_upload(
    store: SqlStore, tmp_path: Path, wall_clock: HandClock
) -> None:
    """A removal waits for it: it might be the content that is being kept."""
    contents = SlowContents(tmp_path / "files")
    files = Files(store.files, contents, RULES, wall_clock)
    ada, eve = files.for_caller(ADA), files.for_caller(EVE)
    first = asyncio.create_task(ada.upload_file("a.txt", pieces(b"same")))
    assert await asyncio.to_thread(contents.begun.wait, 30)
    second = await asyncio.wait_for(eve.upload_file("b.txt", pieces(b"same")), 20)
    removal = asyncio.create_task(eve.remove_file(second.id))
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert not removal.done()
    contents.may_go_on.set()
    kept = await first
    await removal
    assert b"".join([piece async for piece in await ada.read_content(kept)]) == b"same"


async def test_additions_wait_for_a_removal_that_came_first() -> None:
    lock = ContentsLock()
    order: list[str] = []

    async def add(name: str) -> None:
        async with lock.adding():
            order.append(name)
            await asyncio.sleep(0)

    async def remove() -> None:
        async with lock.removing():
            order.append("removal")

    async with lock.adding():
        tasks = [asyncio.create_task(work) for work in (add("before"), remove(), add("after"))]
        await asyncio.sleep(0.01)
        assert order == ["before"]
    await asyncio.gather(*tasks)
    assert order == ["before", "removal", "after"]
    cancelled = asyncio.create_task(remove())
    async with lock.adding():
        await asyncio.sleep(0.01)
        cancelled.cancel()
    await asyncio.wait_for(add("last"), 5)
    assert order[-1] == "last"
