"""The modules of ``wireside-client`` in Node, with a WebSocket of the same process: the chat of the
hooks, and servers that refuse, restart and change their mind.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.client import SOURCE

MOST_S = 60.0
"""Time limit of a program, in seconds; only a hang exceeds it."""

PRELUDE = """
import { WebSocket, background, codeOf, frames, quick, say, sent, server, sleep, sockets, until } from "./threads.mjs";
import { Wireside } from "./wireside/index.js";
import { addressOf } from "./wireside/address.js";
import { refusalOf } from "./wireside/refusal.js";
import { threadOf } from "./wireside/thread.js";
const url = "http://wireside.test/";
const open = (options) => new Wireside(url, { WebSocket, ...options });
const thread = (conversation, options) =>
  threadOf({ url, conversation, client: { WebSocket }, ...options });
quick();
"""

Run = Callable[[str], Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a program that sets ``result``, and return its value."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node here")
    shutil.copytree(SOURCE, tmp_path / "wireside")
    shutil.copy(Path(__file__).with_name("threads.mjs"), tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')

    def run(body: str) -> Any:
        tell = "\nconsole.log(JSON.stringify({ result }));\nprocess.exit();"
        (tmp_path / "program.js").write_text(PRELUDE + body + tell)
        done = subprocess.run(
            [node, "program.js"], cwd=tmp_path, capture_output=True, text=True, timeout=MOST_S
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])["result"]

    return run


# ---- the chat of the hooks --------------------------------------------------------------------


def test_a_stored_chat_goes_on_with_another_client(run: Run) -> None:
    """The first one was closed, as after a sign-out; questions and replies use the new one."""
    found = run(
        """
        const question = { id: "q", type: "text", prompt: "Name?" };
        server.onFrame = ({ id, type, message }, send) => {
          send({ type: "start", id, stream: `s${frames.length}`, model: "m", conversation: "c" });
          if (message === "Ask") send({ type: "part", id, offset: 1, kind: "question", part: "p", data: question, text: "" });
          send({ type: "done", id, offset: 1, reason: message === "Ask" ? "asking" : "stop" });
        };
        const chat = thread("new");
        chat.subscribe(() => {});
        await chat.actions.sendMessage("First");
        chat.actions.client().close();
        await chat.actions.sendMessage("Ask");
        const errors = [chat.read().error];
        chat.actions.client().close();
        await chat.actions.reply("Ada");
        errors.push(chat.read().error);
        const result = [errors, frames.map(({ type, conversation }) => [type, conversation]), sockets.length];
        """
    )
    assert found == [[None, None], [["chat", "new"], ["chat", "c"], ["answer", "c"]], 3]


def test_the_context_has_no_blank_messages(run: Run) -> None:
    """Neither of a question with a file alone, nor of a reply."""
    found = run(
        """
        const question = { id: "q", type: "text", prompt: "Name?" };
        server.onFrame = (frame, send) => {
          const { id, message } = frame;
          if (message !== "Ask") return say(frame, send, "well", { conversation: "c" });
          send({ type: "start", id, stream: "s", model: "m", conversation: "c" });
          send({ type: "part", id, offset: 1, kind: "question", part: "p", data: question, text: "" });
          send({ type: "done", id, offset: 1, reason: "asking" });
        };
        const chat = thread();
        chat.subscribe(() => {});
        await chat.actions.sendMessage("", undefined, { attachments: ["f"] });
        await chat.actions.sendMessage("Ask");
        await chat.actions.reply("Ada");
        await chat.actions.sendMessage("Then?");
        const result = [frames.at(-1).messages.map(({ content }) => content), chat.read().isStreaming];
        """
    )
    assert found == [["well", "well"], False]


STORED = """
const turn = { question: "Old?", created_at: "2026-01-01T00:00:00Z",
  answer: [{ stream: "s", state: "done", reason: "stop", parts: [{ type: "text", text: "old" }] }] };
let respond = async () => Response.json({ turns: [turn] });
const asked = [];
globalThis.fetch = (path) => (asked.push(path), respond());
server.onFrame = (frame, send) => say(frame, send, "new", { conversation: "c" });
const texts = () => chat.read().messages.map(({ content }) => content);
"""


def test_clear_drops_a_history_that_is_still_loaded(run: Run) -> None:
    found = run(
        STORED
        + """
        let go;
        const arrived = new Promise((resolve) => (go = resolve));
        respond = async () => (await arrived, Response.json({ turns: [turn] }));
        const chat = thread("c");
        chat.subscribe(() => {});
        await until(() => asked.length);
        chat.actions.clear();
        go();
        await chat.actions.sendMessage("New?");
        const result = [texts(), sent("chat").map(({ conversation }) => conversation)];
        """
    )
    assert found == [["New?", "new"], ["new"]]


def test_a_history_that_could_not_be_loaded_is_loaded_later(run: Run) -> None:
    """As of a page that starts offline."""
    found = run(
        STORED
        + """
        server.isDown = true;
        const loaded = respond;
        respond = async () => { throw new TypeError("offline"); };
        const chat = thread("c");
        chat.subscribe(() => {});
        await until(() => chat.read().error && chat.read().state === "waiting");
        respond = loaded;
        server.isDown = false;
        await until(() => chat.read().messages.length);
        await until(() => !chat.read().isStreaming);
        const first = [texts(), chat.read().error];
        const { length } = asked;
        sockets.at(-1).close(1006);
        await until(() => chat.read().state === "waiting");
        await until(() => chat.read().state === "connected");
        await chat.actions.sendMessage("New?");
        const result = [first, texts(), asked.length - length];
        """
    )
    assert found == [[["Old?", "old"], None], ["Old?", "old", "New?", "new"], 0]


# ---- requests ---------------------------------------------------------------------------------


def test_an_aborted_question_may_still_open_the_conversation(run: Run) -> None:
    found = run(
        """
        const held = [];
        let count = 0;
        server.onFrame = (frame, send) => {
          if (frame.type === "cancel") return;
          if (!held.length) return held.push([frame, send]);
          say(frame, send, frame.message, { conversation: frame.conversation === "new" ? `c${++count}` : frame.conversation });
        };
        const chat = open();
        const talk = chat.conversation();
        const control = new AbortController();
        const first = talk.ask("one", { signal: control.signal });
        await until(() => held.length);
        control.abort();
        const second = talk.ask("two");
        await sleep(10);
        const [[{ id }, send]] = held;
        send({ type: "start", id, stream: "s", model: "m", conversation: `c${++count}` });
        send({ type: "done", id, offset: 0, reason: "cancelled" });
        await second.text;
        await talk.ask("three").text;
        const result = [await codeOf(first.text), talk.id, sent("chat").map(({ conversation }) => conversation)];
        """
    )
    assert found == [20, "c1", ["new", "c1", "c1"]]


LIMITED = """
const RETRY_AFTER_S = %s;
server.onFrame = ({ type, id }, send, socket) => {
  if (type !== "chat") return;
  if (sockets.length === 1) return socket.close(1011);
  send({ type: "error", id, code: "rate_limited", message: "Rate limit exceeded", retryable: true, retry_after: RETRY_AFTER_S });
};
const chat = open();
const answer = chat.ask("Hi");
"""


def test_a_held_question_ends_at_once_when_it_is_stopped(run: Run) -> None:
    """And the server cancels it once it accepts it."""
    found = run(
        LIMITED % "0.2"
        + """
        await until(() => sent("chat").length === 2);
        await sleep(20);
        answer.stop();
        const reason = await Promise.race([answer.text.then(() => answer.reason), sleep(20)]);
        await until(() => sent("cancel").length);
        const result = [reason, sent("cancel")[0].id === sent("chat")[2].id];
        """
    )
    assert found == ["cancelled", True]


def test_a_question_is_not_held_for_hours(run: Run) -> None:
    found = run(
        LIMITED % "3600"
        + """
        const result = await Promise.race([answer.text.catch((error) => [error.code, error.retryAfter]), sleep(3000)]);
        """
    )
    assert found == ["rate_limited", 3600]


def test_the_limit_of_answers_rises_again(run: Run) -> None:
    """One `too_many`, as of another page of the account, has no effect for good."""
    found = run(
        """
        const open_ids = new Map();
        let most = 0;
        let limit = 2;
        const finish = () => {
          const [[id, [frame, send]]] = open_ids;
          open_ids.delete(id);
          say(frame, send, frame.message);
        };
        server.onFrame = (frame, send) => {
          if (open_ids.size >= limit) return send({ type: "error", id: frame.id, code: "too_many", message: "2 are open", retryable: true });
          open_ids.set(frame.id, [frame, send]);
          most = Math.max(most, open_ids.size);
        };
        const chat = open();
        const answers = Array.from({ length: 60 }, (_, n) => chat.ask(`q${n}`));
        await until(() => open_ids.size === 2);
        await sleep(10);
        limit = 8;
        while (answers.some(({ _isOver }) => !_isOver)) {
          if (open_ids.size) finish();
          await sleep(1);
        }
        const result = [most, frames.length];
        """
    )
    assert found[0] == 8
    assert found[1] < 75


def test_a_batch_cancels_what_a_restarted_server_answers_again(run: Run) -> None:
    """Answers that had ended, and those that fail as expired: nothing reads them."""
    found = run(
        """
        server.onFrame = ({ type, id, messages }, send, socket) => {
          if (type !== "batch") return;
          const first = sockets.length === 1;
          const put = (index, isDone) => {
            send({ type: "start", id, index, stream: `${sockets.length}-${index}`, model: "m" });
            send({ type: "chunk", id, index, content: "text", offset: 4 });
            if (isDone) send({ type: "done", id, index, offset: 4, reason: "stop" });
          };
          put(0, first);
          put(1, false);
          if (first) return socket.close(1011);
          put(2, true);
        };
        const chat = open();
        const batch = chat.batch(["A", "B", "C"]);
        await batch.answers[2].text;
        const errors = (await batch.results).map(({ error }) => error?.code ?? null);
        await sleep(10);
        const cancelled = new Set(sent("cancel").map(({ index }) => index));
        const result = [errors, [...cancelled].sort(), batch.answers[0].soFar];
        """
    )
    assert found == [[None, "expired", None], [0, 1], "text"]


# ---- connections ------------------------------------------------------------------------------


def test_a_server_that_is_there_and_refuses_is_asked_again(run: Run) -> None:
    """With too many connections from an address it refuses handshakes, and answers other requests."""
    found = run(
        """
        const of = (status, options) => {
          globalThis.fetch = async (path) => ({ status: String(path).endsWith("/me") ? 200 : status });
          return refusalOf("ws://wireside.test/ws/ai-chat", { cause: Error(), failures: 9, timeoutMs: 99, hasTicket: false, wasOpen: false, ...options });
        };
        const result = [await of(426), await of(426, { hasTicket: true }), (await of(404)).code];
        """
    )
    assert found == [None, None, "not_found"]


def test_a_ticket_function_without_a_ticket_ends_the_client(run: Run) -> None:
    """As when its own request was refused with 401."""
    found = run(
        """
        const chat = open({ ticket: async () => undefined });
        const result = await Promise.race([codeOf(chat.ask("Hi").text), sleep(5000)]);
        """
    )
    assert found == "unauthorized"


@pytest.mark.parametrize(("is_listed", "code"), [("true", None), ("false", "unauthorized")])
def test_a_page_of_another_origin_with_a_ticket_is_refused_only_for_its_origin(
    run: Run, is_listed: str, code: str | None
) -> None:
    """Such a page can read responses of the REST API alone, and only if its origin is listed."""
    found = run(
        f"""
        globalThis.fetch = async (path, {{ mode }}) => {{
          if (mode !== "no-cors" && !({is_listed} && String(path).endsWith("/me"))) throw new TypeError("CORS");
          return {{ status: mode ? 0 : 401 }};
        }};
        const result = (await refusalOf("wss://wireside.test/ws/ai-chat", {{ cause: Error(), failures: 9, timeoutMs: 99, hasTicket: true, wasOpen: false }}))?.code ?? null;
        """
    )
    assert found == code


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://h.test", "wss://h.test/ws/ai-chat"),
        ("https://h.test/chat", "wss://h.test/chat/ws/ai-chat"),
        ("https://h.test/chat/", "wss://h.test/chat/ws/ai-chat"),
        ("ws://h.test/ws/ai-chat/", "ws://h.test/ws/ai-chat/"),
        ("http://h.test/chat?a=b", "ws://h.test/chat/ws/ai-chat?a=b"),
    ],
)
def test_an_address_is_that_of_a_server_or_of_its_websocket(
    run: Run, given: str, address: str
) -> None:
    assert run(f"const result = addressOf({json.dumps(given)});") == address


# ---- a tab in the background ------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["close", "silence"])
def test_an_hour_in_the_background_loses_nothing(run: Run, ends: str) -> None:
    """Its timers run once a minute; every fifth minute the connection closes or becomes silent."""
    found = run(
        f"const isSilent = {json.dumps(ends == 'silence')};"
        """
        const clock = background();
        let text = "", current = null, offset = 0;
        const send = () => {
          if (!current || current.isDead || offset >= text.length) return;
          current.receive({ type: "chunk", id: current.answering, content: text.slice(offset), offset: text.length });
          offset = text.length;
        };
        server.onPing = ({ t }, socket) => socket.isDead || socket.receive({ type: "pong", t });
        server.onFrame = (frame, tell, socket) => {
          if (socket.isDead) return;
          current = socket;
          socket.answering = frame.id;
          if (frame.type === "chat") tell({ type: "start", id: frame.id, stream: "s", model: "m" });
          else {
            tell({ type: "resumed", id: frame.id, stream: "s" });
            offset = frame.offset;
          }
          send();
        };
        const chat = open();
        const answer = chat.ask("Hi");
        let piece = "";
        answer.on("chunk", ({ content }) => (piece += content));
        await clock.settle();
        for (let minute = 1; minute <= 60; minute++) {
          text += `${minute} `;
          send();
          if (minute % 5 === 0 && !current.isDead) {
            current.isDead = true;
            if (!isSilent) current.close(1006);
          }
          await clock.minute();
          await clock.settle();
        }
        for (let minute = 0; minute < 5; minute++) {
          await clock.minute();
          await clock.settle();
        }
        send();
        current.receive({ type: "done", id: current.answering, offset, reason: "stop" });
        const result = { same: (await answer.text) === text && piece === text, asked: sent("chat").length, sockets: sockets.length };
        """
    )
    assert found["same"]
    assert found["asked"] == 1
    assert found["sockets"] > 8
