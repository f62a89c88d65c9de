"""API keys and tickets."""

from __future__ import annotations

import hmac
from contextlib import suppress
from dataclasses import replace

import pytest
from pydantic import ValidationError

from tests.backend.auth.conftest import House, as_caller
from wireside.api.routes.accounts import NewKey, PersonChanges
from wireside.auth import keys
from wireside.auth.authenticator import Credentials
from wireside.auth.keys import MAX_KEYS
from wireside.auth.tickets import GOOD_S, MAX_OF_ONE
from wireside.errors import BadMessage, Forbidden, NotFound, TooMany
from wireside.identity import Scope
from wireside.tokens import hash_secret

HERE = "192.0.2.1"


async def test_a_key_lets_its_owner_in_with_its_scopes(house: House) -> None:
    ada = await house.administrator()
    key, text = await house.keys.create_key(
        ada, " my  script ", ["chat"], tokens_per_day=5, streams=2
    )
    caller = await house.gate().authenticate(Credentials(address=HERE, bearer=text))
    assert caller is not None
    assert (caller.user_id, caller.tokens_per_day, caller.streams) == (ada.user_id, 5, 2)
    assert [caller.may(scope) for scope in ("chat", "read", "admin")] == [True, False, False]
    (listed,) = await house.keys.list_keys(ada)
    assert (listed.name, listed.used_at) == ("my script", house.clock.now)
    assert text[-32:] not in str(listed)  # only a hash is kept
    assert key.secret not in text


async def test_a_key_that_is_not_right_lets_nobody_in(house: House) -> None:
    ada = await house.administrator()
    _, text = await house.keys.create_key(ada, "key", ["chat"])
    _, other = await house.keys.create_key(ada, "other", ["chat"])
    for wrong in ("", text[:-1], text + "x", text[:-3] + "AAA", text[:26] + other[26:], "é"):
        assert await house.gate().authenticate(Credentials(address=HERE, bearer=wrong)) is None


async def test_the_api_s_description_of_a_key_is_what_is_asked_of_one(house: House) -> None:
    """A client that follows the schema is accepted, also at the schema's bounds."""
    ada = await house.administrator()
    told = NewKey.model_json_schema()["properties"]
    assert NewKey.model_fields.keys() == told.keys()
    longest, most = told["name"]["maxLength"], told["days"]["maximum"]
    assert (told["name"]["minLength"], told["scopes"]["minItems"]) == (1, 1)
    assert told["days"]["exclusiveMinimum"] == 0
    assert told["messages_per_minute"]["minimum"] == told["tokens_per_day"]["minimum"] == 1
    for name in ("x", "x" * longest):
        limits = {"messages_per_minute": 1, "tokens_per_day": 1}
        await house.keys.create_key(ada, name, ["read"], days=most, **limits)
    for name, scopes, more in (
        ("", ["read"], {}),
        (" ", ["read"], {}),
        ("x" * (longest + 1), ["read"], {}),
        ("x", [], {}),
        ("x", ["read"], {"days": 0}),
        ("x", ["read"], {"days": most + 1}),
        ("x", ["read"], {"messages_per_minute": 0}),
        ("x", ["read"], {"tokens_per_day": 0}),
    ):
        with pytest.raises(BadMessage):
            await house.keys.create_key(ada, name, scopes, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"disabled": 0}, {"disabled": "no"}, {"role": 1}])
def test_changes_of_an_account_are_not_guessed(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PersonChanges.model_validate(wrong)
    assert PersonChanges.model_validate({"disabled": False}).disabled is False


async def test_a_key_is_found_by_its_id_and_its_secret_is_compared_in_constant_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked by structure, not by timing.

    Whatever is wrong with a key, its secret only goes into a hash, and the hash only into
    ``compare_digest``.
    """
    ada = await house.administrator()
    key, text = await house.keys.create_key(ada, "key", ["chat"])
    secret = text.removeprefix(f"wireside_{key.id}_")
    asked: list[object] = []
    compared: list[tuple[str, str]] = []
    look = type(house.store.accounts).find_key_by_id
    compare = hmac.compare_digest

    async def seen(self: object, *given: object) -> object:
        asked.append(given)
        return await look(self, *given)  # type: ignore[arg-type]

    class Hash(str):
        """A hash that refuses any other comparison."""

        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared as text")

    def same(kept: str, given: str) -> bool:
        compared.append((str(kept), str(given)))
        return compare(str.__str__(kept), str.__str__(given))

    monkeypatch.setattr(type(house.store.accounts), "find_key_by_id", seen)
    monkeypatch.setattr(keys, "hash_secret", lambda text: Hash(hash_secret(text)))
    monkeypatch.setattr("wireside.auth.keys.hmac.compare_digest", same)
    wrong = [secret[:-1] + ("A" if secret[-1] != "A" else "B"), "A" * 43, secret[::-1]]
    for number, given in enumerate([secret, *wrong]):
        caller = await house.keys.authenticate(f"wireside_{key.id}_{given}", HERE)
        assert (caller is not None) == (number == 0)
        assert compared == [(hash_secret(secret), hash_secret(given))]
        assert asked == [(key.id,)]
        asked.clear()
        compared.clear()


async def test_a_key_ends_with_its_days_or_its_account(house: House) -> None:
    ada = await house.administrator()
    grace = await house.person(ada, "grace")
    _, short = await house.keys.create_key(as_caller(grace), "short", ["chat"], days=1)
    _, long = await house.keys.create_key(as_caller(grace), "long", ["chat"])
    gate = house.gate()
    house.clock.now += 86_401
    assert await gate.authenticate(Credentials(address=HERE, bearer=short)) is None
    assert await gate.authenticate(Credentials(address=HERE, bearer=long))
    await house.accounts.disable_user(ada, grace.id)
    assert await gate.authenticate(Credentials(address=HERE, bearer=long)) is None


async def test_a_revoked_key_closes_what_it_has_opened(house: House) -> None:
    ada = await house.administrator()
    key, text = await house.keys.create_key(ada, "key", ["chat"])
    caller = await house.gate().authenticate(Credentials(address=HERE, bearer=text))
    assert caller is not None
    ended: list[str] = []
    house.presence.register_connection(caller, lambda: ended.append("socket"))
    grace = as_caller(await house.person(ada, "grace"))
    with pytest.raises(NotFound):
        await house.keys.revoke_key(grace, key.id)
    await house.keys.revoke_key(ada, key.id)
    assert ended == ["socket"]
    assert await house.gate().authenticate(Credentials(address=HERE, bearer=text)) is None


async def test_nobody_makes_a_key_that_may_more_than_they(house: House) -> None:
    ada = await house.administrator()
    viewer = as_caller(await house.person(ada, "eve", "viewer"))
    await house.keys.create_key(viewer, "reads", ["read"])
    for scope in ("chat", "admin"):
        with pytest.raises(Forbidden):
            await house.keys.create_key(viewer, "more", [scope])


@pytest.mark.parametrize("scopes", [{"read"}, {"chat"}, {"admin"}])
async def test_a_program_sees_and_makes_no_keys_and_sessions_unless_it_administers(
    house: House, scopes: set[Scope]
) -> None:
    ada = await house.administrator()
    key, _ = await house.keys.create_key(ada, "key", ["read"])
    here = await house.signed_in("ada")
    program = replace(ada, scopes=frozenset(scopes), credential="key k")
    for call in (
        lambda: house.keys.list_keys(program),
        lambda: house.keys.create_key(program, "for ever", list(scopes)),
        lambda: house.keys.revoke_key(program, key.id),
        lambda: house.sign_ins.list_sessions(program),
        lambda: house.sign_ins.end_session(program, here.credential.split()[1]),
        lambda: house.sign_ins.end_others(program),
    ):
        if scopes == {"admin"}:
            with suppress(NotFound):
                await call()
        else:
            with pytest.raises(Forbidden):
                await call()
    is_over = scopes == {"admin"}
    assert (len(await house.keys.list_keys(ada)), len(await house.sign_ins.list_sessions(ada))) == (
        1,
        not is_over,
    )


async def test_wrong_keys_are_not_made(house: House) -> None:
    ada = await house.administrator()
    for name, scopes, more in (
        ("", ["chat"], {}),
        ("x" * 65, ["chat"], {}),
        ("a\x1bb", ["chat"], {}),
        ("key", [], {}),
        ("key", ["root"], {}),
        ("key", ["chat"], {"days": 0}),
        ("key", ["chat"], {"days": float("nan")}),
        ("key", ["chat"], {"days": 4000}),
        ("key", ["chat"], {"tokens_per_day": 0}),
        ("key", ["chat"], {"streams": 0}),
        ("key", ["chat"], {"streams": 2**31}),
        ("key", ["chat"], {"tokens_per_day": 10**30}),
        ("key", ["chat"], {"messages_per_minute": 10**30}),
        ("key", ["chat"], {"messages_per_minute": 2**31}),
    ):
        with pytest.raises(BadMessage):
            await house.keys.create_key(ada, name, scopes, **more)  # type: ignore[arg-type]
    for number in range(MAX_KEYS):
        await house.keys.create_key(ada, f"key {number}", ["chat"])
    with pytest.raises(BadMessage, match="already"):
        await house.keys.create_key(ada, "one more", ["chat"])


async def test_a_ticket_is_good_once_and_for_seconds(house: House) -> None:
    await house.administrator()
    ada = await house.signed_in("ada")
    gate = house.gate()
    ticket = await house.tickets.issue_ticket(ada)
    assert (
        await gate.authenticate(Credentials(address=HERE, ticket=ticket, is_own_page=False)) == ada
    )
    assert await gate.authenticate(Credentials(address=HERE, ticket=ticket)) is None
    late = await house.tickets.issue_ticket(ada)
    house.clock.now += GOOD_S
    assert await gate.authenticate(Credentials(address=HERE, ticket=late)) is None


async def test_a_ticket_is_for_one_origin(house: House) -> None:
    await house.administrator()
    ada = await house.signed_in("ada")
    for origin, is_good in (("https://a.example", True), ("https://b.example", False)):
        ticket = await house.tickets.issue_ticket(ada, "https://a.example")
        credentials = Credentials(address=HERE, ticket=ticket, origin=origin)
        assert bool(await house.gate().authenticate(credentials)) == is_good


async def test_one_user_takes_no_more_tickets_than_others_need(house: House) -> None:
    ada = await house.administrator()
    grace = as_caller(await house.person(ada, "grace"))
    first = await house.tickets.issue_ticket(ada)
    for number in range(MAX_OF_ONE - 1):
        await house.tickets.issue_ticket(replace(ada, credential=f"key {number}"))
    with pytest.raises(TooMany):
        await house.tickets.issue_ticket(ada)
    assert await house.tickets.issue_ticket(grace)
    assert await house.tickets.redeem_ticket(first, None) == ada
    assert await house.tickets.issue_ticket(ada)
    house.clock.now += GOOD_S
    for _ in range(MAX_OF_ONE):
        await house.tickets.issue_ticket(ada)


async def test_a_ticket_of_somebody_who_was_signed_out_is_good_no_more(house: House) -> None:
    await house.administrator()
    ada = await house.signed_in("ada")
    ticket = await house.tickets.issue_ticket(ada)
    await house.sign_ins.end_session(ada)
    assert await house.gate().authenticate(Credentials(address=HERE, ticket=ticket)) is None
