"""The list of conversations: events accepted from a browser, and messages sent to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nicegui import Client
from nicegui.page import page

from wireside.records import ConversationInfo, Folder, Hit, SearchFilter
from wireside_ui.components.sidebar import Sidebar, sidebar
from wireside_ui.presenters.views import ListScope, Search

CALLBACKS = (
    "need",
    "search",
    "rename",
    "pin",
    "archive",
    "move",
    "tag",
    "delete",
    "restore",
    "duplicate",
    "preset",
)
INFO = ConversationInfo(id="a", title="Title", created_at=1.0, updated_at=2.0)

FILTERS: dict[str, Any] = {
    "kind": "title",
    "model": "m",
    "folder_id": "f",
    "tag": "t" * 40,
    "since": 1,
    "until": 2.5,
}

IDS = st.lists(st.text(max_size=70) | st.integers(), max_size=4)
ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=210) | IDS
ARGS = ODD | st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("id", "ids", "title", "query", "cursor", "scope", "on", "folder", "tag"), ODD
    ),
)


@pytest.fixture
def calls() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture
def built(calls: list[tuple[Any, ...]]) -> Iterator[Sidebar]:
    """A sidebar on a separate page; some callbacks are coroutine functions, some are not."""

    def plain(name: str) -> Callable[..., None]:
        return lambda *args: calls.append((name, *args))

    def coroutine(name: str) -> Callable[..., Any]:
        async def called(*args: Any) -> None:
            calls.append((name, *args))

        return called

    on: dict[str, Any] = {
        f"on_{name}": (plain if n % 2 else coroutine)(name) for n, name in enumerate(CALLBACKS)
    }
    with Client(page("/")) as client:
        yield Sidebar(
            base="/b",
            words={},
            current="a",
            items=[INFO],
            cursor="c",
            live=["a"],
            asking=["b"],
            folders=[Folder(id="f", owner="", name="\u202egnirts", created_at=1.0)],
            **on,
        )
        client.delete()


async def tell(built: Sidebar, name: str, args: Any) -> None:
    await getattr(built, f"_{name}")(SimpleNamespace(args=args))


@pytest.mark.parametrize(
    ("name", "args", "call"),
    [
        (
            "need",
            {"cursor": None, "scope": {"kind": "archive", "of": "x"}},
            ("need", None, ListScope("archive")),
        ),
        (
            "need",
            {"cursor": "k", "scope": {"kind": "folder", "of": "f"}},
            ("need", "k", ListScope("folder", "f")),
        ),
        ("move", {"ids": ["a", "b"], "folder": "f"}, ("move", ["a", "b"], "f")),
        ("move", {"ids": ["a"], "folder": None}, ("move", ["a"], None)),
        ("tag", {"ids": ["a"], "tag": "t" * 40, "on": True}, ("tag", ["a"], "t" * 40, True)),
        ("search", {"query": "why", "cursor": None}, ("search", Search("why"), None)),
        ("search", {"query": "why", "cursor": 7}, ("search", Search("why"), 7)),
        (
            "search",
            {"query": "", "cursor": None, "filters": FILTERS | {"other": 1}},
            ("search", Search("", SearchFilter(**FILTERS)), None),
        ),
        ("rename", {"id": "a", "title": "t"}, ("rename", "a", "t")),
        ("pin", {"ids": ["a", "b"], "on": True}, ("pin", ["a", "b"], True)),
        ("archive", {"ids": ["a"], "on": False}, ("archive", ["a"], False)),
        ("delete", {"ids": ["a"] * 500}, ("delete", ["a"] * 500)),
        ("restore", {"ids": ["i" * 64]}, ("restore", ["i" * 64])),
        ("duplicate", {"id": "a"}, ("duplicate", "a")),
        ("preset", {"id": "a"}, ("preset", "a")),
    ],
)
async def test_what_a_person_does_is_passed_on(
    built: Sidebar, calls: list[Any], name: str, args: Any, call: tuple[Any, ...]
) -> None:
    await tell(built, name, args)
    assert calls == [call]


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("need", {"cursor": None}),
        ("need", {"cursor": 1, "scope": {"kind": "list"}}),
        ("need", {"cursor": "c" * 201, "scope": {"kind": "list"}}),
        ("need", {"cursor": None, "scope": {"kind": "other"}}),
        ("need", {"cursor": None, "scope": {"kind": "folder"}}),
        ("need", {"cursor": None, "scope": {"kind": "folder", "of": "f" * 65}}),
        ("move", {"ids": ["a"]}),
        ("move", {"ids": ["a"], "folder": "f\0"}),
        ("move", {"ids": [], "folder": "f"}),
        ("tag", {"ids": ["a"], "tag": "t" * 41, "on": True}),
        ("tag", {"ids": ["a"], "tag": "t"}),
        ("tag", {"ids": [], "tag": "t", "on": True}),
        ("search", {"query": "", "cursor": None}),
        ("search", {"query": " ", "cursor": None, "filters": {"tag": None}}),
        ("search", {"query": "why", "cursor": None, "filters": {"kind": "other"}}),
        ("search", {"query": "why", "cursor": None, "filters": {"model": "m" * 201}}),
        ("search", {"query": "why", "cursor": None, "filters": {"folder_id": 1}}),
        ("search", {"query": "why", "cursor": None, "filters": {"tag": ""}}),
        ("search", {"query": "why", "cursor": None, "filters": {"since": float("nan")}}),
        ("search", {"query": "why", "cursor": None, "filters": {"until": True}}),
        ("search", {"query": None, "cursor": None, "filters": {"tag": "t"}}),
        ("search", {"query": "q" * 201, "cursor": None}),
        ("search", {"query": "why", "cursor": True}),
        ("search", {"query": "why", "cursor": -1}),
        ("search", {"query": "why", "cursor": 10**40}),
        ("search", {"query": "why\ud800", "cursor": None}),
        ("rename", {"id": "a", "title": "t" * 201}),
        ("rename", {"id": "i" * 65, "title": "t"}),
        ("rename", {"id": "a", "title": "nul\0"}),
        ("rename", {"id": ["a"], "title": "t"}),
        ("pin", {"ids": ["a"], "on": "yes"}),
        ("pin", {"ids": ["a"]}),
        ("archive", {"ids": "abc", "on": True}),
        ("delete", {"ids": ["a"] * 501}),
        ("delete", {"ids": ["a", 1]}),
        ("delete", {"ids": []}),
        ("restore", ["a"]),
        ("restore", None),
        ("duplicate", {"id": "i" * 65}),
        ("preset", {"id": ["a"]}),
    ],
)
async def test_what_makes_no_sense_is_passed_over(
    built: Sidebar, calls: list[Any], name: str, args: Any
) -> None:
    await tell(built, name, args)
    assert calls == []


@given(name=st.sampled_from(CALLBACKS), args=ARGS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_comes_is_right_or_nothing(
    built: Sidebar, calls: list[Any], name: str, args: Any
) -> None:
    calls.clear()
    await tell(built, name, args)
    for _, first, *_rest in calls:
        texts: Sequence[Any] = first if isinstance(first, list) else [first]
        assert all(
            text is None or isinstance(text, Search) or (isinstance(text, str) and len(text) <= 200)
            for text in texts
        )


def test_the_first_page_comes_with_the_page(built: Sidebar) -> None:
    item = {
        "id": "a",
        "title": "Title",
        "at": 2.0,
        "pin": 0,
        "archived": False,
        "folder": None,
        "tags": [],
        "owner": "",
    }
    assert built.props["begin"] == {
        "items": [item],
        "cursor": "c",
        "current": "a",
        "live": ["a"],
        "asking": ["b"],
        "folders": [{"id": "f", "name": "gnirts"}],
        "hasShared": False,
    }


def test_an_item_tells_where_it_stands() -> None:
    info = ConversationInfo(
        id="a",
        title="t",
        created_at=1.0,
        updated_at=2.0,
        pinned_at=3.0,
        archived_at=4.0,
        folder_id="f",
        tags=("b", "\u202ea"),
    )
    assert sidebar.item_json(info) == {
        "id": "a",
        "title": "t",
        "at": 2.0,
        "pin": 3.0,
        "archived": True,
        "folder": "f",
        "tags": ["b", "a"],
        "owner": "",
    }


def test_what_nobody_sees_in_a_title_is_taken_out() -> None:
    info = ConversationInfo(id="a", title="\u202eeltit", created_at=1.0, updated_at=2.0)
    assert sidebar.item_json(info)["title"] == "eltit"
    hit = Hit(
        conversation_id="a",
        title="\u202et",
        turn_id=None,
        kind="title",
        snippet=("an\U000e0041", "b", "!"),
        cursor=9,
        created_at=1.0,
    )
    assert (sidebar._hit(hit)["title"], sidebar._hit(hit)["snippet"]) == (
        "t",
        ["an\ufffd", "b", "!"],
    )


def test_a_hit_keeps_its_pieces() -> None:
    hit = Hit(
        conversation_id="a",
        title="t",
        turn_id=None,
        kind="title",
        snippet=("an ", "<b>", "!"),
        cursor=9,
        created_at=1.0,
    )
    assert sidebar._hit(hit) == {
        "id": "a",
        "title": "t",
        "turn": None,
        "kind": "title",
        "snippet": ["an ", "<b>", "!"],
        "cursor": 9,
        "at": 1.0,
        "archived": False,
        "owner": "",
    }


def test_each_method_is_one_small_message(built: Sidebar, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[Any, ...]] = []
    monkeypatch.setattr(built, "run_method", lambda *args: said.append(args))
    built.show([], None, scope=ListScope("archive"), fresh=False)
    built.show_hits(Search("q"), [], fresh=True)
    built.fail("No.")
    built.take_out(("a",))
    built.set_live(frozenset({"a"}))
    built.set_current("a")
    built.put(INFO)
    assert said == [
        ("show", [], None, {"kind": "archive", "of": ""}, False),
        ("showHits", asdict(Search("q")), [], True),
        ("fail", "No."),
        ("takeOut", ["a"]),
        ("setLive", ["a"]),
        ("setCurrent", "a"),
        ("put", sidebar.item_json(INFO)),
    ]
