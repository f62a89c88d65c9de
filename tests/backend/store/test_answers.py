"""An answer is stored exactly, with any cuts and repeated writes of its pieces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import store_writes
from tests.examples import examples
from wireside.messages import (
    End,
    Entry,
    FinishReason,
    PartDelta,
    ReasoningDelta,
    TextDelta,
    ToolDelta,
    Usage,
)
from wireside.parts import DataPart, FilePart, ImagePart, text_parts
from wireside.records import (
    AnswerBegun,
    Branch,
    ConversationInfo,
    Segment,
    Tail,
    TurnRecord,
)
from wireside.store.store import SqlStore

NUMBERS = itertools.count()

LATE = ToolDelta("call", "name", "done")
PARTS = (
    PartDelta(DataPart(kind="step", data='{"name": "é\\u0000"}', id="1", text="step")),
    PartDelta(ImagePart(url="data:image/png;base64,AA==", media_type="image/png", name="a")),
    PartDelta(FilePart(url="/files/1", media_type="text/csv", name="b.csv", size_bytes=3)),
)


async def begin(store: SqlStore) -> str:
    """Begin an answer in a new conversation; return the name of its stream."""
    name = f"s{next(NUMBERS)}"
    conversation, turn = f"c-{name}", f"t-{name}"
    await store.create_conversation(
        ConversationInfo(id=conversation, title="Title", created_at=0.0, updated_at=0.0)
    )
    record = TurnRecord(
        id=turn,
        conversation_id=conversation,
        branch=0,
        depth=0,
        question_parts=text_parts("question"),
        created_at=1.0,
    )
    await store_writes.add_turn(store, record)
    await store_writes.begin(store, turn, Segment(stream=name, model="m"))
    return name


async def entries(store: SqlStore, name: str) -> tuple[Entry, ...]:
    found = await store.read_segment(name)
    assert found is not None
    return found[0].entries


async def test_a_write_that_is_done_again_with_more_doubles_nothing(store: SqlStore) -> None:
    name = await begin(store)
    await store.commit_writes([Tail(stream=name, offset=0, entries=(TextDelta("Hello "),))])
    await store.commit_writes(
        [Tail(stream=name, offset=0, entries=(TextDelta("Hello world"), LATE))]
    )
    await store.commit_writes(
        [Tail(stream=name, offset=3, entries=(TextDelta("lo world"), LATE, TextDelta("!")))]
    )
    assert await entries(store, name) == (TextDelta("Hello world"), LATE, TextDelta("!"))
    await store.commit_writes([Tail(stream=name, offset=13, entries=(), end=End("stop"))])
    assert await entries(store, name) == (TextDelta("Hello world"), LATE, TextDelta("!"))


async def test_tails_of_several_answers_are_added_together(store: SqlStore) -> None:
    texts = {await begin(store): text for text in ('a "quoted" \x00 text', "\ue000\n\\ü😀", "")}
    ended = await begin(store)
    await store.commit_writes([Tail(stream=ended, offset=0, entries=(), end=End("stop"))])
    await store.commit_writes(
        [
            Tail(stream=name, offset=0, entries=(TextDelta(text), LATE, ReasoningDelta("why")))
            for name, text in {**texts, ended: "too late", "unknown": "nowhere"}.items()
        ]
    )
    for name, text in texts.items():
        before = (TextDelta(text),) if text else ()
        assert await entries(store, name) == (*before, LATE, ReasoningDelta("why"))
    assert await entries(store, ended) == ()
    assert await store.read_segment("unknown") is None


async def test_an_end_that_is_told_again_doubles_nothing(store: SqlStore) -> None:
    name = await begin(store)
    await store.commit_writes([Tail(stream=name, offset=0, entries=(TextDelta("Hello "),))])
    last = Tail(stream=name, offset=6, entries=(TextDelta("wor"), TextDelta("ld")), end=End("stop"))
    await store.commit_writes([last])
    await store.commit_writes([last])
    assert await entries(store, name) == (TextDelta("Hello world"),)


async def test_pieces_without_text_are_in_nobodys_way(store: SqlStore) -> None:
    name = await begin(store)
    empty = (ReasoningDelta(""), TextDelta(""))
    await store.commit_writes(
        [Tail(stream=name, offset=0, entries=(*empty, TextDelta("a"), *empty))]
    )
    await store.commit_writes(
        [Tail(stream=name, offset=1, entries=(*empty, TextDelta("b")), end=End("stop"))]
    )
    assert await entries(store, name) == (TextDelta("ab"),)


SAID = st.lists(
    st.one_of(
        st.text("ab\0😀", min_size=1, max_size=6).map(TextDelta),
        st.text("cd", min_size=1, max_size=6).map(ReasoningDelta),
        st.just(LATE),
        st.sampled_from(PARTS),
    ),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(said=SAID, data=st.data())
async def test_any_cuts_and_repeats_keep_what_was_said(
    store: SqlStore, said: list[Entry], data: st.DataObject
) -> None:
    """Writes begin at any stored offset, and may end before the stored end."""
    units = [unit for entry in said for unit in _units(entry)]
    name = await begin(store)
    kept = 0
    for _ in range(data.draw(st.integers(1, 5))):
        first = data.draw(st.integers(0, kept))
        last = data.draw(st.integers(first, len(units)))
        await store.commit_writes(
            [Tail(stream=name, offset=first, entries=_cut(units[first:last], data))]
        )
        kept = max(kept, last)
    whole = Tail(stream=name, offset=kept, entries=tuple(units[kept:]), end=End("stop"))
    await store.commit_writes([whole])
    await store.commit_writes([whole])
    found = [unit for entry in await entries(store, name) for unit in _units(entry)]
    assert found == units


def _units(entry: Entry) -> list[Entry]:
    if isinstance(entry, ToolDelta | PartDelta):
        return [entry]
    return [type(entry)(char) for char in entry.text]


def _cut(units: list[Entry], data: st.DataObject) -> tuple[Entry, ...]:
    """Join some neighbours of one kind."""
    joined: list[Entry] = []
    for unit in units:
        last = joined[-1] if joined else None
        if (
            isinstance(last, TextDelta | ReasoningDelta)
            and isinstance(unit, TextDelta | ReasoningDelta)
            and type(last) is type(unit)
            and data.draw(st.booleans())
        ):
            joined[-1] = type(last)(last.text + unit.text)
        else:
            joined.append(unit)
    return tuple(joined)


async def test_an_interrupted_answer_is_found(store: SqlStore) -> None:
    name = await begin(store)
    await store.commit_writes([Tail(stream=name, offset=0, entries=(TextDelta("a "),))])
    await store.commit_writes([Tail(stream=name, offset=2, entries=(TextDelta("wombat"),))])
    assert await store.search_documents("wombat", cursor=None, limit=9) == []
    assert await store.interrupt_all() == 1
    hits = await store.search_documents("wombat", cursor=None, limit=9)
    assert [hit.turn_id for hit in hits] == [f"t-{name}"]


@pytest.mark.parametrize("tokens", [2**63, 2**70, -(2**70)])
async def test_a_number_that_no_database_takes_holds_up_nothing(
    store: SqlStore, tokens: int
) -> None:
    name = await begin(store)
    await store.commit_writes(
        [Tail(stream=name, offset=0, entries=(), end=End("stop", usage=Usage(tokens, 2**63 - 1)))]
    )
    found = await store.read_segment(name)
    assert found is not None
    assert found[0].end == End("stop", usage=Usage(None, 2**63 - 1))


async def test_answers_that_wait_for_an_answer_are_found(store: SqlStore) -> None:
    async def asking() -> list[str]:
        return list(await store.asking("", limit=9))

    name = await begin(store)
    other = await begin(store)
    await store.commit_writes(
        [Tail(stream=name, offset=0, entries=(TextDelta("?"),), end=End("asking"))]
    )
    await store.commit_writes(
        [Tail(stream=other, offset=0, entries=(TextDelta("."),), end=End("stop"))]
    )
    assert await asking() == [f"c-{name}"]
    assert await store.asking("another", limit=9) == []
    # an answer to another conversation's turn, whose id a client has chosen, changes nothing
    foreign = Segment(stream="foreign", model="m")
    await store.commit_writes(
        [AnswerBegun(conversation_id=f"c-{other}", turn_id=f"t-{name}", segment=foreign)]
    )
    assert await asking() == [f"c-{name}"]
    await store.delete_conversations([f"c-{name}"], 1.0)
    assert await asking() == []
    await store.restore_conversations([f"c-{name}"])
    await store_writes.begin(store, f"t-{name}", Segment(stream=f"{name}-2", model="m"))
    assert await asking() == []


async def test_an_imported_answer_waits_if_its_last_part_does(store: SqlStore) -> None:
    def record(conversation: str, *reasons: FinishReason) -> TurnRecord:
        return TurnRecord(
            id=f"t-{conversation}",
            conversation_id=conversation,
            branch=0,
            depth=0,
            question_parts=text_parts("question"),
            created_at=1.0,
            segments=tuple(
                Segment(stream=f"{conversation}-{n}", model="m", end=End(reason))
                for n, reason in enumerate(reasons)
            ),
        )

    first = Branch(id=0, parent=None, first=0, last=0)
    conversations: dict[str, tuple[FinishReason, ...]] = {
        "open": ("stop", "asking"),
        "answered": ("asking", "stop"),
    }
    for name, reasons in conversations.items():
        info = ConversationInfo(id=name, title="", created_at=0.0, updated_at=0.0)
        await store.add_imported(info, [first], 0, [record(name, *reasons)])
    assert await store.asking("", limit=9) == ["open"]


async def test_a_question_is_found_if_its_turn_is_shown(store: SqlStore) -> None:
    """The trunk has depths 0 … 3; branch 1 leaves it after 1, branch 2 leaves branch 1 after 2."""
    branches = [
        Branch(id=0, parent=None, first=0, last=3),
        Branch(id=1, parent=0, first=2, last=4),
        Branch(id=2, parent=1, first=3, last=3),
    ]
    open_at = {"a": (0, 1), "b": (0, 2), "c": (1, 2), "d": (1, 3), "e": (2, 3)}
    shown_with = {0: "ab", 1: "acd", 2: "ace"}
    for shown, expected in shown_with.items():
        for name, place in open_at.items():
            conversation = f"{name}{shown}"
            info = ConversationInfo(id=conversation, title="", created_at=0.0, updated_at=0.0)
            turns = [
                TurnRecord(
                    id=f"{conversation}-{branch.id}-{depth}",
                    conversation_id=conversation,
                    branch=branch.id,
                    depth=depth,
                    question_parts=text_parts("question"),
                    created_at=1.0,
                    segments=(
                        Segment(
                            stream=f"{conversation}-{branch.id}-{depth}",
                            model="m",
                            end=End("asking" if (branch.id, depth) == place else "stop"),
                        ),
                    ),
                )
                for branch in branches
                for depth in range(branch.first, branch.last + 1)
            ]
            await store.add_imported(info, branches, shown, turns)
        found = await store.asking("", limit=99)
        assert {name for name in found if name[1] == str(shown)} == {
            f"{n}{shown}" for n in expected
        }
    assert len(await store.asking("", limit=3)) <= 3
