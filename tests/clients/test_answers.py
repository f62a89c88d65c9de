"""``wireside.js`` in Node 20, 22 and 24, Deno, Bun: answers, batches, conversations, consumers."""

from __future__ import annotations

import time
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from tests.clients.wires import Double
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer

Run = Any


def say(
    double: Double, connection: ServerConnection, frame: dict[str, Any], text: str, **more: Any
) -> None:
    about = {"id": frame["id"]}
    double.send(connection, type="start", stream=f"s-{text}", model="m", **about, **more)
    double.send(connection, type="chunk", content=text, offset=len(text), **about)
    double.send(connection, type="done", offset=len(text), reason="stop", **about)


# ---- consumers --------------------------------------------------------------------------------


def test_every_consumer_gets_the_whole_answer(
    run: Run, server: ServerProcess, lab: FakeOpenAI
) -> None:
    lab.answer_with(answer(40, rate=200))
    found = run(
        """
        const chat = open();
        const answer = chat.ask("Hi", { temperature: 0.5 });
        const read = async () => {
          let text = "";
          for await (const piece of answer) text += piece;
          return text;
        };
        const at_once = await Promise.all([read(), read(), answer.text]);
        const result = { texts: [...at_once, await read()], reason: answer.reason, states: [...states] };
        chat.close();
        """,
        url=server.socket_url,
    )
    assert found["texts"] == [FakeOpenAI.text(40)] * 4
    assert found["reason"] == "stop"
    assert found["states"] == ["connecting", "connected"]
    assert lab.chats[-1].body["temperature"] == 0.5


def test_leaving_the_loop_stops_the_answer(
    run: Run, server: ServerProcess, lab: FakeOpenAI
) -> None:
    lab.answer_with(answer(["kept"]).stalled(1))
    found = run(
        """
        const chat = open();
        const answer = chat.ask("Hi");
        for await (const piece of answer) break;
        const result = { text: await answer.text, reason: answer.reason };
        chat.close();
        """,
        url=server.socket_url,
    )
    assert found == {"text": "kept", "reason": "cancelled"}


def test_leaving_one_of_two_loops_stops_nothing(
    run: Run, server: ServerProcess, lab: FakeOpenAI
) -> None:
    lab.answer_with(answer(40, rate=100))
    found = run(
        """
        const chat = open();
        const answer = chat.ask("Hi");
        const all = (async () => {
          let text = "";
          for await (const piece of answer) text += piece;
          return text;
        })();
        for await (const piece of answer) break;
        const result = [await all, answer.reason];
        chat.close();
        """,
        url=server.socket_url,
    )
    assert found == [FakeOpenAI.text(40), "stop"]


def test_a_signal_ends_an_answer(run: Run, server: ServerProcess, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(["kept"]).stalled(1))
    found = run(
        """
        const chat = open();
        const before = await caught(chat.ask("Hi", { signal: AbortSignal.abort() }).text);
        const control = new AbortController();
        const answer = chat.ask("Hi", { signal: control.signal });
        await until(() => answer.soFar === "kept");
        control.abort();
        const during = await caught((async () => { for await (const _ of answer); })());
        const timed = open("ws://127.0.0.1:1/").ask("Hi", { signal: AbortSignal.timeout(50) });
        const result = [before.name, during.name, answer.soFar, (await caught(timed.text)).name];
        process.exit(console.log("\\n" + JSON.stringify({ result, unhandled })));
        """,
        url=server.socket_url,
    )
    assert found == ["AbortError", "AbortError", "kept", "TimeoutError"]
    lab_is_quiet(lab)


def lab_is_quiet(lab: FakeOpenAI) -> None:
    """The upstream response is closed, or will be within moments."""
    until = time.monotonic() + 10
    while lab.open_streams and time.monotonic() < until:
        time.sleep(0.02)
    assert not lab.open_streams


def test_the_ninth_answer_waits(run: Run, server: ServerProcess, lab: FakeOpenAI) -> None:
    lab.answer_with(*(answer(10, rate=100) for _ in range(20)))
    texts = run(
        """
        const chat = open();
        const result = await Promise.all(Array.from({ length: 20 }, () => chat.ask("Hi").text));
        chat.close();
        """,
        url=server.socket_url,
    )
    assert texts == [FakeOpenAI.text(10)] * 20


def test_fewer_answers_at_once_than_expected_are_as_good(run: Run) -> None:
    """The limit is a setting of the server: this one allows two concurrent answers."""

    def behave(double: Double, connection: ServerConnection) -> None:
        waiting: list[dict[str, Any]] = []
        refused = 0
        while True:
            frame = double.read(connection)
            if len(waiting) == 2:
                refused += 1
                busy = {"code": "too_many", "message": "2 requests are open", "retryable": True}
                double.send(connection, type="error", id=frame["id"], **busy)
                done = waiting.pop(0)
                say(double, connection, done, done["message"])
            else:
                waiting.append(frame)
            while waiting and refused > 1:
                done = waiting.pop(0)
                say(double, connection, done, done["message"])

    with Double(behave) as double:
        found = run(
            """
            const chat = open();
            const names = ["a", "b", "c", "d", "e"];
            const result = await Promise.all(names.map((name) => caught(chat.ask(name).text)));
            chat.close();
            """,
            url=double.url,
        )
    assert found == [{"value": name} for name in "abcde"]


# ---- errors of programs -----------------------------------------------------------------------


def test_mistakes_have_clear_ends(run: Run, server: ServerProcess, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(["one"]), answer(["two"]), answer(["three"]))
    found = run(
        """
        const chat = open();
        const result = {};
        result.id = await chat.ask("Hi", { id: "mine", type: "ping", message: "no" }).text;
        result.surrogate = await chat.ask("lone \\ud800 one").text;
        result.null = await chat.ask("Hi", null).text;
        const circle = {};
        circle.circle = circle;
        result.circle = (await caught(chat.ask("Hi", { system: circle }).text)).name;
        result.nothing = (await caught(chat.ask().text)).code;
        result.blank = (await caught(chat.ask(" ").text)).code;
        result.temperature = (await caught(chat.ask("Hi", { temperature: 9 }).text)).code;
        result.stream = (await caught(chat.follow().text)).code;
        const thrown = (work) => { try { work(); return null; } catch (e) { return [e.name, e.message]; } };
        result.batch = thrown(() => chat.batch("Hi"))[0];
        result.url = thrown(() => open("no address"));
        result.scheme = thrown(() => open("ftp://127.0.0.1/"));
        result.none = thrown(() => open(null))?.[0];
        chat.close();
        chat.close();
        result.ask = (await caught(chat.ask("Hi").text)).code;
        result.follow = (await caught(chat.follow("s").text)).code;
        result.asked = await caught((async () => { for await (const _ of chat.ask("Hi")); })());
        result.states = states.filter((state) => state === "closed").length;
        """,
        url=server.socket_url,
    )
    assert (found["id"], found["surrogate"], found["null"]) == ("one", "two", "three")
    assert found["circle"] == "TypeError"
    assert found["nothing"] == found["blank"] == found["temperature"] == "bad_message"
    assert found["stream"] == "not_found"
    assert found["batch"] == "TypeError"
    assert "no address" in found["url"][1]
    assert "ftp:" in found["scheme"][1]
    assert found["ask"] == found["follow"] == found["asked"]["code"] == "closed"
    assert found["states"] == 1


def test_handlers_may_do_anything(run: Run, server: ServerProcess, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(["one"]), answer(["two"]))
    found = run(
        """
        console.error = () => {};
        let seen = null;
        const chat = open(given.url, { onState: (state) => (seen ??= [state, chat.state]) });
        const one = await chat.ask("Hi").text;
        chat.close();
        const throwing = open(given.url, { onState: () => { throw new Error("mine"); } });
        const rejecting = open(given.url, { onState: async () => { throw new Error("mine"); } });
        const two = await throwing.ask("Hi").text;
        throwing.close();
        rejecting.close();
        const closing = open(given.url, { onState: (state) => state === "connected" && closing.close() });
        const closed = await caught(closing.ask("Hi").text);
        const result = { seen, one, two, closed: closed.code };
        """,
        url=server.socket_url,
    )
    assert found["seen"] == ["connecting", "connecting"]
    assert (found["one"], found["two"], found["closed"]) == ("one", "two", "closed")


def test_a_client_that_is_closed_at_once_opens_nothing(run: Run) -> None:
    with Double() as double:
        states = run(
            """
            open().close();
            await sleep(200);
            const result = states;
            """,
            url=double.url,
        )
    assert double.times == []
    assert states == ["closed"]


def test_without_a_websocket_the_error_names_the_option(run: Run, runtime: str) -> None:
    if runtime == "bun":
        pytest.skip("Bun has a package `ws` of its own, which is used then")
    found = run(
        """
        globalThis.WebSocket = undefined;
        const { message: result } = await caught(new Wireside("ws://127.0.0.1:1/").ask("Hi").text);
        """
    )
    assert "{ WebSocket }" in found
    assert "`ws`" in found


def test_pages_of_plain_http_have_no_random_uuid(
    run: Run, server: ServerProcess, lab: FakeOpenAI
) -> None:
    lab.answer_with(answer(["one"]))
    found = run(
        """
        Object.defineProperty(globalThis.crypto, "randomUUID", { value: undefined, configurable: true });
        const chat = open();
        const result = await chat.ask("Hi").text;
        chat.close();
        """,
        url=server.socket_url,
    )
    assert found == "one"


# ---- protocol features ------------------------------------------------------------------------


def test_a_conversation_goes_on(run: Run, server: ServerProcess, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(["one"]), answer(["two"]), answer(["three"]))
    asked = len(lab.chats)
    found = run(
        """
        const chat = open();
        const talk = chat.conversation();
        const [first, second] = [talk.ask("First"), talk.ask("Second")];
        const result = [await first.text, await second.text];
        const { conversation } = await first.started;
        const third = chat.ask("Third", { conversation });
        result.push(await third.text);
        const ids = [talk.id, second.conversation, third.conversation];
        result.push(ids.every((id) => id === conversation && id));
        chat.close();
        """,
        url=server.socket_url,
    )
    assert found[:2] == ["one", "two"]
    assert found[2] == "three"
    assert found[3]
    contents = [message["content"] for message in lab.chats[asked + 2].body["messages"]]
    assert contents[-5:] == ["First", "one", "Second", "two", "Third"]


def test_reasoning_and_tools_arrive(run: Run, server: ServerProcess, lab: FakeOpenAI) -> None:
    found = run(
        """
        const chat = open();
        const parts = [];
        const tools = chat.ask("/lab tool");
        for await (const part of tools.parts()) parts.push(part);
        const thought = chat.ask("/lab reasoning");
        await thought.text;
        const again = [];
        for await (const part of thought.parts()) again.push(part.type);
        const result = { parts, tools: tools.tools, reasoning: thought.reasoning, again };
        chat.close();
        """,
        url=server.socket_url,
    )
    assert found["tools"]
    assert {"call", "name", "state", "arguments"} <= set(found["tools"][0])
    assert [part for part in found["parts"] if part["type"] == "tool"]
    assert found["reasoning"]
    assert set(found["again"]) <= {"reasoning", "chunk"}
    assert found["again"][0] == "reasoning"


def test_context_without_storing_is_sent_and_is_not_changed_later(run: Run) -> None:
    def behave(double: Double, connection: ServerConnection) -> None:
        frame = double.read(connection)
        if len(double.times) == 1:
            return connection.close(1011)
        say(double, connection, frame, "three")

    with Double(behave) as double:
        text = run(
            """
            quick();
            const messages = [{ role: "user", content: "One?" }, { role: "assistant", content: "one" }];
            const chat = open();
            const answer = chat.ask("Two?", { messages });
            messages.push({ role: "user", content: "changed" });
            const result = await answer.text;
            chat.close();
            """,
            url=double.url,
        )
    assert text == "three"
    first, second = double.asked("chat")
    assert [message["content"] for message in first["messages"]] == ["One?", "one"]
    assert (first["key"], first["messages"]) == (second["key"], second["messages"])


def test_frames_twice_unknown_or_broken_change_nothing(run: Run) -> None:
    def behave(double: Double, connection: ServerConnection) -> None:
        frame = double.read(connection)
        about = {"id": frame["id"]}
        double.send(connection, type="start", stream="s", model="m", **about)
        double.send(connection, type="chunk", content="one ", offset=4, **about)
        double.send(connection, type="chunk", content="one ", offset=4, **about)
        connection.send("no JSON")
        for text in ("null", "3", "[]", '"text"', "{}", '{"type":"chunk","id":"__proto__"}'):
            connection.send(text)
        connection.send(b"binary")
        double.send(connection, type="future", offset=4, value=1, **about)
        double.send(connection, type="chunk", content="stray", offset=5, id="a999")
        double.send(connection, type="chunk", content="two", offset=7, **about)
        for _ in range(2):
            double.send(connection, type="done", offset=7, reason="stop", **about)
        double.read(connection)

    with Double(behave) as double:
        found = run(
            """
            const chat = open();
            const pieces = [];
            const answer = chat.ask("Hi");
            for await (const piece of answer) pieces.push(piece);
            const result = { text: await answer.text, pieces: pieces.join("") };
            chat.close();
            """,
            url=double.url,
        )
    assert found == {"text": "one two", "pieces": "one two"}


def test_a_resume_that_comes_too_soon_is_sent_again(run: Run) -> None:
    def behave(double: Double, connection: ServerConnection) -> None:
        frame = double.read(connection)
        about = {"id": frame["id"]}
        if len(double.times) == 1:
            double.send(connection, type="start", stream="s", model="m", **about)
            double.send(connection, type="chunk", content="one ", offset=4, **about)
            return connection.close(1011)
        limited = {"code": "rate_limited", "message": "Rate limit exceeded", "retryable": True}
        double.send(connection, type="error", retry_after=0.3, **about, **limited)
        about = {"id": double.read(connection)["id"]}
        double.send(connection, type="resumed", stream="s", head=7, state="live", **about)
        double.send(connection, type="chunk", content="two", offset=7, **about)
        double.send(connection, type="done", offset=7, reason="stop", **about)
        double.read(connection)

    with Double(behave) as double:
        text = run(
            """
            quick();
            const chat = open();
            const result = await chat.ask("Hi").text;
            chat.close();
            """,
            url=double.url,
        )
    assert text == "one two"
    assert [frame["type"] for frame in double.frames] == ["chat", "resume", "resume"]
    assert double.frames[2]["offset"] == 4


# ---- batches ----------------------------------------------------------------------------------


def test_a_batch_is_answered_in_order(run: Run, server: ServerProcess, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(["one"]), answer(["two"]), answer(["three"]))
    found = run(
        """
        const chat = open();
        const batch = chat.batch(["A", "B", "C"]);
        const result = [];
        for (const answer of batch) {
          for await (const piece of answer);
          result.push([answer.soFar, answer.index, answer.reason, answer.model]);
        }
        const many = chat.batch(Array(21).fill("Hi"));
        result.push((await Promise.all(many.answers.map((a) => caught(a.text)))).map((e) => e.code));
        const blank = chat.batch(["Hi", " "]);
        result.push((await Promise.all(blank.answers.map((a) => caught(a.text)))).map((e) => e.code));
        chat.close();
        """,
        url=server.socket_url,
    )
    assert found[:3] == [
        ["one", 0, "stop", "lab-1"],
        ["two", 1, "stop", "lab-1"],
        ["three", 2, "stop", "lab-1"],
    ]
    assert found[3] == ["bad_message"] * 21
    assert found[4] == ["bad_message"] * 2


def test_a_batch_can_be_stopped(run: Run, server: ServerProcess, lab: FakeOpenAI) -> None:
    lab.answer_with(answer(["one"]), answer(["two"]).stalled(1))
    found = run(
        """
        const chat = open();
        const batch = chat.batch(["A", "B", "C"]);
        await until(() => batch.answers[1].soFar === "two");
        batch.stop();
        const texts = await Promise.all(batch.answers.map((answer) => answer.text));
        const result = [texts, batch.answers.map((answer) => answer.reason)];
        chat.close();
        """,
        url=server.socket_url,
    )
    assert found == [["one", "two", ""], ["stop", "cancelled", "cancelled"]]


class BatchServer:
    """Level 2 batches as described in docs/protocol.md, with connections that are cut.

    Batches belong to the server, by their key, and continue without a connection. Each connection
    is cut after ``frames_each`` frames.
    """

    TEXTS = ("one two", "three four", "five six", "seven eight")

    def __init__(self, frames_each: int) -> None:
        self._left = 0
        self._each = frames_each
        self.starts = 0

    def __call__(self, double: Double, connection: ServerConnection) -> None:
        self._left = self._each
        while True:
            frame = double.read(connection)
            if frame["type"] == "batch":
                for index, offset in enumerate(frame["offsets"]):
                    name = f"{frame['key']}-{index}"
                    opening: dict[str, Any] = {"type": "start", "stream": name, "model": "m"}
                    self._play(double, connection, frame["id"], index, offset, opening)

    def _play(
        self,
        double: Double,
        connection: ServerConnection,
        request_id: str,
        index: int,
        offset: int,
        opening: dict[str, Any],
    ) -> None:
        text = self.TEXTS[index]
        self._send(double, connection, id=request_id, index=index, **opening)
        for at in range(offset, len(text)):
            chunk = {"type": "chunk", "content": text[at], "offset": at + 1}
            self._send(double, connection, id=request_id, **chunk)
        done = {"type": "done", "offset": len(text), "reason": "stop", "index": index}
        self._send(double, connection, id=request_id, **done)

    def _send(self, double: Double, connection: ServerConnection, **frame: Any) -> None:
        if not self._left:
            self._each += 7  # otherwise it would never end
            connection.close(1011)
        self._left -= 1
        double.send(connection, **frame)


@pytest.mark.parametrize("frames_each", [1, 5, 9, 14])
def test_a_batch_survives_its_connection(run: Run, frames_each: int) -> None:
    with Double(BatchServer(frames_each)) as double:
        found = run(
            """
            quick();
            const chat = open();
            const batch = chat.batch(["A", "B", "C", "D"], { model: "m" });
            const result = [];
            for (const answer of batch) {
              let text = "";
              for await (const piece of answer) text += piece;
              result.push(text);
            }
            chat.close();
            """,
            url=double.url,
        )
    assert tuple(found) == BatchServer.TEXTS
    assert len({frame["key"] for frame in double.asked("batch")}) == 1
    assert len(double.times) > 2


def test_the_rest_of_a_batch_survives_a_cut_of_the_real_server(
    run: Run, server: ServerProcess, lab: FakeOpenAI, wire: Any
) -> None:
    """The model gets each message once, wherever the connection is cut."""
    lab.answer_with(answer(40, rate=100), answer(["two"]), answer(40, rate=100), answer(["spare"]))
    wire.open()
    before = len(lab.chats)
    found = run(
        """
        quick();
        const chat = open();
        const batch = chat.batch(["A", "B", "C"]);
        for (const at of [0, 2]) {
          await until(() => batch.answers[at].soFar.length > 20);
          await tell("cut");
        }
        const texts = await Promise.all(batch.answers.map((answer) => answer.text));
        const result = [texts, batch.answers.map((answer) => [answer.index, answer.reason])];
        chat.close();
        """,
        {"cut": wire.cut},
        url=f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
    )
    assert found[0] == [FakeOpenAI.text(40), "two", FakeOpenAI.text(40)]
    assert found[1] == [[0, "stop"], [1, "stop"], [2, "stop"]]
    assert [request.question for request in lab.chats[before:]] == ["A", "B", "C"]


def test_a_batch_that_is_cut_before_its_first_start_is_asked_once(
    run: Run, server: ServerProcess, lab: FakeOpenAI, wire: Any
) -> None:
    lab.answer_with(*(answer([text]).slow_head(0.5) for text in ("one", "two", "three", "spare")))
    wire.open()
    before = len(lab.chats)
    texts = run(
        """
        quick();
        const chat = open();
        const batch = chat.batch(["A", "B", "C"]);
        await until(() => chat.state === "connected");
        await sleep(50);
        await tell("cut");
        const result = await Promise.all(batch.answers.map((answer) => answer.text));
        chat.close();
        """,
        {"cut": wire.cut},
        url=f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
    )
    assert texts == ["one", "two", "three"]
    assert [request.question for request in lab.chats[before:]] == ["A", "B", "C"]


def test_a_batch_opens_the_conversation_that_is_gone_on_with(
    run: Run, server: ServerProcess, lab: FakeOpenAI, wire: Any
) -> None:
    """Also after a cut, when the original request is sent again."""
    lab.answer_with(answer(40, rate=100), answer(["two"]), answer(["three"]), answer(["four"]))
    wire.open()
    before = len(lab.chats)
    found = run(
        """
        quick();
        const chat = open();
        const talk = chat.conversation();
        const batch = talk.batch(["A", "B"]);
        const next = talk.ask("C");
        await until(() => batch.answers[0].soFar.length > 20);
        await tell("cut");
        await batch.answers[1].text;
        await next.text;
        await chat.batch(["D"], { conversation: talk }).answers[0].text;
        const ids = [...batch.answers, next].map((answer) => answer.conversation);
        const result = [talk.id, ids];
        chat.close();
        """,
        {"cut": wire.cut},
        url=f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
    )
    assert found[0]
    assert found[1] == [found[0]] * 3
    asked = lab.chats[before:]
    assert sorted(request.question for request in asked) == ["A", "B", "C", "D"]
    last = [message["content"] for message in asked[-1].body["messages"]]
    assert last[0::2] in (["A", "B", "C", "D"], ["A", "C", "B", "D"])


# ---- memory -----------------------------------------------------------------------------------


def test_memory_holds_the_text_and_little_more(run: Run, runtime: str) -> None:
    if not runtime.startswith("node"):
        pytest.skip("the heap is measured in Node")
    rounds, size = 40, 500

    def behave(double: Double, connection: ServerConnection) -> None:
        frame = double.read(connection)
        about = {"id": frame["id"]}
        double.send(connection, type="start", stream="s", model="m", **about)
        for at in range(rounds * size):
            double.send(
                connection, type="chunk", content="0123456789", offset=10 * at + 10, **about
            )
        double.send(connection, type="done", offset=10 * rounds * size, reason="stop", **about)
        double.read(connection)

    with Double(behave) as double:
        found = run(
            """
            const chat = open();
            const answer = chat.ask("Hi");
            let length = 0;
            for await (const piece of answer) length += piece.length;
            const used = () => { globalThis.gc?.(); return process.memoryUsage().heapUsed; };
            const result = { length, heap: used() };
            chat.close();
            """,
            url=double.url,
        )
    assert found["length"] == 10 * rounds * size
    assert found["heap"] < 60e6
