"""Contents in a bucket of a real S3-compatible server: as in a folder, each once and complete."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.s3_server import BUCKET, serve_s3
from wireside.app import create_app
from wireside.bootstrap.storage import contents_of
from wireside.doctor.local import check_bucket
from wireside.errors import NotConfigured, NotFound, StoreError
from wireside.files import bucket
from wireside.files.bucket import BucketAddress, BucketContents
from wireside.files.folder import PIECE_BYTES, FolderContents
from wireside.identity import LOCAL
from wireside.ports.files import ContentStore
from wireside.settings.model import Settings
from wireside.store.backup import restore_backup, write_backup
from wireside.store.store import SqlStore

CONTENT = b"0123456789" * 60_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with serve_s3() as url:
        yield url


def address(url: str, prefix: str, **more: Any) -> BucketAddress:
    given = {"access_key": "key", "secret_key": "sesame", **more}
    return BucketAddress(url=f"s3://{BUCKET}/{prefix}", endpoint=url, **given)


@pytest.fixture
def contents(s3: str, request: pytest.FixtureRequest) -> BucketContents:
    return BucketContents(
        address(s3, f"wireside/{hashlib.md5(request.node.name.encode()).hexdigest()}")
    )


def keep(contents: ContentStore, content: bytes) -> str:
    writer = contents.new_writer()
    for at in range(0, len(content), 100_000):
        writer.write(content[at : at + 100_000])
    try:
        return writer.commit()
    finally:
        writer.discard()


def test_a_content_is_read_as_it_was_written(contents: BucketContents) -> None:
    assert keep(contents, CONTENT) == keep(contents, CONTENT) == SHA256
    pieces = list(contents.read_content(SHA256))
    assert b"".join(pieces) == CONTENT
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert contents.size_bytes(SHA256) == len(CONTENT)
    assert list(contents.all_hashes()) == [SHA256]


def test_a_large_content_is_sent_in_parts(
    contents: BucketContents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "WHOLE_BYTES", 1_000)
    large = CONTENT * 12  # more than one part of five megabytes
    sha256 = keep(contents, large)
    assert b"".join(contents.read_content(sha256)) == large


def test_many_hashes_are_listed(contents: BucketContents) -> None:
    kept = {keep(contents, f"{n}".encode()) for n in range(60)}
    assert set(contents.all_hashes()) == kept


def test_an_unfinished_content_is_not_there(contents: BucketContents) -> None:
    writer = contents.new_writer()
    writer.write(CONTENT)
    contents.remove_unfinished()
    assert list(contents.all_hashes()) == []
    writer.discard()
    writer.discard()
    assert list(contents.all_hashes()) == []


def test_a_removed_content_is_gone(contents: BucketContents) -> None:
    keep(contents, CONTENT)
    contents.remove_content(SHA256)
    contents.remove_content(SHA256)
    assert contents.size_bytes(SHA256) is None
    with pytest.raises(NotFound):
        contents.read_content(SHA256)


def test_prefixes_are_apart(contents: BucketContents, s3: str) -> None:
    keep(contents, CONTENT)
    assert list(BucketContents(address(s3, "other")).all_hashes()) == []


@pytest.mark.parametrize("name", ["", "../../cookie.key", "/etc/passwd", SHA256.upper(), "a" * 63])
def test_only_hashes_are_names(contents: BucketContents, name: str) -> None:
    for call in (contents.read_content, contents.remove_content, contents.size_bytes):
        with pytest.raises(NotFound):
            call(name)


@pytest.mark.parametrize("where", ["no server", "no bucket"])
def test_a_bucket_that_is_not_there_is_an_error_of_the_store(
    where: str, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "RETRIES", 0)
    if where == "no server":
        nowhere = address("http://127.0.0.1:9", "x")
    else:
        nowhere = BucketAddress(url="s3://nowhere", endpoint=s3, access_key="k", secret_key="s")
    contents = BucketContents(nowhere)
    with pytest.raises(StoreError):
        list(contents.all_hashes())
    with pytest.raises(StoreError):
        keep(contents, b"a")


@pytest.mark.parametrize(
    ("url", "endpoint", "variable"),
    [
        ("https://bucket/prefix", "", "WIRESIDE_FILES_URL"),
        ("s3://", "", "WIRESIDE_FILES_URL"),
        ("s3://bucket?x=1", "", "WIRESIDE_FILES_URL"),
        ("bucket", "", "WIRESIDE_FILES_URL"),
        ("s3://bucket", "s3.example.org", "WIRESIDE_S3_ENDPOINT"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, endpoint: str, variable: str) -> None:
    with pytest.raises(NotConfigured, match=variable):
        BucketContents(BucketAddress(url=url, endpoint=endpoint))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_obstore(name: str, *args: Any) -> Any:
        if name.startswith("obstore"):
            raise ImportError(name)
        return imported(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_obstore)
    with pytest.raises(NotConfigured, match=r"wireside\[s3\]"):
        BucketContents(BucketAddress(url="s3://bucket"))


def settings_for(s3: str, folder: Path, name: str) -> Settings:
    return Settings(
        data_dir=folder,
        files_url=f"s3://{BUCKET}/{name}",
        s3_endpoint=s3,
        s3_access_key="key",
        s3_secret_key="sesame",
    )


async def test_files_are_kept_there_backed_up_and_restored(s3: str, tmp_path: Path) -> None:
    settings = settings_for(s3, tmp_path, "served")
    application = create_app(settings)
    async with application.app.router.lifespan_context(application.app):
        chat = application.parts.chat.for_caller(LOCAL)

        async def pieces() -> Any:
            yield b"1;2"

        file = await chat.files.upload_file("a.csv", pieces())
        read = await chat.files.read_content(await chat.files.find_file(file.id))
        assert b"".join([piece async for piece in read]) == b"1;2"
    assert not (tmp_path / "files").exists()
    contents = contents_of(settings)
    assert list(contents.all_hashes()) == [file.sha256]
    url = f"sqlite:///{tmp_path / 'wireside.db'}"
    with (tmp_path / "backup").open("w+b") as backup:
        await write_backup(url, backup, lambda *_: None, contents=contents)
        backup.seek(0)
        elsewhere = FolderContents(tmp_path / "other")
        other = f"sqlite:///{tmp_path / 'other.db'}"
        store = SqlStore(other)
        await store.open()
        await store.aclose()
        await restore_backup(other, backup, lambda *_: None, replace=True, contents=elsewhere)
    assert b"".join(elsewhere.read_content(file.sha256)) == b"1;2"


def test_the_doctor_looks_at_the_bucket(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "RETRIES", 0)
    assert check_bucket(Settings(data_dir=tmp_path)) == []
    good = settings_for(s3, tmp_path, "x")
    cases = {
        "ok": good,
        "failed": good.model_copy(update={"s3_endpoint": "http://127.0.0.1:9"}),
    }
    for state, settings in cases.items():
        (check,) = check_bucket(settings)
        assert (check.name, check.state) == ("Files", state)
        assert "sesame" not in check.finding
    (check,) = check_bucket(good.model_copy(update={"files_url": "bucket"}))
    assert "WIRESIDE_FILES_URL" in check.finding
