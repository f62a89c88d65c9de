"""``wireside.js``: files, questions, parallel batches, events, figures, errors, shared clients."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from tests.clients.wires import Double
from tests.server_process import SERVE, ServerProcess
from wireside.testing import FakeOpenAI, answer, failure

Run = Any

pytestmark = pytest.mark.parametrize("runtime", ["node22"], indirect=True)

ROOT = Path(__file__).resolve().parents[2]


def test_a_file_is_uploaded_and_asked_about(
    run: Run, server: ServerProcess, lab: FakeOpenAI
) -> None:
    lab.answer_with(answer(["seen"]))
    found = run(
        """
        const chat = open();
        const named = await chat.upload(new File(["month,sum"], "sums.csv", { type: "text/csv" }));
        const bytes = await chat.upload(new TextEncoder().encode("other"), { name: "other.txt" });
        const attachments = [named.id, bytes.id];
        const text = await chat.ask("What do they say?", { attachments }).text;
        const missing = await caught(chat.api("/api/conversations/none"));
        const large = await caught(chat.ask("x".repeat(200_000)).text);
        chat.close();
        const result = { names: [named.name, bytes.name], text, missing, large };
        """,
        url=server.url,
    )
    assert found["names"] == ["sums.csv", "other.txt"]
    assert found["text"] == "seen"
    asked = str(lab.chats[-1].body["messages"])
    assert "month,sum" in asked
    assert "other" in asked
    assert (found["missing"]["name"], found["missing"]["code"]) == ("NotFoundError", "not_found")
    assert (found["large"]["name"], found["large"]["code"]) == ("RequestError", "too_large")


# ---- questions --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ServerProcess(
        tmp_path_factory.mktemp("asking"),
        command=[*SERVE, "tests.clients.asking:chat"],
        PYTHONPATH=str(ROOT),
    ) as process:
        yield process.url


def test_questions_are_answered(run: Run, asking: str) -> None:
    found = run(
        """
        const chat = open();
        const first = chat.conversation().ask("Hi");
        const parts = [];
        first.on("part", (part) => parts.push(part.kind));
        const result = [await first.text, first.reason, first.question.data.prompt];
        const wrong = await caught(first.reply(5).text);
        const second = first.reply("Ada");
        await second.text;
        const third = second.reply(true);
        const other = await caught(first.reply("Bob").text);
        result.push(second.question.data.type, await third.text, third.question, parts);
        result.push(wrong.code, other.code, third.conversation === first.conversation);
        chat.close();
        """,
        url=asking,
    )
    assert found[:3] == ["Well. ", "asking", "What is your name?"]
    assert found[3:6] == ["approve", "Hello Ada!", None]
    assert found[6][-1] == "question"
    assert found[7:] == ["bad_message", "already_answered", True]


class Conversing(Double):
    """A double whose conversation `c` has the stream `s2` as its last one."""

    def _judge(self, connection: ServerConnection, request: Any) -> Any:
        if request.path.startswith("/api/conversations/"):
            return connection.respond(
                200, '{"turns": [{"answer": [{"stream": "s1"}, {"stream": "s2"}]}]}'
            )
        return super()._judge(connection, request)


def test_a_reply_whose_start_was_lost_is_followed(run: Run) -> None:
    """An `answer` frame has no key: sent again, it is refused as answered already."""

    def behave(double: Double, connection: ServerConnection) -> None:
        frame = double.read(connection)
        if len(double.frames) == 1:
            return connection.close(1011)
        about = {"id": frame["id"]}
        double.send(
            connection, type="error", code="already_answered", message="It was answered.", **about
        )
        about = {"id": double.read(connection)["id"]}
        double.send(connection, type="resumed", stream="s2", head=5, state="live", **about)
        double.send(connection, type="chunk", content="Hello", offset=5, **about)
        double.send(connection, type="done", offset=5, reason="stop", **about)
        double.read(connection)

    with Conversing(behave) as double:
        text = run(
            """
            quick();
            const chat = open();
            const result = await chat.reply("c", "p", true).text;
            chat.close();
            """,
            url=double.url,
        )
    assert text == "Hello"
    kinds = [(frame["type"], frame.get("stream")) for frame in double.frames]
    assert kinds == [("answer", None), ("answer", None), ("resume", "s2")]


# ---- parallel batches -------------------------------------------------------------------------


def test_a_parallel_batch_has_a_result_for_each_question(
    run: Run, server: ServerProcess, lab: FakeOpenAI
) -> None:
    lab.answer_with(
        answer(["one"]).stalled(1), failure(400), answer(["three"]), answer(["four"]).stalled(1)
    )
    found = run(
        """
        const chat = open();
        const batch = chat.batch(["A", "B", "C", "D"], { parallel: 4 });
        const ended = [];
        for await (const answer of batch) {
          ended.push(answer.soFar);
          if (ended.length === 2) for (const one of batch.answers) one.stop();
        }
        const results = await batch.results;
        await until(() => batch.summary);
        const result = { ended, results, summary: batch.summary };
        result.texts = results.map(({ text, error, reason }) => text || error.code + reason);
        chat.close();
        """,
        url=server.socket_url,
    )
    assert found["summary"] == {"done": 1, "failed": 1, "cancelled": 2}
    assert [one["index"] for one in found["results"]] == [0, 1, 2, 3]
    assert sorted(one["reason"] or "failed" for one in found["results"]) == [
        *("cancelled", "cancelled", "failed", "stop")
    ]


def test_one_answer_of_a_batch_is_stopped_and_the_others_go_on(
    run: Run, server: ServerProcess, lab: FakeOpenAI
) -> None:
    lab.answer_with(answer(["one"]).stalled(1), answer(["two"]), answer(["three"]))
    found = run(
        """
        const chat = open();
        const batch = chat.batch(["A", "B", "C"]);
        const [first] = batch.answers;
        await until(() => first.soFar === "one");
        first.stop();
        const result = (await batch.results).map(({ text, reason }) => [text, reason]);
        chat.close();
        """,
        url=server.socket_url,
    )
    assert found == [["one", "cancelled"], ["two", "stop"], ["three", "stop"]]


def test_a_parallel_batch_survives_cuts(
    run: Run, server: ServerProcess, lab: FakeOpenAI, wire: Any
) -> None:
    lab.answer_with(*(answer(60, rate=100) for _ in range(6)))
    wire.open()
    before = len(lab.chats)
    found = run(
        """
        quick();
        const chat = open();
        const batch = chat.batch(["A", "B", "C", "D", "E", "F"], { parallel: 3 });
        for (const at of [0, 2, 5]) {
          await until(() => batch.answers[at].soFar.length > 20);
          await tell("cut");
        }
        const results = await batch.results;
        await until(() => batch.summary);
        const result = [results.map(({ text }) => text), batch.summary];
        chat.close();
        """,
        {"cut": wire.cut},
        url=f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
    )
    assert found[0] == [FakeOpenAI.text(60)] * 6
    assert found[1] == {"done": 6, "failed": 0, "cancelled": 0}
    asked = [request.question for request in lab.chats[before:]]
    assert sorted(asked) == ["A", "B", "C", "D", "E", "F"]


def test_answers_of_a_restarted_server_are_not_mixed(run: Run) -> None:
    """It knows no batch of this key, answers again, and says so by another stream."""

    def behave(double: Double, connection: ServerConnection) -> None:
        frame = double.read(connection)
        name = f"s{len(double.frames)}"
        for index in (0, 1):
            about = {"id": frame["id"], "index": index}
            double.send(connection, type="start", stream=f"{name}-{index}", model="m", **about)
            double.send(connection, type="chunk", content=name, offset=2, **about)
            if len(double.frames) == 1:
                return connection.close(1011)
            double.send(connection, type="done", offset=2, reason="stop", **about)
        double.send(connection, type="batch_done", id=frame["id"], done=2, failed=0, cancelled=0)
        double.read(connection)

    with Double(behave) as double:
        found = run(
            """
            quick();
            const chat = open();
            const batch = chat.batch(["A", "B"], { parallel: 2 });
            const results = await batch.results;
            const result = results.map(({ text, error }) => [text, error?.code ?? null]);
            chat.close();
            """,
            url=double.url,
        )
    assert found == [["s1", "expired"], ["s2", None]]


# ---- events, figures, errors ------------------------------------------------------------------


def test_listeners_are_called_until_they_are_removed(
    run: Run, server: ServerProcess, lab: FakeOpenAI
) -> None:
    lab.answer_with(answer(["one ", "two"]), answer(["three"]), failure(429, retry_after=70))
    found = run(
        """
        console.error = () => {};
        const chat = open();
        const heard = [];
        const off = chat.on("state", (state) => heard.push(state));
        const answer = chat.ask("Hi");
        let text = "";
        answer.on("start", ({ stream }) => heard.push(typeof stream));
        answer.on("chunk", () => { throw new Error("mine"); });
        answer.on("chunk", ({ content }) => (text += content));
        answer.on("done", ({ reason }) => heard.push(reason));
        await answer.text;
        off();
        const second = chat.ask("Hi");
        let count = 0;
        second.on("chunk", () => count++)();
        await second.text;
        const third = chat.ask("Hi");
        third.on("error", ({ name, retryAfter }) => heard.push(name, retryAfter));
        await caught(third.text);
        chat.close();
        const result = { heard, text, count };
        """,
        url=server.socket_url,
    )
    assert found["heard"] == [
        *("connecting", "connected", "string", "stop", "ModelError", 70),
    ]
    assert (found["text"], found["count"]) == ("one two", 0)


def test_figures(run: Run, server: ServerProcess, lab: FakeOpenAI, wire: Any) -> None:
    wire.open()
    lab.answer_with(answer(600, rate=150))
    found = run(
        """
        quick();
        const chat = open(given.url, { pingMs: 50 });
        const first = chat.metrics;
        const answer = chat.ask("Hi");
        for (const length of [50, 1000]) {
          await until(() => answer.soFar.length > length);
          await sleep(1100);  // pings are at least a second apart
          await tell("cut");
        }
        await answer.text;
        const result = [first, chat.metrics];
        chat.close();
        """,
        {"cut": wire.cut},
        url=f"ws://127.0.0.1:{wire.port}/ws/ai-chat",
    )
    assert found[0] == {"messagesPerSecond": 0, "averageLatency": 0, "reconnectCount": 0}
    assert found[1]["reconnectCount"] == 2
    assert found[1]["messagesPerSecond"] > 1
    assert 0 < found[1]["averageLatency"] < 5000


def test_those_that_share_a_client_share_its_connection(run: Run) -> None:
    def behave(double: Double, connection: ServerConnection) -> None:
        double.read(connection)

    with Double(behave) as double:
        found = run(
            """
            const { share } = await import("./wireside.mjs");
            const first = share(given.url, { WebSocket });
            const second = share(new URL(given.url));
            await until(() => first.client.state === "connected");
            first.release();
            first.release();
            const result = [first.client === second.client, second.client.state];
            second.release();
            const third = share(given.url, { WebSocket });
            result.push(second.client.state, third.client === first.client);
            third.release();
            """,
            url=double.url,
        )
    assert found == [True, "connected", "closed", False]
    assert len(double.times) == 1


def test_addresses(run: Run) -> None:
    found = run(
        """
        class Nothing { close() {} }
        const of = (url) => {
          const chat = new Wireside(url, { WebSocket: Nothing });
          chat.close();
          return chat.url;
        };
        const result = given.urls.map(of);
        globalThis.location = { href: "https://chat.example.org/page?x#y" };
        result.push(of(), of("/tools/chat/"));
        """,
        urls=[
            "http://127.0.0.1:8080",
            "https://example.org/tools/chat/",
            "wss://example.org/ws/ai-chat?max_frame_bytes=65536#top",
            "ws://example.org/ws/ai-chat/",
        ],
    )
    assert found == [
        "ws://127.0.0.1:8080/ws/ai-chat",
        "wss://example.org/tools/chat/ws/ai-chat",
        "wss://example.org/ws/ai-chat?max_frame_bytes=65536",
        "ws://example.org/ws/ai-chat/",
        "wss://chat.example.org/ws/ai-chat",
        "wss://chat.example.org/tools/chat/ws/ai-chat",
    ]


# ---- tokens -----------------------------------------------------------------------------------


def test_a_token_that_is_revoked_is_replaced_and_the_answer_goes_on(
    run: Run, closed: ServerProcess, lab: FakeOpenAI
) -> None:
    """The function returns the token to use next, before each connection."""

    def request(path: str, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"X-Forwarded-User": "ada", "Content-Type": "application/json"}
        data = json.dumps(body or {}).encode()
        asked = urllib.request.Request(closed.url + path, data, headers, method=method)
        with urllib.request.urlopen(asked) as response:
            found: dict[str, Any] = json.loads(response.read() or "{}")
        return found

    old, new = (
        request("/api/keys", "POST", {"name": name, "scopes": ["chat", "read"]})["key"]
        for name in ("old", "new")
    )

    def revoke() -> bool:
        request(f"/api/keys/{old.split('_')[1]}", "DELETE")
        return True

    lab.answer_with(answer(60, rate=20))
    asked = len(lab.chats)
    found = run(
        """
        quick();
        let token = given.old;
        const chat = open(given.url, { token: async () => token });
        const answer = chat.ask("Hi");
        await until(() => answer.soFar.length > 20);
        token = given.new;
        await tell("revoke");
        const text = await answer.text;
        const me = await (await chat.api("/api/me")).json();
        chat.close();
        const refused = open(given.url, { token: "wireside_none_none" });
        const error = await caught(refused.ask("Hi").text);
        const opened = states.filter((state) => state === "connected").length;
        const result = { text, name: me.name, error, opened };
        """,
        {"revoke": revoke},
        url=closed.url,
        old=old,
        new=new,
    )
    assert found["text"] == FakeOpenAI.text(60)
    assert (found["name"], found["opened"]) == ("ada", 2)
    assert len(lab.chats) == asked + 1
    assert (found["error"]["name"], found["error"]["code"]) == ("AccessError", "unauthorized")
