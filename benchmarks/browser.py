"""A Chromium and the measurements of a page in it."""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.answers import END_MARK, Plan

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ANSWER_S = 240.0
OPEN_S = 30.0
SETTLE_MS = 300

WATCH = """
window.bench = {usable: null, shown: null, connected: null, asked: null, done: null, tasks: []};
new PerformanceObserver(list => {
  for (const task of list.getEntries()) bench.tasks.push([task.startTime, task.duration]);
}).observe({type: "longtask", buffered: true});
const watch = look => requestAnimationFrame(() => look() || watch(look));
// Whether the last answer has ended, by its last characters and from the last turn on: to look
// through all of a long answer in each frame costs time
const hasEnded = () => {
  const rows = document.querySelector(".ws-transcript-rows") ?? document;
  let last = rows.lastElementChild?.querySelector('[data-testid="message-assistant"]');
  while (last?.lastChild) last = last.lastChild;
  return last?.data?.slice(-50).includes("END_MARK") ?? false;
};
watch(() => {
  const input = document.querySelector('[data-testid="input-chat"]');
  if (!input || input.disabled || input.readOnly) return false;
  bench.usable = performance.now();
  return true;
});
watch(() => {
  if (!hasEnded()) return false;
  bench.shown = performance.now();
  return true;
});
watch(() => {
  if (!document.querySelector('[data-testid="connection-status"][data-state="connected"]'))
    return false;
  bench.connected = performance.now();
  return true;
});
window.benchAsk = every => {
  const begin = () => { bench.asked = performance.now(); };
  addEventListener("click", begin, {capture: true, once: true});
  const look = () => {
    if (hasEnded())
      // painted with the next frame
      requestAnimationFrame(() => setTimeout(() => { bench.done = performance.now(); }));
    else if (every) setTimeout(look, every);
    else requestAnimationFrame(look);
  };
  look();
};
""".replace("END_MARK", END_MARK)


class ChatPage:
    """An open page of either server, with a cold cache."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self.frame_bytes = 0
        """Payload of all WebSocket frames received so far, before compression."""
        self.loaded_bytes = 0
        """Bytes of all responses received so far, compressed, with their header fields."""
        self._cdp.on("Network.webSocketFrameReceived", self._count)
        self._cdp.on("Network.loadingFinished", self._add_loaded)
        self._cdp.send("Network.enable")
        self._cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.add_init_script(WATCH)

    def add_script(self, script: str) -> None:
        """Run ``script`` in each document that is opened from now on, before its own scripts."""
        self._page.add_init_script(script)

    def read(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        return self._get(expression)

    def load(self, address: str) -> None:
        """Open a page of the chat and wait until it is connected and has loaded everything."""
        self._page.goto(address, wait_until="load")
        self._wait("bench.connected", OPEN_S)
        self._page.wait_for_load_state("networkidle")
        self._page.wait_for_timeout(1000)

    def open(self, address: str) -> float:
        """Open the page; return the milliseconds until the input accepts text.

        Raises:
            RuntimeError: the input lost text that was typed while the page was loading.
        """
        self._page.goto(address, wait_until="commit")
        self._wait("bench.usable", OPEN_S)
        box = self._page.get_by_test_id("input-chat")
        box.press_sequentially("hello")
        self._page.wait_for_load_state("load")
        self._page.wait_for_timeout(1500)
        if box.input_value() != "hello":
            raise RuntimeError("The input lost what was typed while the page was loading.")
        return float(self._get("bench.usable"))

    def open_conversation(self, address: str) -> tuple[float, float]:
        """Open a conversation whose last answer ends with ``END_MARK``.

        Returns the milliseconds until that answer is in the page, and until the page is connected.
        """
        self._page.goto(address, wait_until="commit")
        self._wait("bench.shown", OPEN_S)
        self._wait("bench.connected", OPEN_S)
        return float(self._get("bench.shown")), float(self._get("bench.connected"))

    def count_nodes(self) -> float:
        """Return the number of elements of the document."""
        return float(self._get("document.querySelectorAll('*').length"))

    def ask(self, plan: Plan, *, every_ms: int = 0) -> None:
        """Send the question; the page checks for the end every ``every_ms`` (0: in each frame)."""
        self._page.get_by_test_id("input-chat").fill(str(plan))
        self._page.evaluate("every => benchAsk(every)", every_ms)
        self._page.get_by_test_id("button-send").click()

    def wait_until_done(self) -> float:
        """Wait for the whole answer on the screen; return the milliseconds since the click."""
        self._wait("bench.done", ANSWER_S)
        return float(self._get("bench.done - bench.asked"))

    def settle(self) -> None:
        """Wait for the work after an answer's last words: it is part of the cost."""
        self._page.wait_for_timeout(SETTLE_MS)

    def longest_task_ms(self) -> float:
        """Return the longest task since the click, in milliseconds; 0 if none took 50 ms."""
        since = "bench.tasks.filter(([start, took]) => start + took > bench.asked)"
        return float(self._get(f"Math.max(0, ...{since}.map(task => task[1]))"))

    def task_s(self) -> float:
        """Return the CPU seconds of the page's main thread so far."""
        metrics = self._cdp.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    def _add_loaded(self, event: dict[str, Any]) -> None:
        self.loaded_bytes += int(event["encodedDataLength"])

    def _count(self, event: dict[str, Any]) -> None:
        frame = event["response"]
        data = frame["payloadData"]
        is_text = frame["opcode"] == 1
        self.frame_bytes += len(data.encode()) if is_text else len(base64.b64decode(data))

    def _wait(self, expression: str, limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while self._get(expression) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} is not there after {limit_s:g} s.")
            self._page.wait_for_timeout(50)

    def _get(self, expression: str) -> Any:
        return self._page.evaluate(f"() => {expression}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the configured Chromium, the system's, or Playwright's own."""
    named = os.environ.get("WIRESIDE_CHROMIUM")
    path = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def cold_page(browser: Browser, *, width: int = 1280) -> Iterator[ChatPage]:
    """Open a page in a new profile."""
    context = browser.new_context(viewport={"width": width, "height": 800})
    try:
        yield ChatPage(context.new_page())
    finally:
        context.close()
