"""Authentication in each mode, and connections that have to be closed."""

from __future__ import annotations

import asyncio

import pytest

from tests.backend.auth.conftest import House
from wireside.auth import authenticator as gates
from wireside.auth.authenticator import Credentials, RolesByGroup

HERE = "192.0.2.1"


async def test_without_accounts_everybody_is_the_one_at_this_machine(house: House) -> None:
    caller = await house.gate("none").authenticate(Credentials(address=HERE, is_own_page=False))
    assert caller is not None
    assert (caller.user_id, caller.role, caller.address) == ("", "admin", HERE)


@pytest.mark.parametrize("mode", ["password", "oidc", "proxy"])
async def test_who_brings_nothing_does_not_come_in(house: House, mode: gates.Mode) -> None:
    assert await house.gate(mode).authenticate(Credentials(address=HERE)) is None


async def test_what_a_proxy_says_counts_from_the_proxy_only(house: House) -> None:
    gate = house.gate("proxy")
    said = {"x-forwarded-user": "Ada", "x-forwarded-groups": "a, b"}
    assert await gate.authenticate(Credentials(address=HERE, headers=said)) is None
    caller = await gate.authenticate(Credentials(address=HERE, headers=said, is_from_proxy=True))
    assert caller is not None
    assert (caller.name, caller.role) == ("ada", "admin")  # the first user is the administrator
    other = await gate.authenticate(
        Credentials(address=HERE, headers={"x-forwarded-user": "bob"}, is_from_proxy=True)
    )
    assert other is not None
    assert other.role == "user"


async def test_a_header_means_nothing_where_no_proxy_signs_people_in(house: House) -> None:
    said = {"x-forwarded-user": "Ada"}
    credentials = Credentials(address=HERE, headers=said, is_from_proxy=True)
    assert await house.gate("password").authenticate(credentials) is None


def test_groups_give_roles() -> None:
    roles = RolesByGroup(frozenset({"ops"}), frozenset({"staff"}))
    assert roles.role_of_member(frozenset({"ops", "staff"})) == "admin"
    assert roles.role_of_member(frozenset({"staff"})) == "user"
    assert roles.role_of_member(frozenset({"guests"})) == "viewer"
    assert RolesByGroup(frozenset({"ops"})).role_of_member(frozenset()) == "user"
    # the role is then assigned in Wireside, not by a group
    assert RolesByGroup().role_of_member(frozenset({"ops"})) is None


async def test_who_was_put_out_by_another_process_must_leave(house: House) -> None:
    ada = await house.administrator()
    grace = await house.person(ada, "grace")
    stays, goes = await house.signed_in("ada"), await house.signed_in("grace")
    ended: list[str] = []
    left = asyncio.Event()

    def end_of_grace() -> None:
        ended.append("grace")
        left.set()

    house.presence.register_connection(stays, lambda: ended.append("ada"))
    house.presence.register_connection(goes, end_of_grace)
    await house.store.accounts.end_sign_ins(grace.id)  # as the command line does
    watching = asyncio.create_task(house.gate(watch_every_s=0.01).close_revoked())
    await left.wait()
    watching.cancel()
    assert ended == ["grace"]
