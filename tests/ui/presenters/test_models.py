"""The models that a page offers."""

from __future__ import annotations

import asyncio

from tests.conftest import MODELS
from tests.hand_clock import HandClock
from tests.ui.presenters.conftest import NewScreen, Screen
from wireside.errors import NotConfigured
from wireside.identity import ModelAccess
from wireside.messages import Options
from wireside.providers.catalog import FAILURE_S
from wireside.providers.scripted import ScriptedProvider
from wireside_ui.i18n.catalogue import words_in

PROBLEM = "Set OPENAI_API_KEY."


async def test_without_models_the_page_says_why(
    screen: Screen, provider: ScriptedProvider, clock: HandClock
) -> None:
    provider.listed = NotConfigured(PROBLEM)
    loading = asyncio.create_task(screen.presenter.models.load())
    await asyncio.sleep(0.01)
    shown = await screen.shown()
    assert ("picker.show_problem", PROBLEM) in shown
    assert ("welcome.show_problem", PROBLEM) in shown
    provider.listed = MODELS
    clock.now += FAILURE_S
    screen.presenter.models.retry()
    await loading
    shown = await screen.shown()
    assert ("picker.show", MODELS) in shown
    assert ("welcome.show_problem", "") in shown


async def test_without_a_model_for_the_caller_the_page_says_so(
    screen: Screen, provider: ScriptedProvider
) -> None:
    provider.listed = MODELS
    ids = [model.id for model in MODELS]
    screen.chat.core.parts.model_access.update(dict.fromkeys(ids, ModelAccess()))  # type: ignore[attr-defined]
    loading = asyncio.create_task(screen.presenter.models.load())
    await asyncio.sleep(0.01)
    sentence = words_in("en")["no_open_model"]
    assert ("picker.show_problem", sentence) in await screen.shown()
    loading.cancel()


async def test_an_unavailable_model_is_replaced_by_the_default(
    new_screen: NewScreen, screen: Screen, provider: ScriptedProvider
) -> None:
    other = await new_screen(models=await provider.models())
    assert other.presenter.models.available(Options(model="old")).model == "model-a"
    assert screen.presenter.models.available(Options(model="old")).model == "old", "none is known"
