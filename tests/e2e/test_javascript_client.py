"""The JavaScript client in a browser, over a connection that is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.clients import runtimes
from tests.e2e.conftest import Lab, Proxy
from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer, failure

START = """async (port) => {
  const { Wireside } = await import("/assets/client/wireside.js");
  window.states = [];
  const url = `ws://127.0.0.1:${port}/ws/ai-chat`;
  window.chat = new Wireside(url, { onState: (state) => states.push(state) });
}"""


def begin(page: Page, served: ServerProcess, proxy: Proxy) -> None:
    page.goto(f"http://127.0.0.1:{proxy.port}/")
    expect(page.get_by_test_id("connection-status")).to_have_text("Connected")
    page.evaluate(START, proxy.port)


def test_an_answer_comes_piece_by_piece(
    page: Page, served: ServerProcess, proxy: Proxy, lab: Lab
) -> None:
    begin(page, served, proxy)
    lab.answer_with(answer(50, rate=200))
    found = page.evaluate(
        """async () => {
          const answer = chat.ask("Hi", { temperature: 0.5 });
          const pieces = [];
          for await (const piece of answer) pieces.push(piece);
          return { pieces, text: await answer.text, reason: answer.reason, model: answer.model };
        }"""
    )
    assert "".join(found["pieces"]) == found["text"] == FakeOpenAI.text(50)
    assert len(found["pieces"]) > 1
    assert (found["reason"], found["model"]) == ("stop", "lab-1")
    assert lab.chats[-1].body["temperature"] == 0.5


def test_cuts_lose_nothing_and_ask_nothing_twice(
    page: Page, served: ServerProcess, proxy: Proxy, lab: Lab
) -> None:
    begin(page, served, proxy)
    lab.answer_with(answer(300, rate=100))
    asked = len(lab.chats)
    page.evaluate("() => { window.answer = chat.ask('Hi'); }")
    for length in (100, 500):
        page.wait_for_function("length => answer.soFar.length > length", arg=length)
        proxy.cut()
        page.wait_for_function("() => states.at(-1) === 'waiting'")
        proxy.mend()
    assert page.evaluate("() => answer.text") == FakeOpenAI.text(300)
    assert page.evaluate("() => states.filter((s) => s === 'connected').length") == 3
    assert len(lab.chats) == asked + 1


def test_stop_keeps_what_was_written(
    page: Page, served: ServerProcess, proxy: Proxy, lab: Lab
) -> None:
    begin(page, served, proxy)
    lab.answer_with(answer(["kept"]).stalled(1))
    page.evaluate("() => { window.answer = chat.ask('Hi'); }")
    page.wait_for_function("() => answer.soFar === 'kept'")
    assert page.evaluate("async () => { answer.stop(); return answer.text; }") == "kept"
    assert page.evaluate("() => answer.reason") == "cancelled"
    assert lab.has_closed()


def test_errors_say_what_helps(page: Page, served: ServerProcess, proxy: Proxy, lab: Lab) -> None:
    begin(page, served, proxy)
    lab.answer_with(failure(429, retry_after=7))
    found = page.evaluate(
        "() => chat.ask('Hi').text.catch(({ code, retryable, retryAfter }) =>"
        " ({ code, retryable, retryAfter }))"
    )
    assert found == {"code": "provider_rate_limited", "retryable": True, "retryAfter": 7}


def test_another_page_can_follow(page: Page, served: ServerProcess, proxy: Proxy, lab: Lab) -> None:
    begin(page, served, proxy)
    lab.answer_with(answer(["one ", "two"]).stalled(1))
    page.evaluate("() => { window.answer = chat.ask('Hi'); }")
    page.wait_for_function("() => answer.stream")
    stream = page.evaluate("() => answer.stream")
    other = page.context.new_page()
    begin(other, served, proxy)
    other.evaluate("(stream) => { window.followed = chat.follow(stream); }", stream)
    assert lab.has_begun()
    lab.go_on()
    assert other.evaluate("() => followed.text") == "one two"


# ---- behaviour specific to browsers ----------------------------------------------------------


def test_a_tab_in_the_background_goes_on_where_it_was(
    page: Page, served: ServerProcess, proxy: Proxy, lab: Lab
) -> None:
    """Chromium freezes it; its connection is lost meanwhile."""
    begin(page, served, proxy)
    lab.answer_with(answer(200, rate=150))
    page.evaluate("() => { window.answer = chat.ask('Hi'); }")
    page.wait_for_function("() => answer.soFar.length > 50")
    session = page.context.new_cdp_session(page)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    proxy.cut()
    proxy.mend()
    session.send("Page.setWebLifecycleState", {"state": "active"})
    assert page.evaluate("() => answer.text") == FakeOpenAI.text(200)


def test_news_of_the_network_are_heeded_at_once(
    page: Page, served: ServerProcess, proxy: Proxy, lab: Lab
) -> None:
    begin(page, served, proxy)
    page.evaluate("() => { Math.random = () => 1; }")  # the longest back-off
    proxy.cut()
    page.wait_for_function("() => states.filter((s) => s === 'waiting').length === 4")
    proxy.mend()
    lab.answer_with(answer(["back"]))
    page.evaluate("() => { window.answer = chat.ask('Hi'); }")
    page.wait_for_timeout(1100)  # attempts are at least a second apart
    began = page.evaluate("() => performance.now()")
    page.evaluate("() => { window.dispatchEvent(new Event('online')); }")
    assert page.evaluate("() => answer.text") == "back"
    assert page.evaluate("() => performance.now()") - began < 6000  # the back-off is 8 s


REACT = """
const { useEffect, useState, createElement, StrictMode } = React;
function Chat() {
  const [text, setText] = useState("");
  useEffect(() => {
    const chat = new Wireside(url, { onState: (state) => states.push(state) });
    let isMounted = true;
    (async () => {
      try {
        let all = "";
        for await (const piece of chat.ask("Hi")) { all += piece; if (isMounted) setText(all); }
      } catch (error) {
        if (isMounted) throw error;
      }
    })();
    return () => { isMounted = false; chat.close(); };
  }, []);
  return createElement("p", { id: "text" }, text);
}
ReactDOM.createRoot(document.getElementById("root")).render(
  createElement(StrictMode, null, createElement(Chat)),
);
"""


@pytest.fixture(scope="session")
def react() -> list[Path]:
    """React 18's files for script tags, in the order of loading."""
    try:
        modules = runtimes.install("react", "react@18", "react-dom@18")
    except runtimes.Missing as error:
        pytest.skip(str(error))
    names = ("react/umd/react.development.js", "react-dom/umd/react-dom.development.js")
    return [modules / name for name in names]


def test_strict_mode_asks_once(
    new_context: Callable[..., BrowserContext],
    served: ServerProcess,
    lab: Lab,
    react: list[Path],
) -> None:
    """React mounts each component twice in development."""
    lab.answer_with(answer(["one ", "two"]), answer(["three"]))
    asked = len(lab.chats)
    complaints: list[str] = []
    page = new_context(bypass_csp=True).new_page()
    page.goto(f"{served.url}/api/health/live")
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    for file in react:
        page.add_script_tag(path=file)
    page.evaluate(
        """async (code) => {
          const { Wireside } = await import("/assets/client/wireside.js");
          document.body.innerHTML = "<div id=root></div>";
          Object.assign(window, { Wireside, states: [], url: "/ws/ai-chat" });
          new Function(code)();
        }""",
        REACT,
    )
    expect(page.locator("#text")).to_have_text("one two")
    assert page.evaluate("() => states") == ["closed", "connecting", "connected"]
    assert len(lab.chats) == asked + 1
    assert complaints == []


@pytest.fixture
def plain_http(
    new_context: Callable[..., BrowserContext],
    served_with: Callable[..., ServerProcess],
    running_lab: Lab,
    tmp_path: Path,
) -> Iterator[Page]:
    """A page over plain HTTP from another host: not a secure context."""
    server = served_with(running_lab.url, tmp_path, WIRESIDE_TRUSTED_HOSTS="chat.test")
    page = new_context(bypass_csp=True).new_page()
    page.goto(f"http://chat.test:{server.port}/api/health/live")
    yield page
    server.stop()


def test_pages_of_plain_http_can_ask(plain_http: Page, lab: Lab) -> None:
    lab.answer_with(answer(["one"]))
    assert plain_http.evaluate("() => [isSecureContext, typeof crypto.randomUUID]") == [
        False,
        "undefined",
    ]
    assert (
        plain_http.evaluate(
            """async () => {
          const { Wireside } = await import("/assets/client/wireside.js");
          const chat = new Wireside(`ws://${location.host}/ws/ai-chat`);
          const text = await chat.ask("Hi").text;
          chat.close();
          return text;
        }"""
        )
        == "one"
    )


def test_a_page_that_is_refused_is_told(plain_http: Page, served: ServerProcess) -> None:
    """A browser hides the status of a handshake from a page: the client checks it over HTTP."""
    found = plain_http.evaluate(
        """async (port) => {
          Math.random = () => 0.02;
          const { Wireside } = await import("/assets/client/wireside.js");
          const chat = new Wireside(`ws://127.0.0.1:${port}/ws/ai-chat`);
          return chat.ask("Hi").text.catch(({ code, message }) => ({ code, message }));
        }""",
        served.port,
    )
    assert found["code"] == "unauthorized"
    assert "origin" in found["message"]


WORKER = """
const { Wireside } = await import(`${url}/assets/client/wireside.mjs`);
const chat = new Wireside(url);
const pieces = [];
for await (const piece of chat.ask("Hi")) pieces.push(piece);
chat.close();
postMessage(pieces.join(""));
"""


def test_a_worker_can_ask(
    new_context: Callable[..., BrowserContext], served: ServerProcess, lab: Lab
) -> None:
    lab.answer_with(answer(["one ", "two"]))
    page = new_context(bypass_csp=True).new_page()
    page.goto(f"{served.url}/api/health/live")
    text = page.evaluate(
        """(code) => new Promise((resolve, reject) => {
          const script = `const url = "${location.origin}";${code}`;
          const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
          const worker = new Worker(address, { type: "module" });
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
        })""",
        WORKER,
    )
    assert text == "one two"
