"""Conversations in a database (``ports.store.Store``)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import assert_never

from sqlalchemy import Connection

from wireside.errors import NotConfigured, StoreError
from wireside.messages import Options
from wireside.records import (
    AnswerBegun,
    Branch,
    ConversationInfo,
    Feedback,
    Hit,
    Listing,
    Segment,
    Span,
    StoredConversation,
    Tail,
    TurnAdded,
    TurnPlace,
    TurnRecord,
    TurnWithdrawn,
    Write,
)
from wireside.store import answers, conversations, search
from wireside.store import turns as its_turns
from wireside.store.accounts import SqlAccounts
from wireside.store.database import BUSY_S, create_database
from wireside.store.figures import SqlFigures
from wireside.store.files import SqlFiles
from wireside.store.migrate import be_up_to_date, bring_up_to_date

TURNS_PER_TRANSACTION = 200
"""Number of turns of an imported conversation that are written in one transaction."""


class SqlStore:
    """Implements ``Store``, which documents the methods."""

    def __init__(
        self,
        url: str,
        *,
        ballast_bytes: int | None = None,
        busy_s: float = BUSY_S,
        turns_per_transaction: int = TURNS_PER_TRANSACTION,
    ) -> None:
        """Prepare a store, which is not yet opened.

        Args:
            url: the value of ``WIRESIDE_DATABASE_URL``.
            ballast_bytes: see ``create_database``.
            busy_s: see ``create_database``.
            turns_per_transaction: how many turns of an imported conversation are written at once.

        Raises:
            NotConfigured: ``url`` is not the address of a database.
        """
        self._database = create_database(url, ballast_bytes=ballast_bytes, busy_s=busy_s)
        self._turns_per_transaction = turns_per_transaction
        self.accounts = SqlAccounts(self._database)
        """The accounts, in the same database."""
        self.figures = SqlFigures(self._database)
        """The server's metrics, in the same database."""
        self.files = SqlFiles(self._database)
        """What is known about files, in the same database."""
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
                await bring_up_to_date(self._database)
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

    @property
    def problem(self) -> str | None:
        """What the operator must do about the store, as a sentence."""
        return self._database.problem

    async def look_after(self) -> None:
        """Run the store's periodic maintenance; call it every few seconds."""
        await self._database.look_after()

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
                cursor=cursor,
                limit=limit,
            )
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

    async def update_conversation(self, info: ConversationInfo) -> None:
        """See ``Store``."""
        await self._database.write(partial(conversations.update_entry, info=info))

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

    async def asking(self, owner: str, *, limit: int) -> Sequence[TurnPlace]:
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

    async def set_shown_branch(self, conversation_id: str, branch: int) -> None:
        """See ``Store``."""
        await self._database.write(
            partial(conversations.set_shown_branch, conversation_id=conversation_id, branch=branch)
        )

    async def keep_options(self, conversation_id: str, options: Options) -> None:
        """See ``Store``."""
        await self._database.write(
            partial(conversations.keep_options, conversation_id=conversation_id, options=options)
        )

    async def set_feedback(self, turn_id: str, feedback: Feedback | None) -> None:
        """See ``Store``."""
        await self._database.write(
            partial(its_turns.set_feedback, turn_id=turn_id, feedback=feedback)
        )

    async def add_conversation(
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

    async def commit_writes(self, writes: Sequence[Write]) -> Sequence[bool]:
        """See ``Store``."""
        return await self._database.write(partial(_write_in_order, writes=writes))

    async def read_segment(self, stream: str) -> tuple[Segment, str] | None:
        """See ``Store``."""
        return await self._database.read(partial(answers.read_segment, stream=stream))

    async def interrupt_all(self) -> int:
        """See ``Store``."""
        return await self._database.write(answers.interrupt_all)

    # ---- search ------------------------------------------------------------------------------

    async def search_documents(
        self, query: str, *, owner: str = "", cursor: int | None, limit: int
    ) -> Sequence[Hit]:
        """See ``Store``."""
        return await self._database.read(
            partial(search.find_documents, query=query, owner=owner, cursor=cursor, limit=limit)
        )


def _write_in_order(connection: Connection, writes: Sequence[Write]) -> list[bool]:
    """Write in order; returns for each whether it was written."""
    if any(isinstance(write, TurnWithdrawn) for write in writes):
        return [
            is_written for write in writes for is_written in _write_by_kind(connection, [write])
        ]
    # without withdrawals, the order of writes of different kinds makes no difference
    return _write_by_kind(connection, writes)


def _write_by_kind(connection: Connection, writes: Sequence[Write]) -> list[bool]:
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
        answers.begin_answers(connection, begun)
    if tails:
        answers.write_tails(connection, tails)
    return [next(is_added) if isinstance(write, TurnAdded) else True for write in writes]
