"""Requests that are sent again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Scope

from wireside.chat.service import ChatService
from wireside.doors.openai import retries
from wireside.doors.openai.retries import Attempt, Retries
from wireside.errors import Overloaded
from wireside.generation.runner import Stream
from wireside.identity import LOCAL
from wireside.messages import End, TextDelta


class OpenChat(ChatService):
    """The chat of a server without authentication, as far as its caller is asked for."""

    def __init__(self) -> None:
        self.caller = LOCAL


class Setup:
    def __init__(self) -> None:
        self.known = Retries()
        self.streams: list[Stream] = []
        self.stopped: list[str] = []

    def attempt(self, body: bytes = b"{}", /, **headers: str) -> Attempt:
        pairs = [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ]
        scope: Scope = {"type": "http", "path": "/v1/x", "headers": pairs}
        return self.known.attempt_for(scope, OpenChat(), body)

    async def ask(self) -> Stream:
        stream = Stream(f"s{len(self.streams)}", "m")
        stream.stop_answer = lambda reason="cancelled": self.stopped.append(stream.name)  # type: ignore[method-assign]
        stream.log.append_entry(TextDelta("Hi"))
        self.streams.append(stream)
        return stream


async def test_a_retry_of_the_package_gets_the_same_answer() -> None:
    setup = Setup()
    first = await setup.attempt(x_stainless_retry_count="0").begin(setup.ask)
    again = await setup.attempt(x_stainless_retry_count="1").begin(setup.ask)
    assert again is first
    other = await setup.attempt(b"[]", x_stainless_retry_count="1").begin(setup.ask)
    new = await setup.attempt(x_stainless_retry_count="0").begin(setup.ask)
    plain = await setup.attempt().begin(setup.ask)
    assert len({id(one) for one in (first, other, new, plain)}) == 4


async def test_a_retry_prefers_the_request_that_lost_its_reader() -> None:
    setup = Setup()
    one, two = (setup.attempt(x_stainless_retry_count="0") for _ in range(2))
    lost, _ = await one.begin(setup.ask), await two.begin(setup.ask)
    one.end_response(is_complete=False, has_begun=False)
    assert await setup.attempt(x_stainless_retry_count="1").begin(setup.ask) is lost


async def test_a_key_is_answered_once_also_while_it_is_asked() -> None:
    setup = Setup()
    gate = asyncio.Event()

    async def ask() -> Stream:
        await gate.wait()
        return await setup.ask()

    asking = [asyncio.create_task(setup.attempt(idempotency_key="k").begin(ask)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()  # its client has left
    gate.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert len(setup.streams) == 1
    assert results[1] is results[2] is setup.streams[0]
    assert setup.attempt(idempotency_key="k").id == setup.attempt(idempotency_key="k").id


async def test_what_was_refused_or_has_failed_is_asked_again() -> None:
    setup = Setup()

    async def refuse() -> Stream:
        raise Overloaded

    with pytest.raises(Overloaded):
        await setup.attempt(idempotency_key="k").begin(refuse)
    await asyncio.sleep(0)
    failed = await setup.attempt(idempotency_key="k").begin(setup.ask)
    failed.log.close_with(End(None, Overloaded()))
    assert await setup.attempt(idempotency_key="k").begin(setup.ask) is not failed


@pytest.mark.parametrize(
    ("headers", "has_begun"),
    [({}, False), ({"idempotency_key": "k"}, True), ({"x_stainless_retry_count": "0"}, False)],
)
async def test_an_answer_without_a_reader_stops_unless_it_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], has_begun: bool
) -> None:
    monkeypatch.setattr(retries, "RETRY_S", 0.01)
    monkeypatch.setattr(retries, "BROKEN_STREAM_S", 0.01)
    setup = Setup()
    attempt = setup.attempt(**headers)
    await attempt.begin(setup.ask)
    attempt.end_response(is_complete=False, has_begun=has_begun)
    await attempt.begin(setup.ask)
    await asyncio.sleep(0.03)
    assert setup.stopped == []
    attempt.end_response(is_complete=False, has_begun=has_begun)
    while not setup.stopped:
        await asyncio.sleep(0.005)
    again = setup.attempt(**{**headers, "x_stainless_retry_count": "1"})
    assert again is not attempt


async def test_a_stored_answer_goes_on_without_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "RETRY_S", 0.001)
    setup = Setup()
    attempt = setup.attempt()
    attempt.stops_unread = False
    await attempt.begin(setup.ask)
    attempt.end_response(is_complete=False, has_begun=False)
    await asyncio.sleep(0.01)
    assert setup.stopped == []


async def test_old_requests_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "MAX_ATTEMPTS", 3)
    setup = Setup()
    kept: list[Any] = []
    for number in range(10):
        attempt = setup.attempt(idempotency_key=f"k{number}")
        kept.append(await attempt.begin(setup.ask))
    assert len(setup.known._attempts) == 3
    monkeypatch.setattr(retries, "KEPT_S", -1.0)
    setup.attempt(idempotency_key="last")
    assert len(setup.known._attempts) <= 1


async def test_equal_requests_are_limited_and_forgotten_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "MAX_ATTEMPTS", 5)
    setup = Setup()
    for _ in range(20):
        setup.attempt(x_stainless_retry_count="0")
    assert len(setup.known._attempts) == 5
    (equal,) = setup.known._equal.values()
    assert equal.keys() == setup.known._attempts.keys()


async def test_a_retry_after_a_refusal_asks_though_an_equal_request_was_answered() -> None:
    setup = Setup()
    answered = setup.attempt(x_stainless_retry_count="0")
    old = await answered.begin(setup.ask)
    old.log.close_with(End("stop"))
    answered.end_response(is_complete=True, has_begun=False)

    async def refuse() -> Stream:
        raise Overloaded

    refused = setup.attempt(x_stainless_retry_count="0")
    with pytest.raises(Overloaded):
        await refused.begin(refuse)
    refused.end_response(is_complete=False, has_begun=False)
    again = setup.attempt(x_stainless_retry_count="1")
    assert again is refused
    assert await again.begin(setup.ask) is not old


async def test_an_answered_request_is_found_for_the_time_of_a_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup = Setup()
    answered = setup.attempt(x_stainless_retry_count="0")
    stream = await answered.begin(setup.ask)
    stream.log.close_with(End("stop"))
    answered.end_response(is_complete=True, has_begun=False)
    assert setup.attempt(x_stainless_retry_count="1") is answered
    monkeypatch.setattr(retries, "RETRY_S", -1.0)
    assert setup.attempt(x_stainless_retry_count="1") is not answered


async def test_an_answer_that_was_resumed_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "BROKEN_STREAM_S", 0.01)
    setup = Setup()
    attempt = setup.attempt()
    stream = await attempt.begin(setup.ask)
    attempt.end_response(is_complete=False, has_begun=True, is_resumable=True)
    resumed = setup.known.attempt_of(stream)
    assert resumed is attempt
    resumed.add_reader()
    await asyncio.sleep(0.03)
    assert setup.stopped == []
    resumed.end_response(is_complete=False, has_begun=True, is_resumable=True)
    while not setup.stopped:
        await asyncio.sleep(0.005)


async def test_an_answer_whose_client_left_before_it_began_is_stopped() -> None:
    setup = Setup()
    gate = asyncio.Event()

    async def ask() -> Stream:
        await gate.wait()
        return await setup.ask()

    attempt = setup.attempt()
    asking = asyncio.create_task(attempt.begin(ask))
    await asyncio.sleep(0)
    asking.cancel()
    attempt.end_response(is_complete=False, has_begun=False)
    await asyncio.sleep(0.01)
    gate.set()
    while not setup.stopped:
        await asyncio.sleep(0.005)
