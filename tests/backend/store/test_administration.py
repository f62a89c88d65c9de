"""What administrators set, and usage, in each database."""

from __future__ import annotations

from dataclasses import replace

from tests import store_writes
from wireside.messages import Cost, End, Options, TextDelta, Usage
from wireside.parts import text_parts
from wireside.records import (
    AdministeredState,
    Banner,
    ConversationInfo,
    ModelRule,
    Segment,
    StoredProvider,
    Tail,
    TurnRecord,
    UsageKey,
    UsageSum,
)
from wireside.store.store import SqlStore

GROQ = StoredProvider(name="groq", spec="{}", secret="sealed", secret_set_at=1.0, updated_at=1.0)
BANNER = Banner(
    id="b", text="Hello", severity="info", begins_at=None, ends_at=9.0, is_dismissible=True,
    updated_at=1.0,
)  # fmt: skip


async def test_nothing_is_set_at_first(store: SqlStore) -> None:
    assert await store.administration.read_state() == AdministeredState()


async def test_providers_are_added_changed_and_removed(store: SqlStore) -> None:
    found = store.administration
    assert await found.add_provider(GROQ, max_count=1)
    assert not await found.add_provider(GROQ, max_count=9)
    assert not await found.add_provider(replace(GROQ, name="other"), max_count=1)
    changed = replace(GROQ, spec='{"x": 1}', secret=None, secret_set_at=None, updated_at=2.0)
    assert await found.update_provider(changed, keeps_secret=True)
    kept = replace(changed, secret="sealed", secret_set_at=1.0)
    assert (await found.read_state()).providers == (kept,)
    assert await found.update_provider(changed, keeps_secret=False)
    assert (await found.read_state()).providers == (changed,)
    assert not await found.update_provider(replace(GROQ, name="other"), keeps_secret=False)
    await found.remove_provider("groq")
    assert (await found.read_state()).providers == ()


async def test_each_change_increments_the_version(store: SqlStore) -> None:
    found = store.administration
    await found.set_model_rule(ModelRule(model="m", is_disabled=True))
    await found.put_banner(BANNER, max_count=1)
    await found.set_default_preset("p")
    assert await found.version() == 3
    state = await found.read_state()
    assert state.model_rules == (ModelRule(model="m", is_disabled=True),)
    assert (state.banners, state.default_preset) == ((BANNER,), "p")
    await found.set_model_rule(ModelRule(model="m"))
    await found.remove_banner("b")
    await found.set_default_preset(None)
    assert await found.read_state() == AdministeredState(version=6)


async def test_a_banner_is_replaced_and_their_number_is_limited(store: SqlStore) -> None:
    found = store.administration
    assert await found.put_banner(BANNER, max_count=1)
    assert await found.put_banner(replace(BANNER, text="New"), max_count=1)
    assert not await found.put_banner(replace(BANNER, id="c"), max_count=1)
    assert [one.text for one in (await found.read_state()).banners] == ["New"]


def test_a_banner_is_shown_between_its_times() -> None:
    times = replace(BANNER, begins_at=1.0, ends_at=3.0)
    assert [times.is_shown_at(now) for now in (0.9, 1.0, 2.9, 3.0)] == [False, True, True, False]
    assert replace(BANNER, ends_at=None).is_shown_at(1e12)


async def test_usage_is_summed_by_day_account_model_and_currency(store: SqlStore) -> None:
    key = UsageKey(day=5, owner="u", model="m", currency="$")
    one = UsageSum(answers=1, input_tokens=10, output_tokens=2, cost=0.5)
    await store.usage.add_usage({key: one, replace(key, owner="v"): one})
    await store.usage.add_usage({key: one, replace(key, day=6, currency=""): one})
    assert await store.usage.read_usage(5, 5) == [(key, one + one), (replace(key, owner="v"), one)]
    assert await store.usage.read_usage(0, 9, owner="u") == [
        (replace(key, day=6, currency=""), one),
        (key, one + one),
    ]
    await store.usage.add_usage({})


async def test_an_answer_keeps_its_cost_and_a_conversation_sums_them(store: SqlStore) -> None:
    info = ConversationInfo(id="c", title="", created_at=0.0, updated_at=0.0)
    await store.create_conversation(info)
    for number, cost in enumerate((Cost(0.25, "€"), Cost(0.5, "€"), None)):
        record = TurnRecord(
            id=f"t{number}",
            conversation_id="c",
            branch=0,
            depth=number,
            question_parts=text_parts("q"),
            created_at=1.0,
            options=Options(),
        )
        await store_writes.add_turn(store, record)
        await store_writes.begin(store, record.id, Segment(stream=f"s{number}", model="m"))
        end = End("stop", usage=Usage(10, 5), cost=cost)
        tail = Tail(stream=f"s{number}", offset=0, entries=(TextDelta("a"),), end=end)
        await store.commit_writes([tail])
    assert await store.usage.conversation_usage("c") == [
        ("", UsageSum(answers=1, input_tokens=10, output_tokens=5)),
        ("€", UsageSum(answers=2, input_tokens=20, output_tokens=10, cost=0.75)),
    ]
    assert await store.usage.conversation_usage("none") == []
