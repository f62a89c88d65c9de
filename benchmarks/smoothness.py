"""What a reader of the page notices: the first load, moved content, frames, a long answer's end.

Bytes and layout shifts do not depend on the machine. Frame gaps do: the same page without an
answer, measured just before, is their baseline.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import quantiles

from playwright.sync_api import Browser

from benchmarks.answers import Plan
from benchmarks.browser import ChatPage, chromium, cold_page
from benchmarks.page import MESSAGES, import_conversation
from benchmarks.report import Aim, Figure, Section
from benchmarks.servers import Server, Servers

FIRST_LOAD_KB = 350
SHIFT = 0.02
FRAME_GAP_MS = 25
LAST_TO_FIRST = 1.3

PART = 1000
"""Tokens at the beginning and at the end of an answer whose costs are compared."""

RATE = 100
"""Tokens a second."""

ASIDE_S = 1.0
"""Seconds at both ends of an answer that count for neither part: sending, and the last words."""

IDLE_S = 5.0
"""Seconds of the page without an answer, whose cost is subtracted."""

NARROW, WIDE = 375, 1280
"""Widths of the page, in CSS pixels."""

OBSERVE = """
window.shifts = [];
window.frames = null;
new PerformanceObserver(list => {
  for (const shift of list.getEntries())
    if (!shift.hadRecentInput) shifts.push([shift.startTime, shift.value]);
}).observe({type: "layout-shift", buffered: true});
window.countFrames = () => {
  window.frames = [];
  const note = now => { frames.push(now); requestAnimationFrame(note); };
  requestAnimationFrame(note);
};
"""


def measure(servers: Servers, *, quick: bool) -> Iterator[Section]:
    """Yield the first load, then frames, shifts and costs of one long answer."""
    tokens = 4000 if quick else 20_000
    with (
        servers.upstream() as upstream,
        servers.wireside(upstream) as ours,
        chromium() as browser,
    ):
        with cold_page(browser) as page:
            page.open(ours.address)  # warm-up; the result is discarded
        yield _first_load(browser, ours)
        yield from _long_answer(browser, ours, tokens)


def _first_load(browser: Browser, server: Server) -> Section:
    conversation = import_conversation(server, MESSAGES)
    figures = []
    for subject, address in (("the chat", server.address), (f"{MESSAGES} messages", conversation)):
        for width in (WIDE, NARROW):
            with cold_page(browser, width=width) as page:
                page.add_script(OBSERVE)
                page.load(address)
                if width == WIDE:
                    aim = Aim(FIRST_LOAD_KB)
                    figures.append(
                        Figure(f"{subject}: transferred", "KB", page.loaded_bytes / 1000, aim=aim)
                    )
                shift = cumulative_shift(page.read("shifts"))
                figures.append(
                    Figure(f"{subject}, {width} px: layout shift", "", shift, aim=Aim(SHIFT))
                )
    return Section("Loading with a cold cache", "", figures)


@dataclass(frozen=True, slots=True)
class _Costs:
    """CPU seconds of the page's main thread and of the server so far."""

    page_s: float
    server_s: float

    @classmethod
    def of(cls, page: ChatPage, server: Server) -> _Costs:
        return cls(page.task_s(), server.cpu_s())

    def __sub__(self, other: _Costs) -> _Costs:
        return _Costs(self.page_s - other.page_s, self.server_s - other.server_s)


def _long_answer(browser: Browser, server: Server, tokens: int) -> Iterator[Section]:
    part_s, answer_s = PART / RATE, tokens / RATE
    with cold_page(browser) as page:
        page.add_script(OBSERVE)
        page.open(server.address)
        page.read("countFrames()")
        idle = _over(page, server, IDLE_S)
        idle_gaps = _gaps(page.read("frames"))
        shifts_before = len(page.read("shifts"))
        page.read("countFrames(), null")
        page.ask(Plan("markdown", tokens, RATE), every_ms=1000)
        began = time.monotonic()
        time.sleep(ASIDE_S)
        first = _over(page, server, part_s)
        time.sleep(max(0.0, began + answer_s - ASIDE_S - part_s - time.monotonic()))
        last = _over(page, server, part_s)
        gaps = _gaps(page.read("frames"))
        page.wait_until_done()
        page.settle()
        shift = cumulative_shift(page.read("shifts")[shifts_before:])
    yield Section(
        f"{tokens:,} tokens of Markdown, {RATE} a second",
        "no answer",
        [
            Figure("p95 of frame gaps", "ms", _p95(gaps), _p95(idle_gaps), Aim(FRAME_GAP_MS)),
            Figure("layout shift", "", shift, aim=Aim(SHIFT)),
        ],
    )
    share = part_s / IDLE_S
    ratio = Aim(LAST_TO_FIRST, "ratio")
    yield Section(
        f"The last {PART:,} of {tokens:,} tokens",
        f"first {PART:,}",
        [
            Figure(
                "main thread of the page",
                "s",
                last.page_s - idle.page_s * share,
                first.page_s - idle.page_s * share,
                ratio,
            ),
            Figure(
                "server CPU",
                "s",
                last.server_s - idle.server_s * share,
                first.server_s - idle.server_s * share,
                ratio,
            ),
        ],
    )


def _over(page: ChatPage, server: Server, seconds: float) -> _Costs:
    before = _Costs.of(page, server)
    time.sleep(seconds)
    return _Costs.of(page, server) - before


def _gaps(frames: list[float]) -> list[float]:
    return [later - earlier for earlier, later in zip(frames, frames[1:], strict=False)]


def _p95(gaps: list[float]) -> float:
    return quantiles(gaps, n=20)[-1]


def cumulative_shift(shifts: list[tuple[float, float]]) -> float:
    """Return the cumulative layout shift: the largest sum of a window of shifts.

    Args:
        shifts: the time of each shift, in milliseconds, and its value. A window ends after a second
            without a shift, and after five seconds.
    """
    largest = total = 0.0
    began = last = float("-inf")
    for when, value in shifts:
        if when - last > 1000 or when - began > 5000:
            began, total = when, 0.0
        last, total = when, total + value
        largest = max(largest, total)
    return largest
