"""The models that a page offers."""

from __future__ import annotations

import asyncio
from typing import Any

from wireside.errors import NotConfigured
from wireside.messages import ModelInfo, Options

PROBLEM = "Set OPENAI_API_KEY."


async def test_without_models_the_page_says_why(screen: Any, provider: Any) -> None:
    provider.problem = NotConfigured(PROBLEM)
    loading = asyncio.create_task(screen.presenter.models.load())
    await asyncio.sleep(0.01)
    shown = await screen.shown()
    assert ("picker.show_problem", PROBLEM) in shown
    assert ("welcome.show_problem", PROBLEM) in shown
    provider.problem = None
    screen.presenter.models.retry()
    await loading
    shown = await screen.shown()
    assert ("picker.show", (ModelInfo(id="model-a", name="Model A"),)) in shown
    assert ("welcome.show_problem", "") in shown


async def test_an_unavailable_model_is_replaced_by_the_default(
    new_screen: Any, screen: Any, provider: Any
) -> None:
    other = await new_screen(models=await provider.models())
    assert other.presenter.models.available(Options(model="old")).model == "model-a"
    assert screen.presenter.models.available(Options(model="old")).model == "old", "none is known"
