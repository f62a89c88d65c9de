"""Fixtures: streams that a test writes to."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Self

import pytest

from wireside.errors import WiresideError
from wireside.generation.log import AnswerLog
from wireside.generation.reader import Reader, Signal
from wireside.messages import (
    End,
    FinishReason,
    TextDelta,
)


class HandStream:
    """The parts of a stream that a page uses."""

    names = itertools.count()

    def __init__(self) -> None:
        self.name = f"stream-{next(self.names)}"
        self.model = "model-a"
        self.created_at = 0.0
        self.log = AnswerLog()
        self.bell = Signal()

    @property
    def is_live(self) -> bool:
        return self.log.end is None

    def new_reader(self, offset: int = 0, wake: Callable[[], None] | None = None) -> Reader:
        return Reader(self.log, self.bell, offset, wake)

    def say(self, text: str) -> None:
        self.log.append_entry(TextDelta(text))
        self.bell.notify_listeners()

    def close(
        self, reason: FinishReason | None = "stop", error: WiresideError | None = None
    ) -> Self:
        self.log.close_with(End(None if error else reason, error))
        self.bell.notify_listeners()
        return self


@pytest.fixture
def stream() -> HandStream:
    return HandStream()


@pytest.fixture
def new_stream() -> Callable[[], HandStream]:
    return HandStream
