"""Connections without a page, and pages without a browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from wireside_ui import nicegui_socket
from wireside_ui.nicegui_socket import (
    EVENTS,
    EVENTS_S,
    MAX_UNTAKEN,
    STRANGER_S,
    UNCLAIMED,
    Pace,
    Strangers,
    making,
    surplus,
)


def test_a_connection_that_names_no_page_is_overdue_after_a_while() -> None:
    strangers = Strangers()
    assert strangers.overdue(["a", "b"], set(), 100.0) == []
    assert strangers.overdue(["a", "b", "c"], {"b"}, 101.0) == []
    assert strangers.overdue(["a", "b", "c"], {"b"}, 99.5 + STRANGER_S) == ["a"]


def test_a_connection_that_left_its_page_begins_anew() -> None:
    strangers = Strangers()
    strangers.overdue(["a"], set(), 100.0)
    strangers.overdue(["a"], {"a"}, 101.0)
    assert strangers.overdue(["a"], set(), 100.0 + STRANGER_S) == []


@dataclass
class Page:
    """The attributes of a client that the code uses."""

    ip: str
    has_socket_connection: bool = False
    _delete_tasks: dict[str, Any] = field(default_factory=dict)


def names(pages: list[Page]) -> list[str]:
    return [page.ip for page in cast("list[Page]", surplus(cast("Any", pages)))]


def test_so_many_pages_may_wait_for_their_browser() -> None:
    assert names([Page("a") for _ in range(UNCLAIMED)]) == []
    assert names([Page("a", has_socket_connection=True) for _ in range(UNCLAIMED + 9)]) == []
    assert names([Page("a", _delete_tasks={"d": 1}) for _ in range(UNCLAIMED + 9)]) == []


def test_the_address_that_asked_for_most_loses_its_oldest() -> None:
    oldest, person = Page("greedy"), Page("person")
    pages = [person, oldest, *(Page("greedy") for _ in range(UNCLAIMED))]
    found = surplus(cast("Any", pages))
    assert len(found) == 2
    assert cast("Any", found[0]) is oldest
    assert person not in cast("Any", found)


async def test_a_page_is_not_given_up_while_it_is_being_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The request for it would get an error instead."""
    pages: dict[str, Any] = {}
    monkeypatch.setattr(nicegui_socket, "page_clients", lambda: list(pages.values()))

    class Made(Page):
        def __init__(self, number: int) -> None:
            super().__init__("greedy")
            self.id = str(number)
            pages[self.id] = self

        def delete(self) -> None:
            del pages[self.id]

    first = cast("Any", Made(0))
    async with making(first):
        for number in range(1, UNCLAIMED + 20):
            async with making(cast("Any", Made(number))):
                pass
        assert first.id in pages
        assert len(pages) <= UNCLAIMED + 2
    async with making(cast("Any", Made(1000))):
        assert first.id not in pages


def test_a_page_is_heard_as_often_as_a_person_can_make_it_speak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nicegui_socket, "untaken", lambda _: 0)
    pace, first, second = Pace(), cast("Any", Named()), cast("Any", Named())
    assert sum(pace.allows(first, 1.0) for _ in range(2 * EVENTS)) == EVENTS
    assert pace.allows(second, 1.0)
    assert pace.allows(first, 1.1 + EVENTS_S)


def test_a_page_that_does_not_read_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its requests would accumulate in memory without a limit."""
    waiting = MAX_UNTAKEN
    monkeypatch.setattr(nicegui_socket, "untaken", lambda _: waiting)
    pace, page = Pace(), cast("Any", Named())
    assert pace.allows(page, 1.0)
    waiting += 1
    assert not pace.allows(page, 1.0)


class Named:
    """A page compared by identity, not by value."""
