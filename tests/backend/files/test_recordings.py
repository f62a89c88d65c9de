"""Recordings of a microphone: transcribed for their user, within limits, and not kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from wireside.app import create_app
from wireside.bootstrap.parts import Parts
from wireside.errors import Unauthorized
from wireside.files.service import MAX_RECORDING_BYTES, UPLOADS_AT_ONCE
from wireside.identity import LOCAL
from wireside.settings.model import Settings
from wireside.testing import FakeOpenAI, failure, json_page

WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm" + bytes(5_000)


@asynccontextmanager
async def serving(
    lab: FakeOpenAI, folder: Path, **settings: Any
) -> AsyncIterator[tuple[httpx2.AsyncClient, Parts]]:
    given = {"transcription_model": "whisper-1", **settings}
    application = create_app(
        Settings(openai_base_url=lab.url, data_dir=folder, title_model="off", shutdown_s=0, **given)
    )
    app = application.app
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app, client=("127.0.0.1", 5000))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield http, application.parts


async def post(http: httpx2.AsyncClient, content: bytes = WEBM) -> tuple[int, dict[str, Any]]:
    response = await http.post("/api/transcriptions", content=content)
    return response.status_code, response.json()


async def test_a_recording_is_transcribed_counted_and_not_kept(tmp_path: Path) -> None:
    async with FakeOpenAI() as lab, serving(lab, tmp_path) as (http, parts):
        lab.transcribe_with(json_page({"text": " Good \ud83d morning. "}), json_page({"text": ""}))
        assert await post(http) == (200, {"text": "Good \ufffd morning."})
        assert await post(http) == (200, {"text": ""})
        first = next(one for one in lab.requests if one.path.endswith("transcriptions"))
        assert first.body == {"model": "whisper-1", "response_format": "json", "file": WEBM}
        assert await parts.files.store.size_of_all(LOCAL.user_id) == 0
        assert list(parts.files.contents.all_hashes()) == []
        await parts.usage.flush()
        rows = (await http.get("/api/usage")).json()["usage"]
        assert [(row["model"], row["answers"]) for row in rows] == [("whisper-1", 2)]


@pytest.mark.parametrize(
    ("content", "status", "sentence"),
    [
        (b"", 400, "not an audio file"),
        (b"Good morning.", 400, "not an audio file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), 400, "not an audio file"),
        (WEBM + bytes(MAX_RECORDING_BYTES), 413, "10 MiB"),
    ],
)
async def test_what_is_no_recording_reaches_no_service(
    content: bytes, status: int, sentence: str, tmp_path: Path
) -> None:
    async with (
        FakeOpenAI() as lab,
        serving(lab, tmp_path, user_messages_per_minute=1) as (http, _),
    ):
        got, body = await post(http, content)
        assert (got, sentence in body["message"]) == (status, True), body
        assert not lab.requests
        assert (await post(http))[0] == 200  # no quota was spent


async def test_a_recording_counts_as_a_message(tmp_path: Path) -> None:
    async with (
        FakeOpenAI() as lab,
        serving(lab, tmp_path, messages_per_minute_address=2) as (http, parts),
    ):
        lab.transcribe_with(failure(500, "Broken"))
        status, body = await post(http)
        assert (status, body["code"]) == (503, "provider_unavailable")
        assert (await post(http))[0] == 200
        chat = parts.chat.for_caller(LOCAL)
        with pytest.raises(Unauthorized):
            await chat.for_caller(replace(LOCAL, role="viewer")).transcribe(WEBM)
        parts.files.uploading[LOCAL.user_id] = UPLOADS_AT_ONCE
        assert (await post(http))[0] == 429


async def test_without_a_model_nothing_is_transcribed(tmp_path: Path) -> None:
    async with (
        FakeOpenAI() as lab,
        serving(lab, tmp_path, transcription_model=None) as (http, parts),
    ):
        assert parts.chat.files.recording_s == 0
        status, body = await post(http)
        assert (status, "TRANSCRIPTION_MODEL" in body["message"]) == (400, True)


async def test_only_a_page_that_can_record_may_use_the_microphone(tmp_path: Path) -> None:
    async with FakeOpenAI() as lab:
        for seconds, allowed in ((60, "(self)"), (0, "()")):
            async with serving(lab, tmp_path, recording_s=seconds) as (http, _):
                page = await http.get("/")
                assert f"microphone={allowed}" in page.headers["permissions-policy"]
                elsewhere = await http.get("/doctor")
                assert "microphone=()" in elsewhere.headers["permissions-policy"]
