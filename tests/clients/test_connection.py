"""``wireside.js`` in Node 20, 22 and 24, Deno and Bun: failing, refused and resumed connections."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from tests.clients.wires import Double, Wire
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer

Run = Any


def answer_all(double: Double, connection: ServerConnection) -> None:
    """Answer each ``chat`` with its own message."""
    while True:
        frame = double.read(connection)
        if frame["type"] == "chat":
            say(double, connection, frame, frame["message"])


def say(double: Double, connection: ServerConnection, frame: dict[str, Any], text: str) -> None:
    about = {"id": frame["id"]}
    double.send(connection, type="start", stream=f"s-{text}", model="m", **about)
    double.send(connection, type="chunk", content=text, offset=len(text), **about)
    double.send(connection, type="done", offset=len(text), reason="stop", usage={}, **about)


# ---- failed attempts --------------------------------------------------------------------------


def test_a_refused_port_is_tried_again(run: Run, wire: Wire, lab: FakeOpenAI) -> None:
    """Node 22 fires `error` and no `close` for a failed attempt."""
    lab.answer_with(answer(20))
    found = run(
        """
        quick();
        const chat = open();
        const answer = chat.ask("Hi");
        await until(() => states.filter((s) => s === "waiting").length === 3);
        await tell("open");
        const result = { text: await answer.text, last: states.at(-1), error: chat.error };
        chat.close();
        """,
        {"open": wire.open},
        url=f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
    )
    assert found == {"text": FakeOpenAI.text(20), "last": "connected", "error": None}


def test_a_black_hole_ends_an_attempt(run: Run, wire: Wire, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(20))
    wire.swallow()
    found = run(
        """
        quick();
        const chat = open(given.url, { timeoutMs: 300 });
        const answer = chat.ask("Hi");
        await until(() => states.includes("waiting"));
        await tell("open");
        const result = await answer.text;
        chat.close();
        """,
        {"open": wire.open},
        url=f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
    )
    assert found == FakeOpenAI.text(20)


def test_a_silent_connection_is_noticed_and_resumed(run: Run, wire: Wire, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(300, rate=300))
    asked = len(lab.chats)
    wire.open()
    found = run(
        """
        quick();
        const chat = open(given.url, { pingMs: 200, timeoutMs: 1500 });
        const answer = chat.ask("Hi");
        await until(() => answer.soFar.length > 20);
        await tell("swallow");
        await until(() => states.includes("waiting"));
        const reason = chat.error.message;
        await tell("open");
        const result = { text: await answer.text, reason };
        chat.close();
        """,
        {"swallow": wire.swallow, "open": wire.open},
        url=f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
    )
    assert found["text"] == FakeOpenAI.text(300)
    assert "silent" in found["reason"]
    assert len(lab.chats) == asked + 1


def test_a_question_on_a_dead_idle_connection_is_sent_again(
    run: Run, wire: Wire, lab: FakeOpenAI
) -> None:
    """Without waiting for the next ping, which is 30 s away."""
    lab.answer_with(answer(20))
    wire.open()
    found = run(
        """
        quick();
        const chat = open(given.url, { timeoutMs: 1000 });
        await until(() => states.includes("connected"));
        await sleep(1200);
        await tell("swallow");
        const answer = chat.ask("Hi");
        await until(() => states.includes("waiting"));
        await tell("open");
        const result = await answer.text;
        chat.close();
        """,
        {"swallow": wire.swallow, "open": wire.open},
        url=f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
    )
    assert found == FakeOpenAI.text(20)


# ---- servers that close -----------------------------------------------------------------------


@pytest.mark.parametrize("code", [1011, 1012, 1013])
def test_a_server_that_accepts_and_closes_sees_few_connections(run: Run, code: int) -> None:
    def close(_: Double, connection: ServerConnection) -> None:
        connection.close(code)

    with Double(close) as double:
        run(
            """
            Math.random = () => 0.5;
            const chat = open();
            await sleep(4000);
            chat.close();
            const result = null;
            """,
            url=double.url,
        )
    assert 2 <= len(double.times) <= 4  # after 0, 0.5, 1.5 and 3.5 s


def test_back_off_begins_again_after_a_frame(run: Run) -> None:
    def behave(double: Double, connection: ServerConnection) -> None:
        if len(double.times) > 3:
            double.send(connection, type="pong")
        connection.close(1011)

    with Double(behave) as double:
        waits = run(
            """
            const waits = [];
            const later = globalThis.setTimeout;
            Math.random = () => 0.25;
            globalThis.setTimeout = (work, ms, ...more) => {
              const isBackOff = [250, 500, 1000, 2000].includes(ms);
              if (isBackOff) waits.push(ms);
              return later(work, isBackOff ? 10 : ms, ...more);
            };
            const chat = open(given.url, { timeoutMs: 60_000, pingMs: 60_000 });
            while (waits.length < 5) await new Promise((resolve) => later(resolve, 5));
            globalThis.setTimeout = later;
            chat.close();
            const result = waits.slice(0, 5);
            """,
            url=double.url,
        )
    assert waits == [250, 500, 1000, 250, 250]


def test_a_restart_is_followed_at_once(run: Run) -> None:
    def behave(double: Double, connection: ServerConnection) -> None:
        if len(double.times) > 1:
            return answer_all(double, connection)
        double.read(connection)
        time.sleep(1.1)
        double.send(connection, type="pong")
        connection.close(1012)

    with Double(behave) as double:
        text = run(
            """
            Math.random = () => 1;
            const chat = open();
            const result = await chat.ask("Hi").text;
            chat.close();
            """,
            url=double.url,
        )
        assert text == "Hi"
    assert double.times[1] - double.times[0] < 1.9  # with back-off it would be one second more


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1009])
def test_these_codes_end_the_client(run: Run, code: int) -> None:
    def behave(double: Double, connection: ServerConnection) -> None:
        double.read(connection)
        connection.close(code, "so it is")

    with Double(behave) as double:
        found = run(
            """
            quick();
            const chat = open();
            const first = await caught(chat.ask("Hi").text);
            const then = await caught(chat.ask("Hi").text);
            const followed = await caught(chat.follow("s").text);
            await sleep(300);
            const result = { first, then, followed, state: chat.state, error: chat.error.message };
            """,
            url=double.url,
        )
    assert found["first"]["code"] == "closed"
    assert "so it is" in found["first"]["message"]
    assert found["first"] == found["then"] == found["followed"]
    assert (found["state"], found["error"]) == ("closed", "so it is")
    assert len(double.times) == 1


def test_a_message_that_is_too_large_fails_alone(run: Run) -> None:
    def behave(double: Double, connection: ServerConnection) -> None:
        if len(double.times) > 1:
            return answer_all(double, connection)
        double.read(connection)
        double.read(connection)
        connection.close(1009)

    with Double(behave) as double:
        found = run(
            """
            quick();
            const chat = open();
            const [small, large] = [chat.ask("Hi"), chat.ask("x".repeat(500_000))];
            const result = [await caught(small.text), (await caught(large.text)).code];
            chat.close();
            """,
            url=double.url,
        )
    assert found == [{"value": "Hi"}, "too_large"]


def test_after_a_policy_violation_it_waits_as_long_as_the_server_says(run: Run) -> None:
    def behave(double: Double, connection: ServerConnection) -> None:
        if len(double.times) > 1:
            return answer_all(double, connection)
        first = double.read(connection)
        double.send(connection, type="start", id=first["id"], stream="s", model="m")
        second = double.read(connection)
        limited = {"code": "rate_limited", "message": "Rate limit exceeded", "retryable": True}
        double.send(connection, type="error", id=second["id"], retry_after=1.5, **limited)
        connection.close(1008, "Rate limit exceeded")

    with Double(behave) as double:
        found = run(
            """
            quick();
            const chat = open();
            chat.ask("first");
            const second = await caught(chat.ask("second").text);
            await until(() => chat.state === "waiting");
            const third = await chat.ask("third").text;
            chat.close();
            const result = { second, third };
            """,
            url=double.url,
        )
    assert (found["second"]["code"], found["second"]["retryAfter"]) == ("rate_limited", 1.5)
    assert found["third"] == "third"
    assert double.times[1] - double.times[0] > 1.4
    assert double.frames[2]["type"] == "resume"


def test_without_a_number_it_waits_a_minute_after_a_policy_violation(run: Run) -> None:
    def close(_: Double, connection: ServerConnection) -> None:
        connection.close(1008)

    with Double(close) as double:
        waits = run(
            """
            const waits = [];
            const later = globalThis.setTimeout;
            globalThis.setTimeout = (work, ms, ...more) => (waits.push(ms), later(work, ms, ...more));
            Math.random = () => 0;
            const chat = open();
            await until(() => chat.state === "waiting");
            chat.close();
            const result = waits;
            """,
            url=double.url,
        )
    assert 60_000 in waits


# ---- servers that refuse ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "unauthorized"), (403, "unauthorized"), (404, "not_found"), (400, "bad_message")],
)
def test_a_refused_handshake_ends_with_a_clear_error(run: Run, status: int, code: str) -> None:
    with Double(status=status) as double:
        found = run(
            """
            quick();
            const chat = open();
            const error = await caught(chat.ask("Hi").text);
            const result = { error, state: chat.state, same: chat.error.message === error.message };
            """,
            url=double.url,
        )
    assert (found["error"]["code"], found["state"], found["same"]) == (code, "closed", True)
    assert str(status) in found["error"]["message"]


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_server_is_asked_again(run: Run, status: int) -> None:
    with Double(status=status) as double:
        state = run(
            """
            quick();
            const chat = open();
            await until(() => states.filter((s) => s === "waiting").length > 7);
            const result = chat.state !== "closed";
            chat.close();
            """,
            url=double.url,
        )
    assert state is True


def test_the_servers_own_refusals_are_clear(
    run: Run, closed: ServerProcess, server: ServerProcess
) -> None:
    found = run(
        """
        quick();
        const of = (url) => caught(open(url).ask("Hi").text);
        const result = (await Promise.all(given.urls.map(of))).map((e) => [e.code, e.message]);
        """,
        urls=[
            f"ws://127.0.0.1:{closed.port}/ws/ai-chat",
            f"ws://127.0.0.1:{server.port}/ws/other",
        ],
    )
    (first, sentence), (second, _) = found
    assert first == "unauthorized"
    assert "accounts" in sentence
    assert second in ("not_found", "unauthorized")


def test_a_ticket_that_cannot_be_fetched_is_told_and_tried_again(run: Run) -> None:
    with Double(answer_all) as double:
        found = run(
            """
            quick();
            let count = 0;
            const ticket = async () => {
              if (++count === 1) throw new Error("the shop is closed");
              if (count === 2) return undefined;
              if (count === 3) return new Promise(() => {});
              return "abc";
            };
            const reasons = [];
            const onState = (state, error) => state === "waiting" && reasons.push(error.message);
            const chat = open(given.url, { ticket, onState, timeoutMs: 300 });
            const text = await chat.ask("Hi").text;
            chat.close();
            const result = { text, reasons };
            """,
            url=double.url,
        )
    assert found["text"] == "Hi"
    assert "the shop is closed" in found["reasons"][0]
    assert len(found["reasons"]) == 3
    assert json.dumps(found["reasons"]).count("undefined") == 0
