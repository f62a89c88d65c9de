"""Hours of all kinds of load; afterwards tasks, files and memory must be back at their start.

Clients ask, resume, cancel and disconnect through a failing proxy; a browser asks and reloads;
conversations are read, searched, renamed, exported and deleted over REST. The server is measured
before and after, while no client is connected. A last part kills it repeatedly (``storm.py``). All
content that clients receive is compared with what the model sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, async_playwright
from playwright.async_api import Error as BrowserError
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.e2e import chromium
from tests.faults import abuse
from tests.faults.proxy import BadWire
from tests.faults.storm import Answer, Storm, Tally
from tests.server_process import ServerProcess

SETTINGS = {
    "connections_per_address": 10_000,
    "messages_per_minute": 10_000_000,
    "messages_per_minute_address": 10_000_000,
    "requests_per_minute": 10_000_000,
    "requests_per_minute_address": 10_000_000,
    "resume_window_s": 15,
}
"""All clients share one address here, and the resume window must expire soon."""

WARM_PART, KILL_PART = 0.2, 0.1
"""Share of the duration."""

CONVERSATIONS, ONCE, VISITORS = 8, 4, 2
"""Clients of each kind, in addition to the browser."""

QUIET_S, QUIET_AT_MOST_S = 10.0, 180.0
"""Seconds without any change before the server is measured."""

KEPT_AT_MOST = CONVERSATIONS + ONCE + 3
"""Connections to the model's server: as many as concurrent answers, including the browser's."""

PAGE_IS_KEPT_S = 75.0
"""Seconds for which the server retains a page after the browser left it."""

SAME = 0.05


@dataclass(frozen=True)
class Held:
    """Resources held by the server."""

    tasks: int
    files: int
    """Excludes ``kept`` and the store's connections, which vary by chance.

    The store opens one when concurrent reads exceed the number of its connections, and keeps it.
    """
    memory_mib: float
    kept: int
    """Idle connections to the model's server, kept for the next answer for up to a minute."""


@dataclass
class Counts:
    """Counts of operations, in addition to those of ``Tally``."""

    once: int = 0
    cancelled: int = 0
    made: int = 0
    deleted: int = 0
    pages: int = 0
    reloads: int = 0
    errors: list[str] = field(default_factory=list)


class Soak(Storm):
    """All clients, for a given duration."""

    def __init__(self, dice: random.Random, port: int, *, with_pages: bool) -> None:
        super().__init__(dice, cuts=0, kills=0, answers=0)
        self._visitors = VISITORS if with_pages else 0
        self.counts = Counts()
        self._http = f"http://127.0.0.1:{port}"
        self._port = port
        self._until = 0.0

    @property
    def _is_over(self) -> bool:
        return time.monotonic() >= self._until

    async def use(self, seconds: float, browser: Browser | None) -> None:
        """Run all clients for ``seconds``, and let them finish what they have begun."""
        self._until = time.monotonic() + seconds
        # most connections deliver a complete answer, many are cut within one
        async with BadWire(self._port, self._dice, mean_s=4.0) as wire:
            self._wire = wire
            await asyncio.gather(
                *(self._converse() for _ in range(CONVERSATIONS)),
                *(self._ask_once() for _ in range(ONCE)),
                *(self._visit() for _ in range(self._visitors)),
                *([self._reload(browser)] if browser else []),
            )
            self.tally.cuts += wire.cuts

    # ---- conversations -----------------------------------------------------------------------

    async def _converse(self) -> None:
        while not self._is_over:
            conversation: str | None = None
            answers: list[Answer] = []
            for _ in range(self._dice.randint(1, 6)):
                answer = self._new_answer(conversation)
                await self._read(answer, asks=True)
                self._judge(answer)
                answers.append(answer)
                conversation = answer.conversation
                if self._is_over or conversation is None:
                    break
            self.counts.made += 1
            for answer in answers:
                await self._hold_against_store(answer)
            if conversation is not None:
                await asyncio.to_thread(self._tidy_up, conversation)

    def _new_answer(self, conversation: str | None) -> Answer:
        count, seed = self._dice.randint(20, 600), self._dice.randint(1, 10**9)
        answer = Answer(count, seed, f"key-{seed}-{self._dice.random()}", conversation)
        if self._dice.random() < 0.15:
            answer.cancelled_from = self._dice.randint(0, 4 * count)
        return answer

    def _judge(self, answer: Answer) -> None:
        self.tally.answers += 1
        self.tally.interrupted += answer.reason == "interrupted"
        self.counts.cancelled += answer.reason == "cancelled"
        expected = answer.expected
        if answer.reason == "stop" and answer.text != expected:
            self._note("wrong", answer, "complete, but not what was sent")
        elif not expected.startswith(answer.text):
            self._note("wrong", answer, "not the beginning of what was sent")

    async def _hold_against_store(self, answer: Answer) -> None:
        stored = await asyncio.to_thread(self._stored, answer)
        if stored is None or not stored[1].startswith(answer.text):
            self._note("shown_then_lost", answer, "the store has less")
        elif stored[0] == "live":
            self._note("still_running", answer, "still live")

    def _tidy_up(self, conversation: str) -> None:
        """Use a conversation as users do, then delete it: the next run must not find it."""
        name = f"soak {conversation[:4]}"
        self._ask_rest("PATCH", f"/{conversation}", {"title": name})
        self._ask_rest("GET", f"/search?q={urllib.parse.quote(name)}")
        self._ask_rest("GET", "?limit=20")
        self._ask_rest("GET", f"/{conversation}/export?format=markdown")
        self._ask_rest("DELETE", f"/{conversation}")
        if self._dice.random() < 0.2:
            self._ask_rest("POST", f"/{conversation}/restore")
            self._ask_rest("DELETE", f"/{conversation}")
        self.counts.deleted += 1

    def _ask_rest(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._http}/api/conversations{path}",
            data,
            {"Content-Type": "application/json"} if data else {},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                response.read()
        except OSError as error:
            self.counts.errors.append(f"{method} {path.partition('?')[0]}: {error}")

    # ---- other clients -----------------------------------------------------------------------

    async def _ask_once(self) -> None:
        """Ask at level 1, where a cut ends the answer."""
        assert self._wire is not None
        url = f"ws://127.0.0.1:{self._wire.port}/ws/ai-chat"
        while not self._is_over:
            answer = self._new_answer(None)
            try:
                async with asyncio.timeout(30), connect(url) as connection:
                    await connection.send(json.dumps({"type": "chat", "message": answer.question}))
                    while (got := json.loads(await connection.recv()))["type"] == "chunk":
                        answer.text += got["content"]
            except (OSError, WebSocketException, TimeoutError, EOFError):
                await asyncio.sleep(0.01)
                continue
            answer.reason = "stop" if got["type"] == "done" else "interrupted"
            self._judge(answer)
            self.counts.once += 1

    async def _visit(self) -> None:
        """Fetch the page without opening its socket, as crawlers and monitors do."""
        while not self._is_over:
            await asyncio.to_thread(self._fetch)
            self.counts.pages += 1
            await asyncio.sleep(2)

    def _fetch(self) -> None:
        try:
            with urllib.request.urlopen(f"{self._http}/", timeout=30) as response:
                if b"</html>" not in response.read():
                    self.counts.errors.append("half a page")
        except OSError as error:
            self.counts.errors.append(f"GET /: {error}")

    async def _reload(self, browser: Browser) -> None:
        """Ask in the page, reload during the answer, and check that the answer is complete."""
        context = await browser.new_context()
        await context.expose_binding(
            "__violated", lambda _, text: self.counts.errors.append(f"page: {text}")
        )
        await context.add_init_script(chromium.TELL_VIOLATIONS)
        page = await context.new_page()
        while not self._is_over:
            count, seed = self._dice.randint(20, 300), self._dice.randint(1, 10**9)
            try:
                await page.goto(self._http)
                box = page.get_by_test_id("input-chat")
                await box.fill(f"/lab tokens {count} 100 {seed}")
                await box.press("Enter")
                await page.wait_for_url("**/c/*", timeout=30_000)
                conversation = page.url.rpartition("/")[2]
                for _ in range(self._dice.randint(1, 3)):
                    await page.reload()
                    self.counts.reloads += 1
                words = Answer(count, seed, "").expected.split()
                last = next(word for word in reversed(words) if word.isalnum())
                shown = page.get_by_test_id("message-assistant").filter(has_text=last)
                await shown.wait_for(timeout=60_000)
            except BrowserError as error:
                self.counts.errors.append(f"page: {str(error)[:300]}")
                continue
            await asyncio.to_thread(self._ask_rest, "DELETE", f"/{conversation}")
        await context.close()


# ---- the server ----------------------------------------------------------------------------------


class Server:
    """The process under test, observed from outside."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._process = server.process
        self._lab_port = urllib.parse.urlsplit(server.environment["OPENAI_BASE_URL"]).port
        self.trend: list[tuple[float, float]] = []
        """Seconds, and MiB of memory."""

    @property
    def mib(self) -> float:
        return float(self._process.memory_info().rss) / 2**20

    def held(self) -> Held:
        with urllib.request.urlopen(f"{self._server.url}/metrics") as response:
            text = response.read().decode()
        found = re.search(r"^wireside_event_loop_tasks (\S+)", text, re.MULTILINE)
        assert found is not None
        to = [c.raddr.port for c in self._process.net_connections() if c.raddr]
        kept = sum(port == self._lab_port for port in to)
        folder = self._server.folder.resolve()
        store = sum(Path(file.path).parent == folder for file in self._process.open_files())
        files = self._process.num_fds() - kept - store
        return Held(int(float(found[1])), files, self.mib, kept)

    async def when_quiet(self, *, with_pages: bool) -> Held:
        """Wait until nothing changes any longer, and return the resources held then."""
        at_least_s = PAGE_IS_KEPT_S if with_pages else 2 * QUIET_S
        began = time.monotonic()
        same_since, last = began, await asyncio.to_thread(self.held)
        while True:
            await asyncio.sleep(2)
            now, held = time.monotonic(), await asyncio.to_thread(self.held)
            if (held.tasks, held.files) != (last.tasks, last.files):
                same_since = now
            last = held
            is_left = now - began >= at_least_s and now - same_since >= QUIET_S
            if is_left or now - began >= QUIET_AT_MOST_S:
                return held

    async def follow(self, soak: Soak, until: float) -> None:
        """Record the memory, and print the progress once a minute."""
        began = told = time.monotonic()
        while True:
            now = time.monotonic()
            self.trend.append((now, self.mib))
            if now - told >= 60:
                told = now
                left = max(0.0, until - now) / 60
                print(
                    f"{(now - began) / 60:4.0f} min, {left:.0f} to go:"
                    f" {soak.tally.answers:,} answers, {self.mib:.0f} MiB",
                    flush=True,
                )
            await asyncio.sleep(5)

    def mib_per_hour(self) -> float:
        """Return the slope of the second half, by least squares."""
        points = self.trend[len(self.trend) // 2 :]
        if len(points) < 3:
            return 0.0
        mean_s = sum(s for s, _ in points) / len(points)
        mean_mib = sum(mib for _, mib in points) / len(points)
        square = sum((s - mean_s) ** 2 for s, _ in points)
        return 3600 * sum((s - mean_s) * (mib - mean_mib) for s, mib in points) / square


@dataclass
class Report:
    """The results as a table, and the requirements that they violate."""

    soak: Soak
    kills: Tally
    before: Held
    after: Held
    mib_per_hour: float
    memory_may_grow: float = SAME

    @property
    def broken(self) -> list[str]:
        found = [note for tally in self._tallies if not tally.is_clean for note in tally.notes[:10]]
        found += self.soak.counts.errors[:10]
        for name, before, after in self._held():
            limit = self.memory_may_grow if name.startswith("memory") else SAME
            if after > before * (1 + limit):
                found.append(f"{name}: {before:,.0f} before, {after:,.0f} after")
        if self.after.kept > KEPT_AT_MOST:
            found.append(f"{self.after.kept} connections to the model are kept")
        return found

    @property
    def _tallies(self) -> tuple[Tally, Tally]:
        return self.soak.tally, self.kills

    def _held(self) -> list[tuple[str, float, float]]:
        return [
            ("tasks", self.before.tasks, self.after.tasks),
            ("files", self.before.files, self.after.files),
            ("memory MiB", self.before.memory_mib, self.after.memory_mib),
        ]

    def table(self) -> str:
        counts, (calm, killed) = self.soak.counts, self._tallies
        lines = [f"{'':<18}{'running':>12}{'killed':>12}"]
        for name in vars(calm):
            if name != "notes":
                values = [getattr(calm, name), getattr(killed, name)]
                lines.append(f"{name.replace('_', ' '):<18}{values[0]:>12,}{values[1]:>12,}")
        for name, value in vars(counts).items():
            lines.append(f"{name:<18}{value if isinstance(value, int) else len(value):>12,}")
        lines.append(f"{'':<18}{'before':>12}{'after':>12}{'':>4}")
        for name, before, after in self._held():
            lines.append(f"{name:<18}{before:>12,.0f}{after:>12,.0f}{after / before - 1:>+9.1%}")
        lines.append(f"{'MiB an hour':<18}{self.mib_per_hour:>12,.1f}")
        lines.append(f"{'kept for answers':<18}{self.before.kept:>12,}{self.after.kept:>12,}")
        return "\n".join(lines)


async def run(
    minutes: float, seed: int, *, with_pages: bool = True, memory_may_grow: float = SAME
) -> Report:
    """Soak a separate server for ``seconds``; the waits for a quiet server come on top."""
    seconds, dice = minutes * 60, random.Random(seed)
    async with abuse.serving(abuse.Limits(), **SETTINGS) as process:
        soak = Soak(dice, process.port, with_pages=with_pages)
        report = await _soak(Server(process), soak, seconds, with_pages=with_pages)
        report.memory_may_grow = memory_may_grow
    part = int(seconds * KILL_PART)
    storm = Storm(dice, cuts=part * 30, kills=max(2, part // 3), answers=max(5, part))
    report.kills = await storm.run()
    return report


async def _soak(server: Server, soak: Soak, seconds: float, *, with_pages: bool) -> Report:
    async with async_playwright() as playwright:
        browser = await _browser(playwright) if with_pages else None
        # warm-up: afterwards everything that is fetched, cached or pooled exists
        await soak.use(seconds * WARM_PART, browser)
        before = await server.when_quiet(with_pages=with_pages)
        print(f"before: {before}", flush=True)
        part_s = seconds * (1 - WARM_PART - KILL_PART)
        following = asyncio.create_task(server.follow(soak, time.monotonic() + part_s))
        await soak.use(part_s, browser)
        following.cancel()
        after = await server.when_quiet(with_pages=with_pages)
        if browser is not None:
            await browser.close()
    return Report(soak, Tally(), before, after, server.mib_per_hour())


async def _browser(playwright: Any) -> Browser | None:
    path = await asyncio.to_thread(chromium.find)
    if path is None:
        print("There is no Chromium: nothing is reloaded.")
        return None
    browser: Browser = await playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
    return browser


def main() -> int:
    """Soak, and print the results; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    report = asyncio.run(run(given.minutes, given.seed))
    print(report.table())
    for sentence in report.broken:
        print("broken:", sentence)
    return int(bool(report.broken))


if __name__ == "__main__":
    sys.exit(main())
