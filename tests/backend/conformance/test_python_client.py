"""The Python client passes all scenarios for clients."""

from __future__ import annotations

import asyncio

import pytest

from tests.backend.conformance.playing import faults, playing
from wireside.client import AsyncClient
from wireside.conformance.scenarios import judge
from wireside.conformance.scenarios.catalogue import SCENARIOS
from wireside.errors import WiresideError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def ask(url: str, name: str) -> str | None:
    """Ask, and let the server compare the text; return the text, None after an error."""
    async with AsyncClient(url, ping_s=0.7, silence_s=4.0) as client:
        try:
            text = await client.ask(f"/scenario {name}").text()
        except WiresideError:
            return None
        if name != "halved-pair":
            await client.ask(f"/check {name}\n{text}").text()
        await asyncio.sleep(0.6)  # what the client does after the answer is judged too
        return text


async def test_the_python_client_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "SLACK_S", 10.0)  # the machine may be slow
    with playing(SCENARIOS) as servers:
        gate = asyncio.Semaphore(12)

        async def ask_one(name: str) -> None:
            async with gate:
                await ask(servers.urls[name], name)

        await asyncio.gather(*map(ask_one, servers.urls))
        results = await asyncio.to_thread(servers.wait)
    assert faults(results) == {}
    assert {name for name in results if "/" not in name} == {one.name for one in SCENARIOS}
    assert sum(name.endswith("/text") for name in results) > 30
