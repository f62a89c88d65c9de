"""Prompts and presets over REST."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from wireside.api.errors import ErrorResponses
from wireside.api.routes.presets import PresetRoutes
from wireside.api.routes.prompts import PromptRoutes
from wireside.chat.service import ChatService
from wireside.messages import Options


@pytest.fixture
async def http(chat: ChatService) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    ErrorResponses(count=lambda _: None).register_handlers(app)
    app.include_router(PromptRoutes().build_router())
    app.include_router(PresetRoutes().build_router())

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"chat": chat}
        await app(scope, receive, send)

    transport = httpx2.ASGITransport(asked)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test/api") as client:
        yield client


async def test_prompts_are_created_changed_exported_imported_and_deleted(
    http: httpx2.AsyncClient,
) -> None:
    made = await http.post("/prompts", json={"name": "sum", "text": "Sum up {{text}}"})
    assert made.status_code == 201
    prompt = made.json()
    assert (prompt["own"], prompt["editable"], prompt["shared"]) == (True, True, False)
    changed = await http.patch(f"/prompts/{prompt['id']}", json={"name": "summary"})
    assert (changed.json()["name"], changed.json()["text"]) == ("summary", "Sum up {{text}}")
    exported = await http.get("/prompts/export")
    assert exported.headers["content-disposition"] == "attachment; filename=prompts.json"
    again = await http.post("/prompts/import", content=exported.content)
    assert again.json() == {"imported": 0}
    assert (await http.delete(f"/prompts/{prompt['id']}")).status_code == 204
    again = await http.post("/prompts/import", content=exported.content)
    assert again.json() == {"imported": 1}
    assert [one["name"] for one in (await http.get("/prompts")).json()["prompts"]] == ["summary"]


async def test_presets_have_options_and_a_default(http: httpx2.AsyncClient) -> None:
    options = {
        "model": "m",
        "system": "Be brief.",
        "temperature": 0.5,
        "max_tokens": 9,
        "effort": "low",
        "values": {"depth": 3},
    }
    preset = (await http.post("/presets", json={"name": "brief", **options})).json()
    assert {name: preset[name] for name in options} == options
    put = await http.put("/presets/default", json={"preset": preset["id"]})
    assert put.status_code == 204
    listed = (await http.get("/presets")).json()
    assert (listed["default"], len(listed["presets"])) == (preset["id"], 1)
    changed = await http.patch(f"/presets/{preset['id']}", json={"options": {"model": "n"}})
    assert (changed.json()["model"], changed.json()["system"]) == ("n", None)
    assert (await http.delete(f"/presets/{preset['id']}")).status_code == 204
    assert (await http.get("/presets")).json() == {"presets": [], "default": None}


@pytest.mark.parametrize(
    "options", [{"temperature": 3}, {"max_tokens": 0}, {"effort": "huge"}, {"model": ""}]
)
async def test_options_out_of_range_are_refused(
    http: httpx2.AsyncClient, options: dict[str, object]
) -> None:
    assert (await http.post("/presets", json={"name": "n", **options})).status_code in (400, 422)


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [33, 260])
async def test_values_nested_too_deeply_are_refused(http: httpx2.AsyncClient, depth: int) -> None:
    values = {"a": nested(depth - 1)}
    refused = await http.post("/presets", json={"name": "deep", "values": values})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_message")
    made = await http.post("/presets", json={"name": "n", "values": {"a": nested(31)}})
    assert made.json()["values"] == {"a": nested(31)}
    path = f"/presets/{made.json()['id']}"
    assert (await http.patch(path, json={"options": {"values": values}})).status_code == 400
    assert [one["name"] for one in (await http.get("/presets")).json()["presets"]] == ["n"]


async def test_stored_values_nested_too_deeply_hide_no_preset(
    http: httpx2.AsyncClient, chat: ChatService
) -> None:
    await chat.presets.create("deep", Options(values=json.dumps({"a": nested(300)})))
    await chat.presets.create("flat", Options(values='{"a":1}'))
    listed = (await http.get("/presets")).json()["presets"]
    assert [(one["name"], one["values"]) for one in listed] == [("deep", None), ("flat", {"a": 1})]


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "n", "temperature": NaN}',
        '{"name": "n", "max_tokens": Infinity}',
        '{"name": "n", "values": {"a": NaN}}',
        r'{"name": "\ud800"}',
        r'{"name": "n", "system": "\ud800"}',
        r'{"name": "n", "model": "\ud800"}',
        r'{"name": "n", "values": {"a": "\ud800"}}',
        r'{"name": "n", "values": {"\ud800": 1}}',
    ],
)
async def test_presets_that_are_no_json_or_no_unicode_are_refused(
    http: httpx2.AsyncClient, body: str
) -> None:
    headers = {"Content-Type": "application/json"}
    refused = await http.post("/presets", content=body.encode(), headers=headers)
    assert refused.status_code in (400, 422)
    assert "detail" in refused.json() or refused.json()["code"] == "bad_message"
    assert (await http.get("/presets")).json()["presets"] == []


@pytest.mark.parametrize("field", ["name", "text"])
async def test_prompts_that_are_no_unicode_are_refused(
    http: httpx2.AsyncClient, field: str
) -> None:
    body = json.dumps({"name": "n", "text": "t", field: "\ud800"})
    headers = {"Content-Type": "application/json"}
    refused = await http.post("/prompts", content=body.encode(), headers=headers)
    assert refused.status_code in (400, 422)
    assert (await http.get("/prompts")).json()["prompts"] == []
