"""``wireside health``: exit codes and reasons, over TCP and a Unix socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from wireside.cli.main import app


class Health(BaseHTTPRequestHandler):
    """Answers as a server that is alive and not ready."""

    answers: ClassVar[dict[str, tuple[int, Any]]] = {
        "/api/health/live": (200, {"status": "ok"}),
        "/api/health/ready": (503, {"status": "draining", "reason": "It is [bold]shutting down."}),
    }

    def do_GET(self) -> None:
        status, body = self.answers[self.path]
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
        pass

    def address_string(self) -> str:
        return "peer"


class UnixServer(HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0


@pytest.fixture(params=["tcp", "unix"])
def server(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    path = str(tmp_path / "socket")
    is_unix = request.param == "unix"
    made = UnixServer(path, Health) if is_unix else HTTPServer(("127.0.0.1", 0), Health)  # type: ignore[arg-type]
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    # the wildcard of a container means this machine
    monkeypatch.setenv("WIRESIDE_HOST", f"unix:{path}" if is_unix else "0.0.0.0")
    monkeypatch.setenv("WIRESIDE_PORT", str(made.server_port))
    yield
    made.shutdown()
    thread.join()
    made.server_close()


def check(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["health", *words])
    return result.exit_code, result.output.strip()


@pytest.mark.usefixtures("server")
def test_a_server_that_is_not_ready_is_unhealthy_and_alive() -> None:
    assert check() == (1, "wireside: It is [bold]shutting down.")
    assert check("--live") == (0, "ok")


@pytest.mark.usefixtures("server")
def test_a_ready_server_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Health.answers, "/api/health/ready", (200, {"status": "ready"}))
    assert check() == (0, "ready")


@pytest.mark.usefixtures("server")
def test_another_program_is_no_healthy_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Health.answers, "/api/health/ready", (200, ["something else"]))
    code, said = check()
    assert code == 1
    assert "does not answer" in said


def test_no_server_is_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("WIRESIDE_PORT", str(port))
    code, said = check()
    assert code == 1
    assert "does not answer" in said
