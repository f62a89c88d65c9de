"""The contract of account stores (``ports.accounts.AccountStore``), on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from wireside.messages import Options
from wireside.records import (
    ApiKey,
    ConversationInfo,
    Invitation,
    Preset,
    Prompt,
    Share,
    SignIn,
    UserAccount,
)
from wireside.store.store import SqlStore

ADA = UserAccount(id="u1", name="ada", role="admin", created_at=1.0, password="$argon2id$…")
GRACE = UserAccount(
    id="u2", name="grace\0", role="user", created_at=2.0, subject="idp grace", disabled_at=None
)
HERE = SignIn(
    id="s1",
    token="token-1",
    user_id="u1",
    created_at=10.0,
    seen_at=10.0,
    expires_at=100.0,
    agent="Firefox",
    address="192.0.2.1",
)
KEY = ApiKey(
    id="k1",
    secret="hash",
    user_id="u1",
    name="my key",
    scopes=frozenset({"chat", "read"}),
    created_at=5.0,
    tokens_per_day=2**40,
    streams=2,
)
INVITATION = Invitation(
    id="i1", token="token-i", role="user", created_at=1.0, expires_at=50.0, name="bob"
)
SHARE = Share(
    id="h1",
    token="token-h",
    owner="u1",
    conversation_id="c",
    title="Title",
    created_at=3.0,
    content="content",
)

_numbers = itertools.count()


async def filled(store: SqlStore) -> None:
    assert await store.accounts.add_user(ADA)
    assert await store.accounts.add_user(GRACE)


async def test_users_are_found_by_all_their_names(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    assert await accounts.list_users() == [ADA, GRACE]
    assert await accounts.find_user("u2") == GRACE
    assert await accounts.user_named("grace\0") == GRACE
    assert await accounts.find_user_by_subject("idp grace") == GRACE
    assert [
        await accounts.find_user("\0"),
        await accounts.user_named("\ud800"),
        await accounts.find_user_by_subject(""),
    ] == [None] * 3


async def test_a_name_is_there_once_and_the_invitation_stays_good(store: SqlStore) -> None:
    await filled(store)
    await store.accounts.add_invitation(INVITATION)
    other = replace(ADA, id="u3")
    assert not await store.accounts.add_user(other, invitation="i1")
    assert await store.accounts.invitation("token-i") == INVITATION
    assert await store.accounts.add_user(replace(other, name="bob"), invitation="i1")
    assert await store.accounts.invitation("token-i") is None
    again = replace(other, id="u4", name="eve")
    assert not await store.accounts.add_user(again, invitation="i1")
    assert await store.accounts.find_user("u4") is None


async def test_one_of_those_who_come_first_is_the_first(store: SqlStore) -> None:
    users = [
        UserAccount(id=f"u{n}", name=f"name {n}", role="user", created_at=1.0, subject=f"idp {n}")
        for n in range(5)
    ]
    added = await asyncio.gather(
        *(store.accounts.add_user(user, role_of_first="admin") for user in users)
    )
    assert sorted(user.role for user in added if user) == ["admin"] + ["user"] * 4
    assert {user.id: user.role for user in await store.accounts.list_users()} == {
        user.id: user.role for user in added if user
    }


async def test_two_administrators_do_not_put_each_other_out(store: SqlStore) -> None:
    accounts = store.accounts
    await filled(store)
    changes: tuple[Callable[[str], Coroutine[Any, Any, bool]], ...] = (
        lambda user_id: accounts.set_role(user_id, "user"),
        lambda user_id: accounts.disable_user(user_id, 5.0),
        lambda user_id: accounts.remove_user(user_id, 5.0),
    )
    for change in changes:
        for _ in range(5):
            names = [f"{next(_numbers)}" for _ in range(2)]
            for name in names:
                assert await accounts.add_user(
                    UserAccount(id=name, name=name, role="admin", created_at=3.0)
                )
            # now these two are the only administrators
            assert await accounts.set_role("u1", "user")
            done = await asyncio.gather(*(change(name) for name in names))
            assert sorted(done) == [False, True]
            left = [
                user.id
                for user in await accounts.list_users()
                if user.role == "admin" and user.disabled_at is None
            ]
            assert left == [name for name, is_out in zip(names, done, strict=True) if not is_out]
            await accounts.set_role("u1", "admin")
            assert await accounts.remove_user(left[0], 6.0)


async def test_the_last_administrator_may_go_only_where_groups_say_so(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    assert not await accounts.set_role("u1", "viewer")
    assert await accounts.set_role("u2", "viewer")
    assert await accounts.set_role("u1", "admin")
    assert await accounts.set_role("u1", "viewer", even_of_last=True)
    assert [user.role for user in await accounts.list_users()] == ["viewer", "viewer"]


async def test_a_change_leaves_what_others_have_changed(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    await accounts.disable_user("u2", 60.0)
    await accounts.set_password("u2", "new")
    assert await accounts.record_user_activity("u2", 61.0, unless_since=1.0)
    await accounts.set_role("u2", "viewer")
    kept = replace(GRACE, role="viewer", disabled_at=60.0, password="new", seen_at=61.0)
    assert await accounts.find_user("u2") == kept
    await accounts.enable_user("u2")
    assert await accounts.find_user("u2") == replace(kept, disabled_at=None)


async def test_of_many_visits_at_once_one_is_the_first(store: SqlStore) -> None:
    await filled(store)
    for at in (100.0, 200.0):
        seen = await asyncio.gather(
            *(store.accounts.record_user_activity("u2", at, unless_since=at - 60) for _ in range(5))
        )
        assert sorted(seen) == [False] * 4 + [True]


async def test_the_first_one_gets_what_nobody_owns(store: SqlStore) -> None:
    await store.create_conversation(
        ConversationInfo(id="c", title="Title", created_at=1.0, updated_at=1.0)
    )
    await filled(store)
    await store.create_conversation(
        ConversationInfo(id="d", title="Title", created_at=1.0, updated_at=1.0)
    )
    owners = [(await store.conversation(name)).info.owner for name in "cd"]  # type: ignore[union-attr]
    assert owners == ["u1", ""]


async def test_sessions(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    await accounts.add_sign_in(HERE)
    await accounts.add_sign_in(replace(HERE, id="s2", token="token-2", seen_at=20.0))
    found = await accounts.find_sign_in("token-1")
    assert found is not None
    assert found[0] == HERE
    assert found[1].seen_at == 20.0
    await accounts.record_sign_in_activity(HERE, 30.0, 130.0)
    assert [one.id for one in await accounts.list_sign_ins("u1")] == ["s1", "s2"]
    assert await accounts.end_sign_ins("u2", only="s1") == []
    assert await accounts.end_sign_ins("u1", but="s1") == ["s2"]
    assert await accounts.end_sign_ins("u1", only="s1") == ["s1"]
    assert await accounts.find_sign_in("token-1") is None


async def test_a_session_begins_only_while_the_account_is_as_it_was_read(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    await accounts.set_password("u1", "new")
    assert not await accounts.add_sign_in(HERE, password="old")
    assert not await accounts.add_sign_in(replace(HERE, user_id="nobody"))
    assert await accounts.add_sign_in(HERE, password="new")
    await accounts.disable_user("u2", 60.0)
    assert not await accounts.add_sign_in(replace(HERE, id="s2", token="t2", user_id="u2"))
    assert await accounts.list_sign_ins("u1") == [HERE]
    assert await accounts.list_sign_ins("u2") == []


async def test_of_two_who_change_a_password_at_once_one_does(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    await accounts.set_password("u1", "old")
    await accounts.add_invitation(replace(INVITATION, user_id="u1"))
    assert not await accounts.set_password("u1", "new", was="older")
    assert len(await accounts.invitations()) == 1  # nothing was done
    both = await asyncio.gather(
        *(accounts.set_password("u1", name, was="old") for name in ("one", "two"))
    )
    assert sorted(both) == [False, True]
    ada = await accounts.find_user("u1")
    assert ada is not None
    assert ada.password == ("one" if both[0] else "two")


async def test_keys(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    await accounts.add_key(KEY)
    found = await accounts.find_key_by_id("k1")
    assert found is not None
    assert found[0] == KEY
    assert found[1].id == "u1"
    await accounts.record_key_use("k1", 9.0)
    assert await accounts.list_keys("u1") == [replace(KEY, used_at=9.0)]
    assert not await accounts.remove_key("u2", "k1")
    assert await accounts.remove_key("u1", "k1")
    assert await accounts.find_key_by_id("k1") is None


async def test_a_link_to_a_password_takes_the_place_of_the_last_one(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    first = replace(INVITATION, user_id="u1")
    await accounts.add_invitation(first)
    await accounts.add_invitation(replace(first, id="i2", token="token-j"))
    assert await accounts.invitation("token-i") is None
    assert await accounts.set_password("u1", "new", invitation="i2")
    assert not await accounts.set_password("u1", "newer", invitation="i2")
    ada = await accounts.find_user("u1")
    assert ada is not None
    assert ada.password == "new"


async def test_an_invitation_is_good_no_longer_than_its_maker_may_invite(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    assert await accounts.add_user(UserAccount(id="u3", name="eve", role="admin", created_at=3.0))
    by_hand = replace(INVITATION, id="by hand", token="by hand")
    mine = replace(INVITATION, made_by="u3")
    reset = replace(INVITATION, id="i2", token="token-j", user_id="u2", made_by="u3")
    for change, is_over in (
        (accounts.set_role("u3", "admin"), False),
        (accounts.set_role("u1", "user"), False),  # another administrator's
        (accounts.set_role("u3", "user", even_of_last=True), True),
        (accounts.disable_user("u3", 5.0), True),
        (accounts.remove_user("u3", 5.0), True),
    ):
        for administrator in ("u1", "u3"):
            await accounts.set_role(administrator, "admin")
            await accounts.enable_user(administrator)
        for invitation in (by_hand, mine, reset):
            await accounts.remove_invitations([invitation.id])
            assert await accounts.add_invitation(invitation)
        assert await change is not False
        kept = [by_hand] if is_over else [by_hand, mine, reset]
        found = await accounts.invitations()
        assert sorted(found, key=lambda one: one.id) == sorted(kept, key=lambda one: one.id)
        assert (await accounts.invitation("token-i") is None) == is_over


async def test_who_administers_no_more_changes_nothing(store: SqlStore) -> None:
    """A request that a former administrator sent just before losing the role has no effect."""
    await filled(store)
    accounts = store.accounts
    assert await accounts.add_user(UserAccount(id="u3", name="eve", role="admin", created_at=3.0))
    for put_out in (accounts.set_role("u3", "user"), accounts.disable_user("u3", 5.0)):
        assert await put_out
        before = await accounts.list_users()
        assert not await accounts.set_role("u3", "admin", by="u3")
        assert not await accounts.enable_user("u3", by="u3")
        assert not await accounts.disable_user("u1", 5.0, by="u3")
        assert not await accounts.remove_user("u2", 5.0, by="u3")
        assert not await accounts.add_invitation(replace(INVITATION, made_by="u3"))
        assert await accounts.list_users() == before
        assert await accounts.set_role("u3", "admin", by="u1")
    assert await accounts.enable_user("u3", by="u1")
    assert await accounts.set_role("u2", "viewer", by="u3")


async def test_a_link_and_the_end_of_its_maker_at_once_leave_none(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    assert await accounts.add_user(UserAccount(id="u3", name="eve", role="admin", created_at=3.0))
    for _ in range(10):
        name = f"{next(_numbers)}"
        link = replace(INVITATION, id=name, token=name, made_by="u3")
        await asyncio.gather(accounts.add_invitation(link), accounts.set_role("u3", "user"))
        assert await accounts.invitations() == []
        assert await accounts.set_role("u3", "admin")


async def test_a_new_password_or_a_disabled_account_ends_the_links_to_it(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    mine, others = replace(INVITATION, user_id="u2"), replace(INVITATION, id="i2", token="j")
    await accounts.add_invitation(others)
    for change in (
        accounts.set_password("u2", "new"),
        accounts.disable_user("u2", 5.0),
    ):
        await accounts.add_invitation(mine)
        assert await change
        assert await accounts.invitations() == [others]


async def test_what_a_disabled_account_shares_cannot_be_read(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    for name, owner in (("c", "u2"), ("d", "")):
        await store.create_conversation(
            ConversationInfo(id=name, title="Title", created_at=1.0, updated_at=1.0, owner=owner)
        )
        share = replace(SHARE, id=name, token=name, conversation_id=name, owner=owner)
        await accounts.add_share(share)
    await accounts.disable_user("u2", 5.0)
    assert await accounts.find_share("c") is None
    assert await accounts.find_share("d") is not None  # created while there were no accounts
    await accounts.enable_user("u2")
    assert await accounts.find_share("c") is not None


async def test_shares_are_their_owners(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    await store.create_conversation(
        ConversationInfo(id="c", title="Title", created_at=1.0, updated_at=1.0, owner="u1")
    )
    await accounts.add_share(SHARE)
    assert await accounts.find_share("token-h") == SHARE
    assert await accounts.list_shares("u1", "c") == [replace(SHARE, content="")]
    assert await accounts.list_shares("u2") == []
    assert not await accounts.remove_share("u2", "h1")
    await store.delete_conversations(["c"], 5.0, owner="u1")
    assert (
        await accounts.find_share("token-h") is None
    )  # it returns when the conversation is restored
    await store.restore_conversations(["c"], owner="u1")
    assert await accounts.find_share("token-h") == SHARE
    assert await accounts.remove_share("u1", "h1")


async def test_what_still_lets_somebody_in(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    await accounts.add_sign_in(HERE)
    await accounts.add_sign_in(replace(HERE, id="s2", token="t2", user_id="u2"))
    await accounts.add_key(KEY)
    await accounts.add_key(replace(KEY, id="k2", expires_at=40.0))
    ids = ({"s1", "s2", "s3"}, {"k1", "k2", "k3"}, {"u1", "u2", "u3"})
    grace = {("session s2", "user"), ("user u2", "user")}
    all_of_them = {("session s1", "admin"), ("key k1", "admin"), ("user u1", "admin")} | grace
    assert await accounts.valid_credentials(*ids, 20.0) == all_of_them | {("key k2", "admin")}
    assert await accounts.valid_credentials(*ids, 50.0) == all_of_them
    await accounts.disable_user(GRACE.id, 60.0)
    assert await accounts.valid_credentials(*ids, 50.0) == all_of_them - grace
    assert await accounts.valid_credentials(set(), set(), set(), 50.0) == set()
    many = {f"x{number}" for number in range(2000)}
    assert await accounts.valid_credentials(many, {"k1"}, many, 50.0) == {("key k1", "admin")}


async def test_what_has_expired_goes(store: SqlStore) -> None:
    await filled(store)
    await store.accounts.add_sign_in(HERE)
    await store.accounts.add_invitation(INVITATION)
    await store.accounts.clean_up(60.0)
    assert await store.accounts.invitations() == []
    assert len(await store.accounts.list_sign_ins("u1")) == 1
    await store.accounts.clean_up(101.0)
    assert await store.accounts.list_sign_ins("u1") == []


async def test_a_removed_user_leaves_nothing(store: SqlStore) -> None:
    await filled(store)
    accounts = store.accounts
    await store.create_conversation(
        ConversationInfo(id="c", title="Title", created_at=1.0, updated_at=1.0, owner="u1")
    )
    await accounts.add_sign_in(HERE)
    await accounts.add_key(KEY)
    await accounts.add_share(SHARE)
    await accounts.set_role("u2", "admin")
    assert await accounts.remove_user("u1", 70.0)
    assert await accounts.list_users() == [replace(GRACE, role="admin")]
    assert await accounts.find_sign_in("token-1") is None
    assert await accounts.find_key_by_id("k1") is None
    assert await accounts.find_share("token-h") is None
    assert await store.conversation("c") is None


async def test_what_a_removed_user_has_shared_goes_to_the_administrator(store: SqlStore) -> None:
    await filled(store)
    await store.accounts.set_role("u2", "admin")
    fields: dict[str, Any] = {"owner": "u1", "updated_at": 1.0, "name": "n"}
    made = [
        Prompt(id=name, is_shared=name == "shared", text="t", **fields)
        for name in ("own", "shared")
    ]
    await store.prompts.add_items(made, max_count=9)
    preset = Preset(id="preset", is_shared=True, options=Options(), **fields)
    await store.presets.add_items([preset], max_count=9)
    await store.presets.set_default_preset("u2", "preset")
    assert await store.accounts.remove_user("u1", 70.0, by="u2")
    assert await store.prompts.list_items("u2") == [replace(made[1], owner="u2")]
    assert await store.presets.list_items("u3") == [replace(preset, owner="u2")]
    assert await store.presets.default_preset("u2") == "preset"
    assert await store.prompts.find_item("own") is None
    assert await store.accounts.add_user(ADA)
    assert await store.accounts.remove_user("u2", 71.0)  # by the command line
    assert [one.owner for one in await store.prompts.list_items("u1")] == [""]


async def test_lists_and_search_show_the_owners_only(store: SqlStore) -> None:
    for name, owner in (("a", "u1"), ("b", "u2"), ("c", "")):
        await store.create_conversation(
            ConversationInfo(
                id=name, title=f"Title {name}", created_at=1.0, updated_at=1.0, owner=owner
            )
        )
    for name, owner in (("a", "u1"), ("b", "u2"), ("c", "")):
        listing = await store.conversations(owner=owner, cursor=None, limit=10)
        assert [info.id for info in listing.conversations] == [name]
        hits = await store.search_documents("title", owner=owner, cursor=None, limit=10)
        assert [hit.conversation_id for hit in hits] == [name]
    assert await store.delete_conversations(["a", "b"], 5.0, owner="u2") == ["b"]
    assert await store.restore_conversations(["a", "b"], owner="u1") == []
    assert await store.restore_conversations(["a", "b"], owner="u2") == ["b"]


async def test_each_owner_keeps_as_many(store: SqlStore) -> None:
    for number in range(4):
        for owner in ("u1", "u2"):
            info = ConversationInfo(
                id=f"{owner}-{number}",
                title="T",
                created_at=1.0,
                updated_at=float(number),
                owner=owner,
            )
            await store.create_conversation(info)
    old = await store.outdated_conversations(updated_before=None, keep=3)
    assert sorted(old) == [("u1-0", "u1"), ("u2-0", "u2")]
