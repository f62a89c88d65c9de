"""Accounts over a real database, with hashes that are quick and clocks that the test moves."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from wireside.auth.accounts import Accounts
from wireside.auth.gate import Credentials, Gate, Mode, ProxyRules, RolesByGroup
from wireside.auth.keys import Keys
from wireside.auth.limiter import MemoryLimiter
from wireside.auth.passwords import Passwords
from wireside.auth.presence import Presence
from wireside.auth.sign_ins import SignIns
from wireside.auth.tickets import Tickets
from wireside.auth.tries import Tries
from wireside.identity import Caller
from wireside.records import User
from wireside.store.store import SqlStore

PASSWORD = "a good long password"


class HandClock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class House:
    """All that there is about who may come in."""

    store: SqlStore
    clock: HandClock
    presence: Presence
    passwords: Passwords
    accounts: Accounts
    sign_ins: SignIns
    keys: Keys
    tickets: Tickets
    removed: list[str]

    def gate(self, mode: Mode = "password", roles: RolesByGroup | None = None) -> Gate:
        return Gate(
            mode,
            accounts=self.accounts,
            sign_ins=self.sign_ins,
            keys=self.keys,
            tickets=self.tickets,
            proxy=ProxyRules(roles=roles or RolesByGroup()),
            presence=self.presence,
            store=self.store.accounts,
            wall_clock=self.clock,
        )

    async def administrator(self, name: str = "ada") -> Caller:
        secret = await self.accounts.first_link()
        assert secret is not None
        return as_caller(await self.accounts.join(secret, name, PASSWORD))

    async def person(self, admin: Caller, name: str, role: str = "user") -> User:
        secret = await self.accounts.invite(admin, role)  # type: ignore[arg-type]
        return await self.accounts.join(secret, name, PASSWORD)

    async def signed_in(self, name: str) -> Caller:
        cookie = await self.sign_ins.sign_in(name, PASSWORD, agent="Firefox", address="192.0.2.1")
        caller = await self.gate().caller(Credentials("192.0.2.1", cookie=cookie))
        assert caller is not None
        return caller


def as_caller(user: User) -> Caller:
    return Caller(user.id, user.name, user.role)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def house(store: SqlStore, clock: HandClock) -> House:
    quick = Passwords(Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1))
    presence, removed = Presence(), list[str]()
    tries = Tries(MemoryLimiter(clock))
    accounts = Accounts(store.accounts, quick, presence, tries, clock, removed.append)
    sign_ins = SignIns(store.accounts, quick, presence, tries, clock, secret="s" * 32, days=30)
    keys = Keys(store.accounts, presence, clock)
    tickets = Tickets(clock)
    return House(store, clock, presence, quick, accounts, sign_ins, keys, tickets, removed)
