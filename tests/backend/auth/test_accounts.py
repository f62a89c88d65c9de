"""Accounts: the first one, invitations, passwords, administration."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.backend.auth.conftest import PASSWORD, House, as_caller
from wireside.auth.accounts import INVITATION_S, RESET_S, ExternalIdentity
from wireside.auth.login_throttle import OF_NAME_THERE
from wireside.errors import BadMessage, Forbidden, NotFound, RateLimited, Unauthorized
from wireside.identity import Caller, Scope, clean_name
from wireside.records import ConversationInfo


async def test_the_first_link_makes_an_administrator_and_works_once(house: House) -> None:
    secret = await house.accounts.first_link()
    assert secret is not None
    user = await house.accounts.accept_invitation(secret, "  Ada  Lovelace ", PASSWORD)
    assert (user.name, user.role) == ("ada lovelace", "admin")
    with pytest.raises(NotFound):
        await house.accounts.accept_invitation(secret, "eve", PASSWORD)
    assert await house.accounts.first_link() is None


async def test_a_new_start_makes_the_first_link_of_the_last_one_useless(house: House) -> None:
    old = await house.accounts.first_link()
    new = await house.accounts.first_link()
    assert old is not None
    assert new is not None
    with pytest.raises(NotFound):
        await house.accounts.accept_invitation(old, "eve", PASSWORD)
    await house.accounts.accept_invitation(new, "ada", PASSWORD)


async def test_what_was_kept_before_there_were_accounts_is_the_first_ones(house: House) -> None:
    await house.store.create_conversation(
        ConversationInfo(id="c", title="Title", created_at=1.0, updated_at=1.0)
    )
    ada = await house.administrator()
    stored = await house.store.conversation("c")
    assert stored is not None
    assert stored.info.owner == ada.user_id


async def test_an_invitation_is_good_for_a_week_and_for_one(house: House) -> None:
    ada = await house.administrator()
    late = await house.accounts.create_invitation(ada, "user")
    house.clock.now += INVITATION_S + 1
    with pytest.raises(NotFound):
        await house.accounts.accept_invitation(late, "eve", PASSWORD)
    fresh = await house.accounts.create_invitation(ada, "viewer", "Grace")
    both = await asyncio.gather(
        house.accounts.accept_invitation(fresh, "ignored", PASSWORD),
        house.accounts.accept_invitation(fresh, "ignored", PASSWORD),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Exception) for one in both) == 1
    names = {user.name: user.role for user in await house.accounts.list_users(ada)}
    assert names == {"ada": "admin", "grace": "viewer"}


async def test_a_name_that_is_taken_leaves_the_invitation_good(house: House) -> None:
    ada = await house.administrator()
    secret = await house.accounts.create_invitation(ada, "user")
    with pytest.raises(BadMessage, match="taken"):
        await house.accounts.accept_invitation(secret, "ADA", PASSWORD)
    assert (await house.accounts.accept_invitation(secret, "grace", PASSWORD)).name == "grace"


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaaaaaa", "x" * 257])
async def test_a_poor_password_is_refused_and_the_link_stays_good(
    house: House, password: str
) -> None:
    secret = await house.accounts.first_link()
    assert secret is not None
    with pytest.raises(BadMessage, match="password"):
        await house.accounts.accept_invitation(secret, "ada", password)
    await house.accounts.accept_invitation(secret, "ada", PASSWORD)


@pytest.mark.parametrize("name", ["", "   ", "\u200b\u202e", "\x00\x1b[2J"[:1]])
async def test_a_name_must_be_seen(house: House, name: str) -> None:
    secret = await house.accounts.first_link()
    assert secret is not None
    with pytest.raises(BadMessage, match="name"):
        await house.accounts.accept_invitation(secret, name, PASSWORD)


def test_names_have_one_spelling() -> None:
    assert clean_name("ＡＤＡ\u200b") == clean_name(" ada ") == "ada"
    assert clean_name("a\x1b[2Jb\n") == "a[2jb"
    assert len(clean_name("x" * 500)) == 64


async def test_a_reset_sets_the_password_and_signs_out_everywhere(house: House) -> None:
    ada = await house.administrator()
    grace = await house.person(ada, "grace")
    here = await house.signed_in("grace")
    ended: list[str] = []
    house.presence.register_connection(here, lambda: ended.append("page"))
    first = await house.accounts.create_reset_link(ada, grace.id)
    secret = await house.accounts.create_reset_link(ada, grace.id)
    with pytest.raises(NotFound):  # only the newest link works
        await house.accounts.accept_invitation(first, "", "a whole new password")
    await house.accounts.accept_invitation(secret, "somebody else", "a whole new password")
    assert ended == ["page"]
    with pytest.raises(Unauthorized):
        await house.signed_in("grace")
    cookie = await house.sign_ins.sign_in(
        "grace", "a whole new password", agent="", address="192.0.2.1"
    )
    assert cookie
    with pytest.raises(NotFound):
        await house.accounts.accept_invitation(secret, "", "once more a password")


async def test_a_reset_is_good_for_a_day(house: House) -> None:
    ada = await house.administrator()
    secret = await house.accounts.create_reset_link(ada, ada.user_id)
    house.clock.now += RESET_S + 1
    with pytest.raises(NotFound):
        await house.accounts.accept_invitation(secret, "", "a whole new password")


async def test_a_new_password_needs_the_old_one_and_ends_other_sessions(house: House) -> None:
    await house.administrator()
    here, there = await house.signed_in("ada"), await house.signed_in("ada")
    ended: list[str] = []
    house.presence.register_connection(here, lambda: ended.append("here"))
    house.presence.register_connection(there, lambda: ended.append("there"))
    with pytest.raises(BadMessage, match="wrong"):
        await house.accounts.change_password(here, "not it at all", "a whole new password")
    assert ended == []
    await house.accounts.change_password(here, PASSWORD, "a whole new password")
    assert ended == ["there"]
    assert [one.id for one in await house.sign_ins.list_sessions(here)] == [
        here.credential.split()[1]
    ]


async def test_the_old_password_cannot_be_guessed(house: House) -> None:
    await house.administrator()
    here = await house.signed_in("ada")
    for number in range(OF_NAME_THERE.limit):
        with pytest.raises(BadMessage, match="wrong"):
            await house.accounts.change_password(here, f"guess {number}", "a whole new password")
    with pytest.raises(RateLimited):
        await house.accounts.change_password(here, PASSWORD, "a whole new password")
    with pytest.raises(RateLimited):  # nor is the sign-in from that address accepted
        await house.sign_ins.sign_in("ada", PASSWORD, agent="", address=here.address)


@pytest.mark.parametrize("scopes", [{"read"}, {"chat", "read"}])
async def test_a_key_does_not_try_passwords(house: House, scopes: set[Scope]) -> None:
    ada = await house.administrator()
    with_key = replace(ada, scopes=frozenset(scopes), credential="key k")
    with pytest.raises(Forbidden):
        await house.accounts.change_password(with_key, PASSWORD, "a whole new password")


async def test_there_is_always_an_administrator(house: House) -> None:
    ada = await house.administrator()
    for change in (
        house.accounts.disable_user(ada, ada.user_id),
        house.accounts.remove_user(ada, ada.user_id),
        house.accounts.set_role(ada, ada.user_id, "user"),
    ):
        with pytest.raises(BadMessage, match="administrator"):
            await change
    grace = await house.person(ada, "grace", "admin")
    await house.accounts.set_role(ada, ada.user_id, "user")
    with pytest.raises(BadMessage, match="administrator"):
        await house.accounts.disable_user(as_caller(grace), grace.id)


async def test_two_administrators_do_not_put_each_other_out(house: House) -> None:
    ada = await house.administrator()
    grace = as_caller(await house.person(ada, "grace", "admin"))
    done = await asyncio.gather(
        house.accounts.set_role(ada, grace.user_id, "user"),
        house.accounts.set_role(grace, ada.user_id, "user"),
        return_exceptions=True,
    )
    assert {type(one) for one in done} == {Forbidden, type(None)}
    assert sorted(user.role for user in await house.accounts.list_users(ada)) == ["admin", "user"]


async def test_what_an_administrator_of_yesterday_had_asked_for_comes_too_late(
    house: House,
) -> None:
    """A loop of requests could restore the role, or leave a link that does."""
    ada = await house.administrator()
    # the caller as an earlier request has read it
    grace = as_caller(await house.person(ada, "grace", "admin"))
    await house.accounts.set_role(ada, grace.user_id, "user")
    accounts = house.accounts
    for late in (
        accounts.set_role(grace, grace.user_id, "admin"),
        accounts.enable_user(grace, grace.user_id),
        accounts.disable_user(grace, ada.user_id),
        accounts.remove_user(grace, ada.user_id),
        accounts.create_reset_link(grace, ada.user_id),
        accounts.create_invitation(grace, "admin"),
    ):
        with pytest.raises(Forbidden):
            await late
    assert await accounts.invitations(ada) == []
    roles = {user.name: user.role for user in await accounts.list_users(ada)}
    assert roles == {"ada": "admin", "grace": "user"}


async def test_a_disabled_account_is_out_at_once_and_may_come_back(house: House) -> None:
    ada = await house.administrator()
    grace = await house.person(ada, "grace")
    here = await house.signed_in("grace")
    ended: list[str] = []
    house.presence.register_connection(here, lambda: ended.append("page"))
    await house.accounts.disable_user(ada, grace.id)
    assert ended == ["page"]
    with pytest.raises(Unauthorized):
        await house.signed_in("grace")
    await house.accounts.enable_user(ada, grace.id)
    assert (await house.signed_in("grace")).user_id == grace.id


async def test_a_new_role_counts_at_once(house: House) -> None:
    ada = await house.administrator()
    grace = await house.person(ada, "grace")
    here = await house.signed_in("grace")
    ended: list[str] = []
    house.presence.register_connection(here, lambda: ended.append("page"))
    await house.accounts.set_role(ada, grace.id, "viewer")
    assert ended == ["page"]
    assert (await house.signed_in("grace")).role == "viewer"


async def test_a_removed_account_takes_all_it_had_along(house: House) -> None:
    ada = await house.administrator()
    grace = await house.person(ada, "grace")
    await house.store.create_conversation(
        ConversationInfo(id="c", title="Title", created_at=1.0, updated_at=1.0, owner=grace.id)
    )
    key, _ = await house.keys.create_key(as_caller(grace), "key", ["chat"])
    await house.accounts.remove_user(ada, grace.id)
    assert await house.store.conversation("c") is None
    assert await house.store.accounts.find_key_by_id(key.id) is None
    assert house.removed == [grace.id]
    house.clock.now += 100
    assert await house.store.purge_conversations(house.clock.now) == 1


@pytest.mark.parametrize("role", ["user", "viewer"])
async def test_only_administrators_administer(house: House, role: str) -> None:
    ada = await house.administrator()
    eve = as_caller(await house.person(ada, "eve", role))
    with_key = Caller(
        user_id=ada.user_id, name="ada", role="admin", scopes=frozenset({"chat", "read"})
    )
    for who in (eve, with_key):
        for call in (
            lambda who=who: house.accounts.list_users(who),
            lambda who=who: house.accounts.invitations(who),
            lambda who=who: house.accounts.create_invitation(who, "admin"),
            lambda who=who: house.accounts.take_back(who, "x"),
            lambda who=who: house.accounts.create_reset_link(who, ada.user_id),
            lambda who=who: house.accounts.set_role(who, eve.user_id, "admin"),
            lambda who=who: house.accounts.disable_user(who, ada.user_id),
            lambda who=who: house.accounts.enable_user(who, ada.user_id),
            lambda who=who: house.accounts.remove_user(who, ada.user_id),
        ):
            with pytest.raises(Forbidden):
                await call()


async def test_whom_somebody_else_vouches_for_gets_an_account(house: House) -> None:
    first = await house.accounts.sign_in_external(ExternalIdentity("idp 1", "Ada"))
    assert (first.name, first.role, first.password) == ("ada", "admin", None)
    again = await house.accounts.sign_in_external(ExternalIdentity("idp 1", "Ada Lovelace"))
    assert again.id == first.id
    other = await house.accounts.sign_in_external(ExternalIdentity("idp 2", "Ada", "viewer"))
    assert (other.name, other.role) == ("ada 2", "viewer")
    promoted = await house.accounts.sign_in_external(ExternalIdentity("idp 2", "Ada", "user"))
    assert (promoted.id, promoted.role) == (other.id, "user")
    await house.accounts.disable_user(as_caller(first), other.id)
    with pytest.raises(Forbidden):
        await house.accounts.sign_in_external(ExternalIdentity("idp 2", "Ada", "user"))
    with pytest.raises(BadMessage):
        await house.accounts.create_reset_link(as_caller(first), other.id)


async def test_one_of_those_who_come_first_at_once_is_the_administrator(house: House) -> None:
    users = await asyncio.gather(
        *(
            house.accounts.sign_in_external(ExternalIdentity(f"idp {name}", name))
            for name in ("ada", "bob", "eve")
        )
    )
    assert sorted(user.role for user in users) == ["admin", "user", "user"]


async def test_two_who_come_for_the_first_time_at_once_are_one(house: House) -> None:
    users = await asyncio.gather(
        *(house.accounts.sign_in_external(ExternalIdentity("s", "x")) for _ in range(5))
    )
    assert len({user.id for user in users}) == 1
