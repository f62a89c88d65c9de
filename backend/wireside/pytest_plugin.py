"""Pytest plugin, installed with the package: the fixture ``chat_tester``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from wireside.extension.chat import Chat
    from wireside.ports.provider import Provider
    from wireside.tester import ChatTester

DOORS: dict[str, dict[str, Any]] = {
    "direct": {"door": "direct"},
    "socket": {"door": "socket"},
    "socket-cut": {"door": "socket", "cut": True},
    "socket-kill": {"door": "socket", "kill": True},
    "page": {"door": "page"},
}
"""The ways to ask, with the arguments of ``ChatTester``."""


class MakeTester(Protocol):
    """Makes a ``ChatTester`` for the way to ask of this run of the test."""

    def __call__(
        self, chat: Chat, *, user: str = "", provider: Provider | None = None
    ) -> ChatTester:
        """Make a tester; ``async with`` starts the server and ends it."""
        ...


@pytest.fixture(params=DOORS)
def chat_tester(request: pytest.FixtureRequest) -> MakeTester:
    """Run the test once by each way to ask: the replies must be the same."""
    from wireside.tester import ChatTester  # slow to import, and not every test suite needs it

    return partial(ChatTester, **DOORS[request.param])
