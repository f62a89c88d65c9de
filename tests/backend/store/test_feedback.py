"""Feedback of all accounts, in each database."""

from __future__ import annotations

from tests import store_writes
from wireside.messages import Options, TextDelta
from wireside.parts import text_parts
from wireside.records import (
    ConversationInfo,
    Feedback,
    FeedbackCount,
    FeedbackQuery,
    RatedAnswer,
    Segment,
    Tail,
    TurnRecord,
)
from wireside.store.store import SqlStore

EVER = FeedbackQuery(since=0.0, until=100.0)


async def rate(store: SqlStore, number: int, model: str, feedback: Feedback | None) -> None:
    """Store an answer in a conversation of its own, and its feedback."""
    info = ConversationInfo(id=f"c{number}", title="T", created_at=1.0, updated_at=1.0)
    await store.create_conversation(info)
    record = TurnRecord(
        id=f"t{number}",
        conversation_id=info.id,
        branch=0,
        depth=0,
        question_parts=text_parts(f"question {number}"),
        created_at=1.0,
        options=Options(),
    )
    await store_writes.add_turn(store, record)
    stream = f"s{number}"
    await store_writes.begin(store, record.id, Segment(stream=stream, model=model))
    tail = Tail(stream=stream, offset=0, entries=(TextDelta(f"answer {number}"),), end=None)
    await store.commit_writes([tail])
    await store.set_feedback(info.id, record.id, feedback)


async def test_texts_are_read_with_consent_and_the_rest_is_counted(store: SqlStore) -> None:
    await rate(store, 1, "a", Feedback("down", "hidden", at=10.0))
    await rate(store, 2, "a", Feedback("up", "fine", is_shown=True, at=20.0))
    await rate(store, 3, "b", Feedback("up", at=30.0))
    await rate(store, 4, "b", None)
    hidden = RatedAnswer(at=10.0, verdict="down", model="a", is_shown=False)
    shown = RatedAnswer(
        at=20.0,
        verdict="up",
        model="a",
        is_shown=True,
        question="question 2",
        answer="answer 2",
        words="fine",
    )
    other = RatedAnswer(at=30.0, verdict="up", model="b", is_shown=False)
    for query, found in (
        (EVER, [other, shown, hidden]),
        (FeedbackQuery(since=10.0, until=30.0), [shown, hidden]),
        (FeedbackQuery(since=0.0, until=100.0, verdict="down"), [hidden]),
        (FeedbackQuery(since=0.0, until=100.0, model="b"), [other]),
    ):
        assert await store.feedback.read_feedback(query, offset=0, limit=9) == found
    assert await store.feedback.read_feedback(EVER, offset=1, limit=1) == [shown]
    assert await store.feedback.count_feedback(EVER) == [
        FeedbackCount(model="a", up=1, down=1),
        FeedbackCount(model="b", up=1, down=0),
    ]
    record = await store.read_turn("t2")
    assert record is not None
    assert record.feedback == Feedback("up", "fine", is_shown=True)
    await store.set_feedback("c2", "t2", Feedback("up", "fine", at=40.0))
    first, *_ = await store.feedback.read_feedback(EVER, offset=0, limit=9)
    assert first == RatedAnswer(at=40.0, verdict="up", model="a", is_shown=False)
