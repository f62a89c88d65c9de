"""What administrators set: roles, keys at rest, and several servers on one store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from wireside.chat import administration as module
from wireside.chat.administration import Administration
from wireside.errors import Forbidden, NotFound
from wireside.identity import Caller
from wireside.ports.audit import NullAuditRecorder
from wireside.providers.openai import OpenAIProvider
from wireside.providers.upstreams import Upstreams
from wireside.secret_box import SecretBox, Unreadable
from wireside.store.store import SqlStore
from wireside.testing import FakeOpenAI

ADA = Caller(user_id="ada", name="ada", role="admin")
EVE = Caller(user_id="eve", name="eve", role="user")


@asynccontextmanager
async def server_on(
    store: SqlStore, lab: FakeOpenAI
) -> AsyncIterator[tuple[Administration, Upstreams]]:
    def connect(base_url: str | None, key: str | None = None) -> OpenAIProvider:
        return OpenAIProvider(api_key=key, base_url=base_url, silence_s=20)

    upstreams = Upstreams(
        connect(lab.url),
        connect=lambda spec: connect(spec.base_url, spec.api_key),
        wall_clock=time.time,
    )
    administration = Administration(
        store.administration,
        usage=store.usage,
        feedback=store.feedback,
        presets=store.presets,
        upstreams=upstreams,
        box=SecretBox(lambda: "the key of all servers of this database"),
        witness=NullAuditRecorder(),
        wall_clock=time.time,
        is_shared=True,
    )
    await administration.load()
    following = asyncio.create_task(administration.follow_until_cancelled())
    try:
        yield administration, upstreams
    finally:
        following.cancel()
        await upstreams.aclose()


async def test_a_change_reaches_the_other_servers(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FOLLOW_S", 0.01)
    async with (
        FakeOpenAI(models=["a"]) as lab,
        FakeOpenAI(models=["b"], keys=["sk-b"]) as other,
        server_on(store, lab) as (here, _),
        server_on(store, lab) as (there, upstreams),
    ):
        table = {"name": "other", "base_url": other.url, "api_key": "sk-b"}
        await here.add_provider(ADA, table)
        await here.set_disabled(ADA, "a", is_disabled=True)
        rung = asyncio.Event()
        there.bell.add_listener("page", rung.set)
        await here.put_banner(
            ADA, text="Hi", severity="info", begins_at=None, ends_at=None, is_dismissible=True
        )
        async with asyncio.timeout(20):
            await rung.wait()
            while [one.id for one in await upstreams.models()] != ["a", "b"]:
                await asyncio.sleep(0.01)
        assert there.access_of("a") is not None
        assert [one.text for one in there.banners] == ["Hi"]
        stored = (await store.administration.read_state()).providers[0]
        assert "sk-b" not in f"{stored.spec} {stored.secret}"


async def test_only_administrators_see_and_change(store: SqlStore) -> None:
    async with FakeOpenAI() as lab, server_on(store, lab) as (administration, _):
        with pytest.raises(Forbidden):
            administration.list_providers(EVE)
        for change in (
            administration.add_provider(EVE, {"name": "x", "api_key": "k"}),
            administration.change_provider(EVE, "x", {}),
            administration.remove_provider(EVE, "x"),
            administration.test_provider(EVE, "main"),
            administration.set_disabled(EVE, "m", is_disabled=True),
            administration.set_price(EVE, "m", None),
            administration.set_default_preset(EVE, None),
            administration.remove_banner(EVE, "b"),
            administration.read_usage(EVE, 0, 1),
        ):
            with pytest.raises(Forbidden):
                await change
        with pytest.raises(NotFound):
            await administration.change_provider(ADA, "main", {})
        assert await store.administration.version() == 0


def test_a_secret_is_read_with_its_key_only() -> None:
    box = SecretBox(lambda: "one")
    sealed = box.seal("sk-é")
    assert "sk" not in sealed
    assert box.open(sealed) == "sk-é"
    for wrong, text in ((SecretBox(lambda: "other"), sealed), (box, sealed[:-2]), (box, "é")):
        with pytest.raises(Unreadable):
            wrong.open(text)
