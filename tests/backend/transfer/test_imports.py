"""Imports: an exported tree is restored exactly, and hostile files do no harm."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from wireside.chat import tree
from wireside.errors import BY_CODE, BadMessage
from wireside.messages import (
    End,
    Options,
    ReasoningDelta,
    TextDelta,
    Timing,
    ToolDelta,
    Usage,
    parts_of,
)
from wireside.parts import ToolCallPart, text_parts
from wireside.records import Branch, ConversationInfo, Feedback, Imported, Segment, TurnRecord
from wireside.transfer import import_file, imports
from wireside.transfer.export import JsonExport
from wireside.transfer.import_limits import ImportLimits
from wireside.transfer.imports import ImportResult
from wireside.transfer.turn_tree import Node, place_nodes

NOW = 1_800_000_000.0
TIMES = st.integers(0, int(NOW * 1000)).map(lambda milliseconds: milliseconds / 1000)


def read(value: Any, *, now: float = NOW, **limits: int) -> ImportResult:
    ids = count()
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return imports.read_conversations(
        data, new_id=lambda: f"new-{next(ids)}", now=now, limits=ImportLimits(**limits)
    )


def the_one(value: Any) -> Imported:
    (imported,) = read(value).conversations
    return imported


def exported(info: ConversationInfo, tree_: tuple[Any, ...]) -> str:
    branches, shown, turns = tree_
    exporter = JsonExport()
    pieces = [exporter.begin_file(), exporter.text_before_turns(info, branches, shown)]
    pieces += [exporter.text_of_turn(turn) for turn in turns]
    return "".join([*pieces, exporter.text_after_turns(), exporter.finish_file()])


# ---- round trips of own exports ----------------------------------------------------------------

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12
) | st.sampled_from(['"}]}', "\\ud800", "\u2028\r\n", "```\n# x", "😀\\"])
SOME_TEXT = TEXTS.filter(bool)
ENTRIES = st.one_of(
    st.builds(TextDelta, SOME_TEXT),
    st.builds(ReasoningDelta, SOME_TEXT),
    st.builds(
        ToolDelta,
        st.sampled_from(["call-1", "call-2"]),
        st.just("search"),
        st.sampled_from(["running", "done", "failed"]),
        TEXTS,
        st.none() | TEXTS,
    ),
)
COUNTS = st.none() | st.integers(0, 10**9)
REASONS = st.sampled_from(["stop", "length", "cancelled", "content_filter", "interrupted"])
DURATIONS = st.none() | st.floats(0, 1e6)
TIMINGS = st.builds(Timing, first_s=DURATIONS, reasoning_s=DURATIONS, total_s=DURATIONS)
SEGMENTS = st.builds(
    Segment,
    stream=st.just("s"),
    model=st.sampled_from(["", "gpt", "a/b:c"]),
    entries=st.lists(ENTRIES, max_size=4).map(tuple),
    end=st.builds(End, REASONS, st.none(), st.builds(Usage, COUNTS, COUNTS), TIMINGS),
    created_at=TIMES,
)
OPTIONS = st.builds(
    Options,
    model=st.none() | st.just("gpt"),
    system=st.none() | SOME_TEXT,
    temperature=st.none() | st.floats(0, 2),
    max_tokens=st.none() | st.integers(1, 10**6),
)
FEEDBACK = st.none() | st.builds(Feedback, st.sampled_from(["up", "down"]), TEXTS)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[tuple[Branch, ...], int, list[TurnRecord]]:
    """Any tree that continuing and editing can make, with the turns in the order of an export."""
    branches = {0: Branch(id=0, parent=None, first=0, last=-1)}
    for _ in range(draw(st.integers(0, 12))):
        at = draw(st.sampled_from(sorted(branches)))
        branch = branches[at]
        if draw(st.booleans()) or branch.last < branch.first:
            branches[at] = tree.extend_branch(branches, at)
        else:
            depth = draw(st.integers(branch.first, branch.last))
            made = tree.fork_branch(branches, at, depth)
            branches[made.id] = made
    turns = [
        TurnRecord(
            id=f"turn {branch.id}.{depth}",
            conversation_id="c",
            branch=branch.id,
            depth=depth,
            question_parts=text_parts(
                draw(TEXTS if any(part.entries for part in said) else SOME_TEXT)
            ),
            created_at=draw(TIMES),
            options=draw(OPTIONS),
            feedback=draw(FEEDBACK),
            segments=said,
        )
        for branch in branches.values()
        for depth in range(branch.first, branch.last + 1)
        for said in [tuple(draw(st.lists(SEGMENTS, min_size=1, max_size=2)))]
    ]
    return tuple(branches.values()), draw(st.sampled_from(sorted(branches))), turns


def content(turn: TurnRecord) -> tuple[Any, ...]:
    """What must be equal: without ids, as parts."""
    segments = []
    calls: dict[str, int] = {}
    for segment in turn.segments:
        parts: list[Any] = []
        for part in parts_of(segment.entries):
            if isinstance(part, ToolCallPart):
                part = replace(part, call=str(calls.setdefault(part.call, len(calls))))
            parts.append(part)
        timing = segment.end and segment.end.timing
        segments.append((segment.model, parts, segment.end, timing, round(segment.created_at, 3)))
    return turn.question_parts, round(turn.created_at, 3), turn.options, turn.feedback, segments


@pytest.mark.slow
@settings(max_examples=examples(150), deadline=None)
@given(conversations())
def test_what_is_exported_comes_back_as_it_was(
    tree_: tuple[tuple[Branch, ...], int, list[TurnRecord]],
) -> None:
    """For any tree: its shape, its turns, and the branch that is shown."""
    branches, shown, turns = tree_
    info = ConversationInfo(
        id="c",
        title="A title",
        created_at=5.0,
        updated_at=6.0,
        title_source="person",
        pinned_at=6.0,
        archived_at=None,
        tags=("a", "b"),
    )
    imported = the_one(exported(info, tree_).encode())
    assert imported.branches == branches
    assert imported.shown == shown
    assert [(turn.branch, turn.depth) for turn in imported.turns] == [
        (turn.branch, turn.depth) for turn in turns
    ]
    assert [content(turn) for turn in imported.turns] == [content(turn) for turn in turns]
    back = imported.info
    assert (back.title, back.title_source, back.created_at, back.tags) == (
        "A title",
        "person",
        5.0,
        ("a", "b"),
    )
    assert back.pinned_at is not None
    assert back.archived_at is None


def test_every_id_is_new() -> None:
    segments = (Segment(stream="stream", model="m", entries=(TextDelta("x"),), end=End("stop")),)
    turns = [
        TurnRecord(
            id="turn",
            conversation_id="c",
            branch=0,
            depth=0,
            question_parts=text_parts("Q"),
            created_at=1.0,
            segments=segments,
        ),
        TurnRecord(
            id="turn 2",
            conversation_id="c",
            branch=0,
            depth=1,
            question_parts=text_parts("Q"),
            created_at=1.0,
            segments=segments,
        ),
    ]
    text = exported(
        ConversationInfo(id="c", title="T", created_at=1.0, updated_at=1.0),
        ((Branch(id=0, parent=None, first=0, last=1),), 0, turns),
    )
    imported = the_one(text.encode())
    ids = [imported.info.id, *(turn.id for turn in imported.turns)]
    ids += [segment.stream for turn in imported.turns for segment in turn.segments]
    assert len(set(ids)) == 5
    assert all(name.startswith("new-") for name in ids)
    assert {turn.conversation_id for turn in imported.turns} == {imported.info.id}


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_an_error_is_the_same_error_again(code: str) -> None:
    end = End(None, BY_CODE[code]("A sentence."))
    turn = TurnRecord(
        id="t",
        conversation_id="c",
        branch=0,
        depth=0,
        question_parts=text_parts("Q"),
        created_at=1.0,
        segments=(Segment(stream="s", model="m", entries=(), end=end),),
    )
    text = exported(
        ConversationInfo(id="c", title="T", created_at=1.0, updated_at=1.0),
        ((Branch(id=0, parent=None, first=0, last=0),), 0, [turn]),
    )
    read_end = the_one(text.encode()).turns[0].segments[0].end
    assert read_end is not None
    assert type(read_end.error) is BY_CODE[code]
    assert str(read_end.error) == "A sentence."


def test_an_answer_that_was_still_growing_or_never_came_is_an_interrupted_one() -> None:
    turns = [
        TurnRecord(
            id="t",
            conversation_id="c",
            branch=0,
            depth=0,
            question_parts=text_parts("Q"),
            created_at=1.0,
            segments=(Segment(stream="s", model="m", entries=(TextDelta("hal"),)),),
        ),
        TurnRecord(
            id="u",
            conversation_id="c",
            branch=0,
            depth=1,
            question_parts=text_parts("Q"),
            created_at=1.0,
            is_waiting=True,
        ),
    ]
    text = exported(
        ConversationInfo(id="c", title="T", created_at=1.0, updated_at=1.0),
        ((Branch(id=0, parent=None, first=0, last=1),), 0, turns),
    )
    imported = the_one(text.encode())
    assert [turn.segments[0].end for turn in imported.turns] == [End("interrupted")] * 2
    assert not any(turn.is_waiting for turn in imported.turns)


def test_several_conversations_are_in_one_file() -> None:
    exporter = JsonExport()
    pieces = [exporter.begin_file()]
    for name in "abc":
        pieces.append(
            exporter.text_before_turns(
                ConversationInfo(id=name, title=name, created_at=1.0, updated_at=1.0), (), None
            )
        )
        turn = TurnRecord(
            id=name,
            conversation_id=name,
            branch=0,
            depth=0,
            question_parts=text_parts(name),
            created_at=1.0,
        )
        pieces += [exporter.text_of_turn(turn), exporter.text_after_turns()]
    found = read("".join([*pieces, exporter.finish_file()]).encode())
    assert [imported.info.title for imported in found.conversations] == ["a", "b", "c"]
    assert [imported.turns[0].question for imported in found.conversations] == ["a", "b", "c"]


def ours(**changes: Any) -> dict[str, Any]:
    conversation = {"id": "c", "title": "T", "turns": [], **changes}
    return {"format": "wireside", "version": 1, "conversations": [conversation]}


def test_wrong_values_become_harmless_ones() -> None:
    imported = the_one(
        ours(
            title=["x"],
            created_at="yesterday",
            updated_at=1e300,
            pinned="yes",
            tags=["  a  b ", "a b", 3, "", "x" * 99],
            shown_turn={"a": 1},
            turns=[
                {
                    "id": 7,
                    "question": {"no": "text"},
                    "options": {"temperature": True, "max_tokens": -1, "model": []},
                    "feedback": {"verdict": "sideways"},
                    "answer": [
                        "x",
                        {
                            "reason": "exploded",
                            "usage": {"input_tokens": 10**30},
                            "parts": [{"type": "video"}, {"type": "text", "text": "a\x00b"}],
                        },
                    ],
                },
                "no turn",
            ],
        )
    )
    assert imported.info == ConversationInfo(
        id=imported.info.id,
        title="",
        created_at=NOW,
        updated_at=NOW,
        title_source="model",
        pinned_at=None,
        archived_at=None,
        tags=("a b", "x" * 40),
    )
    (turn,) = imported.turns
    assert (turn.question, turn.options, turn.feedback) == ("", Options(), None)
    (segment,) = turn.segments
    assert segment.entries == (TextDelta("a\ufffdb"),)
    assert segment.end == End("interrupted")


def test_times_of_the_future_are_now() -> None:
    imported = the_one(ours(created_at="9999-01-01T00:00:00Z", updated_at="9999-01-01T00:00:00Z"))
    assert (imported.info.created_at, imported.info.updated_at) == (NOW, NOW)


# ---- trees -------------------------------------------------------------------------------------


def node(key: str, parent: str | None) -> Node:
    return Node(key=key, parent=parent, question=text_parts(key), created_at=0.0, segments=())


def test_the_first_child_goes_on_and_the_others_begin_branches() -> None:
    placed, branches = place_nodes(
        [node("a", None), node("b", "a"), node("c", "b"), node("b2", "a")]
    )
    assert [(each.key, branch, depth) for each, branch, depth in placed] == [
        ("a", 0, 0),
        ("b", 0, 1),
        ("c", 0, 2),
        ("b2", 1, 1),
    ]
    assert branches == (
        Branch(id=0, parent=None, first=0, last=2),
        Branch(id=1, parent=0, first=1, last=1),
    )


def test_cycles_and_doubles_are_left_out_and_orphans_are_roots() -> None:
    placed, branches = place_nodes(
        [
            node("a", None),
            node("x", "y"),
            node("y", "x"),
            node("z", "z"),
            node("a", "x"),
            node("orphan", "nobody"),
        ]
    )
    assert [each.key for each, _, _ in placed] == ["a", "orphan"]
    assert branches == (
        Branch(id=0, parent=None, first=0, last=0),
        Branch(id=1, parent=None, first=0, last=0),
    )


def test_a_child_may_stand_before_its_parent() -> None:
    placed, branches = place_nodes([node("c", "b"), node("b", "a"), node("a", None)])
    assert [each.key for each, _, _ in placed] == ["a", "b", "c"]
    assert branches == (Branch(id=0, parent=None, first=0, last=2),)


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.none() | st.integers(0, 9), max_size=10))
def test_any_forest_has_parents_before_children(parents: list[int | None]) -> None:
    """For any references between nodes, branches and places are consistent.

    A branch is younger than the one it leaves, and no place is used twice.
    """
    nodes = [
        node(str(index), None if parent is None else str(parent))
        for index, parent in enumerate(parents)
    ]
    placed, branches = place_nodes(nodes)
    assert len({(branch, depth) for _, branch, depth in placed}) == len(placed)
    keys = {(branch, depth): each for each, branch, depth in placed}
    for branch in branches:
        assert branch.parent is None or branch.parent < branch.id
        for depth in range(branch.first, branch.last + 1):
            above = (branch.id if depth > branch.first else branch.parent, depth - 1)
            parent = keys[branch.id, depth].parent
            known = {each.key for each, _, _ in placed}
            if parent in known:
                assert keys[above].key == parent  # type: ignore[index]
            else:
                assert depth == 0


@pytest.mark.slow
def test_a_tree_of_a_hundred_thousand_turns_in_a_row_is_no_problem() -> None:
    placed, branches = place_nodes(
        [node(str(i), str(i - 1) if i else None) for i in reversed(range(100_000))]
    )
    assert len(placed) == 100_000
    assert branches == (Branch(id=0, parent=None, first=0, last=99_999),)


# ---- ChatGPT -----------------------------------------------------------------------------------


def message(role: str, *parts: Any, **more: Any) -> dict[str, Any]:
    return {
        "author": {"role": role, "name": more.pop("name", None)},
        "content": more.pop("content", {"content_type": "text", "parts": list(parts)}),
        "create_time": more.pop("at", None),
        "metadata": more.pop("metadata", {}),
        "recipient": more.pop("recipient", "all"),
        **more,
    }


def chatgpt(nodes: dict[str, tuple[str | None, Any]], **more: Any) -> dict[str, Any]:
    mapping = {
        key: {
            "id": key,
            "message": said,
            "parent": parent,
            "children": [other for other, (above, _) in nodes.items() if above == key],
        }
        for key, (parent, said) in nodes.items()
    }
    return {"title": "Chat", "create_time": 100.5, "update_time": 200.0, "mapping": mapping, **more}


def texts(turn: TurnRecord) -> tuple[str, str]:
    answer = (entry.text for s in turn.segments for entry in s.entries if hasattr(entry, "text"))
    return turn.question, "".join(answer)


def test_a_chat_of_chatgpt_becomes_turns() -> None:
    slug = {"model_slug": "gpt-4o"}
    value = chatgpt(
        {
            "root": (None, None),
            "system": ("root", message("system", "")),
            "hidden": (
                "system",
                message("user", "secret", metadata={"is_visually_hidden_from_conversation": True}),
            ),
            "u1": ("hidden", message("user", "Hello?", at=101.0)),
            "a1": ("u1", message("assistant", "Hi.", at=102.0, metadata=slug)),
            "w": ("a1", message("assistant", "weightless", weight=0.0)),
            "a2": ("w", message("assistant", "And more.", at=103.0, metadata=slug)),
            "u2": ("a2", message("user", "Unanswered", at=104.0)),
        },
        current_node="u2",
    )
    imported = the_one([value])
    assert [texts(turn) for turn in imported.turns] == [
        ("Hello?", "Hi.\n\nAnd more."),
        ("Unanswered", ""),
    ]
    first, second = imported.turns
    assert (first.segments[0].model, first.segments[0].end) == ("gpt-4o", End("stop"))
    assert (first.created_at, second.created_at) == (101.0, 104.0)
    assert second.segments[0].end == End("interrupted")
    info = imported.info
    assert (info.title, info.created_at, info.updated_at) == ("Chat", 100.5, 200.0)
    assert imported.branches == (Branch(id=0, parent=None, first=0, last=1),)


def test_answers_that_were_made_anew_are_sibling_turns() -> None:
    value = chatgpt(
        {
            "u": (None, message("user", "Q", at=1.0)),
            "a": ("u", message("assistant", "one", at=2.0)),
            "b": ("u", message("assistant", "two", at=3.0)),
            "v": ("a", message("user", "on one", at=4.0)),
            "va": ("v", message("assistant", "yes", at=5.0)),
            "edit": (None, message("user", "Q!", at=6.0)),
        },
        current_node="b",
    )
    imported = the_one([value])
    assert [(texts(turn), turn.branch, turn.depth) for turn in imported.turns] == [
        (("Q", "one"), 0, 0),
        (("on one", "yes"), 0, 1),
        (("Q", "two"), 1, 0),
        (("Q!", ""), 2, 0),
    ]
    assert imported.shown == 1


def test_tools_reasoning_and_files_are_kept_as_far_as_a_text_can() -> None:
    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "S", "content": "C"}]}
    code = {"content_type": "code", "language": "python", "text": "print(1)"}
    output = {"content_type": "execution_output", "text": "1"}
    pointer = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://../../x"}
    value = chatgpt(
        {
            "u": (
                None,
                message(
                    "user", content={"content_type": "multimodal_text", "parts": [pointer, "What?"]}
                ),
            ),
            "t": ("u", message("assistant", content=thoughts)),
            "c": ("t", message("assistant", content=code, recipient="python")),
            "o": ("c", message("tool", content=output, name="python")),
            "a": ("o", message("assistant", "One\ue200cite\ue202turn0\ue201.")),
        }
    )
    (turn,) = the_one([value]).turns
    assert turn.question == "[image]\n\nWhat?"
    assert turn.segments[0].entries == (
        ReasoningDelta("S\nC\n\n"),
        ToolDelta("call-1", "python", "running", "print(1)"),
        ToolDelta("call-1", "python", "done", "print(1)", "1"),
        TextDelta("One."),
    )


def test_bad_conversations_among_good_ones_are_counted() -> None:
    good = chatgpt({"u": (None, message("user", "Q"))})
    loop = chatgpt({"a": ("b", message("user", "Q")), "b": ("a", message("user", "Q"))})
    odd = chatgpt({"u": (None, message("user", "Q")), "x": ("u", 3)})
    odd["mapping"]["y"] = "no node"
    found = read([good, 7, {"title": "no mapping"}, loop, odd, {"mapping": []}])
    assert [len(imported.turns) for imported in found.conversations] == [1, 1]
    assert found.passed_over == 4


@pytest.mark.slow
def test_a_long_chat_is_read_without_recursion() -> None:
    nodes: dict[str, tuple[str | None, Any]] = {"0": (None, message("user", "Q"))}
    for i in range(1, 30_000):
        nodes[str(i)] = (str(i - 1), message("user" if i % 2 == 0 else "assistant", "text"))
    value = chatgpt({})
    value["mapping"] = {
        key: {"parent": parent, "message": said} for key, (parent, said) in nodes.items()
    }
    assert the_one([value]).branches == (Branch(id=0, parent=None, first=0, last=14_999),)


def test_answers_that_share_a_huge_beginning_are_refused() -> None:
    nodes: dict[str, tuple[str | None, Any]] = {"0": (None, message("user", "Q"))}
    for i in range(1, 8):
        nodes[str(i)] = (str(i - 1), message("assistant", "text"))
        nodes[f"u{i}"] = (str(i), message("user", "text"))
    with pytest.raises(BadMessage, match="too long in all"):
        read([chatgpt(nodes)], max_parts=10)


def test_parts_that_branches_share_count_for_each_branch() -> None:
    calls = [{"type": "tool_use", "id": f"c{i}", "name": "f", "input": {}} for i in range(4)]
    answer = {"uuid": "a", "parent_message_uuid": "q", "sender": "assistant", "content": calls}
    leaves = [
        {"uuid": f"leaf {i}", "parent_message_uuid": "a", "sender": "assistant", "text": "x"}
        for i in range(5)
    ]
    question = {"uuid": "q", "parent_message_uuid": "root", "sender": "human", "text": "Q"}
    file = [{"chat_messages": [question, answer, *leaves]}]
    (imported,) = read(file).conversations
    parts = sum(len(turn.segments[0].entries) for turn in imported.turns)
    assert parts > 40
    assert read(file, max_parts=parts).conversations
    with pytest.raises(BadMessage, match="too long in all"):
        read(file, max_parts=parts - 1)


def test_a_chat_without_a_title_is_named_by_its_question() -> None:
    imported = the_one([chatgpt({"u": (None, message("user", "How  are\nyou?"))}, title=None)])
    assert (imported.info.title, imported.info.title_source) == ("How are you?", "words")


def test_marks_of_citations_are_cut_out_and_never_looked_for_again_and_again() -> None:
    marks = "\ue200" * 400_000  # no mark has an end: quadratic time would be minutes
    (turn,) = the_one([chatgpt({"u": (None, message("user", f"a\ue200cite\ue201b{marks}"))})]).turns
    assert turn.question == f"ab{marks}"


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    text = json.dumps([chatgpt({"u": (None, message("user", "MARK"))})])
    text = text.replace("MARK", r"a\ud800b \\ud800 \ud83d\ude00 \udc00")
    assert the_one(text.encode()).turns[0].question == "a\ufffdb \\ud800 😀 \ufffd"


def test_bytes_that_are_no_text_are_replaced() -> None:
    text = json.dumps([chatgpt({"u": (None, message("user", "MARK"))})]).encode()
    assert the_one(text.replace(b"MARK", b"a\xff")).turns[0].question == "a\ufffd"


# ---- archives ----------------------------------------------------------------------------------


def archive(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return packed.getvalue()


CHAT = json.dumps([chatgpt({"u": (None, message("user", "Q"))})]).encode()


def test_an_archive_of_chatgpt_is_read() -> None:
    files = {"user.json": b"{}", "../../conversations.json": CHAT, "image.png": b"x"}
    assert len(read(archive(files)).conversations) == 1
    files = {"export/conversations-000.json": CHAT, "export/conversations-001.json": CHAT}
    assert len(read(archive(files)).conversations) == 2


def test_a_bomb_is_stopped_while_it_inflates() -> None:
    bomb = archive({"conversations.json": b" " * 3_000_000 + CHAT})
    assert len(read(bomb).conversations) == 1
    with pytest.raises(BadMessage, match="too large"):
        read(bomb, max_bytes=2_000_000)


def test_an_archive_of_too_many_files_is_not_even_listed() -> None:
    files = {"a": b"", "b": b"", "conversations.json": CHAT}
    with pytest.raises(BadMessage, match="files"):
        read(archive(files), max_entries=2)


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 no archive",
        archive({"other.txt": CHAT}),
        archive({"users.json": CHAT}),
        archive({"conversations.json": CHAT}, zipfile.ZIP_BZIP2),
        archive({"conversations.json": CHAT})[:-10],
        archive({"conversations.json": CHAT}, zipfile.ZIP_STORED).replace(b"Chat", b"Chut"),
    ],
)
def test_a_broken_archive_is_told(data: bytes) -> None:
    with pytest.raises(BadMessage, match=r"\.$"):
        read(data)


# ---- other input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b"3",
        b"{}",
        b'{"format": "other", "version": 1, "conversations": []}',
        b'{"format": "wireside", "version": 2, "conversations": []}',
        b'{"format": "wireside", "version": 1}',
        b'{"format": "wireside", "version": 1, "conversations": {}}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"format": ' + b"[" * 200_000,
        b"[[]]",
        b'[{"chat_messages": []}]',
        b'[{"mapping": ' + b"[" * 200_000 + b"]" * 200_000 + b"}]",
        b'[{"mapping": {}}] and more',
    ],
)
def test_bad_input_of_any_kind_is_told_in_a_sentence(data: bytes) -> None:
    with pytest.raises(BadMessage, match=r"\.$") as caught:
        read(data)
    assert len(str(caught.value)) > 20


@settings(max_examples=examples(200), deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["mapping", "format", "turns", "message", "content", "parts", "author", "role"]
                    + ["parent", "children", "question", "answer", "id", "metadata", "thoughts"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_value_is_worse_than_a_bad_message(value: Any) -> None:
    """Any JSON is accepted or raises ``BadMessage``."""
    for whole in (value, [value], [{"mapping": value}], [{"mapping": {"a": value}}]):
        try:
            read(whole)
            read(ours(turns=[value]))
            read(ours(turns=value))
        except BadMessage:
            pass


def test_limits_hold() -> None:
    with pytest.raises(BadMessage, match="more than 2 conversations"):
        read([chatgpt({})] * 3, max_conversations=2)
    with pytest.raises(BadMessage, match="too much"):
        read([[]] * 20, max_values=10)


def test_turns_and_characters_are_counted_over_the_whole_file() -> None:
    """The user gets an error that says what to do; no conversation is skipped as malformed."""
    two = [ours(turns=[{"question": "four"}])["conversations"][0]] * 2
    chats = [chatgpt({"u": (None, message("user", "four"))})] * 2
    for name, limit in (("max_turns", 1), ("max_chars", 7)):
        for file in ({**ours(turns=[]), "conversations": two}, chats):
            with pytest.raises(BadMessage, match="in parts: put fewer conversations"):
                read(file, **{name: limit})
        assert len(read(chats, **{name: limit + 1}).conversations) == 2


def test_a_question_that_many_answers_share_counts_for_each() -> None:
    """Each answer becomes a turn: a file of a megabyte would become a terabyte."""
    nodes: dict[str, tuple[str | None, Any]] = {"q": (None, message("user", "x" * 1_000))}
    nodes |= {str(n): ("q", message("assistant", "a")) for n in range(20)}
    with pytest.raises(BadMessage, match="too long in all"):
        read([chatgpt(nodes)], max_chars=19_999)


def test_a_conversation_that_is_too_large_by_itself_is_passed_over() -> None:
    small = chatgpt({"u": (None, message("user", "one, two, three, " * 100))})
    many = chatgpt({str(n): (None, message("user", "Q")) for n in range(20)})
    large = chatgpt({"u": (None, message("user", "long " * 1_000))})
    found = read([small, many, large], max_values_of_one=200, max_bytes_of_one=4_000)
    assert (len(found.conversations), found.passed_over) == (1, 2)


def test_commas_in_a_text_are_no_values() -> None:
    text = json.dumps(['a, [b], {c}, "d, \\", ', {"e": [1, 2]}]).encode()
    assert not import_file._has_more_values(text, 5)
    assert import_file._has_more_values(text, 4)


def test_a_string_that_never_ends_is_gone_through_once() -> None:
    """Starting over at each of its quotes would take hours."""
    assert not import_file._has_more_values(b"," * 3 + b'"' + b'\\",' * 500_000, 3)


def test_turns_with_nothing_in_them_are_left_out() -> None:
    """A few bytes of an archive would become hundreds of thousands of them."""
    said = {"question": "Q", "parent": "d"}
    empty = [{}, {"id": "a", "parent": "d"}, {"id": "b", "parent": "a", "answer": [{}]}]
    circle = [{"id": "x", "parent": "y"}, {"id": "y", "parent": "x"}]
    found = read(
        ours(
            turns=[
                {"id": "d", "question": "first"},
                *empty,
                *circle,
                {**said, "id": "e", "parent": "b"},
                {**said, "id": "f", "parent": "y"},
            ],
            shown_turn="b",
        )
    )
    (imported,) = found.conversations
    assert [(turn.question, turn.branch, turn.depth) for turn in imported.turns] == [
        ("first", 0, 0),
        ("Q", 0, 1),
        ("Q", 1, 0),
    ]
    assert imported.shown == 0, "where the turn was that is left out"
    assert found.passed_over == 5


def test_a_conversation_of_nothing_but_such_turns_is_passed_over() -> None:
    with pytest.raises(BadMessage, match="No conversation"):
        read(ours(turns=[{}] * 3))
    assert the_one(ours(turns=[])).turns == ()


def test_a_long_way_of_such_turns_is_gone_once() -> None:
    turns = [{"id": str(n), "parent": str(n - 1)} for n in range(20_000)]
    turns += [{"question": "Q", "parent": str(n)} for n in range(10_000, 20_000)]
    assert {turn.depth for turn in the_one(ours(turns=turns)).turns} == {0}


def test_a_failed_answer_to_nothing_is_something() -> None:
    failed = {"error": {"code": "overloaded", "message": "busy"}}
    assert len(the_one(ours(turns=[{"answer": [failed]}])).turns) == 1


def test_conversations_are_made_one_by_one() -> None:
    made = count()
    file = json.dumps([chatgpt({"u": (None, message("user", "Q"))})] * 3).encode()
    found = imports.conversations(file, new_id=lambda: f"new-{next(made)}", now=NOW)
    next(found)
    after_one = next(made)
    assert len(list(found)) == 2
    assert next(made) >= 3 * after_one


def test_a_long_title_is_cut() -> None:
    turns = [{"question": "Q"}]
    assert len(the_one(ours(title="word " * 100, turns=turns)).info.title) <= 200
