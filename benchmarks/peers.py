"""The page compared with chats made with other frameworks, each in an environment of its own.

The environments are in ``build/peers`` and are made at the first run, from PyPI. Each chat is the
shortest that its framework's documentation shows, without a store; Wireside stores its answers.
"""

from __future__ import annotations

import subprocess
import venv
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser

from benchmarks.answers import END_MARK, Plan
from benchmarks.browser import chromium
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import ROOT, Server, Servers

ENVIRONMENTS = ROOT / "build" / "peers"

PACED = Plan("markdown", 300, 50)

ANSWER_MS = 120_000
SETTLE_MS = 500

AT_MOST_PEER = Aim(1.0, "ratio")

WATCH = """
([answer, mark]) => new Promise(resolve => {
  const texts = () => [...document.querySelectorAll(answer)].map(each => each.textContent).join("");
  let asked = null, first = null;
  addEventListener("keydown", () => { asked ??= performance.now(); }, {capture: true});
  const look = () => {
    if (asked !== null && first === null && texts().trim())
      first = performance.now() - asked;
    if (texts().includes(mark)) resolve(first);
    else first === null ? requestAnimationFrame(look) : setTimeout(look, 250);
  };
  look();
})
"""
"""Resolves with the milliseconds from Enter to the first frame with text, once the answer ends."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A chat: how to install and run it, and where its page has the box and the answers."""

    name: str
    packages: tuple[str, ...]
    module: tuple[str, ...]
    box: str
    answer: str

    def python(self) -> Path:
        """Return the interpreter of its environment, which is made if it does not exist."""
        folder = ENVIRONMENTS / self.name.lower()
        python = folder / "bin" / "python"
        made = folder / "installed"
        wanted = "\n".join(self.packages)
        if not made.exists() or made.read_text() != wanted:
            print(f"Installing {self.name} …", flush=True)
            venv.create(folder, with_pip=True, clear=True)
            install = [str(python), "-m", "pip", "install", "--quiet"]
            options = ["--disable-pip-version-check", *self.packages]
            subprocess.run([*install, *options], check=True)
            made.write_text(wanted)
        return python


PEERS = (
    Peer(
        "NiceGUI",
        ("nicegui==3.18.0", "openai==3.57.0"),
        ("benchmarks.peer_apps.nicegui_chat",),
        "input",
        ".answer",
    ),
    Peer(
        "Gradio",
        ("gradio==6.31.0", "openai==3.57.0"),
        ("benchmarks.peer_apps.gradio_chat",),
        "[data-testid='textbox']",
        "[data-testid='bot']",
    ),
    Peer(
        "Chainlit",
        ("chainlit==2.12.0", "openai==3.57.0"),
        ("chainlit", "run", str(ROOT / "benchmarks/peer_apps/chainlit_chat.py"), "--headless"),
        "#chat-input",
        ".ai-message",
    ),
)

WIRESIDE = Peer(
    "Wireside",
    (),
    (),
    "[data-testid='input-chat']",
    "[data-testid='message-assistant']",
)


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of one start and one answer."""

    start_s: float
    first_ms: float
    cpu_s: float
    memory_mb: float


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield one table a peer; each of its rounds also measures Wireside."""
    rounds = 1 if quick else 3
    pythons = [peer.python() for peer in PEERS]
    with servers.upstream() as upstream, chromium() as browser:
        for peer, python in zip(PEERS, pythons, strict=True):
            ours: list[Costs] = []
            theirs: list[Costs] = []
            for _ in range(rounds):
                ours.append(_costs(browser, WIRESIDE, servers.wireside(upstream, is_awaited=False)))
                running = servers.peer(upstream, str(python), peer.module)
                theirs.append(_costs(browser, peer, running))
            yield Section(f"A chat with {peer.name}", peer.name, _figures(ours, theirs))


def _figures(ours: list[Costs], theirs: list[Costs]) -> list[Figure]:
    subjects = (
        ("start to the first page", "s", "start_s"),
        ("Enter to the first painted token", "ms", "first_ms"),
        (f"{PACED.tokens} tokens, {PACED.rate}/s, server CPU", "s", "cpu_s"),
        ("resident memory after it", "MB", "memory_mb"),
    )
    return [
        Figure(
            subject,
            unit,
            median(getattr(each, name) for each in ours),
            median(getattr(each, name) for each in theirs),
            AT_MOST_PEER,
        )
        for subject, unit, name in subjects
    ]


def _costs(browser: Browser, peer: Peer, running: AbstractContextManager[Server]) -> Costs:
    with running as server:
        start_s = server.wait_until_live("/")
        _answered(browser, peer, server)  # warm-up
        cpu_s = server.cpu_s()
        first_ms = _answered(browser, peer, server)
        return Costs(start_s, first_ms, server.cpu_s() - cpu_s, server.resident_bytes() / 1e6)


def _answered(browser: Browser, peer: Peer, server: Server) -> float:
    """Ask in a new profile, and wait for the whole answer; return the time to its first token."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        page.set_default_timeout(ANSWER_MS)
        page.goto(server.address)
        box = page.locator(peer.box).first
        box.wait_for()
        page.wait_for_timeout(SETTLE_MS)
        box.fill(str(PACED))
        page.evaluate(
            "([watch, given]) => { window.bench = eval(watch)(given); }",
            [
                WATCH,
                [peer.answer, END_MARK],
            ],
        )
        box.press("Enter")
        first_ms = float(page.evaluate("() => window.bench"))
        page.wait_for_timeout(SETTLE_MS)
        return first_ms
    finally:
        context.close()
