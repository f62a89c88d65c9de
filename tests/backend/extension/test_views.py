"""Views as parts of an answer, and pages next to the chat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.backend.extension.test_handlers import ask, serving
from wireside.app import create_app
from wireside.errors import NotFound
from wireside.extension.chat import Chat
from wireside.extension.parts import View
from wireside.extension.turn import Turn, User
from wireside.identity import Caller
from wireside.parts import DataPart, data_of, is_hidden
from wireside.settings.model import Settings
from wireside_ui.application_pages import FRAME_RECONNECT_S, RECONNECT_S


async def shown(value: object, folder: Path, chat: Chat | None = None) -> DataPart:
    """Return the part that a handler's value becomes, and check who may read it."""
    chat = chat or Chat()

    @chat.on_message
    def answer(turn: Turn) -> Any:
        yield value

    async with serving(chat, folder) as service:
        _, turn = await ask(service, "q")
        (stored,) = (one for one in turn.answer if isinstance(one, DataPart) and not is_hidden(one))
        part = await service.read_data_part(turn.id, stored.id)
        other = service.for_caller(Caller(user_id="other", name="", role="user"))
        for caller, turn_id, part_id in (
            (other, turn.id, part.id),
            (service, turn.id, "other"),
            (service, "other", part.id),
        ):
            with pytest.raises(NotFound):
                await caller.read_data_part(turn_id, part_id)
    return part


async def test_a_call_of_a_view_is_a_part_with_its_arguments(tmp_path: Path) -> None:
    chat = Chat()
    built: list[Any] = []

    @chat.view(text=lambda months, since: f"Sums of {months} months")
    def totals(months: int, *, since: date | None = None) -> None:
        built.append((months, since))

    part = await shown(totals(3, since=date(2026, 5, 1)), tmp_path, chat)
    assert (part.kind, part.text) == ("view", "Sums of 3 months")
    data = data_of(part)
    assert data == {"name": "totals", "data": {"months": 3, "since": "2026-05-01"}}
    await chat.views["totals"].build(data["data"])
    assert built == [(3, date(2026, 5, 1))]
    with pytest.raises(ValueError, match="valid integer"):
        await chat.views["totals"].build({"months": "<script>"})
    with pytest.raises(TypeError):
        await chat.views["totals"].build({"html": "<script>"})
    with pytest.raises(TypeError):
        totals("too", "many")  # type: ignore[call-arg,arg-type]


async def test_a_view_by_name(tmp_path: Path) -> None:
    @dataclass
    class Sums:
        may: int = 3

    part = await shown(View("totals", {"sums": Sums()}), tmp_path)
    assert part.text == "[totals]"
    assert data_of(part) == {"name": "totals", "data": {"sums": {"may": 3}}}


async def test_a_view_with_the_id_of_an_earlier_one_takes_its_place(tmp_path: Path) -> None:
    chat = Chat()

    @chat.on_message
    def answer(turn: Turn) -> Any:
        yield View("progress", {"done": 1}, id="p")
        yield "text"
        yield View("progress", {"done": 2}, id="p")

    async with serving(chat, tmp_path) as service:
        _, turn = await ask(service, "q")
    views = [part for part in turn.answer if isinstance(part, DataPart) and part.kind == "view"]
    assert [data_of(part)["data"] for part in views] == [{"done": 2}]


async def test_async_views_are_awaited() -> None:
    chat = Chat()
    built: list[list[int]] = []

    @chat.view(name="late")
    async def view(rows: list[int]) -> None:
        built.append(rows)

    await chat.views["late"].build({"rows": [1]})
    assert built == [[1]]


def test_views_that_could_not_be_told_apart_are_refused() -> None:
    chat = Chat()
    chat.view(name="a")(lambda: None)
    with pytest.raises(ValueError, match="two views called 'a'"):
        chat.view(name="a")(lambda: None)
    with pytest.raises(TypeError, match="name it"):
        chat.view(name="b")(lambda *rows: None)


async def test_a_page_gets_the_user_if_it_takes_one() -> None:
    chat = Chat()
    users: list[User | None] = []
    chat.page("/one")(lambda user: users.append(user))
    chat.page("/my-reports")(lambda: users.append(None))
    for page in chat.pages:
        await page.build(User(id="ada"))
    assert users == [User(id="ada"), None]
    assert [page.title for page in chat.pages] == ["One", "My reports"]


@pytest.mark.parametrize("path", ["reports", "/", "/Reports", "/a//b", "/a/../b", "/{id}", "/a?b"])
def test_paths_that_are_none_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"can't be at"):
        Chat().page(path)(lambda: None)


@pytest.mark.parametrize("path", ["/dashboard", "/c/x", "/api/reports", "/login", "/view/a/b"])
def test_a_page_at_the_path_of_another_is_refused(path: str, tmp_path: Path) -> None:
    chat = Chat()
    chat.on_message(lambda turn: "")
    chat.view(name="a")(lambda: None)
    chat.page(path)(lambda: None)
    with pytest.raises(ValueError, match=r"Wireside has one there"):
        create_app(Settings(data_dir=tmp_path), chat=chat)
    with pytest.raises(ValueError, match=r"two pages at"):
        chat.page(path)(lambda: None)


async def policies(chat: Chat, folder: Path, *paths: str) -> dict[str, str]:
    """Return the Content-Security-Policy of pages."""
    application = create_app(Settings(data_dir=folder, title_model="off"), chat=chat)
    app = application.app
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app, client=("127.0.0.1", 5000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            found = {}
            for path in paths:
                response = await client.get(path)
                assert response.status_code == 200, response.text
                found[path] = response.headers["content-security-policy"]
                is_framed = found[path].endswith("'self'")
                assert ("x-frame-options" in response.headers) is not is_framed
                newest = application.parts.pages.clients[-1].page.resolve_reconnect_timeout()
                assert newest == (FRAME_RECONNECT_S if is_framed else RECONNECT_S)
            return found


async def test_only_the_pages_of_views_may_be_framed(tmp_path: Path) -> None:
    chat = Chat()
    chat.on_message(lambda turn: View("a", {}))
    async with serving(chat, tmp_path) as service:
        _, turn = await ask(service, "q")
        part = next(one for one in turn.answer if isinstance(one, DataPart) and not is_hidden(one))
    chat.page("/reports")(lambda: None)
    (without,) = (await policies(chat, tmp_path, "/")).values()
    assert "frame-src 'none'" in without
    chat.view(name="a")(lambda: None)
    view = f"/view/{turn.id}/{part.id}"
    found = await policies(chat, tmp_path, "/", view, "/reports")
    assert "frame-src 'self'" in found["/"]
    assert found["/"].endswith("frame-ancestors 'none'")
    assert found[view].endswith("frame-ancestors 'self'")
    assert "frame-src 'none'" in found[view]
    assert found["/reports"].endswith("frame-ancestors 'none'")
