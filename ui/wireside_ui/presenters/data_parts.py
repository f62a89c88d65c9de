"""The parts of an answer that are written whole, as rows of the transcript.

Their data is untrusted: a handler passes on what a model has written, and an import brings files.
Each kind is read into a shape that the browser can rely on: with the right types, within limits and
with addresses that may be followed. What does not fit is shown by the part's text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from wireside.invisible_text import seen
from wireside.parts import (
    RASTER_DATA_URL,
    Attachment,
    DataPart,
    FilePart,
    ImagePart,
    data_of,
    label_of,
)
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.urls import MAX_URL_CHARS, destination
from wireside_ui.presenters.figures import figure_in
from wireside_ui.presenters.json_values import number_in, text_in
from wireside_ui.presenters.questions import question_in
from wireside_ui.presenters.rows import DataRow
from wireside_ui.presenters.tables import table_in

KINDS = ("step", "source", "table", "figure", "question", "view", "summary")
"""Kinds of data that the page shows; the others are shown by their text."""

MAX_TEXT_CHARS = 100_000
"""Maximum length of a part's text, and of the input and the output of a step."""

MAX_NAME_CHARS = 300
MAX_EXCERPT_CHARS = 1_000
MAX_DATA_URL_CHARS = 4_000_000
MAX_ID_CHARS = 200

_DATA_URL = re.compile(
    r"data:[\w.+-]{1,64}/[\w.+-]{1,96}(?:;[\w=-]{1,64})?;base64,[A-Za-z0-9+/]*={0,2}"
)
_OWN_PATH = re.compile(r"/(?!/)[\w.~!$&'()*+,;=:@/-]*(?:\?[\w.~=&-]*)?", re.ASCII)


def data_row(part: Attachment, part_id: str, markup: Markup) -> DataRow:
    """Return the row of a part.

    Args:
        part: the part.
        part_id: its id within the answer.
        markup: renders Markdown, and knows the hosts whose images the page may load.
    """
    data: dict[str, Any] | None
    match part:
        case ImagePart():
            kind, data = "image", _image_in(part, markup.image_hosts)
        case FilePart():
            kind, data = "file", _file_in(part)
        case DataPart():
            kind, data = seen(part.kind[:MAX_NAME_CHARS]), _shown(part, markup)
    text = text_in(label_of(part), MAX_TEXT_CHARS)
    return DataRow(kind="data", id=part_id[:MAX_ID_CHARS], type=kind, text=text, data=data)


def own_path(url: str) -> str:
    """Return a path of the server that may be loaded or linked; "" for anything else.

    Of the API only files are allowed: a page that loads another address could change something.
    """
    is_path = len(url) <= MAX_URL_CHARS and _OWN_PATH.fullmatch(url) is not None
    segments = url.partition("?")[0].split("/")
    if not is_path or ".." in segments or "." in segments or "" in segments[1:-1]:
        return ""
    is_api = segments[1] in ("api", "_nicegui", "ws") and segments[1:3] != ["api", "files"]
    return "" if is_api else url


def _shown(part: DataPart, markup: Markup) -> dict[str, Any] | None:
    if part.kind not in KINDS:
        return None
    data = data_of(part)
    if not isinstance(data, dict):
        return None
    match part.kind:
        case "step":
            return _step_in(data)
        case "source":
            return _source_in(data)
        case "table":
            return table_in(data)
        case "figure":
            return figure_in(data)
        case "view":
            name = text_in(data.get("name"), MAX_NAME_CHARS)
            return {"name": name} if name and part.id else None
        case "summary":
            turns = number_in(data.get("turns"))
            return {
                "turns": int(turns) if turns is not None and 0 < turns < 1e9 else None,
                "undone": not part.text.strip(),
            }
        case _:
            return question_in(data, markup)


def _image_in(part: ImagePart, image_hosts: Collection[str]) -> dict[str, Any] | None:
    """Return an image to show, or a link to one that may not be loaded."""
    name = text_in(part.name, MAX_NAME_CHARS)
    is_data = (
        len(part.url) <= MAX_DATA_URL_CHARS and RASTER_DATA_URL.fullmatch(part.url) is not None
    )
    if is_data or own_path(part.url):
        return {"url": part.url, "name": name, "host": ""}
    target = destination(part.url)
    if target is None:
        return None
    is_loaded = target.url.startswith("https:") and target.host in image_hosts
    return {"url": target.url, "name": name, "host": "" if is_loaded else target.host}


def _file_in(part: FilePart) -> dict[str, Any] | None:
    is_data = len(part.url) <= MAX_DATA_URL_CHARS and _DATA_URL.fullmatch(part.url) is not None
    if not is_data and not own_path(part.url):
        return None
    size_bytes = part.size_bytes
    if is_data:
        content = part.url.partition(",")[2]
        size_bytes = len(content) * 3 // 4 - content.count("=")
    return {"url": part.url, "name": text_in(part.name, MAX_NAME_CHARS), "size_bytes": size_bytes}


def _step_in(data: Mapping[str, Any]) -> dict[str, Any]:
    state = data.get("state")
    seconds = number_in(data.get("seconds"))
    return {
        "name": text_in(data.get("name"), MAX_NAME_CHARS),
        "state": state if state in ("running", "failed") else "done",
        "input": text_in(data.get("input"), MAX_TEXT_CHARS),
        "output": text_in(data.get("output"), MAX_TEXT_CHARS),
        "parent": parent[:MAX_ID_CHARS] if isinstance(parent := data.get("parent"), str) else "",
        "seconds": seconds if seconds is not None and seconds >= 0 else None,
    }


def _source_in(data: Mapping[str, Any]) -> dict[str, Any]:
    url = data.get("url")
    target = destination(url) if isinstance(url, str) else None
    return {
        "title": text_in(data.get("title"), MAX_NAME_CHARS),
        "url": target.url if target else "",
        "host": target.host if target else "",
        "text": text_in(data.get("text"), MAX_EXCERPT_CHARS),
    }
