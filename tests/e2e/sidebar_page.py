"""A page that contains only the list of conversations, controlled by the tests over HTTP.

It begins with the list that its URL requests, dated relative to ``NOW``, which is also the time of
the browser's clock in the tests. Pages of the list and hits are returned as a store would do.
"""

import json
import os
from dataclasses import replace
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from nicegui import Client, ui

from wireside.records import ConversationInfo, Hit
from wireside_ui.components.sidebar import Sidebar
from wireside_ui.i18n.catalogue import direction_of, words_in
from wireside_ui.static_files import Assets
from wireside_ui.theme import Branding, head_html

NOW = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC
DAY_S = 86_400.0
PAGE, LARGE_PAGE = 50, 500
HOSTILE = "<img src=x onerror=\"window.harm=1\"> & 'so' on"
TITLES = (
    (0.1, "Wombats and where they live"),
    (0.2, HOSTILE),
    (1.0, "A title that is so long that a sidebar can never show all of it in one line"),
    (3.0, "مرحبا بالعالم"),
    (12.0, "Tax return"),
    (40.0, "Summer in Lisbon"),
    (400.0, ""),
)

app = FastAPI()
sidebars: list[Sidebar] = []
known: dict[str, ConversationInfo] = {}
events: list[list[Any]] = []
failing: list[str] = []


def listed(archived: bool, cursor: str | None) -> tuple[list[ConversationInfo], str | None]:
    infos = [info for info in known.values() if (info.archived_at is not None) == archived]
    infos.sort(key=lambda info: (info.pinned_at or 0, info.updated_at, info.id), reverse=True)
    first = int(cursor or 0)
    end = first + (LARGE_PAGE if len(infos) > 1000 else PAGE)
    return infos[first:end], str(end) if end < len(infos) else None


@ui.page("/")
def page(client: Client, total: int = 0, language: str = "en", current: str = "") -> None:
    known.clear()
    events.clear()
    failing.clear()
    for n in range(max(total, 0)):
        at = NOW - n * DAY_S / 20
        known[f"n{n}"] = ConversationInfo(
            id=f"n{n}", title=f"Number {n}", created_at=at, updated_at=at
        )
    if total == 0:
        for n, (days, title) in enumerate(TITLES):
            at = NOW - days * DAY_S
            known[f"c{n}"] = ConversationInfo(id=f"c{n}", title=title, created_at=at, updated_at=at)
        known["old"] = ConversationInfo(
            id="old", title="Put away", created_at=NOW, updated_at=NOW, archived_at=NOW
        )
    head = head_html(
        Branding(), base="", version="0", language=language, direction=direction_of(language)
    )
    ui.add_head_html(head)
    client.page_container.set_visibility(False)
    with client.layout, ui.element("div").classes("ws-page"):
        infos, cursor = listed(archived=False, cursor=None)
        sidebar = Sidebar(
            base="",
            words=words_in(language),
            current=current,
            items=infos,
            cursor=cursor,
            asking=[],
            live=["c1"],
            on_need=need,
            on_search=search,
            on_rename=lambda *args: change("rename", *args),
            on_pin=lambda *args: change("pin", *args),
            on_archive=lambda *args: change("archive", *args),
            on_delete=lambda *args: change("delete", *args),
            on_restore=lambda *args: change("restore", *args),
        )
        sidebars[:] = [sidebar]
        with ui.element("main").style("padding: 12px"):
            opener = ui.element("button").classes("ws-button").props("data-testid=opener")
            opener.on(
                "click", js_handler="() => window.dispatchEvent(new Event('wireside:sidebar'))"
            )
            with opener:
                ui.label("Conversations")
            ui.html('<h1 style="font-size: 1.25rem">Page</h1><a href="#a">Behind</a>')


def need(cursor: str | None, archived: bool) -> None:
    events.append(["need", cursor, archived])
    if failing:
        sidebars[0].fail(failing.pop())
    else:
        infos, more = listed(archived, cursor)
        sidebars[0].show(infos, more, archived=archived, fresh=cursor is None)


async def search(query: str, cursor: int | None) -> None:
    events.append(["search", query, cursor])
    if query == "many":
        first = cursor or 0
        hits = [
            Hit(
                conversation_id=f"c{n}",
                title=f"Hit {n}",
                turn_id="t",
                kind="answer",
                snippet=("one of ", "many", ""),
                cursor=n + 1,
                created_at=NOW,
            )
            for n in range(first, min(first + 30, 75))
        ]
    elif query == "img":
        hits = [
            Hit(
                conversation_id="c1",
                title=HOSTILE,
                turn_id=None,
                kind="title",
                snippet=("<", "img", " src=x onerror=…>"),
                cursor=2,
                created_at=NOW,
            ),
            Hit(
                conversation_id="c1",
                title=HOSTILE,
                turn_id="t7",
                kind="question",
                snippet=("an ", "img", " <b>tag</b>"),
                cursor=1,
                created_at=NOW,
            ),
        ]
    else:
        hits = []
    sidebars[0].show_hits(query, [] if query == "img" and cursor else hits, fresh=cursor is None)


def change(what: str, *args: Any) -> None:
    events.append([what, *args])
    names = [args[0]] if what == "rename" else args[0]
    for name in names:
        info = known[name]
        if what == "rename":
            info = replace(info, title=args[1])
        elif what == "pin":
            info = replace(info, pinned_at=NOW if args[1] else None)
        elif what == "archive":
            info = replace(info, archived_at=NOW if args[1] else None)
        known[name] = info
        if what == "delete":
            sidebars[0].take_out([name])
        else:
            sidebars[0].put(info)


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/events")
def read_events() -> list[list[Any]]:
    return events


@app.post("/api/conversations/import")
async def import_file(request: Request) -> JSONResponse:
    count = len(json.loads(await request.body()))
    if not count:
        return JSONResponse({"message": "There is nothing in this file."}, 400)
    return JSONResponse({"imported": count})


@app.post("/do/{what}")
async def do(what: str, request: Request) -> None:
    """Call a method of the newest page's sidebar, or make the next page of the list fail.

    It returns when a connected browser has received the call.
    """
    args = json.loads(await request.body() or b"{}")
    sidebar = sidebars[0]
    with sidebar:
        if what == "put":
            known[args["id"]] = ConversationInfo(
                id=args["id"], title=args["title"], created_at=NOW, updated_at=NOW
            )
            sidebar.put(known[args["id"]])
        elif what == "set_live":
            sidebar.set_live(args["ids"])
        elif what == "set_asking":
            sidebar.set_asking(args["ids"])
        elif what == "set_current":
            sidebar.set_current(args["id"])
        elif what == "take_out":
            sidebar.take_out(args["ids"])
        elif what == "fail":
            failing.append("The store can't be read now.")
    if sidebar.client.has_socket_connection:
        await sidebar.client.run_javascript("return 0", timeout=30)


app.mount("/assets", Assets())
ui.run_with(
    app, mount_path="/", tailwind=False, storage_secret="test", gzip_middleware_factory=None
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
