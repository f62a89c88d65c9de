"""What several servers count and redeem together, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from tests.store_writes import add_turn, begin
from wireside.auth.limiter import MemoryLimiter
from wireside.auth.login_throttle import OF_NAME_THERE, LoginThrottle
from wireside.auth.quotas import QuotaLimits, UserQuotas
from wireside.auth.shared_slots import SharedSlots
from wireside.auth.stored_attempts import StoredAttempts
from wireside.auth.tickets import MAX_OF_ONE, StoredTickets
from wireside.chat.caller_chat import CountedMessage
from wireside.errors import Overloaded, RateLimited, TooMany
from wireside.generation.tasks import Tasks
from wireside.identity import Caller
from wireside.messages import End, ReasoningDelta, TextDelta, ToolDelta
from wireside.parts import TextPart
from wireside.ports.observer import NULL_OBSERVER
from wireside.records import ConversationInfo, FigureStep, Segment, Tail, TurnRecord
from wireside.store import shared
from wireside.store.answers import _TAILS
from wireside.store.figures import SqlFigures
from wireside.store.store import SqlStore

ADA = Caller(user_id="ada", name="Ada", role="user", credential="key 1", streams=3, address="::1")


@pytest.fixture
async def stores(
    create: Callable[..., Coroutine[Any, Any, str]],
) -> AsyncIterator[list[SqlStore]]:
    """The stores of two servers on one database, with a row for each."""
    url = await create("postgresql", is_migrated=True)
    made = [SqlStore(url, is_shared=True) for _ in "ab"]
    for store in made:
        await store.open()
    for name in "ab":
        await run(made[0], ADD_REPLICA, id=name)
    yield made
    for store in made:
        await store.aclose()


ADD_REPLICA = (
    "INSERT INTO replicas (id, name, beat, version, started_at) VALUES (:id, :id, 0, '1', 0)"
)


async def run(store: SqlStore, statement: str, **values: Any) -> None:
    await store._database.write(lambda connection: connection.execute(text(statement), values))


# ---- tickets -------------------------------------------------------------------------------------


async def test_a_ticket_is_redeemed_by_exactly_one_of_two_servers(stores: list[SqlStore]) -> None:
    tickets = [StoredTickets(store.tickets) for store in stores]
    for _ in range(20):
        ticket = await tickets[0].issue_ticket(ADA)
        redeemed = await asyncio.gather(
            *(one.redeem_ticket(ticket, None) for one in (*tickets, *tickets))
        )
        assert [caller for caller in redeemed if caller] == [ADA]


async def test_a_ticket_is_for_one_origin_and_for_seconds(stores: list[SqlStore]) -> None:
    a, b = (StoredTickets(store.tickets) for store in stores)
    ticket = await a.issue_ticket(ADA, "https://a.example")
    assert await b.redeem_ticket(ticket, "https://b.example") is None
    assert await b.redeem_ticket(ticket, "https://a.example") is None  # used by the other page
    ticket = await a.issue_ticket(ADA, "https://a.example")
    assert await b.redeem_ticket(ticket, "https://a.example") == ADA
    late = await a.issue_ticket(ADA)
    await run(stores[0], "UPDATE tickets SET expires_at = expires_at - 31")
    assert await b.redeem_ticket(late, None) is None
    assert await b.redeem_ticket("never issued", None) is None


async def test_one_user_takes_no_more_tickets_than_others_need(stores: list[SqlStore]) -> None:
    b = StoredTickets(stores[1].tickets)
    await run(
        stores[0],
        "INSERT INTO tickets SELECT n::text, 'ada', '', NULL, 1e10"
        " FROM generate_series(1, :most) AS n",
        most=MAX_OF_ONE,
    )
    with pytest.raises(TooMany):
        await b.issue_ticket(ADA)
    assert await b.issue_ticket(replace(ADA, user_id="grace"))
    await run(stores[0], "UPDATE tickets SET expires_at = 0")
    assert await b.issue_ticket(ADA)  # expired ones do not count


# ---- concurrent answers --------------------------------------------------------------------------


class Server:
    def __init__(self, name: str, store: SqlStore) -> None:
        self.tasks = Tasks()
        self.slots = SharedSlots(store.slot_counts, lambda: name, self.tasks)
        limiter = MemoryLimiter(lambda: 0.0)
        self.quotas = UserQuotas(limiter, QuotaLimits(streams=5), self.slots)

    async def ask(self, caller: Caller = ADA) -> Callable[[], None] | None:
        """Return what releases the slot of an answer, None if it was refused."""
        release: Callable[[], None] | None = None
        try:
            release = self.quotas.acquire_slot(caller)
            await CountedMessage(self.quotas, caller, NULL_OBSERVER).record()
        except TooMany:
            if release is not None:
                release()
            return None
        return release


@pytest.fixture
async def servers(stores: list[SqlStore]) -> AsyncIterator[list[Server]]:
    made = [Server(name, store) for name, store in zip("ab", stores, strict=True)]
    yield made
    for server in made:
        await server.tasks.aclose()


async def test_concurrent_answers_are_counted_over_all_servers(servers: list[Server]) -> None:
    for _ in range(5):
        taken = await asyncio.gather(*(server.ask() for server in servers for _ in range(4)))
        releases = [release for release in taken if release]
        assert 1 <= len(releases) <= 3  # two that claim at once may refuse each other
        async with asyncio.timeout(10):  # one that was refused may be counted until then
            for server in servers:  # each sees the other by the store
                while (await server.quotas.allowance(ADA)).streams_left != 3 - len(releases):
                    await asyncio.sleep(0.01)
        while len(releases) < 3:
            release = await servers[1].ask()
            assert release is not None
            releases.append(release)
        assert await servers[0].ask() is None
        for release in releases:
            release()
        async with asyncio.timeout(10):
            while (await servers[0].quotas.allowance(ADA)).streams_left != 3:
                await asyncio.sleep(0.01)
            while (await servers[1].quotas.allowance(ADA)).streams_left != 3:
                await asyncio.sleep(0.01)


async def test_a_server_that_is_frozen_in_a_claim_holds_up_one_name_alone(
    servers: list[Server], stores: list[SqlStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    b = servers[1]
    monkeypatch.setattr(
        shared, "_LIMIT_WAIT", text("SET LOCAL lock_timeout = '60s'"), raising=False
    )
    grace = replace(ADA, user_id="grace", credential="key 2")
    async with claim_in_progress(stores[0]):
        held_up = asyncio.create_task(b.ask())
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            assert await b.ask(grace)
        assert not held_up.done()
    assert await held_up


async def test_a_claim_does_not_wait_long_for_that_of_a_frozen_server(
    servers: list[Server], stores: list[SqlStore]
) -> None:
    b = servers[1]
    async with claim_in_progress(stores[0]):
        async with asyncio.timeout(30):
            with pytest.raises(Overloaded):
                await b.ask()
    assert await b.ask()


@asynccontextmanager
async def claim_in_progress(store: SqlStore) -> AsyncIterator[None]:
    """A claim of Ada's key that does not end."""
    connection = await store._database.connect_driver()  # type: ignore[attr-defined]
    async with connection.transaction():
        lock = "SELECT pg_advisory_xact_lock(hashtextextended('streams key 1', 0))"
        await connection.execute(lock)
        yield
    await connection.close()


async def test_the_second_attempt_of_a_question_is_counted_elsewhere(
    servers: list[Server],
) -> None:
    a, b = servers
    caller = replace(ADA, messages_per_minute=1)  # the message counts once
    message = CountedMessage(a.quotas, caller, NULL_OBSERVER)
    release = a.quotas.acquire_slot(caller)
    await message.record()
    release()  # another server has changed the conversation
    async with asyncio.timeout(10):
        while await b.slots.count_elsewhere(["streams key 1"]):
            await asyncio.sleep(0.01)
    a.quotas.acquire_slot(caller)
    await message.record()
    assert await b.slots.count_elsewhere(["streams key 1"]) == {"streams key 1": 1}


async def test_the_slots_of_a_removed_server_are_free(
    servers: list[Server], stores: list[SqlStore]
) -> None:
    a, b = servers
    for _ in range(3):
        assert await a.ask()
    assert await b.ask() is None
    await run(stores[0], "DELETE FROM replicas WHERE id = 'a'")
    assert await b.ask()


async def test_a_server_with_a_new_id_counts_its_answers_again(
    servers: list[Server], stores: list[SqlStore]
) -> None:
    a, b = servers
    for _ in range(3):
        assert await a.ask()
    await run(stores[0], "DELETE FROM replicas WHERE id = 'a'")
    await run(stores[0], ADD_REPLICA, id="c")
    a.slots._replica_id = lambda: "c"
    a.slots.rewrite_all()
    async with asyncio.timeout(10):
        while await b.slots.count_elsewhere(["streams key 1"]) != {"streams key 1": 3}:
            await asyncio.sleep(0.01)
    assert await b.ask() is None


async def test_answers_that_are_due_are_counted_above_the_limit(servers: list[Server]) -> None:
    a, b = servers
    for _ in range(4):
        a.quotas.acquire_slot(ADA, is_due=True)
    async with asyncio.timeout(10):
        while await b.slots.count_elsewhere(["streams key 1"]) != {"streams key 1": 4}:
            await asyncio.sleep(0.01)
    assert await b.ask() is None
    assert (await b.quotas.allowance(ADA)).streams_left == 0


# ---- tails of answers ----------------------------------------------------------------------------


async def test_tails_are_what_follows_an_offset(stores: list[SqlStore]) -> None:
    a, b = stores
    info = ConversationInfo(id="c", title="", created_at=0.0, updated_at=0.0, owner="ada")
    await a.create_conversation(info)
    question = TurnRecord(
        id="turn",
        conversation_id="c",
        branch=0,
        depth=0,
        question_parts=(TextPart("why"),),
        created_at=0.0,
    )
    await add_turn(a, question)
    await begin(a, "turn", Segment(stream="one", model="m"))
    entries = (ReasoningDelta("why\0"), TextDelta("ab🙂"), ToolDelta("1", "f", "done", "{}", "r"))
    await a.commit_writes([Tail(stream="one", offset=0, entries=entries[:1])])
    await a.commit_writes([Tail(stream="one", offset=4, entries=entries[1:])])
    found = await b.read_tails({"one": 0, "unknown": 3})
    assert list(found) == ["one"]
    assert (found["one"].entries, found["one"].end) == (entries, None)
    assert (await b.read_tails({"one": 6}))["one"].entries == (TextDelta("🙂"), entries[2])
    assert (await b.read_tails({"one": 8}))["one"].entries == ()
    assert await b.answering_conversations() == [("ada", "c")]
    await a.commit_writes([Tail(stream="one", offset=8, entries=(), end=End("stop"))])
    joined = (await b.read_tails({"one": 6}))["one"]  # an end joins the pieces of an answer
    assert joined.entries == (TextDelta("🙂"), entries[2])
    assert joined.end == End("stop")


async def test_tails_are_read_by_the_index(stores: list[SqlStore]) -> None:
    """A hash join over all pieces would take a time that grows with the table."""
    for setting in ("enable_seqscan", "enable_bitmapscan"):
        await run(stores[0], f"SET {setting} = off")

    def explain(connection: Any) -> list[str]:
        clause: Any = _TAILS.element
        statement = f"EXPLAIN {clause.text}"
        bound = text(statement).bindparams(*clause._bindparams.values())
        return [row[0] for row in connection.execute(bound, {"streams": ["x"], "offsets": [0]})]

    plan = "\n".join(await stores[0]._database.read(explain))
    assert "Nested Loop" in plan
    assert "pieces_pkey" in plan
    assert "Hash" not in plan


async def test_the_id_of_a_database_is_its_own(
    stores: list[SqlStore], create: Callable[..., Coroutine[Any, Any, str]]
) -> None:
    other = SqlStore(await create("postgresql", is_migrated=True))
    await other.open()
    ids = [await store.database_id() for store in (*stores, other)]
    assert ids[0] == ids[1] != ids[2]
    await other.aclose()


# ---- attempts to sign in -------------------------------------------------------------------------


async def test_attempts_to_sign_in_are_counted_over_all_servers(stores: list[SqlStore]) -> None:
    throttles = [LoginThrottle(StoredAttempts(store.attempts)) for store in stores]

    async def is_let_in(number: int) -> bool:
        try:
            await throttles[number % 2].record_attempt("ada", "10.0.0.1")
        except RateLimited as error:
            assert 200 < (error.retry_after or 0) <= 300
            return False
        return True

    attempts = await asyncio.gather(*(is_let_in(number) for number in range(16)))
    assert sum(attempts) == OF_NAME_THERE.limit
    await throttles[0].was_right("ada", "10.0.0.1")
    assert await is_let_in(1)
    for number in range(2, 40):  # other names from there, up to the network's limit
        with suppress(RateLimited):
            await throttles[number % 2].record_attempt(f"user {number}", "10.0.0.1")
    for throttle in throttles:
        with pytest.raises(RateLimited):
            await throttle.record_attempt("eve", "10.0.0.1")
        await throttle.record_attempt("eve", "10.0.0.2")


async def test_attempts_expire_and_are_removed(stores: list[SqlStore]) -> None:
    a, b = (store.attempts for store in stores)
    assert (await a.count_attempt("d", limit=1, window_s=0.3)).was_counted
    refused = await b.count_attempt("d", limit=1, window_s=0.3)
    assert not refused.was_counted
    assert 0 < refused.reset_s <= 0.3
    await asyncio.sleep(refused.reset_s + 0.05)
    assert (await b.count_attempt("d", limit=1, window_s=0.01)).was_counted
    await asyncio.sleep(0.05)
    await a.count_attempt("other", limit=1, window_s=300)
    count = "SELECT count(*) FROM sign_in_attempts"
    assert await stores[0]._database.read(lambda c: c.scalar(text(count))) == 1


# ---- figures -------------------------------------------------------------------------------------


async def test_servers_keep_their_own_figures_and_read_those_of_others(
    stores: list[SqlStore],
) -> None:
    database = stores[0]._database
    alone, a, b = SqlFigures(database), SqlFigures(database, "a"), SqlFigures(database, "b")
    steps = {name: FigureStep(60, 60, name, name) for name in ("a", "b")}
    steps["alone"] = FigureStep(60, 60, "alone")
    await alone.store_steps([steps["alone"]])
    for _ in range(2):  # the second time they are replaced
        await a.store_steps([steps["a"]])
        await b.store_steps([steps["b"]])
    assert await a.read_steps(60, 0, 120) == [steps["a"]]
    assert await a.read_others(60, 0, 120) == [steps["b"], steps["alone"]]
    assert await alone.read_steps(60, 0, 120) == [steps["alone"]]
    assert await alone.read_others(60, 0, 120) == ()
    await b.remove_steps(61, seconds=10)
    assert await a.read_steps(60, 0, 120)
    await b.remove_steps(61)
    assert not await a.read_steps(60, 0, 120)
    assert not await a.read_others(60, 0, 120)
