"""Fixtures: real proxies in front of a real Wireside server whose model is the fault lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proxies.kinds import KINDS, Certificate, Edit, Proxy, found, make_certificate
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI


@pytest.fixture(scope="session")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Wireside on a free port of the loopback interface."""
    folder = tmp_path_factory.mktemp("wireside")
    with (
        FakeOpenAI(count=60, rate=100) as lab,
        ServerProcess(folder, lab.url, messages_per_minute_address=1000) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def started(
    tmp_path: Path,
    behind: ServerProcess,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str, Edit], Proxy]]:
    """Call with a kind of proxy and an edit of its configuration."""
    running: list[Proxy] = []

    def start(kind: str, edit: Edit) -> Proxy:
        found(KINDS[kind].program)
        proxy = KINDS[kind](tmp_path, behind, certificate)
        running.append(proxy)
        proxy.start(edit)
        monkeypatch.setenv("SSL_CERT_FILE", str(proxy.authority))
        return proxy

    yield start
    for proxy in running:
        proxy.stop()
