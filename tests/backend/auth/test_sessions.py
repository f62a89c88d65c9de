"""Sessions of browsers."""

from __future__ import annotations

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from tests.backend.auth.conftest import PASSWORD, House
from wireside.auth.authenticator import Credentials
from wireside.auth.login_throttle import AT_NETWORK, OF_NAME_THERE
from wireside.errors import NotFound, RateLimited, Unauthorized
from wireside.tokens import hash_secret

HERE = "192.0.2.1"


async def sign_in(house: House, name: str, password: str = PASSWORD, address: str = HERE) -> str:
    return await house.sign_ins.sign_in(name, password, agent="Firefox", address=address)


async def test_a_cookie_lets_its_owner_in(house: House) -> None:
    ada = await house.administrator()
    cookie = await sign_in(house, "Ada")
    caller = await house.sign_ins.authenticate(cookie, HERE)
    assert caller is not None
    assert (caller.user_id, caller.role, caller.address) == (ada.user_id, "admin", HERE)
    assert PASSWORD not in cookie


async def test_each_sign_in_is_a_session_of_its_own(house: House) -> None:
    await house.administrator()
    assert await sign_in(house, "ada") != await sign_in(house, "ada")


async def test_a_cookie_that_was_changed_lets_nobody_in(house: House) -> None:
    await house.administrator()
    cookie = await sign_in(house, "ada")
    token, _, signature = cookie.rpartition(".")
    for wrong in ("", "x", token, f"{token}.{signature[:-2]}", f"x{cookie}", f"{cookie}\0", "é.é"):
        assert await house.sign_ins.authenticate(wrong, HERE) is None


async def test_a_session_ends_after_days_without_a_visit(house: House) -> None:
    await house.administrator()
    cookie = await sign_in(house, "ada")
    for _ in range(3):  # each visit extends the session
        house.clock.now += 20 * 86_400
        assert await house.sign_ins.authenticate(cookie, HERE)
    house.clock.now += 31 * 86_400
    assert await house.sign_ins.authenticate(cookie, HERE) is None
    await house.store.accounts.clean_up(house.clock.now)
    caller = await house.signed_in("ada")
    assert len(await house.sign_ins.list_sessions(caller)) == 1


async def test_who_is_let_in_by_a_password_that_is_changed_meanwhile_is_not(house: House) -> None:
    """A password check takes time; changing the password ends the sessions that exist by then."""
    await house.administrator()
    ada = await house.signed_in("ada")
    read_before = await house.accounts.find_user(ada.user_id)
    assert read_before is not None
    await house.accounts.change_password(ada, PASSWORD, "another long password")
    with pytest.raises(Unauthorized):
        await house.sign_ins.create_session(read_before, agent="Firefox", address=HERE)
    assert len(await house.sign_ins.list_sessions(ada)) == 1


async def test_wrong_names_and_wrong_passwords_are_told_alike(house: House) -> None:
    await house.administrator()
    said = set()
    for name, password in (("ada", "wrong password"), ("nobody", PASSWORD), ("", "")):
        with pytest.raises(Unauthorized) as refused:
            await sign_in(house, name, password)
        said.add(str(refused.value))
    assert len(said) == 1


async def test_an_unknown_name_costs_what_a_wrong_password_costs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted, not timed: as many hashes are looked up and verified, each at the same cost."""
    ada = await house.administrator()
    grace = await house.person(ada, "grace")
    await house.accounts.disable_user(ada, grace.id)
    work: list[str] = []
    make, verify = Argon2Hasher.hash, Argon2Hasher.verify

    def hashed(self: Argon2Hasher, *given: str) -> str:
        work.append("hash")
        return make(self, *given)

    def verified(self: Argon2Hasher, password: str, known: str) -> bool:
        work.append(known.rpartition("p=")[0])  # the algorithm and its costs, without the salt
        return verify(self, password, known)

    # makes the hash of unknown names, once in a process
    await house.passwords.verify_password(PASSWORD, None)
    monkeypatch.setattr(Argon2Hasher, "hash", hashed)
    monkeypatch.setattr(Argon2Hasher, "verify", verified)
    spent = []
    for name, password in (
        ("ada", "wrong password"),
        ("nobody", PASSWORD),
        ("nobody", "x" * 10_000),
        ("grace", PASSWORD),
        ("", ""),
        ("\0", PASSWORD),
    ):
        work.clear()
        with pytest.raises(Unauthorized):
            await sign_in(house, name, password)
        spent.append(tuple(work))
    assert len(spent[0]) == 1
    assert spent[0][0].startswith("$argon2id$")
    assert len(set(spent)) == 1, spent


async def test_what_a_cookie_holds_is_looked_up_by_its_hash(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the time of the lookup reveals nothing about the secret."""
    await house.administrator()
    cookie = await sign_in(house, "ada")
    token = cookie.rpartition(".")[0]
    asked: list[object] = []
    look = type(house.store.accounts).find_sign_in

    async def seen(self: object, *given: object) -> object:
        asked.extend(given)
        return await look(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(type(house.store.accounts), "find_sign_in", seen)
    assert await house.sign_ins.authenticate(cookie, HERE) is not None
    assert asked == [hash_secret(token)]


async def test_guessing_is_slowed_down_for_where_it_comes_from(house: House) -> None:
    await house.administrator()
    for _ in range(OF_NAME_THERE.limit):
        with pytest.raises(Unauthorized):
            await sign_in(house, "ada", "wrong password")
    with pytest.raises(RateLimited) as slowed:
        await sign_in(house, "ada")
    assert 0 < (slowed.value.retry_after or 0) <= OF_NAME_THERE.window_s
    await sign_in(house, "ada", address="203.0.113.1")  # the account's owner is not locked out
    house.clock.now += OF_NAME_THERE.window_s + 10
    await sign_in(house, "ada")


async def test_who_gets_it_right_may_sign_in_often(house: House) -> None:
    await house.administrator()
    for _ in range(AT_NETWORK.limit - 1):
        await sign_in(house, "ada")


async def test_signing_out_closes_what_is_open_there_and_only_there(house: House) -> None:
    await house.administrator()
    here, there = await house.signed_in("ada"), await house.signed_in("ada")
    ended: list[str] = []
    house.presence.register_connection(here, lambda: ended.append("here"))
    house.presence.register_connection(there, lambda: ended.append("there"))
    await house.sign_ins.end_session(here)
    assert ended == ["here"]
    assert len(await house.sign_ins.list_sessions(there)) == 1


async def test_one_may_sign_out_elsewhere(house: House) -> None:
    await house.administrator()
    here, there = await house.signed_in("ada"), await house.signed_in("ada")
    await house.sign_ins.end_session(here, there.credential.split()[1])
    assert len(await house.sign_ins.list_sessions(here)) == 1
    await house.signed_in("ada")
    await house.signed_in("ada")
    await house.sign_ins.end_others(here)
    assert [one.id for one in await house.sign_ins.list_sessions(here)] == [
        here.credential.split()[1]
    ]


async def test_nobody_ends_the_sessions_of_others(house: House) -> None:
    ada = await house.administrator()
    await house.person(ada, "eve")
    victim, eve = await house.signed_in("ada"), await house.signed_in("eve")
    with pytest.raises(NotFound):
        await house.sign_ins.end_session(eve, victim.credential.split()[1])
    assert len(await house.sign_ins.list_sessions(victim)) == 1


async def test_a_cookie_counts_on_our_own_pages_only(house: House) -> None:
    await house.administrator()
    cookie = await sign_in(house, "ada")
    gate = house.gate()
    assert await gate.authenticate(Credentials(address=HERE, cookie=cookie))
    assert (
        await gate.authenticate(Credentials(address=HERE, cookie=cookie, is_own_page=False)) is None
    )
