"""What a browser may ask of the list of conversations."""

from __future__ import annotations

from typing import Any

import pytest
from nicegui import Client, ui
from nicegui.events import GenericEventArguments

from wireside.records import ConversationInfo, Hit
from wireside_ui.components.sidebar import MAX_AT_ONCE, Sidebar, _hit, _item

HANDLERS = ("need", "search", "rename", "pin", "archive", "delete", "restore")


@pytest.fixture
def calls() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture
def sidebar(calls: list[tuple[Any, ...]]) -> Sidebar:
    def keep(name: str) -> Any:
        async def call(*args: Any) -> None:
            calls.append((name, *args))

        return call

    with Client(ui.page("")):
        return Sidebar(
            base="",
            words={},
            current="",
            items=[],
            cursor=None,
            live=[],
            **{f"on_{name}": keep(name) for name in HANDLERS},
        )


async def send(sidebar: Sidebar, name: str, args: Any) -> None:
    event = GenericEventArguments(sender=sidebar, client=sidebar.client, args=args)
    await getattr(sidebar, f"_{name}")(event)


@pytest.mark.parametrize(
    ("name", "args", "call"),
    [
        ("need", {"cursor": None, "archived": False}, (None, False)),
        ("need", {"cursor": "u 1.0 c", "archived": True}, ("u 1.0 c", True)),
        ("search", {"query": "womb", "cursor": 7}, ("womb", 7)),
        ("rename", {"id": "c", "title": "New"}, ("c", "New")),
        ("pin", {"ids": ["c", "d"], "on": True}, (["c", "d"], True)),
        ("archive", {"ids": ["c"], "on": False}, (["c"], False)),
        ("delete", {"ids": ["c"]}, (["c"],)),
        ("restore", {"ids": ["c"]}, (["c"],)),
    ],
)
async def test_what_makes_sense_is_done(
    sidebar: Sidebar, calls: list[Any], name: str, args: Any, call: Any
) -> None:
    await send(sidebar, name, args)
    assert calls == [(name, *call)]


@pytest.mark.parametrize("name", HANDLERS)
@pytest.mark.parametrize(
    "args",
    [
        None, 1, "x", [], {}, {"ids": []}, {"ids": "c"}, {"ids": [1]}, {"ids": ["c" * 65]},
        {"ids": ["c"] * (MAX_AT_ONCE + 1)}, {"ids": [""]}, {"id": "c"}, {"id": "c", "title": ""},
        {"id": "c", "title": "x" * 201}, {"id": 1, "title": "x"}, {"query": "x", "cursor": True},
        {"query": "x" * 201, "cursor": None}, {"query": "x", "cursor": "1"},
        {"cursor": 5, "archived": True}, {"cursor": None, "archived": 1},
    ],
)  # fmt: skip
async def test_what_makes_none_is_passed_over(
    sidebar: Sidebar, calls: list[Any], name: str, args: Any
) -> None:
    await send(sidebar, name, args)
    assert calls == []


def test_a_browser_gets_what_it_shows_and_no_more() -> None:
    info = ConversationInfo("c", "Title", 1.0, 2.0, "person", 3.0, None, ("tag",))
    assert _item(info) == {"id": "c", "title": "Title", "at": 2.0, "pin": 3.0, "archived": False}
    hit = _hit(Hit("c", "Title", "t", "answer", ("a", "b", ""), 5, 6.0))
    assert hit == {
        "id": "c", "title": "Title", "turn": "t", "kind": "answer",
        "snippet": ["a", "b", ""], "cursor": 5,
    }  # fmt: skip
