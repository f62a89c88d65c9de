"""``wireside.js`` over a long time: its memory, throttled timers, jumps of the clocks."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from tests.clients.wires import Double, Wire
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer

Run = Any

pytestmark = pytest.mark.parametrize("runtime", ["node22"], indirect=True)

HEAP = """
const { setFlagsFromString } = await import("node:v8");
const { runInNewContext } = await import("node:vm");
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
const heap = () => { collect(); return process.memoryUsage().heapUsed; };
"""
FLAT_BYTES = 4e6


def test_an_answer_of_many_megabytes_takes_no_memory(run: Run) -> None:
    """With `keep: false`, nothing of it stays."""
    size, count = 8_000, 6_000

    def behave(double: Double, connection: ServerConnection) -> None:
        frame = double.read(connection)
        about = {"id": frame["id"]}
        double.send(connection, type="start", stream="s", model="m", **about)
        for n in range(1, count + 1):
            double.send(connection, type="chunk", content="x" * size, offset=n * size, **about)
        double.send(connection, type="done", offset=count * size, reason="stop", **about)
        double.read(connection)

    with Double(behave) as double:
        found = run(
            HEAP
            + """
            const chat = open();
            const answer = chat.ask("Hi", { keep: false });
            let length = 0;
            let first = 0;
            let most = 0;
            let due = 2e6;
            for await (const piece of answer) {
              length += piece.length;
              if (length < due) continue;
              due += 8e6;
              first ||= heap();
              most = Math.max(most, heap());
            }
            const result = { length, grown: most - first, kept: answer.soFar.length };
            chat.close();
            """,
            url=double.url,
        )
    assert found["length"] == size * count
    assert found["kept"] == 0
    assert found["grown"] < FLAT_BYTES


def test_thousands_of_answers_leave_nothing(run: Run) -> None:
    def behave(double: Double, connection: ServerConnection) -> None:
        while True:
            frame = double.read(connection)
            double.frames.clear()
            about = {"id": frame["id"]}
            double.send(connection, type="start", stream="s", model="m", **about)
            double.send(connection, type="chunk", content="x" * 500, offset=500, **about)
            double.send(connection, type="done", offset=500, reason="stop", **about)

    with Double(behave) as double:
        found = run(
            HEAP
            + """
            const chat = open();
            const ask = async (count) => {
              while (count--) {
                const control = new AbortController();
                const answer = chat.ask("Hi", { signal: control.signal });
                answer.on("chunk", () => {});
                for await (const piece of answer);
              }
            };
            await ask(300);
            const first = heap();
            await ask(3000);
            const result = heap() - first;
            chat.close();
            """,
            url=double.url,
        )
    assert found < FLAT_BYTES / 4


def test_a_tab_in_the_background_loses_nothing(
    run: Run, server: ServerProcess, lab: FakeOpenAI, wire: Wire
) -> None:
    """Browsers run its timers once a second, and later once a minute."""
    lab.answer_with(answer(150, rate=60))
    wire.open()
    asked = len(lab.chats)
    text = run(
        """
        const later = globalThis.setTimeout;
        const chat = open(given.url, { pingMs: 100, timeoutMs: 300 });
        globalThis.setTimeout = (work, ms, ...more) => later(work, Math.max(ms, 1000), ...more);
        Math.random = () => 0;
        const answer = chat.ask("Hi");
        for (const length of [50, 250]) {
          while (answer.soFar.length < length) await new Promise((resolve) => later(resolve, 5));
          await tell("cut");
        }
        const result = await answer.text;
        chat.close();
        """,
        {"cut": wire.cut},
        url=f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
    )
    assert text == FakeOpenAI.text(150)
    assert len(lab.chats) == asked + 1


def test_jumps_of_the_clocks_cut_no_connection(
    run: Run, server: ServerProcess, lab: FakeOpenAI
) -> None:
    """The machine sleeps, or its time is set."""
    lab.answer_with(answer(150, rate=60))
    found = run(
        """
        const [wall, steady] = [Date.now, performance.now.bind(performance)];
        let [days, hours] = [0, 0];
        Date.now = () => wall() + days * 86_400_000;
        performance.now = () => steady() + hours * 3_600_000;
        const chat = open(given.url, { pingMs: 50, timeoutMs: 500 });
        const answer = chat.ask("Hi");
        for await (const piece of answer) {
          days = [1, -1, 400][piece.length % 3];
          hours++;
        }
        const { averageLatency, ...metrics } = chat.metrics;
        const result = { text: await answer.text, states: [...states], metrics };
        chat.close();
        """,
        url=server.socket_url,
    )
    assert found["text"] == FakeOpenAI.text(150)
    assert found["states"] == ["connecting", "connected"]
    assert found["metrics"]["reconnectCount"] == 0
