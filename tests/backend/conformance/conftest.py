"""A real server with a chat at the pace of a small model, and runs of the kit."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.server_process import ServerProcess
from wireside.conformance.address import Address
from wireside.conformance.checks.catalogue import selected
from wireside.conformance.kit import Kit
from wireside.conformance.results import Result
from wireside.conformance.run import run_checks

SERVE_CHAT = (
    *(sys.executable, "-m", "wireside", "serve"),
    *("tests.backend.conformance.answering_chat:chat", "--port", "0"),
)

RunKit = Callable[..., Awaitable[list[Result]]]


@pytest.fixture(scope="session")
def chat_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose answers come from ``answering_chat.py``."""
    folder = tmp_path_factory.mktemp("chat")
    root = str(Path(__file__).parents[3])
    with ServerProcess(
        folder,
        None,
        command=SERVE_CHAT,
        messages_per_minute_address=100_000,
        requests_per_minute_address=100_000,
        PYTHONPATH=":".join([root, f"{root}/backend", f"{root}/ui"]),
    ) as server:
        yield server


@pytest.fixture
def run_kit() -> RunKit:
    """Run checks by name against the server at a URL."""

    async def run(
        url: str, *only: str, key: str | None = None, timeout_s: float = 10.0, level: int = 2
    ) -> list[Result]:
        kit = Kit(Address.parse(url), key=key, model=None, timeout_s=timeout_s)
        return await run_checks(selected(level=level, only=only), kit)

    return run
