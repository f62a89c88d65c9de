"""Accounts in a database (``ports.accounts.AccountStore``)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Delete, Row, Table, delete, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from wireside.identity import Role
from wireside.records import ApiKey, AuditEntry, Invitation, Share, SignIn, UserAccount
from wireside.store import files, folders, saved
from wireside.store import members as its_members
from wireside.store.database import Database
from wireside.store.sql import is_sqlite
from wireside.store.tables import (
    api_keys,
    audit,
    conversations,
    invitations,
    shares,
    sign_ins,
    users,
)

T = TypeVar("T")


class SqlAccounts:
    """Implements ``AccountStore``, which documents the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- users -------------------------------------------------------------------------------

    async def list_users(self) -> Sequence[UserAccount]:
        """See ``AccountStore``."""
        return await self._fetch_all(
            _user_from_row, select(users).order_by(users.c.created_at, users.c.id)
        )

    async def find_user(self, user_id: str) -> UserAccount | None:
        """See ``AccountStore``."""
        return await self._fetch_one(_user_from_row, select(users).where(users.c.id == user_id))

    async def user_named(self, name: str) -> UserAccount | None:
        """See ``AccountStore``."""
        return await self._fetch_one(_user_from_row, select(users).where(users.c.name == name))

    async def names_of_users(self, user_ids: Collection[str]) -> Mapping[str, str]:
        """See ``AccountStore``."""
        statement = select(users.c.id, users.c.name).where(users.c.id.in_(user_ids))

        def select_names(connection: Connection) -> dict[str, str]:
            return {row.id: row.name for row in connection.execute(statement)}

        return await self._database.read(select_names) if user_ids else {}

    async def find_user_by_subject(self, subject: str) -> UserAccount | None:
        """See ``AccountStore``."""
        return await self._fetch_one(
            _user_from_row, select(users).where(users.c.subject == subject)
        )

    async def add_user(
        self, user: UserAccount, *, invitation: str | None = None, role_of_first: Role | None = None
    ) -> UserAccount | None:
        """See ``AccountStore``."""

        def insert_user(connection: Connection) -> UserAccount | None:
            if not is_sqlite(connection):  # serialises concurrent calls: only one is first
                connection.execute(text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))
            if invitation is not None and not _use_invitation(connection, invitation):
                return None
            is_first = connection.scalar(select(users.c.id).limit(1)) is None
            added = replace(user, role=role_of_first) if is_first and role_of_first else user
            try:
                with connection.begin_nested():
                    connection.execute(users.insert(), asdict(added))
            except IntegrityError:
                connection.rollback()  # keeps the invitation usable
                return None
            if is_first:  # conversations from before there were accounts
                connection.execute(
                    update(conversations).where(conversations.c.owner == "").values(owner=user.id)
                )
                files.adopt_all(connection, user.id)
                folders.adopt_all(connection, user.id)
                saved.adopt_all(connection, user.id)
            return added

        return await self._database.write(insert_user)

    async def set_role(
        self, user_id: str, role: Role, *, by: str | None = None, even_of_last: bool = False
    ) -> bool:
        """See ``AccountStore``."""

        def update_role(connection: Connection) -> bool:
            administrators = _administrators(connection)
            if not _may_change(administrators, by):
                return False
            if role != "admin":
                if not even_of_last and not _can_do_without(administrators, user_id):
                    return False
                connection.execute(_delete_links(made_by=user_id))
            _update_user(connection, user_id, role=role)
            return True

        return await self._database.write(update_role)

    async def set_groups(self, user_id: str, groups: Collection[str]) -> None:
        """See ``AccountStore``."""
        await self._execute_write(update(users).where(users.c.id == user_id).values(groups=groups))

    async def disable_user(self, user_id: str, at: float, *, by: str | None = None) -> bool:
        """See ``AccountStore``."""

        def mark_disabled(connection: Connection) -> bool:
            administrators = _administrators(connection)
            if not (_may_change(administrators, by) and _can_do_without(administrators, user_id)):
                return False
            connection.execute(_delete_links(made_by=user_id))
            connection.execute(_delete_links(user_id=user_id))
            _update_user(connection, user_id, disabled_at=at)
            return True

        return await self._database.write(mark_disabled)

    async def enable_user(self, user_id: str, *, by: str | None = None) -> bool:
        """See ``AccountStore``."""

        def clear_disabled(connection: Connection) -> bool:
            if not _may_change(_administrators(connection), by):
                return False
            _update_user(connection, user_id, disabled_at=None)
            return True

        return await self._database.write(clear_disabled)

    async def record_user_activity(self, user_id: str, at: float, *, unless_since: float) -> bool:
        """See ``AccountStore``."""
        is_long_ago = or_(users.c.seen_at.is_(None), users.c.seen_at <= unless_since)
        statement = update(users).where(users.c.id == user_id, is_long_ago).values(seen_at=at)
        return bool(await self._write_returning_ids(statement.returning(users.c.id)))

    async def set_password(
        self, user_id: str, password: str, *, invitation: str | None = None, was: str | None = None
    ) -> bool:
        """See ``AccountStore``."""

        def update_password(connection: Connection) -> bool:
            if invitation is not None and not _use_invitation(connection, invitation):
                return False
            connection.execute(_delete_links(user_id=user_id))
            statement = update(users).where(users.c.id == user_id).values(password=password)
            if was is not None:
                statement = statement.where(users.c.password == was)
            if connection.scalar(statement.returning(users.c.id)) is None:
                connection.rollback()  # keeps the links usable
                return False
            return True

        return await self._database.write(update_password)

    async def remove_user(self, user_id: str, at: float, *, by: str | None = None) -> bool:
        """See ``AccountStore``."""

        def delete_user(connection: Connection) -> bool:
            administrators = _administrators(connection)
            if not (_may_change(administrators, by) and _can_do_without(administrators, user_id)):
                return False
            connection.execute(
                update(conversations)
                .where(conversations.c.owner == user_id, conversations.c.deleted_at.is_(None))
                .values(deleted_at=at)
            )
            connection.execute(delete(shares).where(shares.c.owner == user_id))
            files.release_all(connection, user_id)
            folders.remove_all_of(connection, user_id)
            saved.remove_all_of(connection, user_id, heir=by)
            its_members.remove_everywhere(connection, user_id)
            connection.execute(delete(users).where(users.c.id == user_id))
            return True

        return await self._database.write(delete_user)

    # ---- sessions ----------------------------------------------------------------------------

    async def add_sign_in(self, sign_in: SignIn, *, password: str | None = None) -> bool:
        """See ``AccountStore``."""
        whose = update(users).where(users.c.id == sign_in.user_id, users.c.disabled_at.is_(None))
        if password is not None:
            whose = whose.where(users.c.password == password)

        def insert_sign_in(connection: Connection) -> bool:
            seen = whose.values(seen_at=sign_in.seen_at).returning(users.c.id)
            if connection.scalar(seen) is None:
                return False
            connection.execute(sign_ins.insert(), asdict(sign_in))
            return True

        return await self._database.write(insert_sign_in)

    async def find_sign_in(self, token: str) -> tuple[SignIn, UserAccount] | None:
        """See ``AccountStore``."""
        return await self._with_user(sign_ins, sign_ins.c.token == token, _sign_in_from_row)

    async def list_sign_ins(self, user_id: str) -> Sequence[SignIn]:
        """See ``AccountStore``."""
        statement = select(sign_ins).where(sign_ins.c.user_id == user_id)
        return await self._fetch_all(
            _sign_in_from_row, statement.order_by(sign_ins.c.seen_at.desc())
        )

    async def record_sign_in_activity(self, sign_in: SignIn, at: float, expires_at: float) -> None:
        """See ``AccountStore``."""

        def update_activity(connection: Connection) -> None:
            connection.execute(
                update(sign_ins)
                .where(sign_ins.c.id == sign_in.id)
                .values(seen_at=at, expires_at=expires_at)
            )
            connection.execute(
                update(users).where(users.c.id == sign_in.user_id).values(seen_at=at)
            )

        await self._database.write(update_activity)

    async def end_sign_ins(
        self, user_id: str, *, only: str | None = None, but: str | None = None
    ) -> Sequence[str]:
        """See ``AccountStore``."""
        statement = delete(sign_ins).where(sign_ins.c.user_id == user_id)
        if only is not None:
            statement = statement.where(sign_ins.c.id == only)
        if but is not None:
            statement = statement.where(sign_ins.c.id != but)
        return await self._write_returning_ids(statement.returning(sign_ins.c.id))

    # ---- keys --------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey) -> None:
        """See ``AccountStore``."""
        values = asdict(key) | {"scopes": " ".join(sorted(key.scopes))}
        await self._execute_write(api_keys.insert().values(values))

    async def find_key_by_id(self, key_id: str) -> tuple[ApiKey, UserAccount] | None:
        """See ``AccountStore``."""
        return await self._with_user(api_keys, api_keys.c.id == key_id, _key_from_row)

    async def list_keys(self, user_id: str) -> Sequence[ApiKey]:
        """See ``AccountStore``."""
        statement = select(api_keys).where(api_keys.c.user_id == user_id)
        return await self._fetch_all(_key_from_row, statement.order_by(api_keys.c.created_at))

    async def record_key_use(self, key_id: str, at: float) -> None:
        """See ``AccountStore``."""
        await self._execute_write(
            update(api_keys).where(api_keys.c.id == key_id).values(used_at=at)
        )

    async def remove_key(self, user_id: str, key_id: str) -> bool:
        """See ``AccountStore``."""
        statement = delete(api_keys).where(api_keys.c.id == key_id, api_keys.c.user_id == user_id)
        return bool(await self._write_returning_ids(statement.returning(api_keys.c.id)))

    # ---- invitations -------------------------------------------------------------------------

    async def add_invitation(self, invitation: Invitation) -> bool:
        """See ``AccountStore``."""

        def insert_invitation(connection: Connection) -> bool:
            if not _may_change(_administrators(connection), invitation.made_by):
                return False
            if invitation.user_id is not None:  # only the newest password link is valid
                connection.execute(_delete_links(user_id=invitation.user_id))
            connection.execute(invitations.insert(), asdict(invitation))
            return True

        return await self._database.write(insert_invitation)

    async def invitation(self, token: str) -> Invitation | None:
        """See ``AccountStore``."""
        return await self._fetch_one(
            _invitation, select(invitations).where(invitations.c.token == token)
        )

    async def invitations(self) -> Sequence[Invitation]:
        """See ``AccountStore``."""
        return await self._fetch_all(
            _invitation, select(invitations).order_by(invitations.c.created_at)
        )

    async def remove_invitations(self, ids: Collection[str]) -> None:
        """See ``AccountStore``."""
        await self._execute_write(delete(invitations).where(invitations.c.id.in_(list(ids))))

    # ---- shares ------------------------------------------------------------------------------

    async def add_share(self, share: Share) -> None:
        """See ``AccountStore``."""
        await self._execute_write(shares.insert().values(asdict(share)))

    async def find_share(self, token: str) -> Share | None:
        """See ``AccountStore``."""
        statement = (
            select(shares)
            .join(conversations)
            .outerjoin(users, users.c.id == shares.c.owner)  # no rows on a server without accounts
            .where(
                shares.c.token == token,
                conversations.c.deleted_at.is_(None),
                users.c.disabled_at.is_(None),
            )
        )
        return await self._fetch_one(_share_from_row, statement)

    async def list_shares(self, owner: str, conversation_id: str | None = None) -> Sequence[Share]:
        """See ``AccountStore``."""
        columns = [column for column in shares.c if column is not shares.c.content]
        statement = select(*columns).where(shares.c.owner == owner)
        if conversation_id is not None:
            statement = statement.where(shares.c.conversation_id == conversation_id)
        return await self._fetch_all(
            _share_from_row, statement.order_by(shares.c.created_at.desc())
        )

    async def remove_share(self, owner: str, share_id: str) -> bool:
        """See ``AccountStore``."""
        statement = delete(shares).where(shares.c.id == share_id, shares.c.owner == owner)
        return bool(await self._write_returning_ids(statement.returning(shares.c.id)))

    # ---- audit log ---------------------------------------------------------------------------

    async def append_audit_entries(self, entries: Sequence[AuditEntry]) -> None:
        """See ``AccountStore``."""
        rows = [{k: v for k, v in asdict(one).items() if k != "number"} for one in entries]

        def insert_entries(connection: Connection) -> None:
            connection.execute(audit.insert(), rows)

        await self._database.write(insert_entries)

    async def read_audit_entries(
        self, words: Sequence[str], *, before: int | None, limit: int
    ) -> Sequence[AuditEntry]:
        """See ``AccountStore``."""
        statement = select(audit)
        for word in words:
            statement = statement.where(
                or_(
                    *(
                        column.icontains(word, autoescape=True)
                        for column in (
                            audit.c.action,
                            audit.c.name,
                            audit.c.subject,
                            audit.c.address,
                        )
                    )
                )
            )
        if before is not None:
            statement = statement.where(audit.c.number < before)
        return await self._fetch_all(
            _audit_entry_from_row, statement.order_by(audit.c.number.desc()).limit(limit)
        )

    async def forget_audit(self, before: float) -> None:
        """See ``AccountStore``."""
        await self._execute_write(delete(audit).where(audit.c.at < before))

    # ---- all credentials ---------------------------------------------------------------------

    async def valid_credentials(
        self,
        sign_in_ids: Collection[str],
        key_ids: Collection[str],
        user_ids: Collection[str],
        now: float,
    ) -> frozenset[tuple[str, str]]:
        """See ``AccountStore``."""

        def select_valid(connection: Connection) -> frozenset[tuple[str, str]]:
            found: set[tuple[str, str]] = set()
            for kind, table, ids in (
                ("session", sign_ins, sign_in_ids),
                ("key", api_keys, key_ids),
            ):
                for some in _split_ids(list(ids), 500):
                    rows = connection.execute(
                        select(table.c.id, users.c.role)
                        .join(users)
                        .where(
                            table.c.id.in_(some),
                            users.c.disabled_at.is_(None),
                            or_(table.c.expires_at.is_(None), table.c.expires_at > now),
                        )
                    )
                    found.update((f"{kind} {row.id}", row.role) for row in rows)
            for some in _split_ids(list(user_ids), 500):
                rows = connection.execute(
                    select(users.c.id, users.c.role).where(
                        users.c.id.in_(some), users.c.disabled_at.is_(None)
                    )
                )
                found.update((f"user {row.id}", row.role) for row in rows)
            return frozenset(found)

        return await self._database.read(select_valid)

    async def clean_up(self, now: float) -> None:
        """See ``AccountStore``."""

        def is_anything(connection: Connection) -> bool:
            return any(
                connection.scalar(select(table.c.id).where(table.c.expires_at < now).limit(1))
                for table in (sign_ins, invitations)
            )

        def delete_expired(connection: Connection) -> None:
            for table in (sign_ins, invitations):
                connection.execute(delete(table).where(table.c.expires_at < now))

        if await self._database.read(is_anything):
            await self._database.write(delete_expired)

    # ---- internals ---------------------------------------------------------------------------

    async def _fetch_one(self, read: Callable[[Any], T], statement: Any) -> T | None:
        row = await self._database.read(lambda connection: connection.execute(statement).first())
        return None if row is None else read(row._mapping)

    async def _fetch_all(self, read: Callable[[Any], T], statement: Any) -> list[T]:
        rows: Sequence[Row[Any]] = await self._database.read(
            lambda connection: connection.execute(statement).all()
        )
        return [read(row._mapping) for row in rows]

    async def _with_user(
        self, table: Table, which: Any, read: Callable[[Any], T]
    ) -> tuple[T, UserAccount] | None:
        def select_with_user(connection: Connection) -> tuple[T, UserAccount] | None:
            row = connection.execute(select(table).where(which)).first()
            if row is None:
                return None
            user = connection.execute(select(users).where(users.c.id == row.user_id)).one()
            return read(row._mapping), _user_from_row(user._mapping)

        return await self._database.read(select_with_user)

    async def _execute_write(self, statement: Any) -> None:
        await self._database.write(lambda connection: connection.execute(statement) and None)

    async def _write_returning_ids(self, statement: Any) -> list[str]:
        return await self._database.write(lambda connection: list(connection.scalars(statement)))


def _administrators(connection: Connection) -> Sequence[str]:
    """Return the ids of the enabled administrators.

    They stay valid until the end of the transaction: two administrators who remove each other at
    the same time are handled one after the other.
    """
    statement = select(users.c.id).where(users.c.role == "admin", users.c.disabled_at.is_(None))
    # PostgreSQL locks the rows, and re-reads those that it had to wait for; SQLite has one writer
    return connection.scalars(statement.order_by(users.c.id).with_for_update(key_share=True)).all()


def _may_change(administrators: Sequence[str], by: str | None) -> bool:
    """Return whether ``by`` may change accounts; None stands for a command, not an account."""
    return by is None or by in administrators


def _can_do_without(administrators: Sequence[str], user_id: str) -> bool:
    """Return whether an administrator remains without this account."""
    return user_id not in administrators or len(administrators) > 1


def _update_user(connection: Connection, user_id: str, **values: Any) -> None:
    connection.execute(update(users).where(users.c.id == user_id).values(values))


def _delete_links(**of: str) -> Delete:
    """Return the statement that removes the invitations an account made, or its password links."""
    return delete(invitations).filter_by(**of)


def _use_invitation(connection: Connection, invitation_id: str) -> bool:
    """Use up an invitation; of two concurrent calls only one succeeds."""
    statement = delete(invitations).where(invitations.c.id == invitation_id)
    return connection.scalar(statement.returning(invitations.c.id)) is not None


def _split_ids(ids: list[str], size: int) -> list[list[str]]:
    return [ids[at : at + size] for at in range(0, len(ids), size)]


def _user_from_row(row: Any) -> UserAccount:
    return UserAccount(**row)


def _sign_in_from_row(row: Any) -> SignIn:
    return SignIn(**row)


def _key_from_row(row: Any) -> ApiKey:
    return ApiKey(**{**row, "scopes": frozenset(row["scopes"].split())})


def _invitation(row: Any) -> Invitation:
    return Invitation(**row)


def _audit_entry_from_row(row: Any) -> AuditEntry:
    return AuditEntry(**row)


def _share_from_row(row: Any) -> Share:
    return Share(**{"content": "", **row})
