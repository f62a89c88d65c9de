"""Writes to a store that many tests need: a turn, and the start of its answer."""

from __future__ import annotations

from wireside.records import AnswerBegun, Branch, ConversationInfo, Segment, TurnAdded, TurnRecord
from wireside.store.store import SqlStore


async def add_turn(store: SqlStore, record: TurnRecord, branch: Branch | None = None) -> bool:
    """Add a turn to an existing conversation; by default, as the only one of its first branch."""
    branch = branch or Branch(id=0, parent=None, first=0, last=0)
    info = ConversationInfo(id=record.conversation_id, title="", created_at=0.0, updated_at=0.0)
    added = TurnAdded(record=record, branch=branch, info=info, creates=False)
    return all(await store.commit_writes([added]))


async def begin(store: SqlStore, turn_id: str, segment: Segment, *, replaces: bool = False) -> None:
    """Begin the answer of a turn, which may not exist."""
    record = await store.read_turn(turn_id)
    begun = AnswerBegun(
        conversation_id=record.conversation_id if record else "nowhere",
        turn_id=turn_id,
        segment=segment,
        replaces=replaces,
    )
    await store.commit_writes([begun])
