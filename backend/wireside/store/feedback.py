"""Feedback on answers for administrators, in a database (``ports.administration``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from wireside.messages import parts_of
from wireside.parts import text_of
from wireside.records import FeedbackCount, FeedbackQuery, RatedAnswer
from wireside.store import answers
from wireside.store.database import Database
from wireside.store.tables import conversations, segments, turns

_MODEL = and_(segments.c.turn_id == turns.c.id, segments.c.position == 0)


class SqlFeedback:
    """Implements ``FeedbackStore``, which documents the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_feedback(
        self, query: FeedbackQuery, *, offset: int, limit: int
    ) -> Sequence[RatedAnswer]:
        """See ``FeedbackStore``."""
        statement = (
            select(
                turns.c.id,
                turns.c.rated_at,
                turns.c.verdict,
                turns.c.feedback_shown,
                # a text that may not be shown does not leave the database
                *(
                    case((turns.c.feedback_shown, turns.c[name]), else_="").label(name)
                    for name in ("question", "words")
                ),
                segments.c.model,
            )
            .select_from(turns)
            .join(segments, _MODEL)
            .join(conversations, conversations.c.id == turns.c.conversation_id)
            .where(*_conditions(query))
            .order_by(turns.c.rated_at.desc(), turns.c.id)
            .offset(offset)
            .limit(limit)
        )

        def read(connection: Connection) -> list[RatedAnswer]:
            rows = connection.execute(statement).all()
            shown = [row.id for row in rows if row.feedback_shown]
            found = answers.read_segments_of_turns(connection, shown)
            return [
                RatedAnswer(
                    at=row.rated_at,
                    verdict=row.verdict,
                    model=row.model,
                    is_shown=row.feedback_shown,
                    question=row.question,
                    answer=text_of(parts_of(*(one.entries for one in found.get(row.id, ())))),
                    words=row.words or "",
                )
                for row in rows
            ]

        return await self._database.read(read)

    async def count_feedback(self, query: FeedbackQuery) -> Sequence[FeedbackCount]:
        """See ``FeedbackStore``."""
        is_up: ColumnElement[Any] = case((turns.c.verdict == "up", 1), else_=0)
        statement = (
            select(segments.c.model, func.sum(is_up), func.count())
            .select_from(turns)
            .join(segments, _MODEL)
            .join(conversations, conversations.c.id == turns.c.conversation_id)
            .where(*_conditions(query))
            .group_by(segments.c.model)
            .order_by(func.count().desc(), segments.c.model)
        )
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [
            FeedbackCount(model=model, up=int(up), down=int(count) - int(up))
            for model, up, count in rows
        ]


def _conditions(query: FeedbackQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        turns.c.verdict.is_not(None),
        turns.c.rated_at >= query.since,
        turns.c.rated_at < query.until,
        conversations.c.deleted_at.is_(None),
    ]
    if query.verdict is not None:
        found.append(turns.c.verdict == query.verdict)
    if query.model is not None:
        found.append(segments.c.model == query.model)
    return found
