"""The audit log records actions, and administrators can read it."""

from __future__ import annotations

import asyncio

import pytest

from tests.backend.auth.conftest import PASSWORD, House, as_caller
from wireside.auth.accounts import Accounts
from wireside.auth.audit import Audit
from wireside.auth.authenticator import Credentials
from wireside.auth.cookies import CookieKey
from wireside.auth.keys import Keys
from wireside.auth.limiter import MemoryLimiter
from wireside.auth.login_throttle import LoginThrottle
from wireside.auth.sessions import BrowserSessions
from wireside.errors import BadMessage, Forbidden, StoreError, Unauthorized
from wireside.identity import Caller


@pytest.fixture
def audit(house: House) -> Audit:
    """An audit log that records everything done in ``house`` from here on."""
    store = house.store.accounts
    audit = Audit(store, house.clock)
    tries = LoginThrottle(MemoryLimiter(house.clock), audit)
    house.accounts = Accounts(
        store=store,
        passwords=house.passwords,
        presence=house.presence,
        tries=tries,
        wall_clock=house.clock,
        witness=audit,
    )
    house.keys = Keys(store, house.presence, house.clock, audit)
    house.sign_ins = BrowserSessions(
        store=store,
        passwords=house.passwords,
        presence=house.presence,
        tries=tries,
        wall_clock=house.clock,
        key=CookieKey("s" * 32),
        days=30,
        witness=audit,
    )
    return audit


async def test_what_is_done_to_accounts_and_keys_is_kept(house: House, audit: Audit) -> None:
    ada = await house.administrator()
    grace = await house.person(ada, "grace")
    here = await house.signed_in("grace")
    with pytest.raises(Unauthorized):
        await house.sign_ins.sign_in("grace", "wrong", agent="", address="198.51.100.7")
    key, text = await house.keys.create_key(here, "script", ["chat"])
    await house.keys.authenticate(text, "192.0.2.5")
    await house.keys.authenticate(text, "192.0.2.5")  # recorded once an hour
    await house.keys.revoke_key(here, key.id)
    await house.accounts.set_role(ada, grace.id, "viewer")
    with pytest.raises(BadMessage):
        await house.accounts.disable_user(ada, ada.user_id)  # an action that failed is not recorded
    await house.accounts.disable_user(ada, grace.id)
    await house.accounts.remove_user(ada, grace.id)
    seen = [(entry.name, entry.action) for entry in reversed(await audit.read_entries(ada))]
    assert seen == [
        ("ada", "account_made"),
        ("ada", "invited"),
        ("grace", "account_made"),
        ("grace", "signed_in"),
        ("", "sign_in_failed"),
        ("grace", "key_made"),
        ("grace", "key_used"),
        ("grace", "key_revoked"),
        ("ada", "role_changed"),
        ("ada", "account_disabled"),
        ("ada", "account_removed"),
    ]
    everything = str(await audit.read_entries(ada))
    assert PASSWORD not in everything
    assert text[-32:] not in everything


async def test_whom_a_proxy_signs_in_is_told_once_a_day(house: House, audit: Audit) -> None:
    gate = house.gate("proxy")

    async def visit(address: str) -> Caller:
        said = {"x-forwarded-user": "ada"}
        caller = await gate.authenticate(
            Credentials(address=address, headers=said, is_from_proxy=True)
        )
        assert caller is not None
        return caller

    ada = await visit("192.0.2.1")
    for _ in range(3):  # from morning to evening, each day
        for _ in range(8):
            house.clock.now += 3600
            await asyncio.gather(visit("192.0.2.1"), visit("192.0.2.1"), visit("192.0.2.1"))
        house.clock.now += 16 * 3600
    seen = [(one.name, one.action, one.address) for one in reversed(await audit.read_entries(ada))]
    days = {day // 86_400 for day in range(1_000_000, int(house.clock.now) - 16 * 3600, 3600)}
    assert seen[0][:2] == ("ada", "account_made")
    assert seen[1:] == [("ada", "signed_in", "192.0.2.1")] * len(days)


async def test_a_key_that_never_rests_is_told_every_day(house: House, audit: Audit) -> None:
    ada = await house.administrator()
    _, text = await house.keys.create_key(ada, "key", ["read"])
    for _ in range(3 * 24 * 4):
        await house.keys.authenticate(text, "192.0.2.1")
        house.clock.now += 900
    told = [one for one in await audit.read_entries(ada) if one.action == "key_used"]
    assert len(told) == 4


async def test_it_is_searched_and_paged(house: House, audit: Audit) -> None:
    ada = await house.administrator()
    for number in range(7):
        audit.record(ada, "role_changed", f"user-{number}: 100%_sure")
    assert len(await audit.read_entries(ada, "ROLE user-3")) == 1
    assert len(await audit.read_entries(ada, "100%_")) == 7
    assert await audit.read_entries(ada, "100%x") == []
    first = await audit.read_entries(ada, "role", limit=4)
    rest = await audit.read_entries(ada, "role", before=first[-1].number, limit=4)
    assert [entry.subject[5] for entry in (*first, *rest)] == list("6543210")


async def test_only_administrators_read_it(house: House, audit: Audit) -> None:
    ada = await house.administrator()
    eve = as_caller(await house.person(ada, "eve"))
    for who in (
        eve,
        Caller(user_id=ada.user_id, name="ada", role="admin", scopes=frozenset({"chat", "read"})),
    ):
        with pytest.raises(Forbidden):
            await audit.read_entries(who)


async def test_what_cannot_be_written_now_is_written_later(
    house: House, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await house.administrator()

    async def fail(*_: object) -> None:
        raise StoreError

    with monkeypatch.context() as broken:
        broken.setattr(house.store.accounts, "append_audit_entries", fail)
        audit.record(ada, "key_made")
        await audit.flush_entries()
    assert next(entry.action for entry in await audit.read_entries(ada)) == "key_made"


async def test_it_forgets_what_is_old(house: House, audit: Audit) -> None:
    ada = await house.administrator()
    await audit.flush_entries()
    house.clock.now += 10 * 86_400
    audit.record(ada, "key_made")
    await audit.flush_entries()
    await audit.remove_outdated(5)
    assert [entry.action for entry in await audit.read_entries(ada)] == ["key_made"]


async def test_who_reads_while_it_is_written_finds_each_entry_once(
    house: House, audit: Audit
) -> None:
    ada = await house.administrator()
    await house.signed_in("ada")
    await asyncio.gather(audit.flush_entries(), audit.flush_entries(), audit.read_entries(ada))
    entries = await audit.read_entries(ada)
    assert [one.action for one in entries] == ["signed_in", "account_made"]
