"""Handlers for some roles or groups: what the others see and may ask, through every door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from tests.hand_clock import HandClock
from wireside.app import create_app
from wireside.auth.host import HostUser
from wireside.chat.models import CallerModels
from wireside.chat.service import ChatService
from wireside.chat.streams import Ask
from wireside.errors import Forbidden, UnknownModel, WiresideError
from wireside.extension.chat import Chat
from wireside.extension.turn import Turn
from wireside.identity import LOCAL, Caller, ModelAccess
from wireside.messages import Message, ModelInfo, Options
from wireside.mounting import mount
from wireside.providers.catalog import Catalog
from wireside.providers.scripted import ScriptedProvider
from wireside.settings.model import Settings

ADA = Caller(user_id="ada", name="Ada", role="admin")
BOB = Caller(user_id="bob", name="Bob", role="user")
SUE = replace(BOB, user_id="sue", groups=frozenset({"sales", "staff"}))


def office() -> Chat:
    chat = Chat()

    @chat.on_message(roles=["admin"])
    def audit(turn: Turn) -> str:
        return "audited"

    @chat.on_message(roles=["admin"], groups=["sales"])
    def prices(turn: Turn) -> str:
        return "priced"

    @chat.on_message
    def help_desk(turn: Turn) -> str:
        return "helped"

    return chat


@asynccontextmanager
async def serving(chat: Chat, folder: Path) -> AsyncIterator[ChatService]:
    settings = Settings(data_dir=folder, title_model="off", shutdown_s=0)
    application = create_app(settings, chat=chat)
    async with application.app.router.lifespan_context(application.app):
        yield application.parts.chat


async def ids(chat: ChatService) -> list[str]:
    return [model.id for model in await chat.models()]


def question(model: str | None = None) -> Ask:
    return Ask(messages=(Message.of_text("user", "q"),), options=Options(model=model))


async def test_each_caller_sees_their_models_and_the_first_is_the_default(tmp_path: Path) -> None:
    async with serving(office(), tmp_path) as chat:
        assert await ids(chat.for_caller(ADA)) == ["audit", "prices", "help-desk"]
        assert await ids(chat.for_caller(LOCAL)) == ["audit", "prices", "help-desk"]
        assert await ids(chat.for_caller(SUE)) == ["prices", "help-desk"]
        assert await ids(chat.for_caller(BOB)) == ["help-desk"]
        for caller, text in ((ADA, "audited"), (SUE, "priced"), (BOB, "helped")):
            stream = await chat.for_caller(caller).start_stream(question())
            await stream.wait_ended()
            assert stream.log.visible_text() == text


async def test_a_model_of_others_does_not_exist(tmp_path: Path) -> None:
    async with serving(office(), tmp_path) as chat:
        for caller, model in ((BOB, "audit"), (BOB, "prices"), (SUE, "audit")):
            mine = chat.for_caller(caller)
            with pytest.raises(UnknownModel) as refused:
                await mine.start_stream(question(model))
            assert f'"{model}"' in str(refused.value)
            assert "it offers" in str(refused.value)
            assert model not in str(refused.value).split("it offers")[1]
            with pytest.raises(UnknownModel):
                await mine.answer_in("new", "q", key=None, options=Options(model=model))
        with pytest.raises(UnknownModel) as refused:
            await chat.for_caller(BOB).start_stream(question("no-such"))
        assert "audit" not in str(refused.value)


async def test_a_conversation_goes_on_only_while_the_model_is_allowed(tmp_path: Path) -> None:
    async with serving(office(), tmp_path) as chat:
        stream, conversation_id = await chat.for_caller(SUE).answer_in(
            "new", "q", key=None, options=Options(model="prices")
        )
        await stream.wait_ended()
        former = chat.for_caller(replace(SUE, groups=frozenset()))
        conversation = await former.library.open_conversation(conversation_id)
        assert conversation is not None
        (turn,) = await former.library.read_turns(conversation, 0, 0)
        with pytest.raises(UnknownModel):
            await former.edit_turn(conversation, turn.id, "again", new_turn_id="t2")
        again = await former.retry_turn(conversation, turn.id)
        await chat.core.conversations.wait_until(conversation, lambda: bool(again.segments))
        await again.segments[-1].wait_ended()
        assert again.end is not None
        assert isinstance(again.end.error, UnknownModel)


async def test_without_any_model_the_reason_is_given(tmp_path: Path) -> None:
    chat = Chat()

    @chat.on_message(groups=["sales"])
    def prices(turn: Turn) -> str:
        return "priced"

    async with serving(chat, tmp_path) as service:
        assert await ids(service.for_caller(LOCAL)) == []
        with pytest.raises(Forbidden, match="administrator"):
            await service.for_caller(LOCAL).start_stream(question())


async def test_questions_that_waited_over_a_restart_are_answered(tmp_path: Path) -> None:
    """The server then acts for the user, whose role it checked when the question was asked."""
    models = Catalog(
        ScriptedProvider(models=[ModelInfo(id="audit", name=""), ModelInfo(id="help", name="")]),
        default=None,
        aliases={"gpt-4o": ""},
        clock=HandClock(),
    )
    access = {"audit": ModelAccess(roles=frozenset({"admin"}))}
    acting = CallerModels(models, access, replace(BOB, is_stand_in=True))
    assert await acting.resolve_model("audit") == "audit"
    assert await acting.resolve_model(None) == "help"
    bob = CallerModels(models, access, BOB)
    assert await bob.resolve_model("gpt-4o") == "help", "the guide's model is the caller's default"


async def test_a_default_of_the_settings_is_only_for_its_callers(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, title_model="off", shutdown_s=0, model="audit")
    application = create_app(settings, chat=office())
    async with application.app.router.lifespan_context(application.app):
        chat = application.parts.chat
        stream = await chat.for_caller(BOB).start_stream(question())
        await stream.wait_ended()
        assert stream.log.visible_text() == "helped"
        with pytest.raises(WiresideError):
            await chat.for_caller(BOB).start_stream(question("audit"))


async def test_the_api_and_keys_follow_the_role(tmp_path: Path) -> None:
    """A key has the role of its owner, and no groups: these come with each request of a browser."""
    host = FastAPI()

    def user(connection: HTTPConnection) -> HostUser | None:
        name = connection.headers.get("x-name")
        if name is None:
            return None
        role: Any = "admin" if name == "ada" else "user"
        groups = frozenset({"sales"} if name == "sue" else ())
        return HostUser(id=name, name=name, role=role, groups=groups)

    settings = Settings(data_dir=tmp_path, title_model="off", shutdown_s=0)
    mount(host, "/chat", chat=office(), user=user, settings=settings)
    async with host.router.lifespan_context(host):
        transport = httpx2.ASGITransport(host, client=("127.0.0.1", 5000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:

            async def listed(**headers: str) -> list[str]:
                response = await client.get("/chat/api/models", headers=headers)
                assert response.status_code == 200, response.text
                return [model["id"] for model in response.json()["models"]]

            async def key_of(name: str) -> dict[str, str]:
                response = await client.post(
                    "/chat/api/keys",
                    json={"name": "a", "scopes": ["chat", "read"]},
                    headers={"x-name": name, "Origin": "http://test"},
                )
                assert response.status_code in (200, 201), response.text
                return {"Authorization": f"Bearer {response.json()['key']}"}

            assert await listed(**{"x-name": "ada"}) == ["audit", "prices", "help-desk"]
            assert await listed(**{"x-name": "sue"}) == ["prices", "help-desk"]
            assert await listed(**{"x-name": "bob"}) == ["help-desk"]
            assert await listed(**await key_of("ada")) == ["audit", "prices", "help-desk"]
            assert await listed(**await key_of("sue")) == ["help-desk"]


def test_a_misspelt_role_is_refused_when_it_is_registered() -> None:
    chat = Chat()
    with pytest.raises(ValueError, match="admin, user, viewer"):
        chat.on_message(roles=["administrators"])(lambda turn: "")  # type: ignore[list-item]


def test_the_page_offers_the_models_of_its_user(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, title_model="off")
    app = create_app(settings, chat=office()).app
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as browser:
        page = browser.get("/", headers={"Accept": "text/html"}).text
        listed = [model["id"] for model in browser.get("/api/models").json()["models"]]
    assert listed == ["audit", "prices", "help-desk"]
    assert all(f'"{model}"' in page for model in listed)
