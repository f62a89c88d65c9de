"""The routes of the contract."""

from __future__ import annotations

import httpx2
from fastapi import FastAPI

from wireside.api.routes.documents import add_documents


async def get(
    path: str, base_url: str = "http://chat.example", root_path: str = ""
) -> httpx2.Response:
    app = FastAPI()
    add_documents(app, audience="public", max_message_chars=7)
    transport = httpx2.ASGITransport(app, root_path=root_path)
    async with httpx2.AsyncClient(transport=transport, base_url=base_url) as client:
        return await client.get(path)


async def test_the_contract_names_the_server_as_the_client_reaches_it() -> None:
    document = (await get("/asyncapi.json")).json()
    server = document["servers"]["server"]
    assert (server["protocol"], server["host"]) == ("ws", "chat.example")
    assert "pathname" not in server
    document = (await get("/tools/asyncapi.json", "https://a.example:8443", "/tools")).json()
    server = document["servers"]["server"]
    assert (server["protocol"], server["host"]) == ("wss", "a.example:8443")
    assert server["pathname"] == "/tools"


async def test_the_contract_has_the_limits_of_the_server() -> None:
    schemas = (await get("/asyncapi.json")).json()["components"]["schemas"]
    assert schemas["ChatLevel1"]["properties"]["message"]["maxLength"] == 7
