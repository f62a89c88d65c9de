"""The hooks of the JavaScript client in a browser, with React, Vue and Svelte from npm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.clients import frameworks, runtimes
from tests.e2e.conftest import Lab, Proxy
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer, failure

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "clients"

REACT = """
import { createElement, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import * as module from "%s";
const [Component] = Object.values(module);
const app = createRoot(document.getElementById("root"));
app.render(createElement(StrictMode, null, createElement(Component)));
window.unmount = () => app.unmount();
"""
VUE = """
import { createApp } from "vue";
import App from "%s";
const app = createApp(App);
app.mount("#root");
window.unmount = () => app.unmount();
"""
SVELTE = """
import { mount, unmount } from "svelte";
import App from "%s";
const app = mount(App, { target: document.getElementById("root") });
window.unmount = () => unmount(app);
"""

PROGRAMS = {
    "react": (REACT, "react/App.jsx"),
    "vue": (VUE, "vue/App.vue"),
    "svelte": (SVELTE, "svelte/App.svelte"),
}

Show = Callable[..., Page]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The examples, built."""
    built = {}
    for name, (program, component) in PROGRAMS.items():
        folder = tmp_path_factory.mktemp(name)
        entry = folder / "main.js"
        entry.write_text(program % (EXAMPLES / component))
        try:
            built[name] = frameworks.build(folder, entry)
        except runtimes.Missing as error:
            pytest.skip(str(error))
    return built


@pytest.fixture
def show(
    new_context: Callable[..., BrowserContext], served: ServerProcess, proxy: Proxy
) -> Iterator[Show]:
    """Open a page of the server with a script. Errors in its console fail the test."""
    complaints: list[str] = []

    def open_page(script: Path, conversation: str | None = None) -> Page:
        page = new_context(bypass_csp=True).new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.goto(f"http://127.0.0.1:{proxy.port}/api/health/live")
        page.evaluate(
            """(id) => {
              document.body.innerHTML = "<div id=root></div>";
              Object.assign(window, { id, sockets: [] });
              const Plain = WebSocket;
              window.WebSocket = class extends Plain {
                constructor(...given) { super(...given); sockets.push(this); }
              };
            }""",
            conversation,
        )
        page.add_script_tag(path=script)
        return page

    yield open_page
    # a cut is reported as a failed connection, a refused request as well
    expected = ("ERR_", "WebSocket", "(Not Found)")
    assert not [text for text in complaints if not any(word in text for word in expected)]


def sockets(page: Page) -> int:
    """Return how many connections the page has opened."""
    found: int = page.evaluate("() => sockets.length")
    return found


def is_open(page: Page) -> bool:
    found: bool = page.evaluate("() => sockets.some((socket) => socket.readyState === 1)")
    return found


def send(page: Page, text: str) -> None:
    page.get_by_role("textbox").fill(text)
    page.get_by_role("button", name="Send").click()


@pytest.mark.timeout(400)  # packages are downloaded
@pytest.mark.parametrize("framework", PROGRAMS)
def test_a_chat_streams_stops_fails_and_survives_cuts(
    scripts: dict[str, Path], show: Show, lab: Lab, proxy: Proxy, framework: str
) -> None:
    page = show(scripts[framework])
    expect(page.get_by_role("status")).to_have_text("connected")
    assert sockets(page) == 1  # also in StrictMode

    lab.answer_with(answer(["one ", "two"]).stalled(1))
    asked = len(lab.chats)
    send(page, "First")
    expect(page.locator(".user")).to_have_text(["First"])
    expect(page.locator(".assistant")).to_have_text(["one "])  # while it is streamed
    lab.go_on()
    expect(page.locator(".assistant")).to_have_text(["one two"])

    lab.answer_with(answer(150, rate=150))
    send(page, "Second")
    page.wait_for_function(
        "() => document.querySelectorAll('.assistant')[1]?.textContent.length > 50"
    )
    proxy.cut()
    expect(page.get_by_role("status")).not_to_have_text("connected")
    proxy.mend()
    expect(page.locator(".assistant").nth(1)).to_have_text(FakeOpenAI.text(150))
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert len(lab.chats) == asked + 2
    contents = [message["content"] for message in lab.chats[-1].body["messages"]]
    assert contents[-3:] == ["First", "one two", "Second"]

    lab.answer_with(answer(["kept"]).stalled(1))
    send(page, "Third")
    expect(page.locator(".assistant")).to_have_text(["one two", FakeOpenAI.text(150), "kept"])
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert lab.has_closed()

    lab.answer_with(failure(429, retry_after=7))
    send(page, "Fourth")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator(".user")).to_have_count(4)
    expect(page.locator(".assistant")).to_have_count(3)

    lab.answer_with(answer(["never seen"]).stalled(0))
    send(page, "Fifth")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert lab.has_begun()
    page.evaluate("() => unmount()")
    assert lab.has_closed()  # nothing reads it
    page.wait_for_function("() => sockets.every((socket) => socket.readyState === 3)")


def test_the_snippet_of_the_documentation_is_a_chat(tmp_path: Path, show: Show, lab: Lab) -> None:
    text = (ROOT / "docs" / "javascript.md").read_text("utf-8")
    (snippet,) = re.findall(r"```jsx\n(.*?)```", text, re.DOTALL)
    (tmp_path / "Chat.jsx").write_text(snippet)
    (tmp_path / "main.js").write_text(REACT % "./Chat.jsx")
    page = show(built(tmp_path))
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    lab.answer_with(answer(["one ", "two"]))
    send(page, "Hi")
    expect(page.locator(".assistant")).to_have_text(["one two"])


def test_the_snippet_for_the_console_runs_as_it_stands(chat_page: Page, lab: Lab) -> None:
    text = (ROOT / "docs" / "javascript.md").read_text("utf-8")
    (snippet,) = (
        block
        for block in re.findall(r"```js\n(.*?)```", text, re.DOTALL)
        if "await import" in block
    )
    lab.answer_with(answer(["one ", "two"]).stalled(1, 0.1))
    said: list[str] = []
    chat_page.on("console", lambda message: said.append(message.text))
    chat_page.evaluate(f"async () => {{ {snippet} chat.close(); }}")
    assert "".join(said) == "one two"


def built(folder: Path, aliases: dict[str, str] | None = None) -> Path:
    try:
        return frameworks.build(folder, folder / "main.js", aliases)
    except runtimes.Missing as error:
        pytest.skip(str(error))


GUIDE = Path(__file__).with_name("guide_chat.tsx")
"""The component of the integration guide, as it stands there."""

CONTROLS = """
import { createElement } from "react";
const plain = (name) => ({ children, ...given }) => createElement(name, given, children);
export const Button = plain("button");
export const Input = plain("input");
export const ScrollArea = plain("div");
"""


def test_the_component_of_the_integration_guide_works_unchanged(
    tmp_path: Path, show: Show, lab: Lab, proxy: Proxy
) -> None:
    (tmp_path / "controls.js").write_text(CONTROLS)
    (tmp_path / "main.js").write_text(REACT % GUIDE)
    names = {
        f"@/components/ui/{name}": "controls.js" for name in ("button", "input", "scroll-area")
    }
    aliases = {name: str(tmp_path / file) for name, file in names.items()}
    page = show(built(tmp_path, {**aliases, "@/hooks/useAIWebSocket": "wireside-client/react"}))
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    lab.answer_with(answer(150, rate=150), answer(["two"]))
    page.get_by_test_id("input-chat").fill("Hello AI")
    page.get_by_test_id("button-send").click()
    expect(page.get_by_text("AI is typing...")).to_be_visible()
    answers = page.locator(".mb-4:not(.text-right)")
    expect(answers).to_contain_text(FakeOpenAI.text(20))
    proxy.cut()
    expect(page.get_by_text("Disconnected", exact=True)).to_be_visible()
    proxy.mend()
    expect(answers).to_have_text([FakeOpenAI.text(150)])  # one message, and it is whole
    expect(page.get_by_text("AI is typing...")).to_have_count(0)
    page.get_by_test_id("input-chat").fill("And now?")
    page.get_by_test_id("button-send").click()
    expect(answers).to_have_text([FakeOpenAI.text(150), "two"])


LONG = """
import { createElement, useState } from "react";
import { createRoot } from "react-dom/client";
import { useAIWebSocket } from "wireside-client/react";
import { VirtualList } from "%s";
const before = Array.from({ length: 5000 }, (_, n) => (
  { id: `old${n}`, role: "user", content: `Message ${n}\\n`.repeat(1 + n %% 7) }));
function Long() {
  const { messages, sendMessage } = useAIWebSocket();
  const { messages: others } = useAIWebSocket();
  window.ask = sendMessage;
  window.others = others;
  return createElement(VirtualList, { messages: [...before, ...messages] });
}
createRoot(document.getElementById("root")).render(createElement(Long));
"""


def test_a_long_list_has_few_rows_and_stays_at_its_end(
    tmp_path: Path, show: Show, lab: Lab
) -> None:
    (tmp_path / "main.js").write_text(LONG % (EXAMPLES / "react" / "VirtualList.jsx"))
    page = show(built(tmp_path))
    rows = page.locator("[data-index]")
    expect(rows.filter(has_text="Message 4999").last).to_be_visible()
    assert rows.count() < 40
    lab.answer_with(answer(400, rate=800))
    page.evaluate("() => { ask('Hi'); }")
    expect(rows.last).to_have_text(FakeOpenAI.text(400))
    page.wait_for_function(
        "() => { const { scrollHeight, scrollTop, clientHeight } ="
        " document.querySelector('[role=log]');"
        " return scrollHeight - scrollTop - clientHeight < 2; }"
    )
    assert page.evaluate("() => [sockets.length, others.length]") == [1, 0]
    page.get_by_role("log").evaluate("(box) => { box.scrollTop = 1000; }")
    expect(rows.filter(has_text="Message 18").first).to_be_visible()
    assert rows.count() < 40


STORED = """
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { useAIWebSocket } from "wireside-client/react";
function Stored() {
  window.chat = useAIWebSocket({ conversation: window.id });
  const texts = chat.messages.map(({ id, content }) => createElement("p", { key: id }, content));
  return createElement("div", null, ...texts);
}
createRoot(document.getElementById("root")).render(createElement(Stored));
"""


def test_a_stored_conversation_is_shown_and_goes_on(tmp_path: Path, show: Show, lab: Lab) -> None:
    """Also an answer that is still being written, as after a reload."""
    (tmp_path / "main.js").write_text(STORED)
    script = built(tmp_path)
    lab.answer_with(answer(["one"]), answer(["two ", "three"]).stalled(1), answer(["four"]))
    first = show(script, "new")
    texts = first.locator("#root p")
    first.evaluate("() => { chat.sendMessage('First'); }")
    expect(texts).to_have_text(["First", "one"])
    first.evaluate("() => { chat.sendMessage('Second'); }")
    expect(texts).to_have_text(["First", "one", "Second", "two "])
    found = first.evaluate("() => chat.conversation")
    assert found

    second = show(script, found)
    others = second.locator("#root p")
    expect(others).to_have_text(["First", "one", "Second", "two "])
    assert second.evaluate("() => [chat.isStreaming, chat.conversation]") == [True, found]
    lab.go_on()
    expect(others).to_have_text(["First", "one", "Second", "two three"])
    expect(texts).to_have_text(["First", "one", "Second", "two three"])
    second.evaluate("() => { chat.sendMessage('Third'); }")
    expect(others).to_have_text(["First", "one", "Second", "two three", "Third", "four"])
    second.evaluate("() => chat.clear()")
    expect(others).to_have_count(0)
    assert second.evaluate("() => chat.conversation") is None
    missing = show(script, "none")
    missing.wait_for_function("() => chat.error?.code === 'not_found'")
