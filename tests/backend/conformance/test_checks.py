"""The kit's checks of a server: a real one passes, and each check fails for a fault of its own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx2
import pytest

from tests.backend.conformance.conftest import RunKit
from tests.backend.conformance.mutants import (
    Answer,
    Fields,
    Lie,
    Respond,
    answer,
    answer_to,
    change_up,
    drop,
    edit,
    fields_of,
    ignore,
    mutant,
    put,
    raw_server,
    strip,
    twice,
)
from tests.server_process import ServerProcess
from wireside.conformance import connection
from wireside.conformance.checks.catalogue import CHECKS, selected
from wireside.conformance.results import Result
from wireside.testing import FakeOpenAI

# one worker: the tests share a server, which takes seconds to start
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("conformance")]

ROOT = Path(__file__).parents[3]

PONG: Fields = {"type": "pong"}
DONE: Fields = {"type": "done"}


def failed(results: list[Result]) -> dict[str, str]:
    return {one.name: "; ".join(map(str, one.faults)) for one in results if one.state == "failed"}


# ---- a real server -------------------------------------------------------------------------------


async def test_a_real_server_passes(run_kit: RunKit, chat_server: ServerProcess) -> None:
    """And the pace of its model lets all checks but those of accounts decide."""
    results = await run_kit(chat_server.socket_url, timeout_s=30)
    assert failed(results) == {}
    skipped = {one.name for one in results if one.state == "skipped"}
    assert skipped == {"key-missing", "key-wrong", "ticket-opens", "ticket-once"}


async def test_a_server_with_another_model_passes(run_kit: RunKit, tmp_path: Path) -> None:
    """A model that writes everything at once: some checks can't decide, none fails."""
    with FakeOpenAI(count=40) as lab:
        async with ServerProcess(tmp_path, lab.url, OPENAI_API_KEY="lab") as server:
            results = await run_kit(server.socket_url, timeout_s=30)
    assert failed(results) == {}
    assert sum(one.state == "passed" for one in results) > 110


async def test_a_server_with_accounts_passes_with_a_key(run_kit: RunKit, tmp_path: Path) -> None:
    with FakeOpenAI(count=40) as lab:
        async with ServerProcess(tmp_path, lab.url, OPENAI_API_KEY="lab", auth="proxy") as server:
            httpx2.get(server.url, headers={"X-Forwarded-User": "ada"})
            made = await asyncio.to_thread(server.run, "keys", "create", "--user", "ada")
            key = made.strip()
            names = ("key-*", "ticket-*", "chat", "origin-*")
            results = await run_kit(server.socket_url, *names, key=key)
            without = await run_kit(server.socket_url, "chat")
    assert {one.name: one.state for one in results} == dict.fromkeys(
        [one.name for one in selected(only=names)], "passed"
    )
    assert "401" in failed(without)["chat"]


# ---- wrong handshakes ----------------------------------------------------------------------------


def always(status: int, body: bytes = b'{"message": "no"}', **headers: str) -> Respond:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda target, request: Answer(status, fields, b"" if status == 101 else body)


def when(name: str, status: int) -> Respond:
    return lambda target, request: Answer(status if name in request else 101)


def with_key(unauthorized: int, unknown: int) -> Respond:
    def respond(target: str, request: Mapping[str, str]) -> Answer:
        given = request.get("authorization", "")
        if target == "/api/tickets":
            return Answer(201, {}, b'{"ticket": "abc"}')
        if "ticket" in request.get("sec-websocket-protocol", ""):
            return Answer(101, {"Sec-WebSocket-Protocol": "ticket.abc"})
        if not given:
            return Answer(unauthorized)
        return Answer(101 if "good" in given else unknown)

    return respond


HANDSHAKES: dict[str, Respond] = {
    "handshake-opens": always(403),
    "subprotocol-selected": always(101),
    "subprotocol-not-offered": always(101, Sec_WebSocket_Protocol="ai-chat"),
    "origin-own": when("origin", 403),
    "origin-foreign": always(101),
    "host-unknown": lambda target, request: Answer(403 if "invalid" in request["host"] else 101),
    "path-slash": lambda target, request: Answer(404 if target.endswith("/") else 101),
    "path-unknown": always(101),
    "get-without-upgrade": always(426),
    "refusal-body": always(404, b"Not Found"),
    "extensions-malformed": always(101, Sec_WebSocket_Extensions="permessage-deflate"),
    "compression": always(101),
    "frame-size-invalid": always(101),
    "key-missing": with_key(403, 401),
    "key-wrong": with_key(401, 101),
    "ticket-opens": with_key(401, 401),
    "ticket-once": with_key(401, 401),
    "websocket-ping": always(101),
    "close-normal": always(101),
    "not-utf-8": lambda target, request: Answer(101, {}, b"\x88\x02\x03\xea"),  # close 1002
}


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_a_wrong_handshake_fails_its_check(name: str, run_kit: RunKit) -> None:
    async with raw_server(HANDSHAKES[name]) as url:
        results = await run_kit(url, name, key="good", timeout_s=0.5)
    assert list(failed(results)) == [name]


# ---- wrong frames --------------------------------------------------------------------------------


def script(frame: Fields) -> None:
    frame["content"] = "<script>"


def utf_16(frame: Fields) -> None:
    units = len(str(frame["content"]).encode("utf-16-le")) // 2
    frame["offset"] += units - len(frame["content"])


def late_pongs() -> Lie:
    held: list[Fields] = []

    def down(frame: Fields) -> list[Fields]:
        if frame["type"] == "pong":
            held.append(frame)
            return []
        return [frame, *held] if frame["type"] == "done" else [frame]

    return Lie(down=down)


def no_second_use_of_an_id() -> Lie:
    used: set[str] = set()

    def reply(data: str) -> str | None:
        frame = fields_of(data)
        name = frame.get("id")
        if name in used:
            return json.dumps({"type": "error", "id": name, "message": "used"})
        used.add(str(name))
        return None

    return Lie(reply=reply)


def swapped_ids() -> Lie:
    def down(frame: Fields) -> list[Fields]:
        if frame["type"] == "chunk":
            frame["id"] = {"a": "b", "b": "a"}.get(frame["id"], frame["id"])
            frame["offset"] += frame["id"] == "a"
        return [frame]

    return Lie(down=down)


def no_text_behind_resumed() -> Lie:
    seen: list[str] = []

    def down(frame: Fields) -> list[Fields]:
        seen.append(frame["type"])
        return [] if seen[-2:] == ["resumed", "chunk"] else [frame]

    return Lie(down=down)


def one_reader() -> Lie:
    error = {"type": "error", "id": "b", "message": "no"}
    return answer(lambda data: fields_of(data).get("id") == "b", error)


def padded(size: int) -> Lie:
    return edit("chunk", lambda frame: frame.update(content="x" * size), once=True)


def error_reply(**fields: object) -> Fields:
    return {"type": "error", "message": "no", **fields}


def coded(code: str) -> Lie:
    return put("error", code=code)


LIES: dict[str, Callable[[], Lie]] = {
    "chat": lambda: drop("chunk"),
    "level-1-fields": lambda: put("chunk", offset=1),
    "level-1-last-frame": lambda: twice("done"),
    "level-1-frame-size": lambda: padded(8_000),
    "level-1-order": lambda: twice("done"),
    "level-1-queue": lambda: Lie(down=lambda frame: [DONE if frame["type"] == "error" else frame]),
    "level-1-cancel": lambda: ignore("cancel"),
    "level-1-cancel-idle": lambda: answer_to("cancel", DONE),
    "level-1-batch": lambda: put("chunk", index=0),
    "level-1-sanitised": lambda: edit("chunk", script),
    "ping": lambda: put("pong", time=1),
    "ping-echo": lambda: drop("pong", "t"),
    "keepalive-texts": lambda: answer(lambda data: data == "PING", "pong"),
    "keepalive-frames": lambda: answer(lambda data: data == "keepalive", "pong"),
    "keepalive-silent": lambda: answer_to("pong", error_reply()),
    "unknown-keys": lambda: answer(lambda data: "conformance" in data, error_reply()),
    "surrogate-pair": lambda: answer(lambda data: "\\ud83c" in data, error_reply()),
    "unreadable-at-level-1": lambda: put("error", code="bad_json"),
    "unreadable-at-level-2": lambda: drop("error", "code"),
    "ping-t-invalid": lambda: answer(lambda data: "x" * 257 in data, PONG),
    "resume-without-id": lambda: put("error", code="bad_message"),
    "level-2-chat": lambda: drop("start"),
    "level-2-fields": lambda: drop("start", "model"),
    "id-in-every-frame": lambda: drop("chunk", "id"),
    "offsets": lambda: edit("chunk", lambda frame: frame.update(offset=frame["offset"] + 1)),
    "offsets-code-points": lambda: edit("chunk", utf_16),
    "reason-and-usage": lambda: drop("done", "usage"),
    "level-2-frame-size": lambda: padded(8_000),
    "frame-size-of-request": lambda: padded(1_000),
    "frame-size-of-connection": lambda: padded(1_000),
    "level-2-errors": lambda: put("error", retryable=True),
    "model-unknown": lambda: answer_to(
        "chat", error_reply(id="a", code="not_found", retryable=False)
    ),
    "sanitize-on-request": lambda: edit("chunk", script),
    "sees-while-answering": late_pongs,
    "ids-permitted": lambda: answer(
        lambda data: len(fields_of(data).get("id", "")) > 32, error_reply()
    ),
    "ids-reusable": no_second_use_of_an_id,
    "id-in-use": lambda: put("error", id="busy"),
    "multiplexed": swapped_ids,
    "mixed-levels": lambda: put("done", note="x"),
    "streams-limit": lambda: coded("overloaded"),
    "cancel": lambda: ignore("cancel"),
    "cancel-unknown": lambda: answer_to("cancel", error_reply()),
    "resume-finished": no_text_behind_resumed,
    "resume-within-frame": lambda: change_up("resume", lambda frame: frame.update(offset=0)),
    "resumed-head": lambda: put("resumed", head=1),
    "resume-live": lambda: change_up("resume", lambda frame: frame.update(offset=0)),
    "resume-twice": one_reader,
    "resume-unknown": lambda: coded("expired"),
    "resume-beyond-end": lambda: coded("not_found"),
    "stream-names": lambda: put("start", stream="the-only-stream-name"),
    "key-once": lambda: strip("chat", "key"),
    "key-offset": lambda: strip("chat", "offset"),
    "key-other-message": lambda: put("start", stream="the-only-stream-name"),
    "batch": lambda: drop("start", "index"),
    "batch-cancel": lambda: ignore("cancel"),
    "batch-parallel": lambda: put("batch_done", done=7),
    "batch-cancel-one": lambda: strip("cancel", "index"),
    "batch-again": lambda: strip("batch", "key"),
    "batch-resume": lambda: drop("resumed", "index"),
    "conversation-new": lambda: drop("start", "conversation"),
    "conversation-unknown": lambda: coded("bad_message"),
    "attachment-unknown": lambda: strip("chat", "attachments"),
    "answer-unknown": lambda: coded("internal"),
    "context": lambda: answer_to("chat", error_reply(id="a")),
    "fragments": lambda: answer_to("ping", error_reply()),
    "binary": lambda: Lie(up=lambda data: data.decode() if isinstance(data, bytes) else data),
    "frame-too-large": lambda: Lie(up=lambda data: data if len(data) < 100_000 else None),
    "rate-limit": lambda: put("error", message="Slow down"),
    "rate-limit-level-2": lambda: drop("error", "retry_after"),
    **{
        check.name: lambda: answer(lambda data: True, PONG)
        for check in CHECKS
        if check.name.startswith("invalid-")
    },
}


@pytest.mark.parametrize("name", LIES)
async def test_a_wrong_server_fails_its_check(
    name: str, run_kit: RunKit, chat_server: ServerProcess
) -> None:
    async with mutant(chat_server.socket_url, LIES[name]) as url:
        results = await run_kit(url, name, timeout_s=4)
    assert list(failed(results)) == [name]


INVALID = {
    "does not name the field": lambda: put("error", message="Bad request"),
    "has another code": lambda: put("error", code="internal", retryable=True),
    "has no id": lambda: drop("error", "id"),
    "is followed by another frame": lambda: twice("error"),
}


@pytest.mark.parametrize("fault", INVALID)
async def test_the_error_of_an_invalid_frame_is_checked(
    fault: str, run_kit: RunKit, chat_server: ServerProcess
) -> None:
    async with mutant(chat_server.socket_url, INVALID[fault]) as url:
        results = await run_kit(url, "invalid-temperature-too-high", timeout_s=4)
    assert failed(results)


def test_each_check_has_a_wrong_server() -> None:
    assert {check.name for check in CHECKS} == {*HANDSHAKES, *LIES}


# ---- servers that hang, flood or lie -------------------------------------------------------------


async def test_a_server_that_hangs_does_not_hang_the_kit(run_kit: RunKit) -> None:
    async with raw_server(always(101)) as url:
        results = await run_kit(url, "level-*", "ping*", timeout_s=0.2)
    states = [one.state for one in results]
    assert states[:3] == ["failed"] * 3
    assert set(states[3:]) == {"skipped"}
    assert results[-1].reason == "The server has not responded to several checks."


async def test_a_server_that_floods_does_not_hang_the_kit(
    run_kit: RunKit, chat_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_FRAMES", 500)
    flood = Lie(down=lambda frame: [{"type": "chunk", "content": "x"}] * 600)
    async with mutant(chat_server.socket_url, lambda: flood) as url:
        results = await run_kit(url, "cancel-unknown", timeout_s=20)
    assert "flood" in failed(results)["cancel-unknown"]


async def test_a_server_with_a_rate_limit_is_waited_for(
    run_kit: RunKit, chat_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MINUTE_S", 0.01)
    refusals = [error_reply(message="Rate limit exceeded")]

    def reply(data: str) -> str | None:
        return json.dumps(refusals.pop()) if refusals else None

    async with mutant(chat_server.socket_url, lambda: Lie(reply=reply)) as url:
        results = await run_kit(url, "ping", "cancel-unknown")
        assert [one.state for one in results] == ["passed"] * 2
        refusals.extend([error_reply(message="Rate limit exceeded")] * 100)
        results = await run_kit(url, "ping", "cancel-unknown")
        assert [one.state for one in results] == ["failed"] * 2


async def test_a_server_that_is_not_there_is_told_at_once(run_kit: RunKit) -> None:
    results = await run_kit("ws://127.0.0.1:9", "ping", "chat")
    assert [one.state for one in results] == ["failed", "skipped"]
    assert "does not open" in results[1].reason


# ---- the catalogue -------------------------------------------------------------------------------


def test_names_are_unique() -> None:
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))


def test_each_section_is_one_of_the_protocol() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text("utf-8")
    sections = {
        *re.findall(r"^#+ (.+)$", text, re.MULTILINE),
        *re.findall(r"\*\*(.+?)\.\*\*", text),
    }
    assert {check.section for check in CHECKS} <= sections
