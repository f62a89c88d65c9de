"""REST routes for administrators: ratings of answers, as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from wireside.api.dependencies import CallerChat
from wireside.api.errors import PROBLEMS
from wireside.api.policy import API, with_policy
from wireside.api.routes.usage import DEFAULT_DAYS, EPOCH, From, To, administration_of, csv_cell
from wireside.chat.usage import DAY_S
from wireside.records import FeedbackQuery, RatedAnswer

CSV_ROWS: Final = 2_000
"""Maximum number of ratings in a CSV, the newest ones: each may have a whole answer."""

Rating = Annotated[Literal["up", "down"] | None, Query(description="Only these; else both.")]
Model = Annotated[str | None, Query(max_length=500, description="Only answers of this model.")]
Limit = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0, le=1_000_000, description="Number of newer ratings to skip.")]


class Rated(BaseModel):
    """A rating of an answer. It does not say whose it is."""

    at: datetime
    rating: Literal["up", "down"]
    model: str
    is_shown: bool = Field(
        description="Whether the user lets administrators read the texts, which are else empty."
    )
    question: str
    answer: str
    comment: str


class ModelFeedback(BaseModel):
    """How often the answers of a model were rated."""

    model: str
    up: int
    down: int


class FeedbackList(BaseModel):
    """Ratings, the newest first, and the numbers of all that were asked for, by model."""

    ratings: list[Rated]
    models: list[ModelFeedback]


class FeedbackRoutes:
    """Routes under ``/api/feedback``."""

    def build_router(self) -> APIRouter:
        """Return the router."""
        router = APIRouter(prefix="/api", tags=["feedback"], responses={**PROBLEMS})
        router.get("/feedback")(self.list)
        router.get("/feedback.csv", response_class=Response)(self.download)
        return with_policy(router, API)

    async def list(
        self,
        chat: CallerChat,
        rating: Rating = None,
        model: Model = None,
        since: From = None,
        to: To = None,
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> FeedbackList:
        """List ratings of answers; administrators only."""
        administration = administration_of(chat)
        query = query_of(administration.today, rating=rating, model=model, since=since, until=to)
        counts = await administration.count_feedback(chat.caller, query)
        found = await administration.read_feedback(chat.caller, query, offset=offset, limit=limit)
        return FeedbackList(
            ratings=_views(found),
            models=[ModelFeedback(model=one.model, up=one.up, down=one.down) for one in counts],
        )

    async def download(
        self,
        chat: CallerChat,
        rating: Rating = None,
        model: Model = None,
        since: From = None,
        to: To = None,
    ) -> Response:
        """Download the newest 2,000 ratings as CSV; administrators only."""
        administration = administration_of(chat)
        query = query_of(administration.today, rating=rating, model=model, since=since, until=to)
        found = await administration.read_feedback(chat.caller, query, limit=CSV_ROWS)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(Rated.model_fields)
        for row in _views(found):
            writer.writerow([csv_cell(value) for value in row.model_dump(mode="json").values()])
        headers = {"Content-Disposition": 'attachment; filename="feedback.csv"'}
        return Response("\ufeff" + text.getvalue(), media_type="text/csv", headers=headers)


def query_of(
    today: int,
    *,
    rating: Literal["up", "down"] | None,
    model: str | None,
    since: date | None,
    until: date | None,
) -> FeedbackQuery:
    """Return the query for days in UTC, both included; ``today`` is in days since 1970."""
    last = today if until is None else (until - EPOCH).days
    first = last - DEFAULT_DAYS + 1 if since is None else (since - EPOCH).days
    return FeedbackQuery(
        since=first * DAY_S, until=(last + 1) * DAY_S, verdict=rating, model=model or None
    )


def _views(found: Sequence[RatedAnswer]) -> list[Rated]:
    return [
        Rated(
            at=datetime.fromtimestamp(one.at, UTC),
            rating=one.verdict,
            model=one.model,
            is_shown=one.is_shown,
            question=one.question,
            answer=one.answer,
            comment=one.words,
        )
        for one in found
    ]
