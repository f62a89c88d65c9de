"""Servers that the fork server starts are processes like others."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.fork_server import ForkedProcess
from tests.server_process import Refused, ServerProcess

pytestmark = pytest.mark.slow


def test_a_fork_has_its_own_folder_environment_output_and_exit_code(tmp_path: Path) -> None:
    one, other = ServerProcess(tmp_path / "one"), ServerProcess(tmp_path / "other", wait_s=3)
    with one, other:
        assert isinstance(one.process, ForkedProcess)
        assert one.url != other.url
        for server in (one, other):
            assert server.process.cwd() == str(server.folder)
            assert (server.folder / "wireside.db").exists()
            assert server.process.poll() is None
            with pytest.raises(psutil.TimeoutExpired):
                server.process.wait(0.01)
        one.process.kill()
        assert one.process.wait(30) == -9
        one.process.send_signal(9)  # without an effect
    assert other.process.wait(0) == 0
    assert "Traceback" not in other.log
    with pytest.raises(Refused) as refused:
        ServerProcess(tmp_path / "wrong", WIRESIDE_AUTH="wrong").start()
    assert refused.value.code == 2


def test_what_python_reads_when_it_starts_needs_a_start(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, PYTHONDEVMODE="1") as server:
        assert isinstance(server.process, psutil.Popen)
