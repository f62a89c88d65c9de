"""A Firefox without a window, controlled by WebDriver BiDi, which it speaks itself.

Playwright controls only a Firefox of its own. The system's needs no driver: it listens for BiDi.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("firefox-esr", "firefox")

START_S = 60.0
WAIT_S = 15.0
"""As long as the tests in Chromium wait."""

PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.disabledForTesting": True,
    "extensions.update.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "browser.newtabpage.enabled": False,
    "intl.accept_languages": "en-GB",
}

KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "ArrowUp": "\ue013", "Control": "\ue009"}


def find() -> str | None:
    """Return the path of a Firefox."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


AT_REST = """async (selector) => {
  const element = [...document.querySelectorAll(selector)].at(-1);
  element?.scrollIntoView({ block: "nearest" });
  const place = () => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return [x + width / 2, y + height / 2];
  };
  const frame = () => new Promise(requestAnimationFrame);
  if (!element) return false;
  const before = place();
  await frame();
  await frame();
  const after = place();
  const hit = document.elementFromPoint(...after);
  return String(before) === String(after) && element.contains(hit);
}"""
"""Whether the last such element stays where it is for two frames, and nothing covers it."""


class FirefoxPage:
    """One page. Elements are named by CSS selectors; actions wait until theirs can be seen."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._id = 0
        self.complaints: list[str] = []
        """Errors in the console so far."""
        self._send("session.new", capabilities={})
        self._send("session.subscribe", events=["log.entryAdded"])
        self._context = self._send("browsingContext.create", type="tab")["context"]

    def goto(self, url: str) -> None:
        self._send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def reload(self) -> None:
        self._send("browsingContext.reload", context=self._context, wait="complete")

    def resize(self, width: int, height: int) -> None:
        self._send(
            "browsingContext.setViewport",
            context=self._context,
            viewport={"width": width, "height": height},
        )

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression: a text, a number, a boolean or null."""
        answer = self._send(
            "script.evaluate",
            expression=expression,
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise AssertionError(answer["exceptionDetails"]["text"])
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true.

        Raises:
            AssertionError: it is not within 15 seconds.
        """
        until = time.monotonic() + WAIT_S
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > until:
                shown = self.evaluate("document.body.innerText.slice(0, 500)")
                raise AssertionError(f"never true: {expression}\n{shown}")
            time.sleep(0.05)

    def see(self, selector: str, text: str = "") -> None:
        """Wait until the last such element can be seen, with a text in it."""
        name, part = json.dumps(selector), json.dumps(text)
        self.wait_for(
            f"[...document.querySelectorAll({name})].at(-1)?.checkVisibility()"
            f" && [...document.querySelectorAll({name})].at(-1).textContent.includes({part})"
        )

    def text(self, selector: str) -> str:
        """Return the text of the last such element."""
        return str(
            self.evaluate(
                f"[...document.querySelectorAll({json.dumps(selector)})].at(-1).innerText"
            )
        )

    def click(self, selector: str) -> None:
        """Move the pointer to the last such element, once it is at rest, and click it."""
        self.see(selector)
        until = time.monotonic() + WAIT_S
        while not self.evaluate(f"({AT_REST})({json.dumps(selector)})"):
            assert time.monotonic() < until, f"never at rest, or covered: {selector}"
        origin = {"type": "element", "element": {"sharedId": self._nodes(selector)[-1]}}
        pointer = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._perform({"type": "pointer", "id": "mouse", "actions": pointer})

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self._keys(text)

    def press(self, *names: str) -> None:
        """Press keys of ``KEYS``, or characters, together."""
        values = [KEYS.get(name, name) for name in names]
        down = [{"type": "keyDown", "value": value} for value in values]
        up = [{"type": "keyUp", "value": value} for value in reversed(values)]
        self._perform({"type": "key", "id": "keyboard", "actions": [*down, *up]})

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file in an input."""
        element = {"sharedId": self._nodes(selector)[0]}
        self._send("input.setFiles", context=self._context, element=element, files=[str(file)])

    def _keys(self, text: str) -> None:
        actions = [
            {"type": kind, "value": letter} for letter in text for kind in ("keyDown", "keyUp")
        ]
        self._perform({"type": "key", "id": "keyboard", "actions": actions})

    def _perform(self, source: dict[str, Any]) -> None:
        self._send("input.performActions", context=self._context, actions=[source])

    def _nodes(self, selector: str) -> Sequence[str]:
        found = self._send(
            "browsingContext.locateNodes",
            context=self._context,
            locator={"type": "css", "value": selector},
        )
        return [node["sharedId"] for node in found["nodes"]]

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        self._id += 1
        self._socket.send(json.dumps({"id": self._id, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(START_S))
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self.complaints.append(message["params"]["text"])
            if message.get("id") != self._id:
                continue
            if message["type"] == "error":
                raise AssertionError(f"{method}: {message['error']}: {message['message']}")
            result: dict[str, Any] = message["result"]
            return result


@contextlib.contextmanager
def opened(path: str, profile: Path) -> Iterator[FirefoxPage]:
    """Run a Firefox with a new profile, and open a page."""
    profile.mkdir(parents=True, exist_ok=True)
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    process = subprocess.Popen(
        [path, "--headless", "--no-remote", "--profile", str(profile)]
        + ["--remote-debugging-port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with connect(f"{_address(process)}/session", max_size=None, ping_interval=None) as socket:
            yield FirefoxPage(socket)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
            return found[1]
    raise AssertionError("Firefox ended at its start.")
