"""Files over REST: uploads as bodies and forms, and what browsers may do with them."""

from __future__ import annotations

import shutil
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from tests.backend.files.samples import png
from wireside.api.errors import ErrorResponses
from wireside.api.routes.conversations import ConversationRoutes
from wireside.api.routes.files import FORM_BYTES, FileRoutes
from wireside.chat.service import ChatService
from wireside.files.service import FileRules
from wireside.identity import Caller
from wireside.messages import Options

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture
def file_rules() -> FileRules:
    return FileRules(max_bytes=100_000)


@pytest.fixture
async def http(chat: ChatService) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    ErrorResponses(count=lambda _: None).register_handlers(app)
    app.include_router(FileRoutes().build_router())
    app.include_router(ConversationRoutes(str, time.time).build_router())

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"chat": chat}
        await app(scope, receive, send)

    transport = httpx2.ASGITransport(asked)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test/api") as client:
        yield client


async def upload(http: httpx2.AsyncClient, name: str, content: bytes) -> str:
    response = await http.post("/uploads", params={"name": name}, content=content)
    assert response.status_code == 201, response.text
    file_id: str = response.json()["id"]
    return file_id


async def test_a_body_is_kept(http: httpx2.AsyncClient) -> None:
    headers = {"Content-Type": "text/html"}  # a client's word is not taken
    response = await http.post(
        "/uploads", params={"name": "a/b.png"}, content=png(), headers=headers
    )
    view = response.json()
    assert (response.status_code, view["name"], view["media_type"], view["size_bytes"]) == (
        201,
        "b.png",
        "image/png",
        len(png()),
    )
    shown = await http.get(f"/files/{view['id']}")
    assert (shown.content, shown.headers["content-type"]) == (png(), "image/png")
    assert shown.headers["content-disposition"] == "inline; filename*=UTF-8''b.png"
    assert shown.headers["content-length"] == str(len(png()))


async def test_a_form_is_kept(http: httpx2.AsyncClient) -> None:
    form = {"file": ("Größe.csv", b"1;2" * 9_000, "text/html")}
    view = (await http.post("/uploads", files=form)).json()
    assert (view["name"], view["media_type"], view["size_bytes"]) == (
        "Größe.csv",
        "text/csv",
        27_000,
    )
    assert (await http.get(f"/files/{view['id']}")).content == b"1;2" * 9_000


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"other": ("a.txt", b"a")}, 400),
        ({"file": ("a.txt", b"a" * 100_001)}, 413),
        ({"file": ("a.txt", b"a" * (100_001 + FORM_BYTES))}, 413),
        ({"file": ("a.txt", b"")}, 400),
        ({"file": ("a.txt", b"\0")}, 400),
    ],
)
async def test_a_form_is_refused(
    http: httpx2.AsyncClient, form: dict[str, tuple[str, bytes]], status: int
) -> None:
    response = await http.post("/uploads", files=form)
    assert response.status_code == status
    assert set(response.json()) == {"message", "code"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: nothing\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b"no form"),
        ("multipart/form-data; boundary=" + "x" * 500, b"--"),
    ],
)
async def test_a_broken_form_is_refused(http: httpx2.AsyncClient, kind: str, body: bytes) -> None:
    response = await http.post("/uploads", content=body, headers={"Content-Type": kind})
    assert response.status_code == 400


async def test_a_body_has_a_limit(http: httpx2.AsyncClient) -> None:
    response = await http.post("/uploads", params={"name": "a.txt"}, content=b"a" * 100_001)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a.png", "a.xhtml", "a.js"])
async def test_what_could_run_is_downloaded_as_text(http: httpx2.AsyncClient, name: str) -> None:
    shown = await http.get(f"/files/{await upload(http, name, SVG)}")
    assert shown.content == SVG
    assert shown.headers["content-type"] == "text/plain; charset=utf-8"
    assert shown.headers["content-disposition"].startswith("attachment;")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_an_unchanged_file_is_not_sent_again(http: httpx2.AsyncClient) -> None:
    file_id = await upload(http, "a.png", png())
    first = await http.get(f"/files/{file_id}")
    assert first.headers["cache-control"] == "private, no-cache"
    again = await http.get(f"/files/{file_id}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_conversation_lists_the_files_of_its_questions(
    http: httpx2.AsyncClient, chat: ChatService
) -> None:
    file_id = await upload(http, "a.png", png())
    conversation, _ = await chat.ask_in_conversation(
        "new", "?", key=None, options=Options(), attachments=[file_id]
    )
    view = (await http.get(f"/conversations/{conversation.id}")).json()
    assert view["turns"][0]["attachments"] == [
        {"id": file_id, "name": "a.png", "media_type": "image/png"}
    ]


async def test_files_are_in_exports_and_are_imported(
    http: httpx2.AsyncClient, chat: ChatService
) -> None:
    contents = {"a.png": png(), "b.csv": b"1;2" * 30_001}
    ids = [await upload(http, name, content) for name, content in contents.items()]
    question = '"url":"upload:none" \\"url\\":\\"upload:none\\"'
    conversation, _ = await chat.ask_in_conversation(
        "new", question, key=None, options=Options(), attachments=ids
    )
    path = f"/conversations/{conversation.id}/export"
    exported = (await http.get(path, params={"format": "json"})).content
    assert not any(file_id.encode() in exported for file_id in ids)
    await chat.library.delete([conversation.id])
    imported = (await http.post("/conversations/import", content=exported)).json()
    (turn,) = (await http.get(f"/conversations/{imported['conversations'][0]}")).json()["turns"]
    assert turn["question"] == question
    assert [one["name"] for one in turn["attachments"]] == list(contents)
    for attachment in turn["attachments"]:
        assert attachment["id"] not in (*ids, None)
        shown = await http.get(f"/files/{attachment['id']}")
        assert shown.content == contents[attachment["name"]]


async def test_a_page_has_the_images_of_questions_and_names_other_files(
    http: httpx2.AsyncClient, chat: ChatService
) -> None:
    names = ("a.png", "b.csv", "c.svg.png", "d.png")
    contents = (png(), b"1;2", SVG, png(7, 7))
    ids = [await upload(http, *each) for each in zip(names, contents, strict=True)]
    conversation, _ = await chat.ask_in_conversation(
        "new", "", key=None, options=Options(), attachments=ids
    )
    path = f"/conversations/{conversation.id}/export"
    page = (await http.get(path, params={"format": "html"})).text
    for name, content in (("a.png", png()), ("d.png", png(7, 7))):
        assert f'alt="{name}" src="data:image/png;base64,{b64encode(content).decode()}"' in page
    assert page.count("<img ") == 2
    assert "[file: b.csv]" in page
    assert "[file: c.svg.png]" in page
    assert b64encode(SVG).decode() not in page
    markdown = (await http.get(path, params={"format": "markdown"})).text
    assert "\n> \\[image\\: a.png\\]\n\n> \\[file\\: b.csv\\]\n" in markdown
    assert "base64" not in markdown


async def test_an_export_without_a_content_has_its_name(
    http: httpx2.AsyncClient, chat: ChatService, tmp_path: Path
) -> None:
    file_id = await upload(http, "a.csv", b"1;2")
    conversation, _ = await chat.ask_in_conversation(
        "new", "?", key=None, options=Options(), attachments=[file_id]
    )
    shutil.rmtree(tmp_path / "files")
    path = f"/conversations/{conversation.id}/export"
    exported = (await http.get(path, params={"format": "json"})).json()
    (turn,) = exported["conversations"][0]["turns"]
    assert (turn["question_parts"][1]["url"], turn["question_parts"][1]["name"]) == ("", "a.csv")
    assert (await http.get(f"/files/{file_id}")).status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "upload:{}",
        "data:image/png;base64,?",
        "data:image/png;base64,AA==",
        "data:image/png,a",
        "data:",
        "data:text/plain;base64," + "YWFh" * 40_000,
    ],
)
async def test_an_import_keeps_no_other_files(
    http: httpx2.AsyncClient, chat: ChatService, url: str
) -> None:
    """Neither those that an upload could not be, nor references to files that are there."""
    eve = chat.for_caller(Caller(user_id="eve", name="Eve", role="user"))
    files = eve.files.upload_file("secret.txt", _one(b"secret"))
    part = {"type": "file", "url": url.format((await files).id), "name": "a.txt"}
    turn = {"id": "t", "question": "?", "question_parts": [part], "answer": []}
    file = {"format": "wireside", "version": 1, "conversations": [{"title": "T", "turns": [turn]}]}
    imported = (await http.post("/conversations/import", json=file)).json()
    (shown,) = (await http.get(f"/conversations/{imported['conversations'][0]}")).json()["turns"]
    assert shown["attachments"] == [{"id": None, "name": "a.txt", "media_type": ""}]


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_an_upload_can_be_deleted_until_a_question_refers_to_it(
    http: httpx2.AsyncClient, chat: ChatService
) -> None:
    unused, used = [await upload(http, name, b"a") for name in ("a.txt", "b.txt")]
    await chat.ask_in_conversation("new", "?", key=None, options=Options(), attachments=[used])
    assert (await http.delete(f"/files/{unused}")).status_code == 204
    assert (await http.get(f"/files/{unused}")).status_code == 404
    assert (await http.delete(f"/files/{unused}")).status_code == 404
    refused = await http.delete(f"/files/{used}")
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_message")
    assert (await http.get(f"/files/{used}")).content == b"a"
