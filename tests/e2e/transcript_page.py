"""A page with only a transcript in the chat page's frame, controlled by the tests over HTTP."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from nicegui import Client, ui

from wireside.parts import DataPart, FilePart, ImagePart, part_from_object
from wireside_ui.components.transcript import Transcript
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.incremental import BlockStream, render
from wireside_ui.presenters.data_parts import data_row
from wireside_ui.presenters.rows import Action, DataRow, Row
from wireside_ui.static_files import Assets
from wireside_ui.theme import Branding, head_html

MARKUP = Markup(frozenset({"images.example"}))
RICH = (Path(__file__).parent / "rich_answer.md").read_text(encoding="utf-8")

app = FastAPI()
app.mount("/assets", Assets())
transcripts: list[Transcript] = []
streams: dict[str, BlockStream] = {}
events: list[dict[str, Any]] = []


def with_parts(args: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a row.

    ``reasoning``, ``tools``, ``html`` and ``whole`` are parts in this order.
    """
    named = {"reasoning", "tools", "html", "whole"} & args.keys()
    parts = list(args.get("parts", ()))
    if args.get("reasoning"):
        parts.append({"kind": "reasoning", "text": args["reasoning"], "seconds": None})
    parts += [{"kind": "tool", **tool} for tool in args.get("tools", ())]
    if args.get("html"):
        parts.append({"kind": "text", "html": args["html"]})
    parts += map(whole_part, args.get("whole", ()))
    others = {name: value for name, value in args.items() if name not in named}
    return {**others, "parts": parts} if named else args


def whole_part(value: dict[str, Any]) -> DataRow:
    """Return the row of a part that is written whole, from its JSON object."""
    part = part_from_object(value)
    assert isinstance(part, DataPart | ImagePart | FilePart)
    return data_row(part, value.get("id", ""), MARKUP)


def row_of(**args: Any) -> Row:
    return Row(**with_parts(args))


def history_row(index: int) -> Row:
    text = f"Answer number {index}.\n\n" + "Some **words** follow each other. " * (
        3 + index * 7 % 40
    )
    return row_of(id=f"h{index}", question=f"Question {index}", html=render(text, MARKUP))


@ui.page("/")
def page(
    client: Client, total: int = 0, rich: bool = False, misses: int = 0, consent: bool = False
) -> None:
    """Build the page, with the style sheets of the chat page, in their order.

    ``misses`` is the number of initial reads of turns that fail, ``consent``: feedback asks for it.
    """
    ui.add_head_html(head_html(Branding(), base="", version="0", language="en", direction="ltr"))
    client.page_container.set_visibility(False)

    def acted(action: Action) -> None:
        event = {"name": action.name, "id": action.row_id, "automatic": action.automatic}
        event |= {"words": action.words} if action.words else {}
        events.append({**event, "shown": True} if action.is_shown else event)

    def sought(query: str) -> None:
        places = [i for i in range(total) if query in f"Question {i} Answer number {i}"]
        transcript.found_in(query, places)

    missed: list[int] = []

    def needed(page_index: int) -> None:
        if len(missed) < misses:
            missed.append(page_index)
            transcript.miss(page_index)
            return
        first = page_index * 20
        transcript.put(page_index, [history_row(i) for i in range(first, min(first + 20, total))])

    with client.layout, ui.element("div").classes("ws-page"), ui.element("main").classes("ws-main"):
        transcript = Transcript(
            on_action=acted,
            on_need=needed,
            on_find=sought,
            on_answer=lambda answer: events.append({"name": "answer", **asdict(answer)}),
            answer_text=lambda row_id: f"**Markdown** of {row_id}",
            asks_consent=consent,
        )
    transcripts[:] = [transcript]
    if total:
        transcript.reset([], total)
    if rich:
        transcript.append(
            row_of(
                id="r",
                question="Show me everything you can write.\nAll of it.",
                html=render(RICH, MARKUP),
            )
        )


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/events")
def read_events() -> list[dict[str, Any]]:
    return events


@app.post("/do/{what}")
async def do(what: str, request: Request) -> dict[str, Any]:
    """Call a method of the newest page's transcript, and wait until a connected browser has it.

    ``feed`` and ``finish`` use a block stream.
    """
    args = json.loads(await request.body() or b"{}")
    transcript = transcripts[0]
    with transcript:
        if what == "append":
            transcript.append(row_of(**args))
        elif what == "feed":
            stream = streams.setdefault(args["id"], BlockStream(MARKUP))
            for piece in args["pieces"]:
                stream.feed(piece)
                if not args.get("at_once"):
                    transcript.ops(args["id"], stream.flush())
            transcript.ops(args["id"], stream.flush())
        elif what == "finish":
            transcript.ops(args["id"], streams.pop(args["id"]).flush(final=True))
            transcript.change(args["id"], state="done")
        elif what == "restart":
            transcript.reset([row_of(**row) for row in args["rows"]], args["total"])
            transcript.ops(args["id"], streams[args["id"]].restart())
        elif what == "reset":
            transcript.reset([row_of(**row) for row in args["rows"]], args["total"])
        elif what == "forget":
            streams.pop(args["id"])
        elif what == "change":
            transcript.change(args.pop("id"), **with_parts(args))
        elif what == "think":
            transcript.ops(args["id"], [["g", args["text"]]])
        elif what == "tool":
            transcript.ops(args["id"], [["u", {"kind": "tool", **args["tool"]}]])
        elif what == "whole":
            transcript.ops(args["id"], [["d", whole_part(part)] for part in args["parts"]])
        elif what == "take_out":
            transcript.take_out(args["id"])
        elif what == "replace_from":
            rows = [row_of(**row) for row in args["rows"]]
            transcript.replace_from(args["index"], rows, args["total"])
        elif what == "jump":
            transcript.jump(args["index"])
    if transcript.client.has_socket_connection:
        await transcript.client.run_javascript("return 0", timeout=30)
    return {}


app.mount("/assets", Assets())
ui.run_with(
    app,
    mount_path="/",
    tailwind=False,
    storage_secret="test",
    reconnect_timeout=30,  # a busy machine takes seconds to load the bundle of figures
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
