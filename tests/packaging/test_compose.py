"""The compose files: their schema, their settings, and Caddy in front of three servers."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import pytest
import yaml

from tests.packaging.containerfile import parse
from tests.packaging.deployment import DEPLOY, ROOT, schema, settings_of
from wireside.settings.model import Settings

FILES = ("compose.yaml", "compose.replicas.yaml")
REPLICAS = ("one", "two", "three")


def read(name: str) -> dict[str, Any]:
    """Return a compose file with its variables replaced by their defaults."""
    text = (DEPLOY / name).read_text("utf-8")
    text = re.sub(r"(?<=: )\$\{\w+:-\}", "''", text)  # alone, it is an empty text
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def servers_in(name: str) -> dict[str, dict[str, Any]]:
    """Return the services that run Wireside."""
    services = read(name)["services"]
    return {key: one for key, one in services.items() if one["image"].startswith("wireside")}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_the_specification_allows(name: str) -> None:
    jsonschema.Draft7Validator(schema("compose-spec.json")).validate(read(name))


@pytest.mark.parametrize("name", FILES)
def test_a_server_is_confined_and_has_what_it_needs(name: str) -> None:
    stages = {stage.name for stage in parse((DEPLOY / "Containerfile").read_text())}
    for one in servers_in(name).values():
        assert one["read_only"] is True
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert any(mount.startswith("/tmp:") for mount in one["tmpfs"])
        assert one["build"]["target"] in stages
        assert (DEPLOY / one["build"]["context"] / one["build"]["dockerfile"]).is_file()
        assert one["healthcheck"]["test"] == ["CMD", "wireside", "health"]


def test_one_server_is_published_on_this_machine_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server,) = servers_in("compose.yaml").values()
    assert server["ports"] == ["127.0.0.1:8080:8080"]
    settings = settings_of(server["environment"], tmp_path, monkeypatch)
    assert settings.exposure is None
    assert settings.loopback_published
    assert not settings.uses_openai


def test_three_servers_share_what_they_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = servers_in("compose.replicas.yaml")
    assert tuple(servers) == REPLICAS
    own = {"replica_name"}
    seen: list[dict[str, Any]] = []
    for name, one in servers.items():
        settings = settings_of(one["environment"], tmp_path, monkeypatch)
        assert settings.exposure is None
        assert settings.replicas
        assert settings.replica_name == name
        waits_s = settings.effective_drain_notice_s + settings.effective_drain_s
        assert seconds(one["stop_grace_period"]) > waits_s + 30
        seen.append(settings.model_dump(exclude=own))
    assert seen[0] == seen[1] == seen[2]


def test_every_secret_is_declared_and_stays_out_of_the_repository() -> None:
    file = read("compose.replicas.yaml")
    used = {secret for one in file["services"].values() for secret in one.get("secrets", [])}
    assert used == set(file["secrets"])
    for name, one in servers_in("compose.replicas.yaml").items():
        paths = [value for key, value in one["environment"].items() if key.endswith("_FILE")]
        assert {Path(path).name for path in paths} == set(one["secrets"]), name
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_proxy_that_is_trusted_is_caddy() -> None:
    file = read("compose.replicas.yaml")
    address = file["services"]["caddy"]["networks"]["default"]["ipv4_address"]
    for one in servers_in("compose.replicas.yaml").values():
        assert one["environment"]["WIRESIDE_TRUSTED_PROXIES"] == address
    caddyfile = (DEPLOY / "caddy" / "Caddyfile").read_text()
    assert {f"{name}:{Settings().port}" for name in REPLICAS} == set(
        re.findall(r"\b\w+:8080\b", caddyfile)
    )


def seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600}
    return float(text[:-1]) * units[text[-1]]


# ---- Caddy ---------------------------------------------------------------------------------------


class Replica(ThreadingHTTPServer):
    """A server that says its name, and that it is ready while it is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_ready = True
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(BaseHTTPRequestHandler):
    server: Replica

    def do_GET(self) -> None:
        is_probe = self.path == "/api/health/ready"
        self.send_response(503 if is_probe and not self.server.is_ready else 200)
        body = self.server.name.encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
        pass


@pytest.fixture
def replicas() -> Iterator[dict[str, Replica]]:
    with ExitStack() as stack:
        made = {name: stack.enter_context(Replica(name)) for name in REPLICAS}
        for one in made.values():
            threading.Thread(target=one.serve_forever, args=(0.02,)).start()
            stack.callback(one.shutdown)
        yield made


@pytest.fixture
def caddy(replicas: dict[str, Replica], tmp_path: Path) -> Iterator[str]:
    """Caddy with the configuration of the deployment, on a port without TLS."""
    text = (DEPLOY / "caddy" / "Caddyfile").read_text()
    for name, one in replicas.items():
        text = text.replace(f"{name}:8080", f"127.0.0.1:{one.server_port}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    file = tmp_path / "Caddyfile"
    file.write_text("{\n\tadmin off\n}\n" + text.replace("{$SITE:localhost}", address))
    with (tmp_path / "log").open("w") as log:
        command = ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/usr/local/bin"}
        process = subprocess.Popen(command, stderr=log, env=environment)
    try:
        while True:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                httpx2.get(address, trust_env=False)
                break
            except httpx2.TransportError:
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed")
def test_caddy_sends_a_page_to_the_server_of_its_cookie(
    caddy: str, replicas: dict[str, Replica]
) -> None:
    def ask(cookie: str) -> str:
        return httpx2.get(caddy, headers={"Cookie": cookie}, trust_env=False).text

    for name in REPLICAS:
        cookie = f"other=1; wireside_replica={name}; last=2"
        assert Counter(ask(cookie) for _ in range(4)) == {name: 4}
    assert ask("wireside_replica=unknown") in REPLICAS
    assert {ask("other=wireside_replica=one") for _ in range(30)} <= set(REPLICAS)
    replicas["two"].is_ready = False
    while ask("wireside_replica=two") == "two":  # until Caddy has looked
        time.sleep(0.1)
    assert ask("wireside_replica=two") == "three"
    assert ask("wireside_replica=one") == "one"
