"""The contract of stores (``ports.store.Store``), on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import store_writes
from tests.examples import examples
from wireside.errors import (
    BY_CODE,
    BadMessage,
    NotStorable,
    ProviderRateLimited,
    StoreError,
    WiresideError,
)
from wireside.messages import (
    End,
    Entry,
    FinishReason,
    Options,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    Usage,
)
from wireside.parts import DataPart, FilePart, ImagePart, TextPart, text_parts
from wireside.records import (
    AnswerBegun,
    Branch,
    ConversationInfo,
    Feedback,
    Segment,
    Span,
    Tail,
    TurnAdded,
    TurnRecord,
    TurnWithdrawn,
    Write,
)
from wireside.store.store import SqlStore
from wireside.store.tables import escape, unescape

INFO = ConversationInfo(id="c", title="Title", created_at=10.0, updated_at=10.0)


def turn(turn_id: str, depth: int = 0, *, branch: int = 0, at: float = 20.0) -> TurnRecord:
    return TurnRecord(
        id=turn_id,
        conversation_id="c",
        branch=branch,
        depth=depth,
        question_parts=text_parts(f"question {turn_id}"),
        created_at=at,
        is_waiting=True,
    )


async def fill(store: SqlStore, count: int, conversation: str = "c") -> None:
    """A conversation with ``count`` waiting turns: t0, t1 …"""
    await store.create_conversation(replace(INFO, id=conversation))
    for depth in range(count):
        one = replace(turn(f"{conversation}-t{depth}", depth), conversation_id=conversation)
        assert await store_writes.add_turn(
            store, one, Branch(id=0, parent=None, first=0, last=depth)
        )


async def say(
    store: SqlStore, turn_id: str, stream: str, text: str, end: End | None = None
) -> None:
    await store_writes.begin(
        store, turn_id, Segment(stream=stream, model="model-a", created_at=30.0)
    )
    await store.commit_writes([Tail(stream=stream, offset=0, entries=(TextDelta(text),), end=end)])


class TestConversations:
    async def test_one_is_kept_with_its_first_branch(self, store: SqlStore) -> None:
        info = replace(INFO, pinned_at=1.5, archived_at=2.5, tags=("b", "a"), title_source="model")
        await store.create_conversation(info)
        await store.create_conversation(
            replace(info, title="again")
        )  # a repeated call has no effect
        stored = await store.conversation("c")
        assert stored is not None
        assert stored.info == info
        assert (stored.branches, stored.shown, stored.waiting) == (
            (Branch(id=0, parent=None, first=0, last=-1),),
            0,
            (),
        )
        assert await store.conversation("nowhere") is None

    async def test_what_changes_is_kept(self, store: SqlStore) -> None:
        await store.create_conversation(INFO)
        changed = replace(INFO, title="New", title_source="person", tags=("x",), archived_at=5.0)
        await store.update_conversation(changed)
        stored = await store.conversation("c")
        assert stored is not None
        assert stored.info == changed
        await store.update_conversation(replace(changed, id="nowhere"))

    async def test_the_list_is_paged_by_key_in_one_order(self, store: SqlStore) -> None:
        infos = [
            replace(INFO, id=f"c{n:02}", updated_at=float(n // 2), pinned_at=(n % 3 and None) or n)
            for n in range(25)
        ]
        infos = [replace(i, pinned_at=float(i.pinned_at) if i.pinned_at else None) for i in infos]
        for info in infos:
            await store.create_conversation(info)
        await store.create_conversation(replace(INFO, id="away", archived_at=1.0))
        seen: list[ConversationInfo] = []
        cursor = None
        for _ in range(20):
            listing = await store.conversations(cursor=cursor, limit=4)
            seen += listing.conversations
            cursor = listing.cursor
            if cursor is None:
                break
        expected = sorted(
            infos,
            key=lambda i: (i.pinned_at is not None, i.pinned_at or i.updated_at, i.id),
            reverse=True,
        )
        assert [i.id for i in seen] == [i.id for i in expected]
        archived = await store.conversations(archived=True, cursor=None, limit=4)
        assert [i.id for i in archived.conversations] == ["away"]
        assert archived.cursor is None

    async def test_a_list_can_be_of_one_tag(self, store: SqlStore) -> None:
        for name, tags in (("a", ("x",)), ("b", ("y", "x")), ("c", ())):
            await store.create_conversation(replace(INFO, id=name, tags=tags))
        listing = await store.conversations(tag="x", cursor=None, limit=9)
        assert [i.id for i in listing.conversations] == ["b", "a"]

    @pytest.mark.parametrize("cursor", ["", "p", "x 1 y", "u abc y", "u 1.0 ", "\0"])
    async def test_a_wrong_cursor_is_told(self, store: SqlStore, cursor: str) -> None:
        with pytest.raises(BadMessage):
            await store.conversations(cursor=cursor, limit=4)

    async def test_a_deleted_one_is_nowhere_and_comes_back(self, store: SqlStore) -> None:
        await fill(store, 1)
        await say(store, "c-t0", "s", "a wombat", End("stop"))
        await store.delete_conversations(["c", "nowhere"], 50.0)
        assert await store.conversation("c") is None
        assert await store.read_turn("c-t0") is None
        assert await store.read_segment("s") is None
        assert await store.conversations_with_waiting_turns() == []
        assert (await store.conversations(cursor=None, limit=9)).conversations == ()
        assert await store.search_documents("wombat", cursor=None, limit=9) == []
        assert await store.restore_conversations(["nowhere", "c"]) == ["c"]
        assert await store.restore_conversations(["c"]) == []
        assert await store.conversation("c") is not None
        assert len(await store.search_documents("wombat", cursor=None, limit=9)) == 1

    async def test_what_is_purged_is_gone(self, store: SqlStore) -> None:
        for name in ("c", "d", "e"):
            await fill(store, 2, name)
            await say(store, f"{name}-t0", f"s-{name}", "text", End("stop"))
        await store.delete_conversations(["c"], 10.0)
        await store.delete_conversations(["d"], 20.0)
        assert await store.purge_conversations(15.0) == 1
        assert await store.purge_conversations(15.0) == 0
        assert await store.restore_conversations(["c", "d"]) == ["d"]
        await store.commit_writes(
            [Tail(stream="s-c", offset=4, entries=(TextDelta("late"),), end=End("stop"))]
        )
        assert await store.read_segment("s-c") is None
        hits = await store.search_documents("text", cursor=None, limit=9)
        assert [hit.conversation_id for hit in hits] == ["e", "d"]

    async def test_what_is_kept_no_longer(self, store: SqlStore) -> None:
        for number in range(6):
            await store.create_conversation(
                replace(INFO, id=f"c{number}", updated_at=float(number))
            )
        await store.update_conversation(replace(INFO, id="c0", updated_at=0.0, pinned_at=1.0))
        await store.delete_conversations(["c5"], 1.0)
        assert await store.outdated_conversations(updated_before=2.0, keep=None) == [("c1", "")]
        assert await store.outdated_conversations(updated_before=None, keep=2) == [
            ("c1", ""),
            ("c2", ""),
        ]
        assert await store.outdated_conversations(updated_before=None, keep=50) == []
        assert await store.outdated_conversations(updated_before=None, keep=None) == []


class TestTurns:
    async def test_a_turn_is_kept_once(self, store: SqlStore) -> None:
        await store.create_conversation(INFO)
        options = Options(model="m", system="", temperature=0.0, max_tokens=5, sanitize=True)
        one = replace(
            turn("t"), options=options, question_parts=text_parts("Why\0?\uf8f0 \ud800 😀")
        )
        assert await store_writes.add_turn(store, one)
        assert not await store_writes.add_turn(
            store,
            replace(one, question_parts=text_parts("?")),
            Branch(id=0, parent=None, first=0, last=7),
        )
        stored = await store.conversation("c")
        assert stored is not None
        assert stored.branches == (Branch(id=0, parent=None, first=0, last=0),)
        assert (stored.shown, stored.waiting) == (0, ("t",))
        assert stored.info.updated_at == 20.0
        assert await store.read_turn("t") == replace(
            one, question_parts=text_parts("Why\0?\uf8f0 \ufffd 😀")
        )
        assert await store.read_turn("nowhere") is None

    async def test_a_question_keeps_its_parts_and_its_text_is_found(self, store: SqlStore) -> None:
        parts = (
            TextPart("Heron\0 \ud800"),
            ImagePart(url="data:image/png;base64,AA==", name="bird.png"),
            FilePart(url="/files/1", name="b.csv", size_bytes=7),
            DataPart(kind="form", data='{"a": 1}'),
            TextPart("egret"),
        )
        await store.create_conversation(INFO)
        await store_writes.add_turn(store, replace(turn("t"), question_parts=parts))
        found = await store.read_turn("t")
        assert found is not None
        assert found.question_parts == (TextPart("Heron\0 \ufffd"), *parts[1:])
        assert [
            hit.turn_id for hit in await store.search_documents("egret", cursor=None, limit=9)
        ] == ["t"]
        assert await store.search_documents("bird", cursor=None, limit=9) == []

    async def test_spans_come_in_their_order(self, store: SqlStore) -> None:
        await fill(store, 6)
        await store_writes.add_turn(
            store, turn("f2", 2, branch=1), Branch(id=1, parent=0, first=2, last=2)
        )
        await store_writes.add_turn(
            store, turn("f3", 3, branch=1), Branch(id=1, parent=0, first=2, last=3)
        )
        found = await store.read_turns("c", [Span(0, 1, 1), Span(1, 2, 9)])
        assert [one.id for one in found] == ["c-t1", "f2", "f3"]
        assert await store.read_turns("c", []) == []
        assert await store.read_turns("nowhere", [Span(0, 0, 9)]) == []
        everything = await store.all_turns("c", after=None, limit=5)
        rest = await store.all_turns(
            "c", after=(everything[-1].branch, everything[-1].depth), limit=9
        )
        assert [t.id for t in everything] == [f"c-t{n}" for n in range(5)]
        assert [t.id for t in rest] == ["c-t5", "f2", "f3"]

    async def test_taking_one_back_moves_the_others_up(self, store: SqlStore) -> None:
        await fill(store, 4)
        await store_writes.add_turn(
            store, turn("f3", 3, branch=1), Branch(id=1, parent=0, first=3, last=3)
        )
        changed = (
            Branch(id=0, parent=None, first=0, last=2),
            Branch(id=1, parent=0, first=2, last=2),
        )
        await store.commit_writes(
            [TurnWithdrawn(conversation_id="c", turn_id="c-t1", branches=changed, shown=0)]
        )
        await store.commit_writes(
            [
                TurnWithdrawn(
                    conversation_id="c",
                    turn_id="nowhere",
                    branches=(Branch(id=0, parent=None, first=0, last=9),),
                    shown=7,
                )
            ]
        )
        found = await store.read_turns("c", [Span(0, 0, 9), Span(1, 0, 9)])
        places = [(one.id, one.depth) for one in found]
        assert places == [("c-t0", 0), ("c-t2", 1), ("c-t3", 2), ("f3", 2)]
        stored = await store.conversation("c")
        assert stored is not None
        assert (stored.branches, stored.shown) == (changed, 0)
        assert set(stored.waiting) == {"c-t0", "c-t2", "c-t3", "f3"}
        assert await store.search_documents("question t1", cursor=None, limit=9) == []

    async def test_what_is_shown_and_thought_is_kept(self, store: SqlStore) -> None:
        await fill(store, 1)
        await store.set_shown_branch("c", 7)
        await store.set_feedback("c", "c-t0", Feedback("down", "why\0"))
        stored, one = await store.conversation("c"), await store.read_turn("c-t0")
        assert stored is not None
        assert one is not None
        assert (stored.shown, one.feedback) == (7, Feedback("down", "why\0"))
        await store.set_feedback("c", "c-t0", None)
        one = await store.read_turn("c-t0")
        assert one is not None
        assert one.feedback is None

    async def test_a_whole_conversation_is_kept_at_once(self, store: SqlStore) -> None:
        segments = (
            Segment(
                stream="s1",
                model="m",
                entries=(ReasoningDelta("hm"), TextDelta("one")),
                end=End("cancelled"),
            ),
            Segment(
                stream="s2",
                model="m",
                entries=(TextDelta(" two"),),
                end=End("stop", usage=Usage(1, 2)),
                sanitize=True,
                created_at=3.0,
            ),
        )
        turns = [
            replace(turn("a"), segments=segments, is_waiting=False),
            replace(turn("b", branch=1), is_waiting=False, feedback=Feedback("up")),
        ]
        branches = (
            Branch(id=0, parent=None, first=0, last=0),
            Branch(id=1, parent=None, first=0, last=0),
        )
        assert await store.add_imported(INFO, branches, 1, turns)
        assert not await store.add_imported(INFO, branches, 1, turns)
        stored = await store.conversation("c")
        assert stored is not None
        assert (stored.branches, stored.shown) == (branches, 1)
        assert await store.all_turns("c", after=None, limit=9) == turns
        assert [h.turn_id for h in await store.search_documents("two", cursor=None, limit=9)] == [
            "a"
        ]


class TestAnswers:
    async def test_tails_add_up_and_may_come_twice(self, store: SqlStore) -> None:
        await fill(store, 1)
        await store_writes.begin(
            store, "c-t0", Segment(stream="s", model="m", sanitize=True, created_at=5.0)
        )
        tool = ToolDelta("call", "name", "done", "{}", "\0")
        tails = [
            Tail(stream="s", offset=0, entries=(TextDelta("Hello "),)),
            Tail(stream="s", offset=6, entries=(TextDelta("w\0rld"), ReasoningDelta("hm"), tool)),
            Tail(
                stream="s",
                offset=14,
                entries=(ReasoningDelta("m"), TextDelta("!")),
                end=End("length", usage=Usage(3, 4)),
            ),
        ]
        for tail in tails[:2]:
            await store.commit_writes(
                [tail, Tail(stream="nowhere", offset=0, entries=(TextDelta("x"),))]
            )
            await store.commit_writes([tail])
        before = (TextDelta("Hello w\0rld"), ReasoningDelta("hm"), tool)
        assert await store.read_segment("s") == (
            Segment(stream="s", model="m", entries=before, end=None, sanitize=True, created_at=5.0),
            "c",
        )
        await store.commit_writes([tails[2]])
        await store.commit_writes([tails[2]])
        whole = (*before, ReasoningDelta("m"), TextDelta("!"))
        ended = Segment(
            stream="s", model="m", entries=whole, end=tails[2].end, sanitize=True, created_at=5.0
        )
        assert await store.read_segment("s") == (ended, "c")
        one = await store.read_turn("c-t0")
        assert one is not None
        assert one.segments == (ended,)
        assert not one.is_waiting

    async def test_a_refused_value_is_no_failure_of_the_store(self, store: SqlStore) -> None:
        await fill(store, 1)
        await store_writes.begin(store, "c-t0", Segment(stream="s", model="m"))
        bad = End(cast("FinishReason", ["stop"]))
        text = (TextDelta("text"),)
        with pytest.raises(NotStorable):
            await store.commit_writes([Tail(stream="s", offset=0, entries=text, end=bad)])
        await store.commit_writes([Tail(stream="s", offset=0, entries=text)])
        found = await store.read_segment("s")
        assert found is not None
        assert found[0].entries == text

    async def test_many_answers_are_kept_together(self, store: SqlStore) -> None:
        await fill(store, 60)
        for number in range(60):
            await store_writes.begin(store, f"c-t{number}", Segment(stream=f"s{number}", model="m"))
        await store.commit_writes(
            [Tail(stream=f"s{n}", offset=0, entries=(TextDelta(f"text {n}"),)) for n in range(60)]
        )
        await store.commit_writes(
            [
                Tail(stream=f"s{n}", offset=len(f"text {n}"), entries=(), end=End("stop"))
                for n in range(60)
            ]
        )
        turns = await store.read_turns("c", [Span(0, 0, 59)])
        texts = [one.segments[0].entries for one in turns]
        assert texts == [(TextDelta(f"text {n}"),) for n in range(60)]

    async def test_segments_follow_each_other_or_make_room(self, store: SqlStore) -> None:
        await fill(store, 1)
        await say(store, "c-t0", "s1", "first", End("cancelled"))
        await say(store, "c-t0", "s2", "second", End("stop"))
        one = await store.read_turn("c-t0")
        assert one is not None
        assert [segment.stream for segment in one.segments] == ["s1", "s2"]
        newest = Segment(stream="s3", model="m")
        await store_writes.begin(store, "c-t0", newest, replaces=True)
        await store_writes.begin(store, "c-t0", newest, replaces=True)
        one = await store.read_turn("c-t0")
        assert one is not None
        assert [segment.stream for segment in one.segments] == ["s3"]
        assert await store.read_segment("s1") is None
        assert await store.search_documents("first", cursor=None, limit=9) == []
        await store_writes.begin(store, "nowhere", Segment(stream="s4", model="m"))
        assert await store.read_segment("s4") is None

    @pytest.mark.parametrize("code", sorted(BY_CODE))
    async def test_an_error_is_read_as_it_was(self, store: SqlStore, code: str) -> None:
        error = BY_CODE[code]("A sentence.", retry_after=2.5)
        await fill(store, 1)
        await say(store, "c-t0", "s", "half", End(None, error))
        found = await store.read_segment("s")
        assert found is not None
        end = found[0].end
        assert end is not None
        assert isinstance(end.error, WiresideError)
        read = (type(end.error), str(end.error), end.error.retry_after, end.reason)
        assert read == (type(error), "A sentence.", 2.5, None)

    async def test_what_a_process_left_is_interrupted(self, store: SqlStore) -> None:
        await fill(store, 3)
        await say(store, "c-t0", "s0", "whole", End(None, ProviderRateLimited()))
        await say(store, "c-t1", "s1", "half")
        await store_writes.begin(store, "c-t2", Segment(stream="s2", model="m"))
        assert await store.interrupt_all() == 2
        assert await store.interrupt_all() == 0
        found = await store.read_segment("s1")
        assert found is not None
        assert found[0].entries == (TextDelta("half"),)
        assert found[0].end == End("interrupted")
        other = await store.read_segment("s0")
        assert other is not None
        assert other[0].end is not None
        assert other[0].end.error is not None


class TestCommits:
    """Writes of many callers in one transaction."""

    def asked(self, conversation: str, turn_id: str) -> tuple[TurnAdded, AnswerBegun]:
        info = replace(INFO, id=conversation, title=f"about {turn_id}", tags=("new",))
        record = replace(turn(turn_id), conversation_id=conversation)
        branch = Branch(id=0, parent=None, first=0, last=0)
        return (
            TurnAdded(record=record, branch=branch, info=info, creates=True),
            AnswerBegun(
                conversation_id=conversation,
                turn_id=turn_id,
                segment=Segment(stream=f"s-{conversation}", model="m"),
            ),
        )

    async def test_questions_with_their_answers(self, store: SqlStore) -> None:
        writes: list[Write] = [*self.asked("c1", "t1"), *self.asked("c2", "t2")]
        tail = Tail(stream="s-c1", offset=0, entries=(TextDelta("wombat"),), end=End("stop"))
        assert await store.commit_writes([*writes, tail]) == [True] * 5
        assert await store.commit_writes([*writes, tail]) == [False, True, False, True, True]
        stored = await store.conversation("c1")
        assert stored is not None
        assert stored.info == replace(INFO, id="c1", title="about t1", tags=("new",))
        assert stored.branches == (Branch(id=0, parent=None, first=0, last=0),)
        assert stored.waiting == ()
        one = await store.read_turn("t1")
        assert one is not None
        (segment,) = one.segments
        assert (segment.entries, segment.end) == ((TextDelta("wombat"),), End("stop"))
        two = await store.read_turn("t2")
        assert two is not None
        assert [segment.end for segment in two.segments] == [None]
        for query, found in {
            "wombat": ["t1"],
            "question t2": ["t2"],
            "about": [None, None],
        }.items():
            hits = await store.search_documents(query, cursor=None, limit=9)
            assert [hit.turn_id for hit in hits] == found

    async def test_a_taken_id_leaves_its_turn_alone(self, store: SqlStore) -> None:
        """Neither a conversation nor an answer begins, also if both come in one commit."""
        same: list[Write] = [*self.asked("c1", "t"), *self.asked("c2", "t")]
        assert await store.commit_writes(same) == [True, True, False, True]
        assert await store.commit_writes(self.asked("c3", "t")) == [False, True]
        one = await store.read_turn("t")
        assert one is not None
        assert (one.conversation_id, [s.stream for s in one.segments]) == ("c1", ["s-c1"])
        for gone in ("c2", "c3"):
            assert await store.conversation(gone) is None

    async def test_a_withdrawal_keeps_its_place(self, store: SqlStore) -> None:
        await fill(store, 2)
        shorter = Branch(id=0, parent=None, first=0, last=0)
        again = TurnAdded(
            record=turn("new", 1),
            branch=Branch(id=0, parent=None, first=0, last=1),
            info=INFO,
            creates=False,
        )
        withdrawn = TurnWithdrawn(conversation_id="c", turn_id="c-t1", branches=(shorter,), shown=0)
        assert await store.commit_writes([withdrawn, again]) == [True, True]
        found = await store.read_turns("c", [Span(0, 0, 9)])
        assert [(one.id, one.depth) for one in found] == [("c-t0", 0), ("new", 1)]
        stored = await store.conversation("c")
        assert stored is not None
        assert stored.branches == (again.branch,)


class TestSearch:
    async def test_all_words_must_be_there(self, store: SqlStore) -> None:
        await fill(store, 1)
        await say(store, "c-t0", "s", "The *Über*-wombat digs, déjà vu 3.14!", End("stop"))
        for query in ("womb", "UBER", "uber-womb", "dig the", "deja", "3 14", "vu!", "ombat"):
            assert len(await store.search_documents(query, cursor=None, limit=9)) == 1, query
        for query in ("om", "wombat fish", "", "*", "\"' | & !", "\0"):
            assert await store.search_documents(query, cursor=None, limit=9) == [], query

    async def test_text_without_spaces_is_found(self, store: SqlStore) -> None:
        await fill(store, 1)
        await say(store, "c-t0", "s", "我想去东京塔。カタカナも", End("stop"))
        for query, match in (("东京", "东京"), ("カタ", "カタ"), ("京塔", "京塔")):
            hits = await store.search_documents(query, cursor=None, limit=9)
            assert "".join(hits[0].snippet) == "我想去东京塔。カタカナも"
            assert hits[0].snippet[1::2] == (match,)

    async def test_hits_come_newest_first_by_key_with_what_matched(self, store: SqlStore) -> None:
        await fill(store, 5)
        await store.update_conversation(replace(INFO, title="A new question"))
        hits = await store.search_documents("quest", cursor=None, limit=3)
        rest = await store.search_documents("quest", cursor=hits[-1].cursor, limit=9)
        assert [(hit.kind, hit.turn_id) for hit in [*hits, *rest]] == [
            ("title", None),
            *(("question", f"c-t{n}") for n in (4, 3, 2, 1, 0)),
        ]
        assert hits[0].snippet == ("A new ", "quest", "ion")
        assert {hit.title for hit in hits} == {"A new question"}


@given(st.text(st.characters(codec=None) | st.sampled_from("\0\uf8f001\ud800")))
def test_any_text_comes_back_in_its_length(text: str) -> None:
    stored = escape(text)
    assert "\0" not in stored
    stored.encode()
    back = unescape(stored)
    assert len(back) == len(text)
    assert all(a == b or "\ud800" <= a <= "\udfff" for a, b in zip(text, back, strict=True))


NUMBERS = itertools.count()

PIECES = st.lists(
    st.one_of(
        st.text("ab\0\uf8f0 😀", min_size=1, max_size=5).map(TextDelta),
        st.text("cd", min_size=1, max_size=5).map(ReasoningDelta),
        st.builds(ToolDelta, st.just("c"), st.just("n"), st.sampled_from(["running", "done"])),
    ),
    max_size=12,
)


@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pieces=PIECES, cuts=st.lists(st.integers(0, 12), max_size=4))
async def test_however_it_is_cut_an_answer_is_kept_as_it_was(
    store: SqlStore, pieces: list[Entry], cuts: list[int]
) -> None:
    name = f"c{next(NUMBERS)}"
    await store.create_conversation(replace(INFO, id=name))
    one = replace(turn(name), conversation_id=name)
    await store_writes.add_turn(store, one)
    await store_writes.begin(store, name, Segment(stream=name, model="m"))
    offset = 0
    edges = [0, *sorted(min(cut, len(pieces)) for cut in cuts), len(pieces)]
    for first, last in zip(edges, edges[1:], strict=False):
        await store.commit_writes(
            [Tail(stream=name, offset=offset, entries=tuple(pieces[first:last]))]
        )
        offset += len(_flat(pieces[first:last]))
    await store.commit_writes([Tail(stream=name, offset=offset, entries=(), end=End("stop"))])
    found = await store.read_segment(name)
    assert found is not None
    assert _flat(found[0].entries) == _flat(pieces)


def _flat(entries: Iterable[Entry]) -> list[object]:
    flat: list[object] = []
    for entry in entries:
        if isinstance(entry, TextDelta | ReasoningDelta):
            flat += [(type(entry), char) for char in entry.text]
        else:
            flat.append(entry)
    return flat


async def test_an_import_that_breaks_off_leaves_nothing(store: SqlStore, url: str) -> None:
    slow = SqlStore(url, turns_per_transaction=2)
    await slow.open_beside()
    turns = [replace(turn(f"t{n}", n), is_waiting=False) for n in range(5)]
    broken = [*turns[:3], replace(turns[3], id="t0"), turns[4]]
    with pytest.raises(StoreError):
        await slow.add_imported(INFO, [Branch(id=0, parent=None, first=0, last=4)], 0, broken)
    await slow.aclose()
    assert await store.conversation("c") is None
    assert await store.read_turn("t0") is None
    assert await store.purge_conversations(2e12) == 1
    assert await store.add_imported(INFO, [Branch(id=0, parent=None, first=0, last=4)], 0, turns)
    assert len(await store.all_turns("c", after=None, limit=9)) == 5
