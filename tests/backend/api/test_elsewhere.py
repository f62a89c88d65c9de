"""The whole application without accounts: which clients it serves, and what others are sent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.backend.api.known_paths import with_known_paths
from tests.backend.auth.conftest import House, house
from tests.server_process import ServerProcess
from wireside.api.middleware.authentication import AuthenticationMiddleware, AuthenticationRules
from wireside.auth.authenticator import Mode
from wireside.auth.limiter import MemoryLimiter
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.chat.service import ChatService
from wireside.limits.networks import TrustedNetworks
from wireside.protocol.handshake import HandshakePolicy

__all__ = ["house"]  # re-exported fixtures

OUTSIDE = "203.0.113.7"

OWN_APP = """
from wireside.app import create_app
from wireside.settings.model import Settings

app = create_app(Settings(data_dir={folder!r}, openai_base_url="http://127.0.0.1:9/v1"))
"""


@pytest.fixture
def status(house: House, chat: ChatService) -> Callable[..., Any]:
    """Return a function that requests a path and returns the status, 0 if it reaches the app."""

    async def ask(
        path: str,
        *,
        peer: str = "127.0.0.1",
        client: str = "",
        mode: Mode = "none",
        serves_others: bool = False,
        is_relayed: bool = False,
        kind: str = "http",
        gateways: TrustedNetworks | None = None,
        own: str = "172.17.0.2",
        header: bytes = b"x-other",
    ) -> int:
        statuses: list[int] = []

        async def app(*_: Any) -> None:
            statuses.append(0)

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            if "status" in message:
                statuses.append(message["status"])

        guard = AuthenticationMiddleware(
            app,
            gate=house.gate(mode),
            chat=chat,
            door=HandshakePolicy(),
            quotas=UserQuotas(MemoryLimiter(house.clock), QuotaLimits()),
            rules=AuthenticationRules(serves_others=serves_others, gateways=gateways),
        )
        scope = {
            "type": kind,
            "scheme": "http",
            "path": path,
            "method": "GET",
            "headers": [(b"host", b"localhost"), (header, b"203.0.113.7")],
            "client": (client or peer, 4000),
            "server": (own, 8080),
            "wireside.peer": peer,
            "wireside.is_relayed": is_relayed,
            "extensions": {"websocket.http.response": {}},
        }
        await with_known_paths(guard)(scope, receive, send)
        return statuses[0]

    return ask


PATHS = ("/", "/api/me", "/api/models", "/login", "/settings", "/dashboard", "/s/x", "/oidc/login")
HERE = ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "", "testclient", "/run/x.sock")
ELSEWHERE = (OUTSIDE, "192.168.1.5", "2001:db8::1", "::ffff:203.0.113.7", "0.0.0.0", "fe80::1%eth0")


@pytest.mark.parametrize("peer", ELSEWHERE)
async def test_without_accounts_other_machines_are_refused(status: Any, peer: str) -> None:
    for path in PATHS:
        assert await status(path, peer=peer) == 403
        assert await status(path, peer=peer, client="127.0.0.1") == 403  # as a proxy there says
        assert await status(path, peer=peer, serves_others=True) == 403
    for path in ("/ws/ai-chat", "/ws/doctor", "/_nicegui_ws/socket.io/", "/other"):
        assert await status(path, peer=peer, kind="websocket") == 403
    assert await status("/api/health/live", peer=peer) == 0
    assert await status("/api/me", peer=peer, mode="password") == 401


@pytest.mark.parametrize("peer", HERE)
async def test_this_machine_is_answered(status: Any, peer: str) -> None:
    assert await status("/api/me", peer=peer) == 0
    assert await status("/ws/ai-chat", peer=peer, kind="websocket") == 0


async def test_a_proxy_passes_on_others_only_where_the_server_is_to_be_found(status: Any) -> None:
    assert await status("/api/me", client=OUTSIDE) == 403
    assert await status("/api/me", client=OUTSIDE, serves_others=True) == 0
    assert await status("/api/me", client="127.0.0.1") == 0


async def test_what_another_server_says_of_a_proxy_is_not_believed(status: Any) -> None:
    assert await status("/api/me", is_relayed=True, serves_others=True) == 403


GATEWAY = TrustedNetworks.parse_list(["172.17.0.1"])


async def test_in_a_container_the_machine_that_runs_it_counts_as_this_one(status: Any) -> None:
    assert await status("/api/me", peer="172.17.0.1", gateways=GATEWAY) == 0
    assert await status("/ws/ai-chat", peer="172.17.0.1", gateways=GATEWAY, kind="websocket") == 0
    # an engine without root forwards connections as the container itself
    assert await status("/api/me", peer="172.17.0.2", gateways=GATEWAY) == 0
    assert await status("/api/me", gateways=GATEWAY) == 0


async def test_in_a_container_all_others_are_refused(status: Any) -> None:
    for peer in ("172.17.0.3", *ELSEWHERE):
        assert await status("/api/me", peer=peer, gateways=GATEWAY) == 403
    assert await status("/api/me", peer="172.17.0.1") == 403
    for header in (b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip"):
        assert await status("/api/me", peer="172.17.0.1", gateways=GATEWAY, header=header) == 403


async def test_a_container_for_its_own_machine_answers_loopback_names_only(tmp_path: Path) -> None:
    server = ServerProcess(
        tmp_path, "http://127.0.0.1:9/v1", host="0.0.0.0", loopback_published="true"
    )
    async with server:
        base_url = server.url.replace("0.0.0.0", "127.0.0.1")
        async with httpx2.AsyncClient(base_url=base_url, trust_env=False) as client:
            assert "publish the port on loopback only" in " ".join(server.log.split())
            for host in ("127.0.0.1", "localhost:9999"):
                assert (await client.get("/api/me", headers={"Host": host})).status_code == 200
            for host in ("chat.example.org", "192.168.1.5:8080", "0.0.0.0"):
                assert (await client.get("/api/me", headers={"Host": host})).status_code == 400
            forwarded = {"X-Forwarded-For": OUTSIDE}
            assert (await client.get("/api/me", headers=forwarded)).status_code == 403


@pytest.fixture
async def own_app(tmp_path: Path) -> AsyncIterator[str]:
    """The application under a uvicorn that knows none of its settings; yields its address."""
    (tmp_path / "own.py").write_text(OWN_APP.format(folder=str(tmp_path)))
    command = (sys.executable, "-m", "uvicorn", "own:app", "--host", "0.0.0.0", "--port", "0")
    process = await asyncio.create_subprocess_exec(
        *command,
        "--forwarded-allow-ips=*",
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "NICEGUI"))},
        stderr=asyncio.subprocess.STDOUT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if found := re.search(rb"running on http://0.0.0.0:(\d+)", line):
            yield f"http://127.0.0.1:{int(found[1])}"
            break
    else:
        pytest.fail("It has ended where it should listen.")
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.communicate()


@pytest.mark.slow
async def test_a_server_of_ones_own_opens_nothing_to_others(own_app: str) -> None:
    async with httpx2.AsyncClient(base_url=own_app) as client:
        assert (await client.get("/api/me")).status_code == 200
        for told in (OUTSIDE, "127.0.0.1", "localhost"):  # any client can send this header
            response = await client.get("/api/me", headers={"X-Forwarded-For": told})
            assert response.status_code == 403
            assert "no accounts" in response.json()["message"]


@pytest.mark.slow
async def test_what_is_wrong_with_an_address_is_told(tmp_path: Path) -> None:
    names = {"trusted_hosts": "chat.example,127.0.0.1"}
    with ServerProcess(tmp_path, "http://127.0.0.1:9/v1", **names) as server:
        root = server.url.replace("http", "ws", 1)
        for path in ("/ws/ai-chat", "/ws/ai-chat/"):
            async with connect(root + path) as client:
                await client.send("ping")
                assert await client.recv() == "pong"
        for path in ("/chat/ws/ai-chat", "/ws/ai-chat/x", "/ws", "/", "/api/models"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(root + path)
            assert refused.value.response.status_code == 404
            assert f" {path}; the chat is at /ws/ai-chat." in refused.value.response.body.decode()
        async with httpx2.AsyncClient(base_url=server.url) as client:
            response = await client.get("/ws/ai-chat/")
            assert response.status_code == 426
            described = await client.get(response.json()["message"].split()[-1])
            assert described.headers["content-type"].startswith("text/plain")
            assert described.text.startswith("# The `/ws/ai-chat` protocol")
            for host in ("10.0.0.5:8080", "pod-7", "evil.example", "a b"):
                headers = {"Host": host}
                assert (await client.get("/api/health/live", headers=headers)).status_code == 200
                assert (await client.get("/api/models", headers=headers)).status_code == 400


@pytest.mark.slow
async def test_what_does_not_let_in_is_named(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "http://127.0.0.1:9/v1", auth="password") as server:
        cases = {
            "Bearer wrong": "This key is unknown or expired.",
            "bearer ws_x": "This key is unknown or expired.",
            "Basic QQ==": "Authorization: Bearer KEY",
            "": "Please sign in first.",
        }
        async with httpx2.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/docs/protocol")).status_code == 200
            for header, told in cases.items():
                headers = {"Authorization": header} if header else {}
                response = await client.get("/api/models", headers=headers)
                assert response.status_code == 401
                assert told in response.json()["message"]
                with pytest.raises(InvalidStatus) as refused:
                    await connect(server.socket_url, additional_headers=headers)
                assert told in refused.value.response.body.decode()
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.socket_url, subprotocols=["ticket.x"])  # type: ignore[list-item]  # a NewType
        assert "This ticket is unknown, used or expired" in refused.value.response.body.decode()
