"""The page in Chromium: time until it is usable, a burst, long answers.

The baseline is a page of thirty lines on the bare relay, which appends plain text frame by frame.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.request import Request, urlopen

from playwright.sync_api import Browser

from benchmarks.answers import Plan
from benchmarks.answers import text as text_of
from benchmarks.browser import chromium, cold_page
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Server, Servers
from benchmarks.wire import Wire

BURST = Plan("markdown", 2000)

MESSAGES = 500
"""Messages of the conversation that is opened: half of them are questions."""

ANSWER = Plan("markdown", 150)
"""Each answer of that conversation."""

LOOK_EVERY_MS = 1000
"""Interval of the search for a long answer's end, in milliseconds: searching has a cost too."""


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield the time until the page is usable, the cost of a burst, the cost of long answers."""
    with (
        servers.upstream() as upstream,
        servers.relay(upstream) as bare,
        servers.wireside(upstream) as ours,
        chromium() as browser,
    ):
        for server in (bare, ours):
            _burst(browser, server)  # warm-up; the result is discarded
        yield _usable(browser, ours, bare, 2 if quick else 5)
        yield _conversations(browser, ours, 2 if quick else 5)
        yield _bursts(browser, ours, bare, 2 if quick else 5)
        yield _long_answers(browser, ours, bare, rate=1000 if quick else 100)


def _usable(browser: Browser, ours: Server, bare: Server, rounds: int) -> Section:
    found: dict[Server, list[float]] = {ours: [], bare: []}
    for _ in range(rounds):
        for server, times in found.items():
            with cold_page(browser) as page:
                times.append(page.open(server.address))
    figure = Figure.of("input takes text, cold cache", "ms", found[ours], found[bare], Aim(500))
    return Section("Opening the page", "bare page", [figure])


def _conversations(browser: Browser, server: Server, rounds: int) -> Section:
    """Measure a long conversation and one of two messages."""
    long, short = (import_conversation(server, count) for count in (MESSAGES, 2))
    found: dict[str, list[tuple[float, ...]]] = {long: [], short: []}
    for _ in range(rounds):
        for address, costs in found.items():
            costs.append(_opened(browser, server, address))
    units = (
        ("last answer in the page", "ms", Aim(700)),
        ("page connected", "ms", Aim(700)),
        ("server CPU", "s", None),
        ("main thread of the page", "s", None),
        ("elements of the page", "", None),
    )
    figures = [
        Figure.of(
            subject,
            unit,
            [each[i] for each in found[long]],
            [each[i] for each in found[short]],
            aim,
        )
        for i, (subject, unit, aim) in enumerate(units)
    ]
    return Section(f"Opening a conversation of {MESSAGES} messages", "2 messages", figures)


def _opened(browser: Browser, server: Server, address: str) -> tuple[float, ...]:
    with cold_page(browser) as page:
        cpu_s = server.cpu_s()
        shown_ms, connected_ms = page.open_conversation(address)
        page.settle()
        return shown_ms, connected_ms, server.cpu_s() - cpu_s, page.task_s(), page.count_nodes()


def import_conversation(server: Server, messages: int) -> str:
    """Import a conversation of so many questions and answers; return its address."""
    when = "2026-01-01T00:00:00Z"
    part = {"type": "text", "text": text_of(ANSWER.kind, ANSWER.tokens)}
    answer = {"model": "bench", "created_at": when, "reason": "stop", "parts": [part]}
    turns = [
        {
            "id": f"t{number}",
            "parent": f"t{number - 1}" if number else None,
            "question": f"Question {number} of {messages}?",
            "created_at": when,
            "answer": [answer],
        }
        for number in range(messages // 2)
    ]
    talk = {"title": f"{messages} messages", "turns": turns}
    request = Request(
        f"{server.address}/api/conversations/import",
        json.dumps({"format": "wireside", "version": 1, "conversations": [talk]}).encode(),
        {"Content-Type": "application/json", "Origin": server.address},
    )
    with urlopen(request) as response:
        [name] = json.load(response)["conversations"]
    return f"{server.address}/c/{name}"


@dataclass(frozen=True, slots=True)
class Burst:
    """The cost of one answer that was delivered at once."""

    done_ms: float
    server_s: float
    longest_task_ms: float
    task_s: float
    frames_kb: float


def _bursts(browser: Browser, ours: Server, bare: Server, rounds: int) -> Section:
    found: dict[Server, list[Burst]] = {ours: [], bare: []}
    for _ in range(rounds):
        for server, costs in found.items():
            costs.append(_burst(browser, server))

    def figure(
        subject: str, unit: str, read: Callable[[Burst], float], aim: float | None
    ) -> Figure:
        return Figure.of(
            subject,
            unit,
            [read(cost) for cost in found[ours]],
            [read(cost) for cost in found[bare]],
            None if aim is None else Aim(aim),
        )

    figures = [
        figure("whole answer on the screen", "s", lambda cost: cost.done_ms / 1000, 0.6),
        figure("server CPU", "s", lambda cost: cost.server_s, 0.1),
        figure(
            "longest task of the page (0: below 50)", "ms", lambda cost: cost.longest_task_ms, 50
        ),
        figure("main thread of the page", "s", lambda cost: cost.task_s, None),
        figure("frames received", "KB", lambda cost: cost.frames_kb, None),
    ]
    return Section(f"{BURST.tokens} tokens of Markdown at once", "bare page", figures)


def _burst(browser: Browser, server: Server) -> Burst:
    with cold_page(browser) as page:
        page.open(server.address)
        cpu_s, task_s, frame_bytes = server.cpu_s(), page.task_s(), page.frame_bytes
        page.ask(BURST)
        done_ms = page.wait_until_done()
        page.settle()
        return Burst(
            done_ms,
            server.cpu_s() - cpu_s,
            page.longest_task_ms(),
            page.task_s() - task_s,
            (page.frame_bytes - frame_bytes) / 1000,
        )


@dataclass(frozen=True, slots=True)
class Long:
    """The cost of one long answer."""

    frames_kb: float
    wire_kb: float
    server_s: float
    task_s: float


def _long_answers(browser: Browser, ours: Server, bare: Server, *, rate: int) -> Section:
    short, double = (
        [_long(browser, server, Plan("markdown", tokens, rate)) for server in (ours, bare)]
        for tokens in (5000, 10_000)
    )
    figures = []
    for tokens, (our, bares), aim in (("5,000", short, Aim(350)), ("10,000", double, None)):
        figures += [
            Figure(f"{tokens} tokens: frames received", "KB", our.frames_kb, bares.frames_kb, aim),
            Figure(f"{tokens} tokens: on the wire", "KB", our.wire_kb, bares.wire_kb),
            Figure(f"{tokens} tokens: server CPU", "s", our.server_s, bares.server_s),
            Figure(f"{tokens} tokens: main thread of the page", "s", our.task_s, bares.task_s),
        ]
    subject = "10,000 tokens cost so many times 5,000"
    twice = Aim(2.1)
    figures += [
        Figure(f"{subject}: frames", "times", double[0].frames_kb / short[0].frames_kb, aim=twice),
        Figure(f"{subject}: server CPU", "times", double[0].server_s / short[0].server_s),
        Figure(f"{subject}: main thread", "times", double[0].task_s / short[0].task_s),
    ]
    return Section(f"Long answers of Markdown, {rate} tokens/s", "bare page", figures)


def _long(browser: Browser, server: Server, plan: Plan) -> Long:
    with Wire(server.port) as wire, cold_page(browser) as page:

        def counters() -> tuple[float, float, float, float]:
            received_kb = wire.received / 1000
            return page.frame_bytes / 1000, received_kb, server.cpu_s(), page.task_s()

        page.open(wire.address)
        before = counters()
        page.ask(plan, every_ms=LOOK_EVERY_MS)
        page.wait_until_done()
        page.settle()
        return Long(*(now - then for now, then in zip(counters(), before, strict=True)))
