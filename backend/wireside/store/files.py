"""Records of files, in a database (``ports.files.FileStore``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    update,
)

from wireside.parts import upload_of
from wireside.records import StoredFile, TurnRecord
from wireside.store.database import Database
from wireside.store.sql import insert_into, is_sqlite
from wireside.store.tables import conversations, file_uses, files, turns

AT_ONCE = 500

_IS_USED = exists().where(file_uses.c.file_id == files.c.id)


class SqlFiles:
    """Implements ``FileStore``, which documents the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_file_record(self, file: StoredFile, *, max_owner_bytes: int | None) -> bool:
        """See ``FileStore``."""

        def insert_file(connection: Connection) -> bool:
            if max_owner_bytes is not None:
                used = _size_of_all(connection, file.owner)
                if used + file.size_bytes > max_owner_bytes:
                    return False
            connection.execute(files.insert(), {**asdict(file), "was_used": False})
            return True

        return await self._database.write(insert_file)

    async def find_files(
        self, owner: str, file_ids: Sequence[str], *, conversation_id: str | None = None
    ) -> Sequence[StoredFile]:
        """See ``FileStore``."""

        def select_files(connection: Connection) -> list[StoredFile]:
            is_readable: ColumnElement[bool] = files.c.owner == owner
            if conversation_id is not None:
                is_used_there = (
                    exists()
                    .select_from(file_uses.join(turns))
                    .where(
                        file_uses.c.file_id == files.c.id,
                        turns.c.conversation_id == conversation_id,
                    )
                )
                is_readable = or_(is_readable, is_used_there)
            statement = select(files).where(is_readable, files.c.id.in_(file_ids))
            return [_file_from_row(row) for row in connection.execute(statement)]

        return await self._database.read(select_files)

    async def conversations_using(self, file_id: str) -> Sequence[str]:
        """See ``FileStore``."""

        def select_conversations(connection: Connection) -> list[str]:
            statement = (
                select(turns.c.conversation_id)
                .select_from(file_uses.join(turns))
                .where(file_uses.c.file_id == file_id)
                .distinct()
            )
            return list(connection.scalars(statement))

        return await self._database.read(select_conversations)

    async def keep_text(self, file_id: str, text: str) -> None:
        """See ``FileStore``."""

        def update_text(connection: Connection) -> None:
            connection.execute(update(files).where(files.c.id == file_id).values(text=text))

        await self._database.write(update_text)

    async def size_of_all(self, owner: str) -> int:
        """See ``FileStore``."""
        return await self._database.read(lambda connection: _size_of_all(connection, owner))

    async def remove_file(self, owner: str, file_id: str) -> bool:
        """See ``FileStore``."""

        def delete_file(connection: Connection) -> bool:
            is_it = and_(files.c.owner == owner, files.c.id == file_id)
            if connection.scalar(select(files.c.id).where(is_it, _IS_USED)) is not None:
                return False
            connection.execute(delete(files).where(is_it))
            return True

        return await self._database.write(delete_file)

    async def remove_unused(self, uploaded_before: float) -> Sequence[str]:
        """See ``FileStore``."""
        is_over = or_(files.c.was_used, files.c.created_at < uploaded_before)
        unused = select(files.c.id, files.c.sha256).where(not_(_IS_USED), is_over).limit(AT_ONCE)

        def delete_unused(connection: Connection) -> list[str]:
            rows = connection.execute(unused).all()
            connection.execute(delete(files).where(files.c.id.in_([row.id for row in rows])))
            return [row.sha256 for row in rows]

        # called every minute: must not occupy the writer without need
        if await self._database.read(lambda connection: connection.execute(unused).first()) is None:
            return ()
        return await self._database.write(delete_unused)

    async def unknown_hashes(self, hashes: Sequence[str]) -> Sequence[str]:
        """See ``FileStore``."""

        def select_unknown(connection: Connection) -> list[str]:
            statement = select(files.c.sha256).where(files.c.sha256.in_(hashes))
            known = set(connection.scalars(statement))
            return [sha256 for sha256 in dict.fromkeys(hashes) if sha256 not in known]

        return await self._database.read(select_unknown)


# ---- inside the transaction of another module ----------------------------------------------------


class FileUse(NamedTuple):
    """A turn that refers to a file."""

    turn_id: str
    file_id: str


def release_files(connection: Connection, turn_id: str) -> None:
    """Keep the files of a turn that is being withdrawn as uploads: it may be asked again."""
    its_files = select(file_uses.c.file_id).where(file_uses.c.turn_id == turn_id)
    connection.execute(update(files).where(files.c.id.in_(its_files)).values(was_used=False))


def record_uses(connection: Connection, turns: Iterable[TurnRecord]) -> None:
    """Record the files to which the questions of turns refer."""
    use(
        connection,
        [FileUse(turn.id, file_id) for turn in turns for file_id in _uploads_of(turn)],
    )


def use(connection: Connection, uses: Sequence[FileUse]) -> None:
    """Record the files to which turns refer, of the conversation's owner or of the asker's.

    Others are left out.

    The turns of one commit may be those of several owners. A file that was removed since its
    question was checked must not fail the commit.
    """
    if not uses:
        return
    statement = (
        select(turns.c.id.label("turn_id"), files.c.id.label("file_id"))
        .join(conversations)
        .join(files, or_(conversations.c.owner == files.c.owner, turns.c.asked_by == files.c.owner))
        .where(
            turns.c.id.in_({one.turn_id for one in uses}),
            files.c.id.in_({one.file_id for one in uses}),
        )
    )
    there = {(row.turn_id, row.file_id) for row in connection.execute(statement)}
    rows = [
        {"turn_id": one.turn_id, "file_id": one.file_id}
        for one in uses
        if (one.turn_id, one.file_id) in there
    ]
    if rows:
        connection.execute(
            insert_into(file_uses, is_sqlite(connection)).on_conflict_do_nothing(), rows
        )
        used = {row["file_id"] for row in rows}
        connection.execute(update(files).where(files.c.id.in_(used)).values(was_used=True))


def adopt_all(connection: Connection, owner: str) -> None:
    """Make files from before there were accounts those of ``owner``."""
    connection.execute(update(files).where(files.c.owner == "").values(owner=owner))


def release_all(connection: Connection, owner: str) -> None:
    """Let the uploads of an account be removed at once that no turn refers to."""
    connection.execute(update(files).where(files.c.owner == owner).values(was_used=True))


def _uploads_of(turn: TurnRecord) -> set[str]:
    return {file_id for part in turn.question_parts if (file_id := upload_of(part)) is not None}


def _size_of_all(connection: Connection, owner: str) -> int:
    total = select(func.sum(files.c.size_bytes)).where(files.c.owner == owner)
    return int(connection.scalar(total) or 0)


def _file_from_row(row: Row[Any]) -> StoredFile:
    return StoredFile(
        id=row.id,
        owner=row.owner,
        name=row.name,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        created_at=row.created_at,
        text=row.text,
    )
