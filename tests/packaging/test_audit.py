"""`make audit` and `make sbom`: their output with an available and an unavailable service."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements" / "runtime.txt").read_text()
PINNED = re.findall(r"^([a-z0-9][\w.-]*)==", LOCK, re.MULTILINE)


class Osv(BaseHTTPRequestHandler):
    """A fake of the OSV service that reports a vulnerability for the packages in ``weak``."""

    weak: ClassVar[frozenset[str]] = frozenset()
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = asked["package"]["name"]
        self.asked.append(name)
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999.0"}]}]
        weakness = {
            "id": "PYSEC-2099-1",
            "details": "It is weak.",
            "affected": [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}],
        }
        body = json.dumps({"vulns": [weakness]} if name in self.weak else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def osv() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Osv.asked, Osv.weak = [], frozenset()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def run(script: str, *arguments: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


def test_the_audit_asks_about_every_package(osv: str) -> None:
    code, said = run("audit.py", "--osv-url", osv)
    assert code == 0, said
    assert "0 weaknesses known" in said
    assert {"nicegui", "starlette", "openai"} <= set(Osv.asked) <= set(PINNED)


def test_a_known_weakness_fails_the_audit_and_is_named(osv: str) -> None:
    Osv.weak = frozenset({"starlette"})
    code, said = run("audit.py", "--osv-url", osv)
    assert code == 1
    assert re.search(r"^starlette \S+: PYSEC-2099-1, mended in 999\.0$", said, re.MULTILINE)


def test_a_service_that_is_not_there_is_no_pass() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    code, said = run("audit.py", "--osv-url", f"http://127.0.0.1:{port}")
    assert code == 2
    assert said.startswith("Not audited")


def test_the_bill_of_materials_holds_every_package_with_its_hashes(tmp_path: Path) -> None:
    code, said = run("sbom.py", str(tmp_path / "sbom.json"))
    assert code == 0, said
    bill = json.loads((tmp_path / "sbom.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "wireside"
    assert sorted(part["name"].lower() for part in bill["components"]) == sorted(PINNED)
    for part in bill["components"]:
        assert part["purl"].startswith(f"pkg:pypi/{part['name'].lower()}@")
        assert any(reference.get("hashes") for reference in part["externalReferences"])
