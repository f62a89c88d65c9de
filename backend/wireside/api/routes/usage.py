"""REST routes for administrators: usage by day, user and model, as JSON and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, Field

from wireside.api.dependencies import CallerChat
from wireside.api.errors import PROBLEMS
from wireside.api.policy import API, with_policy
from wireside.api.routes.conversations import CostSum
from wireside.auth.accounts import Accounts
from wireside.chat.administration import Administration
from wireside.chat.service import ChatService
from wireside.errors import NotFound
from wireside.records import UsageKey, UsageSum

DEFAULT_DAYS = 30

EPOCH = date(1970, 1, 1)


_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _iso_date(value: object) -> object:
    """Refuse the numbers that Pydantic takes for dates. Raises ``ValueError``."""
    if isinstance(value, str) and not _DATE.fullmatch(value):
        raise ValueError("a date is written like 2026-11-30")
    return value


From = Annotated[
    date | None,
    BeforeValidator(_iso_date),
    Query(
        alias="from",
        description="The first day, in UTC; else 30 days are read. At most 400 days are read.",
    ),
]
To = Annotated[
    date | None, BeforeValidator(_iso_date), Query(description="The last day, in UTC; else today.")
]


class UsageRow(BaseModel):
    """The usage of one user and model on one day, by the currency of its cost."""

    day: date
    user: str = Field(description="The id of the account; empty on a server without accounts.")
    name: str = Field(description="Its name; empty if it was removed.")
    model: str
    answers: int
    input_tokens: int
    output_tokens: int
    cost: float | None = Field(description="Null if no price was known.")
    currency: str | None


class UsageList(BaseModel):
    """The usage of all users, the newest day first."""

    usage: list[UsageRow]


class Spending(BaseModel):
    """What the caller's answers have cost, where prices are known."""

    today: list[CostSum] = Field(description="Since midnight, in UTC.")
    month: list[CostSum] = Field(description="In the last 30 days.")


class UsageRoutes:
    """Routes under ``/api/usage``."""

    def __init__(self, accounts: Accounts | None) -> None:
        """``accounts`` have the names of users; None on a server without accounts."""
        self._accounts = accounts

    def build_router(self) -> APIRouter:
        """Return the router."""
        router = APIRouter(prefix="/api", tags=["usage"], responses={**PROBLEMS})
        router.get("/usage")(self.list)
        router.get("/usage/own")(self.own)
        router.get("/usage.csv", response_class=Response)(self.download)
        return with_policy(router, API)

    async def list(self, chat: CallerChat, since: From = None, to: To = None) -> UsageList:
        """List the usage by day, user and model; administrators only."""
        return UsageList(usage=await self._read(chat, since, to))

    async def own(self, chat: CallerChat) -> Spending:
        """Sum what the caller's own answers have cost."""
        chat.caller.require("read")
        administration = administration_of(chat)
        found = await administration.own_usage(chat.caller, DEFAULT_DAYS)
        today = [(key, one) for key, one in found if key.day == administration.today]
        return Spending(today=_costs(today), month=_costs(found))

    async def download(self, chat: CallerChat, since: From = None, to: To = None) -> Response:
        """Download the usage as CSV; administrators only."""
        rows = await self._read(chat, since, to)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(UsageRow.model_fields)
        for row in rows:
            values = row.model_dump().values()
            writer.writerow(["" if value is None else csv_cell(value) for value in values])
        headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
        return Response("\ufeff" + text.getvalue(), media_type="text/csv", headers=headers)

    async def _read(
        self, chat: ChatService, since: date | None, to: date | None
    ) -> Sequence[UsageRow]:
        administration = administration_of(chat)
        last = administration.today if to is None else (to - EPOCH).days
        first = last - DEFAULT_DAYS + 1 if since is None else (since - EPOCH).days
        found = await administration.read_usage(chat.caller, first, last)
        users = await self._accounts.list_users(chat.caller) if self._accounts else ()
        names = {user.id: user.name for user in users}
        return [
            UsageRow(
                day=EPOCH + timedelta(days=key.day),
                user=key.owner,
                name=names.get(key.owner, ""),
                model=key.model,
                answers=one.answers,
                input_tokens=one.input_tokens,
                output_tokens=one.output_tokens,
                cost=one.cost if key.currency else None,
                currency=key.currency or None,
            )
            for key, one in found
        ]


def administration_of(chat: ChatService) -> Administration:
    """Return what administrators set. Raises ``NotFound`` where there is nothing."""
    if chat.administration is None:
        raise NotFound
    return chat.administration


def _costs(found: Sequence[tuple[UsageKey, UsageSum]]) -> list[CostSum]:
    sums: dict[str, float] = {}
    for key, one in found:
        if key.currency:
            sums[key.currency] = sums.get(key.currency, 0.0) + one.cost
    return [CostSum(amount=amount, currency=currency) for currency, amount in sums.items()]


def csv_cell(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
