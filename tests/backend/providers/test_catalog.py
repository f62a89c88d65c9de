"""The catalog: which models exist, and which one a name refers to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import structlog

from tests.hand_clock import HandClock
from wireside.errors import NotConfigured, ProviderUnavailable, UnknownModel, WiresideError
from wireside.messages import ModelInfo
from wireside.providers.catalog import FAILURE_S, FRESH_S, Catalog
from wireside.providers.scripted import ScriptedProvider

A, B = ModelInfo(id="a", name="A"), ModelInfo(id="b", name="B")
DOWN = ProviderUnavailable("It is down.")


class Listing(ScriptedProvider):
    """A provider whose list the test can delay."""

    def __init__(self, listed: Sequence[ModelInfo] | WiresideError) -> None:
        super().__init__(models=listed)
        self.gate = asyncio.Event()
        self.gate.set()

    async def models(self) -> Sequence[ModelInfo]:
        await self.gate.wait()
        return await super().models()


GUIDE = {"gpt-4o": ""}


class Setup:
    """A catalog over a provider and a clock that the test controls."""

    def __init__(
        self,
        listed: Sequence[ModelInfo] | WiresideError,
        default: str | None = None,
        *,
        aliases: Mapping[str, str] = GUIDE,
        vision_models: Sequence[str] = (),
    ) -> None:
        self.clock = HandClock()
        self.provider = Listing(listed)
        self.catalog = Catalog(
            self.provider,
            default=default,
            aliases=aliases,
            clock=self.clock,
            vision_models=vision_models,
        )

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_the_first_is_the_default() -> None:
    setup = Setup([A, B])
    assert await setup.catalog.list_models() == (A, B)
    assert await setup.catalog.resolve_model(None) == "a"


async def test_the_set_default_comes_first() -> None:
    setup = Setup([A, B], "b")
    assert await setup.catalog.list_models() == (B, A)
    assert await setup.catalog.resolve_model(None) == "b"


async def test_a_default_that_is_not_listed_is_offered_all_the_same() -> None:
    setup = Setup([A], "hidden")
    assert await setup.catalog.list_models() == (ModelInfo(id="hidden", name="hidden"), A)
    assert await setup.catalog.resolve_model("hidden") == "hidden"


async def test_a_setting_says_which_models_see() -> None:
    listed = [ModelInfo(id="llava:7b", name="L", can_see=False), replace(A, can_see=True)]
    setup = Setup(listed, "hidden", vision_models=("llava*", "hid*"))
    assert [(m.id, m.can_see) for m in await setup.catalog.list_models()] == [
        ("hidden", True),
        ("llava:7b", True),
        ("a", False),
    ]
    assert [m.can_see for m in await Setup(listed).catalog.list_models()] == [False, True]


async def test_the_list_is_read_once_a_minute() -> None:
    setup = Setup([A])
    await asyncio.gather(*(setup.catalog.list_models() for _ in range(5)))
    setup.clock.now += FRESH_S - 0.1
    await setup.catalog.list_models()
    await setup.settle()
    assert setup.provider.lists_asked == 1


async def test_an_old_list_is_served_while_the_next_is_read() -> None:
    setup = Setup([A])
    await setup.catalog.list_models()
    setup.provider.gate.clear()
    setup.provider.listed = [B]
    setup.clock.now += FRESH_S
    assert await setup.catalog.list_models() == (A,)
    assert await setup.catalog.list_models() == (A,)
    setup.provider.gate.set()
    await setup.settle()
    assert await setup.catalog.list_models() == (B,)
    assert setup.provider.lists_asked == 2


async def test_a_failure_keeps_the_old_list() -> None:
    setup = Setup([A])
    await setup.catalog.list_models()
    setup.provider.listed = DOWN
    setup.clock.now += FRESH_S
    await setup.catalog.list_models()
    await setup.settle()
    assert await setup.catalog.list_models() == (A,)


async def test_a_failure_is_told_and_tried_again_soon() -> None:
    setup = Setup(DOWN)
    for _ in range(3):
        with pytest.raises(ProviderUnavailable, match="It is down"):
            await setup.catalog.list_models()
    assert setup.provider.lists_asked == 1
    setup.provider.listed = [A]
    setup.clock.now += FAILURE_S
    assert await setup.catalog.list_models() == (A,)


async def test_an_empty_list_says_what_to_set() -> None:
    with pytest.raises(NotConfigured, match="WIRESIDE_MODEL"):
        await Setup([]).catalog.list_models()


async def test_without_a_list_the_default_is_the_list() -> None:
    setup = Setup(DOWN, "mine")
    assert await setup.catalog.list_models() == (ModelInfo(id="mine", name="mine"),)
    assert await setup.catalog.resolve_model(None) == "mine"


@pytest.mark.parametrize("default", [None, "mine"])
async def test_without_a_list_a_name_is_believed(default: str | None) -> None:
    assert await Setup(DOWN, default).catalog.resolve_model("any") == "any"


async def test_one_who_leaves_does_not_end_the_reading_for_others() -> None:
    setup = Setup([A])
    setup.provider.gate.clear()
    leaving = asyncio.create_task(setup.catalog.list_models())
    staying = asyncio.create_task(setup.catalog.list_models())
    await setup.settle()
    leaving.cancel()
    await setup.settle()
    setup.provider.gate.set()
    assert await staying == (A,)


async def test_an_unknown_model_is_refused_with_the_ones_there_are() -> None:
    many = [ModelInfo(id=f"m{number}", name="") for number in range(7)]
    with pytest.raises(UnknownModel) as caught:
        await Setup(many).catalog.resolve_model("x")
    assert str(caught.value) == (
        'This server does not offer "x"; it offers m0, m1, m2, m3, m4 and 2 more.'
    )


@pytest.mark.parametrize(
    ("listed", "default", "answers"),
    [
        ([A, B], None, "a"),
        ([A, B], "b", "b"),
        ([A, B], "hidden", "hidden"),
        (NotConfigured("It has no list."), "mine", "mine"),
        ([ModelInfo(id="e", name="E", can_chat=False), A], None, "a"),
    ],
)
async def test_the_default_answers_for_the_guides_model(
    listed: Sequence[ModelInfo] | WiresideError, default: str | None, answers: str
) -> None:
    setup = Setup(listed, default)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert await setup.catalog.resolve_model("gpt-4o") == answers
    told = [entry for entry in logs if entry["event"] == "model_alias"]
    assert [(entry["asked"], entry["answers"]) for entry in told] == [("gpt-4o", answers)]


async def test_no_other_name_falls_back() -> None:
    with pytest.raises(UnknownModel):
        await Setup([A]).catalog.resolve_model("gpt-4")


async def test_without_aliases_the_guides_model_is_refused() -> None:
    with pytest.raises(UnknownModel):
        await Setup([A], aliases={}).catalog.resolve_model("gpt-4o")


@pytest.mark.parametrize(
    ("name", "answers"),
    [("gpt-4o", "b"), ("b", "b"), ("a", "a"), ("gpt-5", "a"), ("mini", "a"), ("gone", None)],
)
async def test_an_alias_answers_for_a_name_that_is_not_offered(
    name: str, answers: str | None
) -> None:
    aliases = {"gpt-4o": "b", "a": "b", "mini": "", "gone": "missing", "*": "a"}
    catalog = Setup([A, B], aliases=aliases).catalog
    if answers is not None:
        assert await catalog.resolve_model(name) == answers
        return
    with pytest.raises(UnknownModel):
        await catalog.resolve_model(name)


async def test_the_name_of_an_aliased_model_is_compared_as_services_do() -> None:
    latest = ModelInfo(id="llama3.3:latest", name="")
    setup = Setup([A, latest], aliases={"gpt-4o": "llama3.3"})
    assert await setup.catalog.resolve_model("gpt-4o") == "llama3.3:latest"


async def test_while_a_list_fails_only_an_alias_with_a_model_counts() -> None:
    setup = Setup(DOWN, "mine", aliases={"gpt-4o": "b", "mini": "", "*": "a"})
    assert await setup.catalog.resolve_model("gpt-4o") == "b"
    assert await setup.catalog.resolve_model("mini") == "mini"
    assert await setup.catalog.resolve_model("other") == "other"
    assert await Setup(DOWN, aliases={"gpt-4o": "b"}).catalog.resolve_model("gpt-4o") == "b"


async def test_a_gateways_wildcard_precedes_the_alias_of_the_rest() -> None:
    setup = Setup([ModelInfo(id="openai/*", name="", can_chat=False), A], aliases={"*": ""})
    assert await setup.catalog.resolve_model("openai/gpt-5") == "openai/gpt-5"
    assert await setup.catalog.resolve_model("gpt-5") == "a"


async def test_an_alias_of_an_unknown_model_is_reported_at_the_start() -> None:
    setup = Setup([A, B], "mine", aliases={"x": "mine", "y": "b", "z": "missing", "d": ""})
    with structlog.testing.capture_logs() as logs:
        await setup.catalog.list_models()
    told = [entry["message"] for entry in logs if entry["event"] == "model_of_alias_unknown"]
    assert len(told) == 1
    assert told[0].startswith("WIRESIDE_MODEL_ALIASES has z=missing, but the model service does")


async def test_the_guides_model_is_itself_where_it_is_offered() -> None:
    setup = Setup([A, ModelInfo(id="gpt-4o", name="")], "a")
    assert await setup.catalog.resolve_model("gpt-4o") == "gpt-4o"


async def test_while_a_list_fails_the_guides_model_may_be_there() -> None:
    assert await Setup(DOWN, "mine").catalog.resolve_model("gpt-4o") == "gpt-4o"


async def test_what_cannot_chat_comes_last() -> None:
    setup = Setup([ModelInfo(id="e", name="E", can_chat=False), A, B])
    assert [model.id for model in await setup.catalog.list_models()] == ["a", "b", "e"]
    assert await setup.catalog.resolve_model(None) == "a"
    assert await setup.catalog.resolve_model("e") == "e"


async def test_a_default_that_refuses_to_chat_is_passed_over() -> None:
    setup = Setup([A, B])
    setup.catalog.pass_over("a")
    assert await setup.catalog.list_models() == (B, ModelInfo(id="a", name="A", can_chat=False))
    assert await setup.catalog.resolve_model(None) == "b"
    assert await setup.catalog.resolve_model("a") == "a"


@pytest.mark.parametrize(
    ("name", "means"),
    [("openai/gpt-5", "openai/gpt-5"), ("gpt-4o", "a"), (None, "a"), ("gpt-5", None)],
)
async def test_a_wildcard_of_a_gateway_stands_for_its_names(
    name: str | None, means: str | None
) -> None:
    setup = Setup([ModelInfo(id="openai/*", name="", can_chat=False), A])
    if means is None:
        with pytest.raises(UnknownModel):
            await setup.catalog.resolve_model(name)
    else:
        assert await setup.catalog.resolve_model(name) == means


async def test_where_there_is_only_a_wildcard_the_guides_model_is_asked_for() -> None:
    assert (
        await Setup([ModelInfo(id="*", name="", can_chat=False)]).catalog.resolve_model("gpt-4o")
        == "gpt-4o"
    )


async def test_a_default_that_was_set_stays() -> None:
    setup = Setup([A, B], "b")
    setup.catalog.pass_over("b")
    assert await setup.catalog.resolve_model(None) == "b"
    assert not (await setup.catalog.list_models())[0].can_chat


@pytest.mark.parametrize(
    ("listed", "name"),
    [("llama3:latest", "llama3"), ("models/gemini-2.5-flash", "gemini-2.5-flash")],
)
async def test_the_parts_of_a_name_that_services_leave_out(listed: str, name: str) -> None:
    model = ModelInfo(id=listed, name=listed)
    assert await Setup([A, model]).catalog.resolve_model(name) == listed
    setup = Setup([A, model], name)
    assert await setup.catalog.list_models() == (model, A)
    assert await setup.catalog.resolve_model("gpt-4o") == listed
