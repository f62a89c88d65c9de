"""Audio files: transcribed by a real server when they are uploaded, and refused without a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hand_clock import HandClock
from wireside.app import create_app
from wireside.bootstrap.providers import build_transcriber
from wireside.chat.service import ChatService
from wireside.errors import (
    InvalidAttachment,
    NotConfigured,
    NotFound,
    ProviderAuth,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
)
from wireside.files.folder import FolderContents
from wireside.files.service import FileRules, Files, part_of_file
from wireside.identity import LOCAL
from wireside.messages import Options
from wireside.parts import FilePart
from wireside.providers import openai as openai_provider
from wireside.providers.local import LocalProvider
from wireside.providers.openai import OpenAIProvider
from wireside.providers.transcription import ModelTranscriber
from wireside.settings.model import Settings
from wireside.store.store import SqlStore
from wireside.testing import FakeOpenAI, Script, answer, failure, json_page

WAV = b"RIFF\x24\0\0\0WAVEfmt " + bytes(90_000)


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.fixture
async def lab() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as lab:
        yield lab


@pytest.fixture
async def files(lab: FakeOpenAI, store: SqlStore, tmp_path: Path) -> AsyncIterator[Files]:
    provider = OpenAIProvider(api_key="sesame", base_url=lab.url, silence_s=5)
    transcriber = ModelTranscriber(provider, "whisper-1", extensions={"audio/wav": "wav"})
    contents = FolderContents(tmp_path / "files")
    rules = FileRules(max_chars=20)
    yield Files(store.files, contents, rules, HandClock(), transcriber=transcriber)
    await provider.aclose()


async def test_the_text_of_an_audio_file_is_its_transcription(
    files: Files, lab: FakeOpenAI
) -> None:
    mine = files.for_caller(LOCAL)
    file = await mine.upload_file("Mémo.wav", pieces(WAV))
    assert (file.media_type, part_of_file(file).name) == ("audio/wav", "Mémo.wav")
    assert await mine.text_of_file(await mine.find_file(file.id)) == "Good morning."
    (request,) = lab.requests  # once: the text is stored
    assert request.path.endswith("/v1/audio/transcriptions")
    assert request.headers["authorization"] == "Bearer sesame"
    assert request.body == {"model": "whisper-1", "response_format": "json", "file": WAV}


async def test_a_long_transcription_is_cut(files: Files, lab: FakeOpenAI) -> None:
    lab.transcribe_with(json_page({"text": "word " * 1_000}))
    mine = files.for_caller(LOCAL)
    file = await mine.upload_file("a.wav", pieces(WAV))
    text = await mine.text_of_file(await mine.find_file(file.id))
    assert text.startswith("word word word word \n\n(The file goes on")


@pytest.mark.parametrize(
    ("script", "error", "sentence"),
    [
        (json_page({"text": " "}), InvalidAttachment, "a.wav has no speech"),
        (json_page({"words": []}), ProviderUnavailable, "no transcription"),
        (json_page([]), ProviderUnavailable, "no transcription"),
        (failure(401, "Incorrect API key"), ProviderAuth, "."),
        (failure(500, "Out of memory"), ProviderError, "."),
        (answer(3).slow_head(None), ProviderTimeout, "in time"),
    ],
)
async def test_a_file_that_is_not_transcribed_is_not_kept(
    files: Files,
    lab: FakeOpenAI,
    script: Script,
    error: type[Exception],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if error is ProviderTimeout:
        monkeypatch.setattr(openai_provider, "TRANSCRIPTION_S", 0.3)
    lab.transcribe_with(script)
    with pytest.raises(error, match=sentence):
        await files.for_caller(LOCAL).upload_file("a.wav", pieces(WAV))
    assert await files.store.size_of_all(LOCAL.user_id) == 0
    assert list(files.contents.all_hashes()) == []


async def test_without_a_model_audio_is_refused(files: Files) -> None:
    none = Files(files.store, files.contents, files.rules, HandClock()).for_caller(LOCAL)
    with pytest.raises(InvalidAttachment, match=r"a\.wav is an audio file.*TRANSCRIPTION_MODEL"):
        await none.upload_file("a.wav", pieces(WAV))
    kept = await files.for_caller(LOCAL).upload_file("a.wav", pieces(WAV))
    with pytest.raises(InvalidAttachment, match="TRANSCRIPTION_MODEL"):
        await none.text_of_file(replace(kept, text=None))
    with pytest.raises(NotFound):
        await none.find_file("another")


def test_a_model_needs_a_service(tmp_path: Path) -> None:
    settings = Settings(transcription_model="whisper-1", data_dir=tmp_path)
    for provider in (None, LocalProvider.__new__(LocalProvider)):
        with pytest.raises(NotConfigured, match="OPENAI_BASE_URL"):
            build_transcriber(settings, provider)
    assert build_transcriber(Settings(data_dir=tmp_path), None) is None


@asynccontextmanager
async def serving(lab: FakeOpenAI, folder: Path) -> AsyncIterator[ChatService]:
    settings = Settings(
        openai_base_url=lab.url,
        transcription_model="whisper-1",
        data_dir=folder,
        title_model="off",
        shutdown_s=0,
    )
    application = create_app(settings)
    async with application.app.router.lifespan_context(application.app):
        yield application.parts.chat.for_caller(LOCAL)


async def test_a_model_gets_the_transcription(lab: FakeOpenAI, tmp_path: Path) -> None:
    async with serving(lab, tmp_path) as chat, asyncio.timeout(30):
        file = await chat.files.upload_file("memo.wav", pieces(WAV))
        stream, _ = await chat.answer_in(
            "new", "", key=None, options=Options(), attachments=[file.id]
        )
        await stream.wait_ended()
    (request,) = lab.chats
    assert request.question == ('The audio file "memo.wav", transcribed:\n\nGood morning.\n\n(End)')
    assert isinstance(part_of_file(file), FilePart)
