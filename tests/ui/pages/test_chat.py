"""The chat page: its elements, their first content and what connects them with presenters."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import pytest
from nicegui import Client, ui
from nicegui.element import Element

from wireside.chat.service import ChatService
from wireside.errors import StoreError
from wireside.messages import Options
from wireside.store.store import SqlStore
from wireside_ui.components.composer import Composer
from wireside_ui.components.model_picker import ModelPicker
from wireside_ui.components.sidebar import Sidebar
from wireside_ui.components.transcript import Transcript
from wireside_ui.components.welcome import Welcome
from wireside_ui.markdown.dialect import Markup
from wireside_ui.pages.chat import BrowserOf, ChatPage
from wireside_ui.presenters.rows import Row
from wireside_ui.theme import Branding

E = TypeVar("E", bound=Element)


class Built:
    """A page without a browser, and the calls of its elements for one."""

    def __init__(self, chat: ChatService, client: Client) -> None:
        self.client = client
        self.calls: list[tuple[Any, ...]] = []
        self.page = ChatPage(
            chat=chat,
            look=Branding(),
            markup=Markup(frozenset()),
            client=client,
            language="en",
            base="",
            version="v1",
        )

    async def build(self, conversation_id: str | None = None) -> Built:
        with self.client:
            await self.page.build(conversation_id, None)
        return self

    def element(self, kind: type[E]) -> E:
        (found,) = [e for e in self.client.elements.values() if isinstance(e, kind)]
        return found


@pytest.fixture
async def built(chat: ChatService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Built]:
    client = Client(ui.page(""))
    page = Built(chat, client)

    def run_method(element: Element, name: str, *args: Any, timeout: float = 1) -> None:
        page.calls.append((name, *json.loads(json.dumps(args))))

    monkeypatch.setattr(Element, "run_method", run_method)
    yield page
    client.delete()


async def test_a_new_chat_is_empty(built: Built) -> None:
    await built.build()
    assert built.client.status_code != 404
    assert built.element(Welcome).props["view"] == "empty"
    assert built.element(Composer).props["conversation"] == ""
    assert built.element(Sidebar).props["begin"]["items"] == []
    assert built.element(ModelPicker).props["models"] == []
    assert built.element(Transcript).props["page-size"] == 20


async def test_a_conversation_is_shown_with_its_title(built: Built, chat: ChatService) -> None:
    conversation = await chat.conversation_for("t1")
    await chat.send_question(conversation, "Why is the sky blue?", turn_id="t1", options=Options())
    await built.build(conversation.id)
    assert built.client.title == "Why is the sky blue? · Wireside"
    assert built.element(Composer).props["conversation"] == conversation.id
    assert built.element(Welcome).props["view"] == "hidden"
    transcript = built.element(Transcript)
    begin = transcript.props["begin"]
    assert [row["question"] for row in begin["rows"]] == ["Why is the sky blue?"]
    assert begin["total"] == 1
    assert begin["source"].endswith(f"/api/conversations/{conversation.id}")
    assert not [call for call in built.calls if call[0] in ("reset", "setSource")]


async def test_a_page_that_was_sent_is_told_its_rows(built: Built) -> None:
    await built.build()
    transcript = built.element(Transcript)
    built.client._response_built = True
    transcript.reset([Row(id="t1", question="Why?")], 7)
    (reset,) = [call for call in built.calls if call[0] == "reset"]
    assert (reset[1][0]["question"], reset[2]) == ("Why?", 7)


async def test_an_unknown_conversation_is_missing(built: Built) -> None:
    await built.build("nowhere")
    assert built.client.status_code == 404
    assert built.element(Welcome).props["view"] == "missing"
    assert built.element(Composer).props["lost"] == "nowhere"


async def test_a_conversation_that_can_not_be_read_keeps_its_draft(
    built: Built, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise StoreError

    monkeypatch.setattr(store, "conversation", fail)
    await built.build("somewhere")
    assert built.client.status_code == 503
    assert built.element(Composer).props["lost"] == ""
    assert "setProblem" in [call[0] for call in built.calls]


async def test_a_page_without_a_browser_is_not_connected(built: Built) -> None:
    browser = BrowserOf(built.client)
    assert not browser.is_open
    assert browser.queued == 0
