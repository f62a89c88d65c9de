"""The HTML document of a page."""

from __future__ import annotations

import gc
import json
import re
import weakref
from typing import Any

import pytest
from fastapi import Request
from nicegui import Client, app, ui
from starlette.testclient import TestClient

from wireside_ui.components.welcome import Welcome
from wireside_ui.document import use_own_document
from wireside_ui.i18n.catalogue import words_in

HOSTILE = "</script><script>alert(1)</script><!--"


@pytest.fixture
def made() -> list[Client]:
    return []


@pytest.fixture
def document(made: list[Client]) -> str:
    @ui.page("/a-document", viewport="width=device-width", favicon="🍪")
    def page(request: Request, client: Client) -> None:
        made.append(client)
        ui.page_title(HOSTILE)
        use_own_document(client, "chat", version="v1", language="ar", direction="rtl")
        client.page_container.set_visibility(False)
        with client.layout:
            Welcome(
                name=HOSTILE, tagline="", logo="", starters=(), words=words_in("en"), view="empty"
            )

    return TestClient(app, root_path="/sub").get("/a-document").text


def start_of(document: str) -> dict[str, Any]:
    found = re.search(r'id="ws-start">(.*?)</script>', document, re.DOTALL)
    assert found is not None
    start: dict[str, Any] = json.loads(found[1])
    return start


def test_it_loads_nothing_that_no_component_uses(document: str) -> None:
    assert not re.search(r"quasar|dompurify|@import|fonts\.css", document, re.IGNORECASE)
    loaded = re.findall(r'<script[^>]* src="([^"]+)"', document)
    assert [re.sub(r"[^/]*\d+\.\d+\.\d+", "N", path) for path in loaded] == [
        "/sub/_nicegui/N/static/socket.io.min.js",
        "/sub/_nicegui/N/static/nicegui.js",
        "/sub/assets/js/chat.js?v=v1",
    ]


def test_it_names_the_modules_that_its_script_imports(document: str) -> None:
    found = re.search(r'type="importmap">(.*?)</script>', document)
    assert found is not None
    assert json.loads(found[1])["imports"].keys() >= {"vue"}


def test_it_has_the_elements_and_the_way_to_the_server(document: str, made: list[Client]) -> None:
    start = start_of(document)
    welcome = next(e for e in start["elements"].values() if e["tag"] == "nicegui-wireside_welcome")
    assert welcome["props"]["name"] == HOSTILE
    assert start["options"]["query"]["client_id"] == made[0].id
    assert start["options"]["query"]["implicit_handshake"] is True
    assert start["options"]["prefix"] == "/sub"
    assert '<html lang="ar" dir="rtl">' in document


def test_texts_can_not_end_its_scripts(document: str) -> None:
    assert "<script>alert" not in document
    assert "<!--" not in document


def test_a_deleted_page_is_freed(document: str, made: list[Client]) -> None:
    client = weakref.ref(made[0])
    made[0].delete()
    gc.disable()
    try:
        made.clear()
        assert client() is None
    finally:
        gc.enable()


def test_nicegui_loads_no_component_a_second_time(document: str, made: list[Client]) -> None:
    names = {e.component.name for e in made[0].elements.values() if e.component is not None}
    assert names
    assert made[0].outbox._loaded_components >= names
