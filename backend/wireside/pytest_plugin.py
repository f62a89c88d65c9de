"""Pytest plugin, installed with the package: the fixture ``chat_tester``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from wireside.extension.chat import Chat
    from wireside.ports.provider import Provider
    from wireside.tester import ChatTester, Door

DOORS: tuple[tuple[Door, bool], ...] = (("direct", False), ("socket", False), ("socket", True))
"""The ways to ask, each with whether the connection is cut after each frame."""


class MakeTester(Protocol):
    """Makes a ``ChatTester`` for the way to ask of this run of the test."""

    def __call__(
        self, chat: Chat, *, user: str = "", provider: Provider | None = None
    ) -> ChatTester:
        """Make a tester; ``async with`` starts the server and ends it."""
        ...


@pytest.fixture(params=DOORS, ids=["direct", "socket", "socket-cut"])
def chat_tester(request: pytest.FixtureRequest) -> MakeTester:
    """Run the test once by each way to ask: the replies must be the same."""
    from wireside.tester import ChatTester  # slow to import, and not every test suite needs it

    door, cut = request.param
    return partial(ChatTester, door=door, cut=cut)
