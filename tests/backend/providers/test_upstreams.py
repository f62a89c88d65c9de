"""Several providers as one, with real OpenAI-compatible servers of the fault lab."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from wireside.errors import ProviderUnavailable, UnknownModel, WiresideError
from wireside.identity import ModelAccess
from wireside.messages import Cost, Finished, Message, ModelRequest, TextDelta
from wireside.providers import upstreams as module
from wireside.providers.catalog import Catalog
from wireside.providers.openai import OpenAIProvider
from wireside.providers.specs import Price, ProviderSpec
from wireside.providers.upstreams import Upstreams
from wireside.testing import FakeOpenAI, answer, failure

NOWHERE = "http://127.0.0.1:9/v1"  # the port of the discard service, which nothing serves


def connect(spec: ProviderSpec) -> OpenAIProvider:
    return OpenAIProvider(
        api_key=spec.api_key, base_url=spec.base_url, silence_s=20, backoff_s=0.01
    )


def spec_of(name: str, lab: FakeOpenAI, **more: object) -> ProviderSpec:
    return replace(ProviderSpec(name=name, base_url=lab.url), **more)  # type: ignore[arg-type]


@asynccontextmanager
async def several(
    main: FakeOpenAI | None, *fixed: ProviderSpec, prices: Sequence[Price] = ()
) -> AsyncIterator[tuple[Upstreams, Catalog]]:
    first = connect(ProviderSpec(name="x", base_url=main.url)) if main else None
    found = Upstreams(
        first,
        main_prices=prices,
        fixed=fixed,
        connect=connect,
        on_changed=lambda: catalog.read_again(),
        wall_clock=time.time,
    )
    catalog = Catalog(found, default=None, clock=time.monotonic, provider_aliases=found.aliases)
    try:
        yield found, catalog
    finally:
        await found.aclose()


async def ask(upstreams: Upstreams, model: str) -> tuple[str, Finished]:
    request = ModelRequest(model=model, messages=(Message.of_text("user", "Hello"),))
    deltas = [delta async for delta in upstreams.stream(request)]
    assert isinstance(deltas[-1], Finished)
    return "".join(one.text for one in deltas if isinstance(one, TextDelta)), deltas[-1]


async def test_the_lists_are_merged_and_each_model_is_asked_where_it_is() -> None:
    async with FakeOpenAI(models=["a", "b"]) as one, FakeOpenAI(models=["b", "c"]) as other:
        one.answer_with(answer("of one"))
        other.answer_with(answer("of other"), answer("of other"))
        async with several(one, spec_of("other", other)) as (upstreams, catalog):
            listed = await catalog.list_models()
            assert [(model.id, model.provider) for model in listed] == [
                ("a", "main"),
                ("b", "main"),
                ("other/b", "other"),
                ("c", "other"),
            ]
            assert (await ask(upstreams, await catalog.resolve_model("b")))[0] == "of one"
            assert (await ask(upstreams, await catalog.resolve_model("c")))[0] == "of other"
            assert (await ask(upstreams, await catalog.resolve_model("other/b")))[0] == "of other"
            assert other.requests[-1].body["model"] == "b"
            assert await catalog.resolve_model("other/c") == "c"
            assert await catalog.resolve_model("main/a") == "a"
            with pytest.raises(UnknownModel):
                await catalog.resolve_model("d")


async def test_one_that_is_down_hides_no_other_one_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with FakeOpenAI(models=["a"]) as one:
        down = ProviderSpec(name="other", base_url=f"http://127.0.0.1:{port}/v1")
        async with several(one, down) as (upstreams, catalog):
            assert [model.id for model in await catalog.list_models()] == ["a"]
            state = upstreams.states()[1]
            assert state.failure is not None
            assert state.failure.code == "provider_unavailable"
            async with FakeOpenAI(models=["b"], port=port), asyncio.timeout(10):
                while upstreams.states()[1].failure is not None:
                    await asyncio.sleep(0.01)
                while len(await catalog.list_models()) < 2:
                    await asyncio.sleep(0.01)
            assert upstreams.states()[1].models == ("b",)


async def test_an_error_names_what_configures_the_provider() -> None:
    async with (
        FakeOpenAI(models=["a"]) as one,
        FakeOpenAI(only_at="/other/v1") as other,
        several(one, spec_of("other", other)) as (upstreams, _),
    ):
        other_url = other.url.replace("/other", "")
        upstreams.replace_specs([ProviderSpec(name="lost", base_url=other_url + "/no")])
        await upstreams.models()
        async with asyncio.timeout(10):
            while (failure := upstreams.states()[-1].failure) is None:
                await asyncio.sleep(0.01)
        assert "set `include` of the provider lost to" in failure.message
        named = ProviderSpec(name="lost", base_url=other_url + "/no", include=("x-1",))
        upstreams.replace_specs([named])
        async with asyncio.timeout(10):
            while "x-1" not in [model.id for model in await upstreams.models()]:
                await asyncio.sleep(0.01)


async def test_the_first_one_may_be_down() -> None:
    async with FakeOpenAI(models=["b"]) as other:
        down = ProviderSpec(name="down", base_url=NOWHERE)
        async with several(None, down, spec_of("other", other)) as (upstreams, catalog):
            assert [model.id for model in await catalog.list_models()] == ["b"]
            assert await catalog.resolve_model(None) == "b"
            assert (await ask(upstreams, "b"))[1].reason == "stop"


async def test_if_all_are_down_the_error_of_the_first_one_is_shown() -> None:
    down = [ProviderSpec(name=name, base_url=NOWHERE) for name in ("x", "y")]
    async with several(None, *down) as (upstreams, _):
        with pytest.raises(ProviderUnavailable):
            await upstreams.models()


async def test_a_slow_one_does_not_delay_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIST_WAIT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections, sends nothing
        port = silent.getsockname()[1]
        slow = ProviderSpec(name="slow", base_url=f"http://127.0.0.1:{port}/v1")
        async with FakeOpenAI(models=["a"]) as one, several(one, slow) as (upstreams, _):
            async with asyncio.timeout(10):
                assert [model.id for model in await upstreams.models()] == ["a"]
            assert upstreams.states()[1].models is None


async def test_filters_select_the_models() -> None:
    async with FakeOpenAI(models=["gpt-1", "gpt-2-mini", "tts-1"]) as lab:
        spec = spec_of("lab", lab, include=("gpt-*",), exclude=("*mini",))
        async with several(None, spec) as (upstreams, _):
            assert [model.id for model in await upstreams.models()] == ["gpt-1"]


async def test_an_alias_of_a_provider_answers() -> None:
    async with FakeOpenAI(models=["a"]) as one, FakeOpenAI(models=["a"]) as other:
        spec = spec_of("other", other, aliases={"fast": "a", "lost": "z"})
        async with several(one, spec) as (_, catalog):
            await catalog.list_models()
            assert await catalog.resolve_model("fast") == "other/a"
            with pytest.raises(UnknownModel):
                await catalog.resolve_model("lost")


async def test_roles_restrict_all_models_of_a_provider() -> None:
    async with FakeOpenAI(models=["a"]) as one, FakeOpenAI(models=["a", "b"]) as other:
        spec = spec_of("other", other, roles=frozenset({"admin"}))
        async with several(one, spec) as (upstreams, _):
            await upstreams.models()
            admins = ModelAccess(roles=frozenset({"admin"}))
            names = ("a", "b", "other/a", "other/unlisted")
            assert [upstreams.access_of(model) for model in names] == [None, *[admins] * 3]


async def test_an_answer_has_its_cost() -> None:
    price = Price(models="lab-*", input=2.0, output=10.0, currency="€")
    async with FakeOpenAI() as lab:
        lab.answer_with(answer(100), answer(10, usage=False))
        async with several(lab, prices=[price]) as (upstreams, _):
            end = (await ask(upstreams, "lab-1"))[1]
            read, wrote = end.usage.input_tokens or 0, 100
            assert end.cost == Cost((read * 2.0 + wrote * 10.0) / 1e6, "€")
            assert (await ask(upstreams, "lab-1"))[1].cost is None


async def test_a_failed_answer_is_noted_at_its_provider() -> None:
    async with (
        FakeOpenAI(models=["a"]) as one,
        FakeOpenAI(models=["b"]) as other,
        several(one, spec_of("other", other)) as (upstreams, _),
    ):
        await upstreams.models()
        other.answer_with(failure(401, "No."))
        with pytest.raises(WiresideError):
            await ask(upstreams, "b")
        of_main, of_other = upstreams.states()
        assert of_main.failure is None
        assert of_other.failure is not None


async def test_specs_are_replaced_while_an_answer_runs() -> None:
    async with (
        FakeOpenAI(models=["a"]) as one,
        FakeOpenAI(models=["b"], rate=100) as other,
        several(one) as (upstreams, catalog),
    ):
        assert [model.provider for model in await catalog.list_models()] == [""]
        upstreams.replace_specs([spec_of("other", other)])
        async with asyncio.timeout(10):
            while len(await catalog.list_models()) < 2:
                await asyncio.sleep(0.01)
        other.answer_with(answer(30, rate=100))
        running = asyncio.create_task(ask(upstreams, "b"))
        await asyncio.sleep(0.1)
        upstreams.replace_specs([])
        assert (await running)[1].reason == "stop"
        async with asyncio.timeout(10):
            while len(await catalog.list_models()) > 1:
                await asyncio.sleep(0.01)


async def test_a_disabled_provider_offers_nothing() -> None:
    async with (
        FakeOpenAI(models=["a"]) as one,
        FakeOpenAI(models=["b"]) as other,
        several(one) as (upstreams, _),
    ):
        spec = spec_of("other", other)
        upstreams.replace_specs([spec])
        await upstreams.models()
        upstreams.replace_specs([replace(spec, is_enabled=False)])
        assert [model.id for model in await upstreams.models()] == ["a"]


async def test_a_provider_is_tested_by_a_connection_of_its_own() -> None:
    async with FakeOpenAI(models=["a", "b"], keys=["right"]) as lab, several(lab) as (upstreams, _):
        right = spec_of("new", lab, api_key="right", exclude=("b",))
        assert await upstreams.test(right) == ["a"]
        with pytest.raises(WiresideError):
            await upstreams.test(replace(right, api_key="wrong"))
