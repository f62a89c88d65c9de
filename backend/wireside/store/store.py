"""Conversations in a database (``ports.store.Store``)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, assert_never

import structlog
from sqlalchemy import Connection, exists, select

from wireside.errors import NotConfigured, NotStorable, StoreError
from wireside.messages import Options
from wireside.ports.store import NO_FILTER
from wireside.records import (
    AnswerBegun,
    Branch,
    ConversationInfo,
    ConversationVersion,
    Feedback,
    Hit,
    Listing,
    SearchFilter,
    Segment,
    Span,
    StoredConversation,
    StoredTail,
    TagCount,
    Tail,
    TurnAdded,
    TurnRecord,
    TurnWithdrawn,
    Write,
    WriteResult,
)
from wireside.store import answers, conversations, requests, search, versions
from wireside.store import turns as its_turns
from wireside.store.accounts import SqlAccounts
from wireside.store.administration import SqlAdministration, SqlUsage
from wireside.store.comments import SqlComments
from wireside.store.connections import warn_of_few_connections
from wireside.store.database import BUSY_S, Postgresql, create_database
from wireside.store.feedback import SqlFeedback
from wireside.store.figures import SqlFigures
from wireside.store.files import SqlFiles
from wireside.store.folders import SqlFolders
from wireside.store.migrate import be_up_to_date, bring_up_to_date
from wireside.store.saved import SqlPresets, SqlPrompts
from wireside.store.server_keys import SqlServerKeys
from wireside.store.shared import SqlAttempts, SqlSlotCounts, SqlTickets
from wireside.store.tables import replicas

_log = structlog.get_logger(__name__)

TURNS_PER_TRANSACTION = 200
"""Number of turns of an imported conversation that are written in one transaction."""

INDEX_WAIT_S = 0.02
"""Pause before a look at texts that another server was about to index."""

MAX_INDEX_WAITS = 25
"""Number of such pauses, after which a search goes on without these texts."""


class SqlStore:
    """Implements ``Store``, which documents the methods."""

    def __init__(
        self,
        url: str,
        *,
        ballast_bytes: int | None = None,
        is_shared: bool = False,
        replica_name: str | None = None,
        busy_s: float = BUSY_S,
        turns_per_transaction: int = TURNS_PER_TRANSACTION,
        migration_copies: int = 0,
    ) -> None:
        """Prepare a store, which is not yet opened.

        Args:
            url: the value of ``WIRESIDE_DATABASE_URL``.
            ballast_bytes: see ``create_database``.
            is_shared: see ``create_database``.
            replica_name: the name of this server among those that share the database.
            busy_s: see ``create_database``.
            turns_per_transaction: how many turns of an imported conversation are written at once.
            migration_copies: how many copies of a SQLite database, made before migrations, are
                kept; 0: none is made.

        Raises:
            NotConfigured: ``url`` is not the address of a database, or of one that can't be shared.
        """
        self._indexing = asyncio.Lock()
        self._database = create_database(
            url, ballast_bytes=ballast_bytes, is_shared=is_shared, busy_s=busy_s
        )
        self._is_shared = is_shared
        self._turns_per_transaction = turns_per_transaction
        self._migration_copies = migration_copies
        self.accounts = SqlAccounts(self._database)
        """The accounts, in the same database."""
        self.figures = SqlFigures(self._database, replica_name)
        """The server's metrics, in the same database."""
        self.files = SqlFiles(self._database)
        """The records of files, in the same database."""
        self.server_keys = SqlServerKeys(self._database)
        """The keys that all servers on the database share."""
        self.folders = SqlFolders(self._database)
        """The folders of users, in the same database."""
        self.comments = SqlComments(self._database)
        """The comments on turns, in the same database."""
        self.prompts = SqlPrompts(self._database)
        """The prompts of users, in the same database."""
        self.presets = SqlPresets(self._database)
        """The presets of users, in the same database."""
        self.administration = SqlAdministration(self._database)
        """What administrators set, in the same database."""
        self.usage = SqlUsage(self._database)
        """Usage by day, account and model, in the same database."""
        self.feedback = SqlFeedback(self._database)
        """Feedback on answers for administrators, in the same database."""
        self.tickets = SqlTickets(self._database)
        """The tickets of several servers, in the same database."""
        self.attempts = SqlAttempts(self._database)
        """The sign-in attempts at several servers, in the same database."""
        self.slot_counts = SqlSlotCounts(self._database)
        """The running answers of several servers, in the same database."""
        self._is_open = False
        self._is_clean = False  # a killed process may have left removed data in the files

    async def open(self, *, wait_s: float = 0) -> None:
        """Connect and run pending migrations; does nothing if already open.

        Args:
            wait_s: seconds to wait for another server to release the database.

        Raises:
            NotConfigured: the database can't be used; the message says why.
        """
        if not self._is_open:
            await self._database.open(wait_s=wait_s)
            try:
                await bring_up_to_date(self._database, kept_copies=self._migration_copies)
            except StoreError as error:
                why = self.problem or "The log says why."
                raise NotConfigured(f"The database can't be used. {why}") from error
            self._is_open = True

    async def open_beside(self) -> None:
        """Connect for a command, while a server may be running. Raises ``NotConfigured``."""
        await self._database.open(is_server=False)
        await be_up_to_date(self._database)
        self._is_open = True

    async def aclose(self) -> None:
        """See ``Store``."""
        await self._database.aclose()

    async def connect_driver(self) -> Any:
        """Return a new connection of PostgreSQL's driver; the caller closes it.

        Raises the errors of the driver.
        """
        assert isinstance(self._database, Postgresql)
        return await self._database.connect_driver()

    async def database_id(self) -> str:
        """Return an id of the PostgreSQL database, which a copy of it does not have."""
        connection = await self.connect_driver()
        try:
            return str(
                await connection.fetchval(
                    "SELECT system_identifier || '-' || oid FROM pg_control_system(), pg_database"
                    " WHERE datname = current_database()"
                )
            )
        finally:
            await connection.close()

    async def warn_of_few_connections(self, servers: int) -> None:
        """Log a warning if PostgreSQL admits too few connections for ``servers`` servers."""
        await warn_of_few_connections(self._database, servers)

    async def is_member(self, replica_id: str) -> bool:
        """Return whether a server is among those that share the database."""

        def has_row(connection: Connection) -> bool:
            return bool(connection.scalar(select(exists().where(replicas.c.id == replica_id))))

        return await self._database.read(has_row)

    @property
    def problem(self) -> str | None:
        """What the operator must do about the store, as a sentence."""
        return self._database.problem

    async def look_after(self) -> None:
        """Run the store's periodic maintenance; call it every few seconds."""
        await self._database.look_after()
        await self._index_added()

    # ---- conversations -----------------------------------------------------------------------

    async def create_conversation(self, info: ConversationInfo) -> None:
        """See ``Store``."""

        def insert_conversation(connection: Connection) -> None:
            if conversations.insert_conversation(connection, info):
                first = Branch(id=0, parent=None, first=0, last=-1)
                conversations.keep_branches(connection, [(info.id, first)])

        await self._database.write(insert_conversation)

    async def conversation(self, conversation_id: str) -> StoredConversation | None:
        """See ``Store``."""
        return await self._database.read(
            partial(conversations.read_conversation, conversation_id=conversation_id)
        )

    async def conversations(
        self,
        *,
        owner: str = "",
        archived: bool = False,
        tag: str | None = None,
        folder: str | None = None,
        cursor: str | None,
        limit: int,
    ) -> Listing:
        """See ``Store``."""
        return await self._database.read(
            partial(
                conversations.list_page,
                owner=owner,
                archived=archived,
                tag=tag,
                folder=folder,
                cursor=cursor,
                limit=limit,
            )
        )

    async def shared_conversations(
        self, *, user: str, groups: Collection[str], cursor: str | None, limit: int
    ) -> Listing:
        """See ``Store``."""
        return await self._database.read(
            partial(conversations.list_shared, user=user, groups=groups, cursor=cursor, limit=limit)
        )

    async def list_all_conversations(self) -> Sequence[tuple[str, str]]:
        """Return all conversations with their owners, for a command that processes them."""
        return await self._database.read(conversations.list_all)

    async def titles_and_times(self, owner: str) -> Sequence[tuple[str, str, float]]:
        """See ``Store``."""
        return await self._database.read(partial(conversations.titles_and_times, owner=owner))

    async def move_shares(self, old_id: str, new_id: str) -> None:
        """See ``Store``."""
        await self._database.write(partial(conversations.move_shares, old_id=old_id, new_id=new_id))

    async def count_tags(self, owner: str, *, limit: int) -> Sequence[TagCount]:
        """See ``Store``."""
        return await self._database.read(
            partial(conversations.count_tags, owner=owner, limit=limit)
        )

    async def update_conversation(
        self, info: ConversationInfo, *, version: int | None = None
    ) -> None:
        """See ``Store``."""

        def update_entry(connection: Connection) -> None:
            self._raise_version(connection, info.id, version)
            conversations.update_entry(connection, info)

        await self._database.write(update_entry)

    async def conversation_with_turns(
        self, conversation_id: str, turn_ids: Sequence[str]
    ) -> tuple[StoredConversation, Sequence[TurnRecord]] | None:
        """See ``Store``."""

        def read_both(
            connection: Connection,
        ) -> tuple[StoredConversation, Sequence[TurnRecord]] | None:
            stored = conversations.read_conversation(connection, conversation_id)
            if stored is None:
                return None
            return stored, its_turns.read_open_turns(connection, conversation_id, turn_ids)

        return await self._database.read(read_both)

    async def versions(self, conversation_ids: Sequence[str]) -> Mapping[str, ConversationVersion]:
        """See ``Store``."""
        return await self._database.read(
            partial(versions.read_versions, conversation_ids=conversation_ids)
        )

    async def delete_conversations(
        self, conversation_ids: Sequence[str], at: float, *, owner: str = ""
    ) -> Sequence[str]:
        """See ``Store``."""
        return await self._database.write(
            partial(
                conversations.mark_deleted, conversation_ids=conversation_ids, at=at, owner=owner
            )
        )

    async def restore_conversations(
        self, conversation_ids: Sequence[str], *, owner: str = ""
    ) -> Sequence[str]:
        """See ``Store``."""
        return await self._database.write(
            partial(
                conversations.restore_conversations, conversation_ids=conversation_ids, owner=owner
            )
        )

    async def purge_conversations(self, deleted_before: float) -> int:
        """See ``Store``."""
        is_anything = partial(conversations.has_deleted, before=deleted_before)
        if self._is_clean and not await self._database.read(is_anything):
            return 0  # called every few seconds: must not occupy the writer without need
        self._is_clean = False
        count = 0
        while some := await self._database.write(
            partial(conversations.purge_conversations, deleted_before=deleted_before)
        ):
            count += some
        await self._database.write(search.erase_removed)
        self._is_clean = await self._database.erase_removed()
        return count

    async def outdated_conversations(
        self, *, updated_before: float | None, keep: int | None
    ) -> Sequence[tuple[str, str]]:
        """See ``Store``."""
        return await self._database.read(
            partial(conversations.outdated_conversations, updated_before=updated_before, keep=keep)
        )

    async def conversations_with_waiting_turns(self) -> Sequence[str]:
        """See ``Store``."""
        return await self._database.read(conversations.with_waiting_turns)

    # ---- turns -------------------------------------------------------------------------------

    async def read_turns(self, conversation_id: str, spans: Sequence[Span]) -> Sequence[TurnRecord]:
        """See ``Store``."""
        return await self._database.read(
            partial(its_turns.read_spans, conversation_id=conversation_id, spans=spans)
        )

    async def asking(self, owner: str, *, limit: int) -> Sequence[str]:
        """See ``Store``."""
        return await self._database.read(partial(its_turns.asking, owner=owner, limit=limit))

    async def read_turn(self, turn_id: str) -> TurnRecord | None:
        """See ``Store``."""
        return await self._database.read(partial(its_turns.read_turn, turn_id=turn_id))

    async def all_turns(
        self, conversation_id: str, *, after: tuple[int, int] | None, limit: int
    ) -> Sequence[TurnRecord]:
        """See ``Store``."""
        return await self._database.read(
            partial(
                its_turns.read_turns_page, conversation_id=conversation_id, after=after, limit=limit
            )
        )

    async def set_shown_branch(
        self, conversation_id: str, branch: int, *, version: int | None = None
    ) -> None:
        """See ``Store``."""

        def set_branch(connection: Connection) -> None:
            self._raise_version(connection, conversation_id, version)
            conversations.set_shown_branch(connection, conversation_id, branch)

        await self._database.write(set_branch)

    async def keep_options(
        self, conversation_id: str, options: Options, *, version: int | None = None
    ) -> None:
        """See ``Store``."""

        def keep(connection: Connection) -> None:
            self._raise_version(connection, conversation_id, version)
            conversations.keep_options(connection, conversation_id, options)

        await self._database.write(keep)

    async def set_feedback(
        self,
        conversation_id: str,
        turn_id: str,
        feedback: Feedback | None,
        *,
        version: int | None = None,
    ) -> None:
        """See ``Store``."""

        def set_on_turn(connection: Connection) -> None:
            self._raise_version(connection, conversation_id, version)
            its_turns.set_feedback(connection, turn_id, feedback)

        await self._database.write(set_on_turn)

    def _raise_version(
        self, connection: Connection, conversation_id: str, made_for: int | None
    ) -> None:
        """Raise a version, which is checked if other servers may have raised it."""
        checked = made_for if self._is_shared else None
        versions.raise_version(connection, conversation_id, checked)

    async def add_imported(
        self,
        info: ConversationInfo,
        branches: Sequence[Branch],
        shown: int,
        turns: Sequence[TurnRecord],
    ) -> bool:
        """See ``Store``."""

        def insert_hidden(connection: Connection) -> bool:
            if not conversations.insert_conversation(connection, info, shown=shown):
                return False
            conversations.keep_branches(connection, [(info.id, branch) for branch in branches])
            conversations.mark_deleted(connection, [info.id], time.time(), info.owner)
            return True

        def insert_turns(connection: Connection, some: Sequence[TurnRecord]) -> None:
            conversations.keep_deleted(connection, info.id, time.time())
            its_turns.add_answered_turns(connection, some)

        # A long conversation must not block running answers: it is written in several transactions
        # and marked as deleted until it is complete, so that a partial one left by a killed process
        # is purged.
        if not await self._database.write(insert_hidden):
            return False
        step = self._turns_per_transaction
        for at in range(0, len(turns), step):
            await self._database.write(partial(insert_turns, some=turns[at : at + step]))
        await self.restore_conversations([info.id], owner=info.owner)
        return True

    # ---- answers -----------------------------------------------------------------------------

    async def commit_writes(
        self, writes: Sequence[Write], *, replica: str | None = None
    ) -> Sequence[WriteResult]:
        """See ``Store``."""
        tails = [write for write in writes if isinstance(write, Tail) and write.end is None]
        if len(tails) == len(writes):
            await self._database.execute_one(
                partial(answers.write_tails, tails=tails, replica=replica)
            )
            return [True] * len(writes)
        write = _write_those_in_time if self._is_shared else _write_and_raise_versions
        return await self._database.write(partial(write, writes=writes, replica=replica))

    async def read_segment(self, stream: str) -> tuple[Segment, str] | None:
        """See ``Store``."""
        return await self._database.read(partial(answers.read_segment, stream=stream))

    async def turn_of_stream(self, stream: str) -> tuple[str, str] | None:
        """See ``Store``."""
        return await self._database.read(partial(answers.turn_of_stream, stream=stream))

    async def request_stop(self, stream: str) -> None:
        """See ``Store``."""
        await self._database.write(partial(answers.request_stop, stream=stream))

    async def requested_stops(self) -> Sequence[str]:
        """See ``Store``."""
        return await self._database.read(answers.requested_stops)

    async def read_tails(self, offsets: Mapping[str, int]) -> Mapping[str, StoredTail]:
        """See ``Store``."""
        return await self._database.read(partial(answers.read_tails, offsets=offsets))

    async def answering_conversations(self) -> Sequence[tuple[str, str]]:
        """See ``Store``."""
        return await self._database.read(answers.answering_conversations)

    async def interrupt_all(self) -> int:
        """See ``Store``."""
        return await self._database.write(answers.interrupt_all)

    async def interrupt_orphans(self) -> Sequence[tuple[str, str]]:
        """See ``Store``."""
        ended: list[tuple[str, str]] = []
        try:
            while some := await self._database.write(answers.interrupt_orphans):
                ended += some
        except Exception as error:
            if _is_outage(error):
                raise
            ended += await self._interrupt_singly()
        return ended

    async def _interrupt_singly(self) -> Sequence[tuple[str, str]]:
        """End the orphans one by one, except those that can't be ended by a fault of ours."""
        ended: list[tuple[str, str]] = []
        for stream in await self._database.read(answers.orphans):
            try:
                interrupt = partial(answers.interrupt_orphans, stream=stream)
                ended += await self._database.write(interrupt)
            except Exception as error:
                if _is_outage(error):
                    raise
                _log.error("answer_not_interrupted", stream=stream, exc_info=error)
        return ended

    # ---- requests that clients name by a key -------------------------------------------------

    async def claim_request(self, digest: str, stream: str, at: float) -> str:
        """See ``Store``."""
        return await self._database.write(
            partial(requests.claim_request, digest=digest, stream=stream, at=at)
        )

    async def find_request(self, digest: str) -> str | None:
        """See ``Store``."""
        return await self._database.read(partial(requests.find_request, digest=digest))

    async def forget_request(self, digest: str, stream: str) -> None:
        """See ``Store``."""
        await self._database.write(partial(requests.forget_request, digest=digest, stream=stream))

    async def forget_requests(self, before: float) -> None:
        """See ``Store``."""
        await self._database.write(partial(requests.forget_requests, before=before))

    # ---- search ------------------------------------------------------------------------------

    async def search_documents(
        self,
        query: str,
        *,
        owner: str = "",
        groups: Collection[str] | None = None,
        filters: SearchFilter = NO_FILTER,
        cursor: int | None,
        limit: int,
    ) -> Sequence[Hit]:
        """See ``Store``."""
        await self._index_added()
        return await self._database.read(
            partial(
                search.find_documents,
                query=query,
                owner=owner,
                groups=groups,
                filters=filters,
                cursor=cursor,
                limit=limit,
            )
        )

    async def _index_added(self) -> None:
        """Complete the search index, unless the store fails; what is in it can be found then."""
        with suppress(StoreError):
            async with self._indexing:
                waits = 0
                has_more = True
                while has_more:
                    texts, has_more = await self._database.read(search.added_texts)
                    if not texts:
                        return
                    tokens = await asyncio.to_thread(search.tokens_of, texts)
                    number = await self._database.write(partial(search.index_texts, tokens=tokens))
                    if number < len(texts):  # the others are indexed by another server
                        if waits == MAX_INDEX_WAITS:
                            return
                        waits += 1
                        has_more = True
                        await asyncio.sleep(INDEX_WAIT_S)


def _write_and_raise_versions(
    connection: Connection, writes: Sequence[Write], replica: str | None
) -> Sequence[WriteResult]:
    results = _write_in_order(connection, writes, replica)
    versions.raise_versions(connection, writes)
    return results


def _write_those_in_time(
    connection: Connection, writes: Sequence[Write], replica: str | None
) -> Sequence[WriteResult]:
    """Write those that were made for the versions of their conversations."""
    if replica is not None:
        answers.hold_replica(connection, replica)
    indexes, results = versions.split_by_version(connection, writes)
    to_perform = [writes[index] for index in indexes]
    is_written = _write_in_order(connection, to_perform, replica)
    for index, result in zip(indexes, is_written, strict=True):
        results[index] = result
    refused = {
        one.conversation_id
        for one, result in zip(to_perform, is_written, strict=True)
        if isinstance(one, TurnAdded) and not result
    }
    versions.raise_versions(
        connection,
        [one for one in to_perform if isinstance(one, Tail) or one.conversation_id not in refused],
    )
    return results


def _write_in_order(
    connection: Connection, writes: Sequence[Write], replica: str | None
) -> list[bool]:
    """Write in order; returns for each whether it was written."""
    if any(isinstance(write, TurnWithdrawn) for write in writes):
        return [
            is_written
            for write in writes
            for is_written in _write_by_kind(connection, [write], replica)
        ]
    # without withdrawals, the order of writes of different kinds makes no difference
    return _write_by_kind(connection, writes, replica)


def _write_by_kind(
    connection: Connection, writes: Sequence[Write], replica: str | None
) -> list[bool]:
    added, begun, tails = [], [], []
    for write in writes:
        match write:
            case TurnAdded():
                added.append(write)
            case AnswerBegun():
                begun.append(write)
            case Tail():
                tails.append(write)
            case TurnWithdrawn(turn_id=turn_id, branches=branches, shown=shown):
                its_turns.remove_turn(connection, turn_id, branches, shown)
            case _:
                assert_never(write)
    is_added = iter(its_turns.add_turns(connection, added) if added else ())
    if begun:
        answers.begin_answers(connection, begun, replica)
    if tails:
        answers.write_tails(connection, tails, replica)
    return [next(is_added) if isinstance(write, TurnAdded) else True for write in writes]


def _is_outage(error: Exception) -> bool:
    """Return whether the database does not work, rather than that a value can't be handled."""
    return isinstance(error, StoreError) and not isinstance(error, NotStorable)
