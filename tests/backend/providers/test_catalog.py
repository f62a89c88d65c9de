"""Which models there are, and which one a name means."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from wireside.errors import NotConfigured, ProviderUnavailable, UnknownModel, WiresideError
from wireside.messages import ModelInfo
from wireside.providers.catalog import FAILURE_S, FRESH_S, Catalog
from wireside.providers.scripted import ScriptedProvider

A, B = ModelInfo("a", "A"), ModelInfo("b", "B")
DOWN = ProviderUnavailable("It is down.")


class Listing(ScriptedProvider):
    """A provider whose list a test can change, and hold back."""

    def __init__(self, listed: Sequence[ModelInfo] | WiresideError) -> None:
        super().__init__()
        self.listed = listed
        self.gate = asyncio.Event()
        self.gate.set()

    async def models(self) -> Sequence[ModelInfo]:
        self.lists_asked += 1
        await self.gate.wait()
        if isinstance(self.listed, WiresideError):
            raise self.listed
        return self.listed


class Setup:
    """A catalog over a provider and a clock that a test moves."""

    def __init__(
        self,
        listed: Sequence[ModelInfo] | WiresideError,
        default: str | None = None,
        *,
        fallback: bool = True,
        embedded: bool = False,
    ) -> None:
        self.now = 100.0
        self.provider = Listing(listed)
        self.catalog = Catalog(
            self.provider,
            default=default,
            fallback=fallback,
            embedded=embedded,
            clock=lambda: self.now,
        )

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_the_first_is_the_default() -> None:
    setup = Setup([A, B])
    assert await setup.catalog.models() == (A, B)
    assert await setup.catalog.resolve(None) == "a"


async def test_the_set_default_comes_first() -> None:
    setup = Setup([A, B], "b")
    assert await setup.catalog.models() == (B, A)
    assert await setup.catalog.resolve(None) == "b"


async def test_a_default_that_is_not_listed_is_offered_all_the_same() -> None:
    setup = Setup([A], "hidden")
    assert await setup.catalog.models() == (ModelInfo("hidden", "hidden"), A)
    assert await setup.catalog.resolve("hidden") == "hidden"


async def test_the_list_is_read_once_a_minute() -> None:
    setup = Setup([A])
    await asyncio.gather(*(setup.catalog.models() for _ in range(5)))
    setup.now += FRESH_S - 0.1
    await setup.catalog.models()
    await setup.settle()
    assert setup.provider.lists_asked == 1


async def test_an_old_list_is_served_while_the_next_is_read() -> None:
    setup = Setup([A])
    await setup.catalog.models()
    setup.provider.gate.clear()
    setup.provider.listed = [B]
    setup.now += FRESH_S
    assert await setup.catalog.models() == (A,)
    assert await setup.catalog.models() == (A,)
    setup.provider.gate.set()
    await setup.settle()
    assert await setup.catalog.models() == (B,)
    assert setup.provider.lists_asked == 2


async def test_a_failure_keeps_the_old_list() -> None:
    setup = Setup([A])
    await setup.catalog.models()
    setup.provider.listed = DOWN
    setup.now += FRESH_S
    await setup.catalog.models()
    await setup.settle()
    assert await setup.catalog.models() == (A,)


async def test_a_failure_is_told_and_tried_again_soon() -> None:
    setup = Setup(DOWN)
    for _ in range(3):
        with pytest.raises(ProviderUnavailable, match="It is down"):
            await setup.catalog.models()
    assert setup.provider.lists_asked == 1
    setup.provider.listed = [A]
    setup.now += FAILURE_S
    assert await setup.catalog.models() == (A,)


async def test_an_empty_list_says_what_to_set() -> None:
    with pytest.raises(NotConfigured, match="WIRESIDE_MODEL"):
        await Setup([]).catalog.models()


async def test_without_a_list_the_default_is_the_list() -> None:
    setup = Setup(DOWN, "mine")
    assert await setup.catalog.models() == (ModelInfo("mine", "mine"),)
    assert await setup.catalog.resolve(None) == "mine"


@pytest.mark.parametrize("default", [None, "mine"])
async def test_without_a_list_a_name_is_believed(default: str | None) -> None:
    assert await Setup(DOWN, default).catalog.resolve("any") == "any"


async def test_one_who_leaves_does_not_end_the_reading_for_others() -> None:
    setup = Setup([A])
    setup.provider.gate.clear()
    leaving = asyncio.create_task(setup.catalog.models())
    staying = asyncio.create_task(setup.catalog.models())
    await setup.settle()
    leaving.cancel()
    await setup.settle()
    setup.provider.gate.set()
    assert await staying == (A,)


async def test_an_unknown_model_is_refused_with_the_ones_there_are() -> None:
    many = [ModelInfo(f"m{number}", "") for number in range(7)]
    with pytest.raises(UnknownModel) as caught:
        await Setup(many).catalog.resolve("x")
    assert str(caught.value) == (
        'This server does not offer "x"; it offers m0, m1, m2, m3, m4 and 2 more.'
    )


async def test_the_embedded_model_answers_for_the_guides() -> None:
    setup = Setup([A], embedded=True)
    assert await setup.catalog.resolve("gpt-4o") == "a"
    with pytest.raises(UnknownModel):
        await setup.catalog.resolve("gpt-4")


@pytest.mark.parametrize(
    "setup",
    [
        pytest.param({"embedded": True, "fallback": False}, id="turned off"),
        pytest.param({"embedded": False, "fallback": True}, id="another provider"),
    ],
)
async def test_otherwise_the_guides_model_is_as_unknown_as_any(setup: dict[str, Any]) -> None:
    with pytest.raises(UnknownModel):
        await Setup([A], **setup).catalog.resolve("gpt-4o")


async def test_the_guides_model_is_itself_where_it_is_offered() -> None:
    setup = Setup([A, ModelInfo("gpt-4o", "")], embedded=True)
    assert await setup.catalog.resolve("gpt-4o") == "gpt-4o"
