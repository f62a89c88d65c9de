"""The frameworks: a test of one that is not installed is skipped, except with --all-frameworks."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from wireside.testing import FakeOpenAI


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-frameworks",
        action="store_true",
        help="fail, instead of skipping tests, if a framework is not installed",
    )


@pytest.fixture
def need(request: pytest.FixtureRequest) -> Need:
    return Need(must_have=request.config.getoption("--all-frameworks"))


class Need:
    """Skips the test if a module is not installed."""

    def __init__(self, *, must_have: bool) -> None:
        self._must_have = must_have

    def __call__(self, module: str) -> None:
        if self._must_have:
            importlib.import_module(module)
        else:
            pytest.importorskip(module)


@pytest.fixture
async def lab() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as server:
        yield server


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Render no logs: the traces of frameworks take seconds to render."""
    with capture_logs():
        yield


IGNORED = ("DeprecationWarning", "ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
"""Warnings that are not up to us: what a framework calls, and the clients that it keeps open."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "adapters" in item.path.parts:
            for warning in IGNORED:
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{warning}"))
