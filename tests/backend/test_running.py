"""Running as a service: output, Unix sockets, systemd, and systems without Unix features."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from websockets.sync.client import connect

from tests.server_process import SERVE, ServerProcess

pytestmark = pytest.mark.slow

PASS_ON = """
import os, sys
for number, descriptor in enumerate(sys.argv[1].split(",")):
    os.dup2(int(descriptor), 3 + number)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(number + 1)}
os.execv(sys.executable, [sys.executable, "-m", "wireside", "serve", *sys.argv[2:]])
"""
"""Starts a server as systemd does for a socket unit."""

NOT_ON_WINDOWS = ("fcntl", "pwd", "grp", "pysqlite3", "resource", "termios", "uvloop")


@pytest.fixture
def notifications(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        yield listening


def test_json_logs_hold_every_line_and_the_first_link_is_in_a_file_of_its_own(
    tmp_path: Path,
) -> None:
    server = ServerProcess(
        tmp_path,
        "http://127.0.0.1:9/v1",
        auth="password",
        log_format="json",
        log_level="info",
        allowed_origins="*",
        WIRESIDE_MODLE="misspelt",
    )
    # the log is the only output: standard output stays empty until the server ends
    with (tmp_path / "out").open("w") as out, (tmp_path / "log").open("w") as log:
        server.process = psutil.Popen(
            SERVE, cwd=tmp_path, env=server.environment, stdout=out, stderr=log
        )
    try:
        lines: list[dict[str, object]] = []
        while not any(line["event"] == "listening" for line in lines):
            assert server.process.poll() is None, server.log
            complete = server.log.rpartition("\n")[0]
            lines = [json.loads(line) for line in complete.splitlines()]
    finally:
        server.process.terminate()
        server.process.wait(30)
    said = next(line for line in lines if line["event"] == "listening")
    assert str(said["address"]).startswith("http://127.0.0.1:")
    warned = [line["title"] for line in lines if line["event"] == "start_warning"]
    assert "Ignored" in warned
    file = Path(str(said["administrator_link_file"]))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    link = file.read_text().strip()
    assert link.startswith(f"{said['address']}/join?link=")
    assert link.rpartition("=")[2] not in server.log
    assert (tmp_path / "out").read_text() == ""
    assert all(json.loads(line) for line in server.log.splitlines())


def test_a_start_that_fails_is_a_line_of_json_too(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "http://127.0.0.1:9/v1", log_format="json", host="0.0.0.0")
    with pytest.raises(AssertionError):
        server.start()
    (line,) = map(json.loads, server.log.splitlines())
    assert line["event"] == "cannot_serve"
    assert "WIRESIDE_AUTH" in line["reason"]


def test_the_first_link_is_not_printed_where_no_terminal_is(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "http://127.0.0.1:9/v1", auth="password") as server:
        assert server.administrator_link().startswith(f"{server.url}/join?link=")


def test_it_listens_on_a_unix_socket_and_notifies_systemd(
    tmp_path: Path, notifications: socket.socket
) -> None:
    path = tmp_path / "wireside.sock"
    left_behind = socket.socket(socket.AF_UNIX)
    left_behind.bind(str(path))  # a killed server leaves its socket
    left_behind.close()
    server = ServerProcess(
        tmp_path,
        "http://127.0.0.1:9/v1",
        host=f"unix:{path}",
        NOTIFY_SOCKET=str(tmp_path / "notify"),
    )
    with server:
        assert server.url == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert notifications.recv(100) == b"READY=1"
        transport = httpx2.HTTPTransport(uds=str(path))
        with httpx2.Client(transport=transport, base_url="http://localhost") as client:
            assert client.get("/api/health/live").json() == {"status": "ok"}
            assert client.get("/api/conversations").status_code == 200
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(path))
            with connect("ws://localhost/ws/ai-chat", sock=raw) as client:
                client.send('{"type": "ping"}')
                assert json.loads(client.recv()) == {"type": "pong"}
        second = ServerProcess(
            tmp_path / "second", "http://127.0.0.1:9/v1", host=f"unix:{path}", wait_s=0
        )
        with pytest.raises(AssertionError, match="can't be used"):
            second.start()
    assert notifications.recv(100) == b"STOPPING=1"
    assert not path.exists()


class ActivatedServer(ServerProcess):
    """A server that gets its listening sockets from the service manager, which is the test."""

    def __init__(self, folder: Path, listeners: list[socket.socket], **settings: object) -> None:
        # far from the descriptors 3, 4, …, which the process moves them to
        self._descriptors = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100) for one in listeners]
        numbers = ",".join(map(str, self._descriptors))
        super().__init__(
            folder,
            "http://127.0.0.1:9/v1",
            command=(sys.executable, "-c", PASS_ON, numbers),
            **settings,
        )
        self.passed_descriptors = self._descriptors

    def stop(self) -> int:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []
        return super().stop()


def test_a_restart_behind_sockets_of_systemd_refuses_no_connection(
    tmp_path: Path, notifications: socket.socket
) -> None:
    path = tmp_path / "wireside.sock"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        port = tcp.getsockname()[1]
        environment = {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "200000",
            "port": 1,  # the socket's address takes the place of the settings'
        }
        with ActivatedServer(tmp_path, [tcp, unix], **environment) as server:
            assert server.url == f"http://127.0.0.1:{port}"
            assert notifications.recv(100) == b"READY=1"
            assert notifications.recv(100) == b"WATCHDOG=1"
            transport = httpx2.HTTPTransport(uds=str(path))
            with httpx2.Client(transport=transport, base_url="http://localhost") as client:
                assert client.get("/api/health/live").status_code == 200
        assert path.is_socket()  # systemd's, not the server's
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            waiting.sendall(b"GET /api/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with ActivatedServer(tmp_path, [tcp, unix], **environment):
                assert waiting.recv(12) == b"HTTP/1.1 200"


def test_a_socket_of_systemd_that_others_reach_needs_accounts(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as public:
        server = ActivatedServer(tmp_path, [public])
        with pytest.raises(AssertionError, match="WIRESIDE_AUTH"):
            server.start()
        server.stop()


def test_it_starts_where_modules_of_unix_are_missing(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\n"
        f"for name in {NOT_ON_WINDOWS!r}:\n"
        "    sys.modules[name] = None\n"  # importing it raises ImportError
    )
    server = ServerProcess(
        tmp_path / "server", "http://127.0.0.1:9/v1", PYTHONPATH=":".join([str(hidden), *sys.path])
    )
    with server, httpx2.Client(base_url=server.url) as client:
        made = client.post("/api/conversations/import", json={"format": "unknown"})
        assert made.status_code < 500
        assert client.get("/api/conversations").status_code == 200
    assert "Traceback" not in server.log
