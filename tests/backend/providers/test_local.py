"""The embedded model: mostly a real child with real weights, downloaded once for all runs.

A child uses all processors, so one worker runs the tests of the real model one after another, and
those that do not end the child share one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from tests.hand_clock import HandClock
from wireside.errors import (
    ContextTooLong,
    NotConfigured,
    Overloaded,
    ProviderTimeout,
    ProviderUnavailable,
    UnknownModel,
)
from wireside.limits.backoff import Backoff
from wireside.messages import Finished, Message, ModelRequest, TextDelta
from wireside.ports.provider import Provider
from wireside.providers import weights
from wireside.providers.local import MODEL, SYSTEM, LocalLimits, LocalProvider, SharedModel
from wireside.providers.openai import OpenAIProvider
from wireside.providers.scripted import ScriptedProvider
from wireside.settings.model import Settings

Test = TypeVar("Test", bound=Callable[..., Any])

LONG = "Write a long story about a lighthouse keeper and the sea."

PATIENCE_S = 240.0
"""Time limit of a start and of a silence: on a busy machine, both take as long as it likes."""

LIMITS = LocalLimits(context_tokens=1024, start_s=PATIENCE_S)

LISTENS = (
    "import sys; sys.stdin.readline();"
    """print('{"address": "http://127.0.0.1:9"}', flush=True); sys.stdin.read()"""
)
"""A child that reports at once that it listens, and does not."""


def child(code: str) -> Sequence[str]:
    return (sys.executable, "-c", code)


def request(question: str, *, max_tokens: int | None = None) -> ModelRequest:
    messages = (Message.of_text("user", question),)
    return ModelRequest(model=MODEL, messages=messages, max_tokens=max_tokens)


def connect(base_url: str, key: str) -> Provider:
    return OpenAIProvider(api_key=key, base_url=base_url, silence_s=PATIENCE_S, max_connections=8)


async def text_of(provider: Provider, asked: ModelRequest) -> str:
    deltas = [delta async for delta in provider.stream(asked)]
    assert isinstance(deltas[-1], Finished)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def has_gone(process: psutil.Process) -> bool:
    try:
        process.wait(timeout=10)
    except psutil.TimeoutExpired:  # in some containers no process reaps orphans
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def real_model(test: Test) -> Test:
    """Mark a test of the real model."""
    for mark in (pytest.mark.slow, pytest.mark.xdist_group("model"), pytest.mark.timeout(600)):
        test = mark(test)
    return test


on_the_loop_of_shared = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def file() -> Path:
    return weights.fetch(Settings().cache_dir)


@pytest.fixture
async def local(file: Path) -> AsyncIterator[LocalProvider]:
    provider = LocalProvider(file, connect, LIMITS)
    yield provider
    await provider.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(file: Path) -> AsyncIterator[LocalProvider]:
    """A model whose child goes on after the test."""
    provider = LocalProvider(file, connect, LIMITS)
    yield provider
    await provider.aclose()


@real_model
@on_the_loop_of_shared
async def test_it_answers(shared: LocalProvider) -> None:
    asked = request("What is the capital of France?", max_tokens=20)
    deltas = [delta async for delta in shared.stream(asked)]
    assert sum(isinstance(delta, TextDelta) for delta in deltas) > 1, "it streams"
    assert isinstance(deltas[-1], Finished)
    assert deltas[-1].reason in ("stop", "length")
    assert (deltas[-1].usage.output_tokens or 0) > 1


@real_model
async def test_other_processes_share_the_child(file: Path, unused_tcp_port: int) -> None:
    shared = SharedModel(unused_tcp_port, "k" * 40)
    owner = LocalProvider(file, connect, LIMITS, shared=shared)
    other = LocalProvider(file, connect, LIMITS, shared=shared, owns_child=False)
    try:
        keeping = asyncio.create_task(owner.keep_running_until_cancelled())
        while owner.pid is None:
            await asyncio.sleep(0.05)
        assert await text_of(other, request("Say hello.", max_tokens=5))
        assert other.kind == owner.kind
    finally:
        keeping.cancel()
        await other.aclose()
        await owner.aclose()


@real_model
@on_the_loop_of_shared
async def test_an_answer_has_a_bound(shared: LocalProvider) -> None:
    deltas = [delta async for delta in shared.stream(request(LONG, max_tokens=3))]
    assert isinstance(deltas[-1], Finished)
    assert deltas[-1].reason == "length"


@real_model
@on_the_loop_of_shared
async def test_a_second_request_is_answered_while_the_first_streams(shared: LocalProvider) -> None:
    async with aclosing(shared.stream(request(LONG))) as first:
        await anext(first)
        assert await text_of(shared, request("Say hello.", max_tokens=5))
        assert isinstance(await anext(first), TextDelta)


@real_model
async def test_a_crash_ends_the_answer_and_the_next_request_starts_another(
    local: LocalProvider,
) -> None:
    answer = local.stream(request(LONG))
    await anext(answer)
    pid = local.pid
    assert pid is not None
    with capture_logs() as logs:
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ProviderUnavailable, match="starts again"):
            [delta async for delta in answer]
        assert await text_of(local, request("Say hello.", max_tokens=5))
    assert local.pid not in (None, pid)
    assert [line["code"] for line in logs if line["event"] == "embedded_model_ended"] == [-9]


@real_model
async def test_a_crash_between_answers_is_not_noticed(local: LocalProvider) -> None:
    assert await text_of(local, request("Say hello.", max_tokens=5))
    assert local.pid
    os.kill(local.pid, signal.SIGKILL)
    assert await text_of(local, request("Say hello.", max_tokens=5))


@real_model
@on_the_loop_of_shared
async def test_a_context_that_is_too_long_is_said(shared: LocalProvider) -> None:
    with pytest.raises(ContextTooLong):
        await text_of(shared, request("word " * 2000))


@real_model
async def test_nobody_else_can_use_it(file: Path) -> None:
    addresses = []

    def remember(base_url: str, key: str) -> Provider:
        addresses.append(base_url)
        return connect(base_url, key)

    local = LocalProvider(file, remember, LIMITS)
    await local.warm_up()
    body = b'{"messages": [{"role": "user", "content": "hi"}]}'
    foreign = urllib.request.Request(
        f"{addresses[0]}/chat/completions", body, {"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        await asyncio.to_thread(urllib.request.urlopen, foreign)
    assert caught.value.code == 401
    caught.value.close()
    await local.aclose()


@real_model
async def test_closing_ends_the_child_and_the_running_answer(local: LocalProvider) -> None:
    answer = local.stream(request(LONG))
    await anext(answer)
    pid = local.pid
    assert pid is not None
    await local.aclose()
    assert not psutil.pid_exists(pid)
    with pytest.raises(ProviderUnavailable, match="shutting down"):
        [delta async for delta in answer]
    with pytest.raises(ProviderUnavailable, match="shutting down"):
        await text_of(local, request("Say hello."))


@real_model
def test_the_child_does_not_outlive_a_killed_server(file: Path) -> None:
    code = f"""if True:
        import asyncio, pathlib
        from wireside.providers.local import LocalProvider
        from wireside.providers.openai import OpenAIProvider

        def connect(url, key):
            return OpenAIProvider(api_key=key, base_url=url, silence_s=30)

        async def main():
            local = LocalProvider(pathlib.Path({str(file)!r}), connect)
            await local.warm_up()
            print("child", local.pid, flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdout
        # log lines are in the output, too
        line = next(line for line in server.stdout if line.startswith(b"child"))
        child = psutil.Process(int(line.split()[1]))
        assert child.is_running()
        server.kill()
    assert has_gone(child)


@real_model
@on_the_loop_of_shared
async def test_ctrl_c_in_the_terminal_is_for_the_server_alone(shared: LocalProvider) -> None:
    async with aclosing(shared.stream(request(LONG, max_tokens=15))) as answer:
        await anext(answer)
        assert shared.pid
        os.kill(shared.pid, signal.SIGINT)
        os.kill(shared.pid, signal.SIGTERM)
        deltas = [delta async for delta in answer]
    assert isinstance(deltas[-1], Finished)


async def test_without_weights_it_says_what_to_do(tmp_path: Path) -> None:
    local = LocalProvider(tmp_path / "w.gguf", connect)
    await local.warm_up()
    with pytest.raises(NotConfigured, match="wireside pull"):
        await local.models()
    with pytest.raises(NotConfigured, match="wireside pull"):
        await text_of(local, request("Say hello."))
    (tmp_path / "w.gguf").touch()  # pulled meanwhile: no restart is needed
    assert [model.id for model in await local.models()] == [MODEL]


async def test_another_model_is_unknown(tmp_path: Path) -> None:
    local = LocalProvider(tmp_path, connect)
    with pytest.raises(UnknownModel):
        await text_of(
            local, ModelRequest(model="gpt-9", messages=(Message.of_text("user", "Say hello."),))
        )


async def test_all_who_come_first_share_one_start(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").touch()
    recorded: list[ScriptedProvider] = []

    def remember(base_url: str, key: str) -> Provider:
        recorded.append(ScriptedProvider())
        return recorded[-1]

    local = LocalProvider(tmp_path / "w.gguf", remember, command=child(LISTENS))
    await asyncio.gather(*(local.warm_up() for _ in range(5)))
    assert len(recorded) == 1
    await local.aclose()


async def test_a_request_without_a_system_message_gets_one(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").touch()
    recorded = ScriptedProvider([])
    local = LocalProvider(tmp_path / "w.gguf", lambda *_: recorded, command=child(LISTENS))
    own = (Message.of_text("system", "Be rude."), Message.of_text("user", "Hello."))
    await text_of(local, request("Hello."))
    await text_of(local, ModelRequest(model=MODEL, messages=own))
    assert recorded.calls[0].request.messages == (
        Message.of_text("system", SYSTEM),
        Message.of_text("user", "Hello."),
    )
    assert recorded.calls[1].request.messages == own
    await local.aclose()


async def test_more_than_can_wait_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").touch()
    may_end = asyncio.Event()
    recorded = ScriptedProvider([may_end])
    limits = LocalLimits(parallel=1, waiting=1)
    local = LocalProvider(tmp_path / "w.gguf", lambda *_: recorded, limits, command=child(LISTENS))
    answers = [asyncio.create_task(text_of(local, request("Hello."))) for _ in range(2)]
    await recorded.call(1)
    with pytest.raises(Overloaded):
        await text_of(local, request("Hello."))
    may_end.set()
    await asyncio.gather(*answers)
    await text_of(local, request("Hello."))
    await local.aclose()


@pytest.mark.slow
async def test_a_child_that_hangs_is_ended_with_its_last_words_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").touch()
    hangs = "import sys, time; print('I hang', file=sys.stderr, flush=True); time.sleep(60)"
    local = LocalProvider(
        tmp_path / "w.gguf", connect, LocalLimits(start_s=2), command=child(hangs)
    )
    with capture_logs() as logs, pytest.raises(ProviderUnavailable, match="could not start"):
        await text_of(local, request("Hello."))
    assert [(line["reason"], line["last_words"]) for line in logs] == [
        ("it was silent for too long", "I hang")
    ]
    await local.aclose()


async def test_closing_does_not_wait_for_a_start_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").touch()
    hangs = f"open({str(tmp_path / 'fifo')!r}, 'w').close(); input(); input()"
    os.mkfifo(tmp_path / "fifo")
    local = LocalProvider(tmp_path / "w.gguf", connect, command=child(hangs))
    answer = asyncio.create_task(text_of(local, request("Hello.")))
    await asyncio.to_thread((tmp_path / "fifo").read_bytes)  # returns when the child runs
    began = time.monotonic()
    await local.aclose()
    assert time.monotonic() - began < LocalLimits().start_s / 2
    with pytest.raises(ProviderUnavailable, match="shutting down"):
        await answer


async def test_a_child_that_keeps_failing_is_left_alone_for_a_while(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").touch()
    clock = HandClock()
    local = LocalProvider(
        tmp_path / "w.gguf", connect, command=child("raise SystemExit('no')"), now=clock
    )
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(ProviderUnavailable) as caught:
                await text_of(local, request("Hello."))
        assert len(logs) == 2, "the third was refused without a start"
        assert caught.value.retry_after == 1
        clock.now += 1
        with pytest.raises(ProviderUnavailable):
            await text_of(local, request("Hello."))
        assert len(logs) == 3
    await local.aclose()


async def test_a_child_that_went_silent_is_ended(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").touch()
    recorded = ScriptedProvider([], [ProviderTimeout()], [])
    local = LocalProvider(tmp_path / "w.gguf", lambda *_: recorded, command=child(LISTENS))
    await text_of(local, request("Hello."))
    silent = local.pid
    with capture_logs(), pytest.raises(ProviderTimeout):
        await text_of(local, request("Hello."))
    await text_of(local, request("Hello."))
    assert local.pid != silent
    await local.aclose()


async def test_a_child_that_others_hear_from_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").touch()
    recorded = ScriptedProvider()
    local = LocalProvider(tmp_path / "w.gguf", lambda *_: recorded, command=child(LISTENS))
    waiting = asyncio.create_task(text_of(local, request("I wait too long.")))
    await recorded.call(0)
    answered = asyncio.create_task(text_of(local, request("Hello.")))
    await recorded.call(1)
    pid = local.pid
    recorded.calls[1].finish()
    await answered
    recorded.calls[0].fail(ProviderTimeout())
    with pytest.raises(ProviderTimeout):
        await waiting
    assert local.pid == pid
    await local.aclose()


def test_the_back_off_grows_to_a_bound_and_forgets() -> None:
    backoff = Backoff()
    waits = []
    for _ in range(8):
        backoff.failed(1000.0)
        waits.append(backoff.wait_s(1000.0))
    assert waits == [0, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.wait_s(1030.0) == 0
    backoff.failed(1000.0 + Backoff.CALM_S + 1)
    assert backoff.wait_s(1000.0 + Backoff.CALM_S + 1) == 0
