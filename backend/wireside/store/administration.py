"""What administrators set, and usage, in a database (``ports.administration``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, delete, func, select, update

from wireside.records import (
    AdministeredState,
    Banner,
    ModelRule,
    StoredProvider,
    UsageKey,
    UsageSum,
)
from wireside.store.database import Database
from wireside.store.sql import insert_into, is_sqlite
from wireside.store.tables import (
    banners,
    model_rules,
    providers,
    segments,
    server_options,
    turns,
    usage_days,
)

T = TypeVar("T")

VERSION = "version"
DEFAULT_PRESET = "default_preset"


class SqlAdministration:
    """Implements ``AdministrationStore``, which documents the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> int:
        """See ``AdministrationStore``."""
        return await self._database.read(_version)

    async def read_state(self) -> AdministeredState:
        """See ``AdministrationStore``."""

        def read(connection: Connection) -> AdministeredState:
            return AdministeredState(
                version=_version(connection),
                providers=tuple(
                    StoredProvider(**row._mapping)
                    for row in connection.execute(select(providers).order_by(providers.c.name))
                ),
                model_rules=tuple(
                    ModelRule(**row._mapping) for row in connection.execute(select(model_rules))
                ),
                banners=tuple(
                    Banner(**row._mapping)
                    for row in connection.execute(
                        select(banners).order_by(banners.c.updated_at, banners.c.id)
                    )
                ),
                default_preset=_option(connection, DEFAULT_PRESET),
            )

        return await self._database.read(read)

    async def add_provider(self, provider: StoredProvider, *, max_count: int) -> bool:
        """See ``AdministrationStore``."""

        def add(connection: Connection) -> bool:
            if _count(connection, providers) >= max_count:
                return False
            new = insert_into(providers, is_sqlite(connection)).on_conflict_do_nothing()
            return connection.execute(new, asdict(provider)).rowcount > 0

        return await self._change(add)

    async def update_provider(self, provider: StoredProvider, *, keeps_secret: bool) -> bool:
        """See ``AdministrationStore``."""
        values = asdict(provider)
        if keeps_secret:
            del values["secret"], values["secret_set_at"]
        statement = update(providers).where(providers.c.name == provider.name).values(values)
        return await self._change(lambda connection: connection.execute(statement).rowcount > 0)

    async def remove_provider(self, name: str) -> None:
        """See ``AdministrationStore``."""
        statement = delete(providers).where(providers.c.name == name)
        await self._change(lambda connection: connection.execute(statement))

    async def set_model_rule(self, rule: ModelRule) -> None:
        """See ``AdministrationStore``."""

        def replace_rule(connection: Connection) -> None:
            connection.execute(delete(model_rules).where(model_rules.c.model == rule.model))
            if rule != ModelRule(model=rule.model):
                connection.execute(model_rules.insert(), asdict(rule))

        await self._change(replace_rule)

    async def put_banner(self, banner: Banner, *, max_count: int) -> bool:
        """See ``AdministrationStore``."""

        def put(connection: Connection) -> bool:
            connection.execute(delete(banners).where(banners.c.id == banner.id))
            if _count(connection, banners) >= max_count:
                return False
            connection.execute(banners.insert(), asdict(banner))
            return True

        return await self._change(put)

    async def remove_banner(self, banner_id: str) -> None:
        """See ``AdministrationStore``."""
        statement = delete(banners).where(banners.c.id == banner_id)
        await self._change(lambda connection: connection.execute(statement))

    async def set_default_preset(self, preset_id: str | None) -> None:
        """See ``AdministrationStore``."""
        await self._change(lambda connection: _set_option(connection, DEFAULT_PRESET, preset_id))

    async def _change(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` and increment the version."""

        def change(connection: Connection) -> T:
            _set_option(connection, VERSION, str(_version(connection) + 1))
            return work(connection)

        return await self._database.write(change)


class SqlUsage:
    """Implements ``UsageStore``, which documents the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_usage(self, sums: Mapping[UsageKey, UsageSum]) -> None:
        """See ``UsageStore``."""
        rows = [{**asdict(key), **asdict(added)} for key, added in sums.items()]
        if not rows:
            return

        def add(connection: Connection) -> None:
            new = insert_into(usage_days, is_sqlite(connection))
            columns = ("answers", "input_tokens", "output_tokens", "cost")
            connection.execute(
                new.on_conflict_do_update(
                    index_elements=list(usage_days.primary_key.columns),
                    set_={name: usage_days.c[name] + new.excluded[name] for name in columns},
                ),
                sorted(rows, key=lambda row: (row["day"], row["owner"], row["model"])),
            )

        await self._database.write(add)

    async def read_usage(
        self, first_day: int, last_day: int, *, owner: str | None = None
    ) -> Sequence[tuple[UsageKey, UsageSum]]:
        """See ``UsageStore``."""
        statement = (
            select(usage_days)
            .where(usage_days.c.day.between(first_day, last_day))
            .order_by(
                usage_days.c.day.desc(),
                usage_days.c.owner,
                usage_days.c.model,
                usage_days.c.currency,
            )
        )
        if owner is not None:
            statement = statement.where(usage_days.c.owner == owner)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [
            (
                UsageKey(day=row.day, owner=row.owner, model=row.model, currency=row.currency),
                UsageSum(
                    answers=row.answers,
                    input_tokens=row.input_tokens,
                    output_tokens=row.output_tokens,
                    cost=row.cost,
                ),
            )
            for row in rows
        ]

    async def conversation_usage(self, conversation_id: str) -> Sequence[tuple[str, UsageSum]]:
        """See ``UsageStore``."""
        currency = func.coalesce(segments.c.currency, "")
        statement = (
            select(
                currency,
                func.count(),
                func.coalesce(func.sum(segments.c.input_tokens), 0),
                func.coalesce(func.sum(segments.c.output_tokens), 0),
                func.coalesce(func.sum(segments.c.cost), 0.0),
            )
            .join(turns, turns.c.id == segments.c.turn_id)
            .where(turns.c.conversation_id == conversation_id)
            .group_by(currency)
            .order_by(currency)
        )
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [
            (
                str(row[0]),
                UsageSum(
                    answers=int(row[1]),
                    input_tokens=int(row[2]),
                    output_tokens=int(row[3]),
                    cost=float(row[4]),
                ),
            )
            for row in rows
        ]


def _version(connection: Connection) -> int:
    return int(_option(connection, VERSION) or 0)


def _option(connection: Connection, name: str) -> str | None:
    statement = select(server_options.c.value).where(server_options.c.name == name)
    value: str | None = connection.scalar(statement)
    return value


def _set_option(connection: Connection, name: str, value: str | None) -> None:
    connection.execute(delete(server_options).where(server_options.c.name == name))
    if value is not None:
        connection.execute(server_options.insert(), {"name": name, "value": value})


def _count(connection: Connection, table: Table) -> int:
    found: Any = connection.scalar(select(func.count()).select_from(table))
    return int(found)
