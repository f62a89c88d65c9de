"""A page that contains only the list of conversations, controlled by the tests over HTTP.

It begins with the list that its URL requests, dated relative to ``NOW``, which is also the time of
the browser's clock in the tests. Pages of the list and hits are returned as a store would do.
"""

import json
import os
from dataclasses import asdict, replace
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from nicegui import Client, ui

from wireside.records import ConversationInfo, Folder, Hit
from wireside_ui.components.sidebar import Sidebar
from wireside_ui.i18n.catalogue import direction_of, words_in
from wireside_ui.presenters.views import ListScope, Search
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


def belongs(info: ConversationInfo, scope: ListScope) -> bool:
    if scope.kind == "archive" or info.archived_at is not None:
        return scope.kind == "archive" and info.archived_at is not None
    if scope.kind == "folder":
        return info.folder_id == scope.of
    return info.folder_id is None or info.pinned_at is not None


def listed(scope: ListScope, cursor: str | None) -> tuple[list[ConversationInfo], str | None]:
    infos = [info for info in known.values() if belongs(info, scope)]
    infos.sort(key=lambda info: (info.pinned_at or 0, info.updated_at, info.id), reverse=True)
    first = int(cursor or 0)
    end = first + (LARGE_PAGE if len(infos) > 1000 else PAGE)
    return infos[first:end], str(end) if end < len(infos) else None


@ui.page("/")
def page(
    client: Client, total: int = 0, language: str = "en", current: str = "", folders: int = 0
) -> None:
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
        infos, cursor = listed(ListScope(), None)
        sidebar = Sidebar(
            base="",
            words=words_in(language),
            current=current,
            items=infos,
            cursor=cursor,
            asking=[],
            live=["c1"],
            folders=[
                Folder(id=f"f{n}", owner="", name=f"Folder {n}", created_at=NOW)
                for n in range(folders)
            ],
            on_need=need,
            on_search=search,
            on_rename=lambda *args: change("rename", *args),
            on_pin=lambda *args: change("pin", *args),
            on_move=lambda *args: change("move", *args),
            on_tag=lambda *args: change("tag", *args),
            on_archive=lambda *args: change("archive", *args),
            on_delete=lambda *args: change("delete", *args),
            on_restore=lambda *args: change("restore", *args),
            on_duplicate=lambda name: events.append(["duplicate", name]),
            on_preset=lambda name: events.append(["preset", name]),
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


def need(cursor: str | None, scope: ListScope) -> None:
    events.append(["need", cursor, scope.kind == "archive"])
    if failing:
        sidebars[0].fail(failing.pop())
    else:
        infos, more = listed(scope, cursor)
        sidebars[0].show(infos, more, scope=scope, fresh=cursor is None)


async def search(wanted: Search, cursor: int | None) -> None:
    query, filters = wanted.query, wanted.filters
    chosen = {name: value for name, value in asdict(filters).items() if value is not None}
    events.append(["search", query, cursor, *([chosen] if chosen else [])])
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
    elif filters.tag == "travel" and cursor is None:
        hits = [
            Hit(
                conversation_id="c4",
                title="Tax return",
                turn_id=None,
                kind="title",
                snippet=("Tax return",),
                cursor=3,
                created_at=NOW,
            )
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
                is_archived=True,
            ),
            Hit(
                conversation_id="c1",
                title=HOSTILE,
                turn_id="t7",
                kind="question",
                snippet=("an ", "img", " <b>tag</b>"),
                cursor=1,
                created_at=NOW,
                is_archived=True,
            ),
        ]
    else:
        hits = []
    sidebars[0].show_hits(wanted, [] if query == "img" and cursor else hits, fresh=cursor is None)


def change(what: str, *args: Any) -> None:
    events.append([what, *args])
    names = [args[0]] if what == "rename" else args[0]
    for name in names:
        info = known[name]
        if what == "rename":
            info = replace(info, title=args[1])
        elif what == "pin":
            info = replace(info, pinned_at=NOW if args[1] else None)
        elif what == "move":
            info = replace(info, folder_id=args[1])
        elif what == "tag":
            others = [tag for tag in info.tags if tag != args[1]]
            info = replace(info, tags=(*others, args[1]) if args[2] else tuple(others))
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


@app.get("/api/me")
@app.get("/api/usage/own")
def no_limits() -> dict[str, str]:
    return {}


@app.post("/api/folders")
async def add_folder(request: Request) -> JSONResponse:
    name = (await request.json())["name"]
    events.append(["folder", name])
    return JSONResponse({"id": "fresh", "name": name}, 201)


@app.get("/api/conversations/tags")
def read_tags() -> dict[str, Any]:
    names = sorted({tag for info in known.values() for tag in info.tags} | {"home", "work"})
    return {"tags": [{"tag": name, "conversations": 1} for name in names]}


@app.patch("/api/folders/{folder_id}")
async def rename_folder(folder_id: str, request: Request) -> dict[str, str]:
    name = (await request.json())["name"]
    events.append(["folder", folder_id, name])
    return {"id": folder_id, "name": name}


@app.delete("/api/folders/{folder_id}", status_code=204)
def delete_folder(folder_id: str) -> None:
    events.append(["delete folder", folder_id])
    for name, info in known.items():
        if info.folder_id == folder_id:
            known[name] = replace(info, folder_id=None)


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
        elif what == "set_folders":
            sidebar.set_folders(
                [Folder(**one, owner="", created_at=NOW) for one in args["folders"]]
            )
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
