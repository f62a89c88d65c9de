"""Comments on turns in a database (``ports.comments``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, false, func, or_, select, update

from wireside.records import Span, TurnComment
from wireside.store.database import Database
from wireside.store.sql import insert_into, is_sqlite
from wireside.store.tables import comments, turns


class SqlComments:
    """Implements ``CommentStore``, which documents the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_comments(
        self,
        conversation_id: str,
        spans: Sequence[Span] | None = None,
        *,
        turn_id: str | None = None,
    ) -> Sequence[TurnComment]:
        """See ``CommentStore``."""
        statement = _of_turns(select(comments), conversation_id, spans)
        if turn_id is not None:
            statement = statement.where(comments.c.turn_id == turn_id)
        statement = statement.order_by(comments.c.created_at, comments.c.id)

        def select_comments(connection: Connection) -> list[TurnComment]:
            return [_comment_of(row) for row in connection.execute(statement)]

        return await self._database.read(select_comments)

    async def count_comments(
        self, conversation_id: str, spans: Sequence[Span] | None = None
    ) -> Mapping[str, int]:
        """See ``CommentStore``."""
        counts = select(comments.c.turn_id, func.count()).group_by(comments.c.turn_id)
        statement = _of_turns(counts, conversation_id, spans)

        def select_counts(connection: Connection) -> dict[str, int]:
            return {row[0]: row[1] for row in connection.execute(statement)}

        return await self._database.read(select_counts)

    async def find_comment(self, comment_id: str) -> TurnComment | None:
        """See ``CommentStore``."""
        statement = select(comments).where(comments.c.id == comment_id)

        def select_comment(connection: Connection) -> TurnComment | None:
            row = connection.execute(statement).first()
            return None if row is None else _comment_of(row)

        return await self._database.read(select_comment)

    async def add_comment(self, comment: TurnComment, *, max_count: int) -> bool:
        """See ``CommentStore``."""
        count = (
            select(func.count())
            .select_from(comments)
            .where(
                comments.c.conversation_id == comment.conversation_id, comments.c.id != comment.id
            )
        )
        turn = select(turns.c.id).where(
            turns.c.id == comment.turn_id, turns.c.conversation_id == comment.conversation_id
        )

        def insert_comment(connection: Connection) -> bool:
            if (connection.scalar(count) or 0) >= max_count:
                return False
            if connection.scalar(turn.with_for_update(read=True, key_share=True)) is None:
                return False
            statement = insert_into(comments, is_sqlite(connection)).values(asdict(comment))
            connection.execute(statement.on_conflict_do_nothing())
            return True

        return await self._database.write(insert_comment)

    async def edit_comment(self, comment_id: str, text: str, *, at: float) -> bool:
        """See ``CommentStore``."""
        statement = (
            update(comments).where(comments.c.id == comment_id).values(text=text, edited_at=at)
        )
        return await self._database.write(
            lambda connection: connection.execute(statement).rowcount > 0
        )

    async def delete_comment(self, comment_id: str) -> bool:
        """See ``CommentStore``."""
        statement = delete(comments).where(comments.c.id == comment_id)
        return await self._database.write(
            lambda connection: connection.execute(statement).rowcount > 0
        )


def _of_turns(
    statement: Select[Any], conversation_id: str, spans: Sequence[Span] | None
) -> Select[Any]:
    """Restrict a query to the comments on turns of a conversation."""
    statement = statement.where(comments.c.conversation_id == conversation_id)
    if spans is None:
        return statement
    within = [
        (turns.c.branch == span.branch) & turns.c.depth.between(span.first, span.last)
        for span in spans
    ]
    return statement.join(turns, turns.c.id == comments.c.turn_id).where(or_(false(), *within))


def _comment_of(row: Row[Any]) -> TurnComment:
    return TurnComment(**row._mapping)
