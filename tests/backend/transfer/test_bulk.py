"""Bulk export: every conversation as a file, inside of the folder, under safe names."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from wireside.errors import StoreError
from wireside.files.folder import FolderContents
from wireside.files.service import CallerFiles, FileRules, Files
from wireside.identity import LOCAL
from wireside.messages import End, TextDelta
from wireside.parts import text_parts
from wireside.records import Branch, ConversationInfo, Segment, TurnRecord
from wireside.store.store import SqlStore
from wireside.transfer import imports
from wireside.transfer.bulk import ExportError, export_all
from wireside.transfer.export import Exporter, HtmlExport, JsonExport, MarkdownExport

HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "",
    "\0",
    "a\nb\r\tc",
    "C:\\Windows\\System32",
    "NUL",
    "com1.txt",
    ".wireside-export",
    "-rf",
    "$(reboot) `reboot`; reboot",
    "\u202egpj.exe",
    "😀" * 500,
    "a\u0301" * 300,
    "name",
    "NAME",
    "name",
    "name (2)",
    "straße",
    "STRASSE",
    "<script>alert(1)</script>",
    "half \ud800",
]

names = itertools.count()


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path / 'x.db'}")
    await store.open()
    yield store
    await store.aclose()


async def add(store: SqlStore, title: str, owner: str = "") -> None:
    name = f"c{next(names)}"
    segment = Segment(
        stream=f"s{name}", model="m", entries=(TextDelta(f"answer to {title}"),), end=End("stop")
    )
    turn = TurnRecord(
        id=f"t{name}",
        conversation_id=name,
        branch=0,
        depth=0,
        question_parts=text_parts(f"question {name}"),
        created_at=1.0,
        segments=(segment,),
    )
    again = TurnRecord(
        id=f"u{name}",
        conversation_id=name,
        branch=1,
        depth=0,
        question_parts=text_parts(f"asked anew {name}"),
        created_at=2.0,
    )
    branches = [
        Branch(id=0, parent=None, first=0, last=0),
        Branch(id=1, parent=None, first=0, last=0),
    ]
    info = ConversationInfo(
        id=name, title=title, created_at=float(next(names)), updated_at=1.0, owner=owner
    )
    await store.add_imported(info, branches, 0, [turn, again])


def files_of(store: SqlStore) -> Callable[[str], CallerFiles]:
    """Return a function that returns the files of an owner, whose contents are nowhere."""
    files = Files(store.files, FolderContents(Path("nowhere")), FileRules(), lambda: 0.0)
    return lambda owner: files.for_caller(replace(LOCAL, user_id=owner))


async def export(
    store: SqlStore,
    folder: Path,
    exporter: type[Exporter] = MarkdownExport,
    owners: dict[str, str] | None = None,
) -> int:
    ids = await store.list_all_conversations()
    return await export_all(
        store=store,
        files_of=files_of(store),
        conversations=ids,
        owners=owners or {},
        folder=folder,
        new_exporter=exporter,
        on_progress=lambda done, total: None,
    )


def below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


async def test_hostile_titles_become_files_in_the_folder(own: SqlStore, tmp_path: Path) -> None:
    for title in HOSTILE:
        await add(own, title)
    before = below(tmp_path)
    folder = tmp_path / "out"
    assert await export(own, folder) == len(HOSTILE)
    files = below(folder)
    assert below(tmp_path) == before | files
    assert all(file.parent == folder for file in files)
    assert len({file.name.casefold() for file in files}) == len(HOSTILE)
    assert all(len(file.name.encode()) <= 255 for file in files)
    assert not any(file.name.startswith((".", "-")) for file in files)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    texts = [file.read_text(encoding="utf-8") for file in files]
    assert len({text.partition("question c")[2].split()[0] for text in texts}) == len(HOSTILE)


async def test_every_owner_has_a_folder(own: SqlStore, tmp_path: Path) -> None:
    owners = {"u1": "../ada", "u2": "ADA", "u3": "without owner", "u4": "has none"}
    for owner in ("u1", "u2", "u3", "", "u1"):
        await add(own, "title", owner)
    folder = tmp_path / "out"
    assert await export(own, folder, owners=owners) == 5
    found = {str(file.relative_to(folder)) for file in below(folder)}
    assert found == {
        "ada/title.md",
        "ada/title (2).md",
        "ADA (2)/title.md",
        "without owner/title.md",
        "without owner (2)/title.md",
    }


async def test_json_can_be_imported_again_with_all_branches(own: SqlStore, tmp_path: Path) -> None:
    for title in HOSTILE[:5]:
        await add(own, title)
    folder = tmp_path / "out"
    await export(own, folder, JsonExport)
    for file in below(folder):
        result = imports.read_conversations(
            file.read_bytes(), new_id=lambda: f"n{next(names)}", now=1e9
        )
        (found,) = result.conversations
        assert result.passed_over == 0
        assert len(found.turns) == 2
        assert len(json.loads(file.read_text())["conversations"]) == 1


async def test_html_shows_a_title_as_text(own: SqlStore, tmp_path: Path) -> None:
    await add(own, "<script>alert(1)</script>")
    folder = tmp_path / "out"
    ids = await own.list_all_conversations()
    await export_all(
        store=own,
        files_of=files_of(own),
        conversations=ids,
        owners={},
        folder=folder,
        new_exporter=lambda: HtmlExport(str.upper),
        on_progress=lambda done, total: None,
    )
    (file,) = below(folder)
    assert "<script" not in file.read_text()
    assert "ANSWER TO" in file.read_text()


async def test_a_folder_that_holds_something_is_left_alone(own: SqlStore, tmp_path: Path) -> None:
    await add(own, "title")
    (tmp_path / "mine").write_text("mine")
    for folder in (tmp_path, tmp_path / "mine"):
        with pytest.raises(ExportError, match="not empty"):
            await export(own, folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert await export(own, empty) == 1
    assert (tmp_path / "mine").read_text() == "mine"


async def test_a_failure_leaves_no_file(own: SqlStore, tmp_path: Path) -> None:
    for number in range(3):
        await add(own, f"title {number}")
    ids = await own.list_all_conversations()

    def fail(done: int, total: int) -> None:
        if done == 2:
            raise StoreError

    new, empty = tmp_path / "new", tmp_path / "empty"
    empty.mkdir()
    for folder in (new, empty):
        with pytest.raises(StoreError):
            await export_all(
                store=own,
                files_of=files_of(own),
                conversations=ids,
                owners={},
                folder=folder,
                new_exporter=MarkdownExport,
                on_progress=fail,
            )
    assert not new.exists()
    assert list(empty.iterdir()) == []


async def test_one_that_was_deleted_meanwhile_is_passed_over(own: SqlStore, tmp_path: Path) -> None:
    await add(own, "kept")
    await add(own, "deleted")
    ids = await own.list_all_conversations()
    await own.delete_conversations([ids[1][0]], 1.0)
    count = await export_all(
        store=own,
        files_of=files_of(own),
        conversations=ids,
        owners={},
        folder=tmp_path / "out",
        new_exporter=MarkdownExport,
        on_progress=lambda done, total: None,
    )
    assert count == 1
    assert [file.name for file in below(tmp_path / "out")] == ["kept.md"]
    assert [conversation_id for conversation_id, _ in await own.list_all_conversations()] == [
        ids[0][0]
    ]
