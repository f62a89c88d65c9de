"""Hostile requests: paths, names, header fields, forged log lines."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
import socket
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI

# one worker: the tests share a server
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hostile requests")]

CANARY = "canary-9f2c"


class Running(ServerProcess):
    """A server, and requests sent exactly as written here."""

    def ask(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
        """Send a request; return the whole response."""
        lines = ["Host: localhost", "Connection: close", f"Content-Length: {len(body)}", *headers]
        head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")
        answer = b""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection,
            contextlib.suppress(ConnectionError),
        ):
            connection.sendall(head + body)
            while piece := connection.recv(65536):
                answer += piece
        return answer

    def create(self, title: str) -> str:
        answer = self.ask(
            "/api/conversations",
            "Content-Type: application/json",
            method="POST",
            body=json.dumps({"title": title}).encode(),
        )
        name: str = json.loads(answer.partition(b"\r\n\r\n")[2])["id"]
        return name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("data")
    (folder / "secret.txt").write_text(CANARY)
    settings: dict[str, Any] = {"log_level": "debug", "requests_per_minute_address": 1_000_000}
    with FakeOpenAI() as lab, Running(folder, lab.url, **settings) as running:
        yield running


UP = (
    "../",
    "..%2f",
    "%2e%2e/",
    "%2e%2e%2f",
    "..%5c",
    "..\\",
    "%252e%252e%252f",
    "..%c0%af",
    "..;/",
    "....//",
    ".%00./",
)
PLACES = (
    "/assets/",
    "/assets/css/",
    "/assets/client/",
    "/logo/",
    "/_nicegui/{version}/static/",
    "/_nicegui/{version}/libraries/",
    "/_nicegui/{version}/components/",
    "/_nicegui/{version}/resources/codehilite/",
    "/_nicegui/{version}/esm/",
    "/_nicegui/{version}/dynamic_resources/",
    "/c/",
    "/api/conversations/",
    "/",
)
FILES = ("etc/passwd", "secret.txt", "pyproject.toml", "wireside/settings/model.py", "cookie.key")


@pytest.mark.parametrize("place", PLACES)
def test_no_path_leads_out_of_its_folder(server: Running, place: str) -> None:
    place = place.format(version=_version())
    key = (server.folder / "cookie.key").read_text()
    for up in UP:
        for file in FILES:
            for times in (1, 2, 8):
                answer = server.ask(place + up * times + file)
                status = answer[9:12]
                assert status in (b"200", b"307", b"400", b"403", b"404", b"405", b"422"), (
                    up,
                    file,
                    answer[:200],
                )
                for secret in (b"root:", CANARY.encode(), b"[project]", b"BaseSettings"):
                    assert secret not in answer, (up, file)
                assert key.encode() not in answer


def test_absolute_paths_and_drives_lead_nowhere(server: Running) -> None:
    for file in ("/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "C:/x", "file:///etc/passwd"):
        for place in ("/assets/", f"/_nicegui/{_version()}/static/", "/logo?path=", ""):
            assert b"root:" not in server.ask(place + file), (place, file)


def _version() -> str:
    return importlib.metadata.version("nicegui")


HOSTILE_NAMES = (
    "a\r\nSet-Cookie: stolen=1",
    "a\r\n\r\n<script>alert(1)</script>",
    'a"; filename="evil.exe',
    "../../etc/passwd",
    "a\x00b\x1b[31m",
    "\u2028\u202egnp.exe",
    "\u560a\u560dSet-Cookie: stolen=1",  # the last bytes are CR and LF
    "CON",
    "é" * 200,
    "'; rm -rf ~; '",
)


@pytest.mark.parametrize("title", HOSTILE_NAMES)
@pytest.mark.parametrize("form", ["markdown", "json", "html"])
def test_a_title_names_a_file_and_nothing_else(server: Running, title: str, form: str) -> None:
    name = server.create(title)
    answer = server.ask(f"/api/conversations/{name}/export?format={form}")
    head = answer.partition(b"\r\n\r\n")[0].decode("ascii")
    assert head.startswith("HTTP/1.1 200")
    assert "stolen" not in re.sub("(?i)content-disposition:.*", "", head)
    (line,) = re.findall(r"(?im)^content-disposition: (.*)$", head)
    found = re.fullmatch(r"attachment; filename\*=UTF-8''([A-Za-z0-9_.~%-]+)", line.strip())
    assert found is not None, line
    file = urllib.parse.unquote(found[1])
    assert not set(file) & set('/\\:*?"<>|\r\n\x00\x1b\u202e\u2028')
    assert 0 < len(file.encode()) <= 255
    assert file.partition(".")[0].upper() not in {"CON", ""}
    assert "nosniff" in head.lower()


ECHOES = (
    "/%0d%0aSet-Cookie:%20stolen=1",
    "/c/%0d%0aSet-Cookie:%20stolen=1",
    "/assets/%0d%0aSet-Cookie:%20stolen=1",
    "/assets/css%0d%0aSet-Cookie:%20stolen=1",
    "//evil.example/%2f..",
    "//evil.example",
    "/\\evil.example",
    "/%5cevil.example/",
    "/api//evil.example/",
    "/api/conversations/",
    "/assets/css",
    "/api/%0aX-Stolen:%201",
    "/?%0d%0aSet-Cookie:stolen=1",
)


@pytest.mark.parametrize("target", ECHOES)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
def test_nothing_of_a_request_becomes_a_header(server: Running, target: str, method: str) -> None:
    answer = server.ask(
        target, "X-Forwarded-Host: evil.example", "Origin: http://localhost", method=method
    )
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").lower()
    assert not [line for line in head.split("\r\n") if "stolen" in line.partition(":")[0]]
    assert "set-cookie: stolen" not in head
    for place in re.findall(r"(?m)^location: (.*)$", head):
        assert not re.match(r"(?:https?:)?[/\\]{2}(?!localhost[/:]|localhost$)", place.strip()), (
            place
        )


def test_the_session_cookie_is_the_servers_own(server: Running) -> None:
    """An attacker who plants a cookie gains no session that they know."""
    planted = server.ask("/", "Cookie: session=planted; wireside_session=planted; id=planted")
    assert b"planted" not in planted
    for line in re.findall(rb"(?im)^set-cookie: (.*)$", planted.partition(b"\r\n\r\n")[0]):
        assert b"httponly" in line.lower()
        assert b"samesite=lax" in line.lower() or b"samesite=strict" in line.lower()


LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z (DEBUG|INFO|WARNING|ERROR) +[\w.]+: |    \| ")

FORGED = "2026-01-01T00:00:00Z ERROR forged"


def test_no_request_writes_a_line_of_its_own_into_the_log(server: Running) -> None:
    evil = f"\n{FORGED}: you\r\x1b[2J\x1b]0;x\x07\u2028\u202e\x85\x9b31m"
    quoted = urllib.parse.quote(evil)
    for target in (f"/{quoted}", f"/api/{quoted}", f"/assets/{quoted}", f"/c/{quoted}"):
        server.ask(target)
    bare = f"\x1b[31m{FORGED}\x85\x9b"
    for header in ("Host", "Origin", "X-Forwarded-For", "X-Forwarded-Proto", "User-Agent"):
        server.ask("/api/models", f"{header}: {bare}")
        server.ask("/api/models", f"{header}: a\rb", method="POST")
    server.ask("/\x1b[31m\x9b", method="GET")
    with connect(f"ws://127.0.0.1:{server.port}/ws/ai-chat", proxy=None) as socket:
        for frame in (
            {"type": "chat", "id": "1", "message": evil, "model": evil},
            {"type": "chat", "message": "/lab error", "model": evil},
            {"type": evil},
            {"type": "resume", "id": "2", "stream": evil, "offset": 0},
        ):
            socket.send(json.dumps(frame))
            assert evil not in str(socket.recv(timeout=20))
    answer = server.ask(
        f"/api/conversations/{quoted}", "Content-Type: application/json", method="PATCH"
    )
    assert answer.startswith(b"HTTP/1.1 4")
    lines = _log(server)
    assert any(FORGED in line for line in lines)  # it is logged, but as a value
    for line in lines:
        assert LINE.match(line), line
        assert line.isprintable(), line


def _log(server: Running) -> list[str]:
    text: Any = (server.folder / "log").read_bytes().decode()
    assert "\r" not in text
    lines: list[str] = text.split("\n")
    assert lines.pop() == ""
    return lines
