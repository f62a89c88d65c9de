"""A rolling restart of three servers behind HAProxy, while clients read 200 answers.

The clients are the project's own (``AsyncClient``), each with one question after another. Pages in
a real browser show conversations in which such clients ask. One server after the other gets SIGTERM
and is started again when it has ended, as in a deploy.

No client may see an error, each answer must be complete and what the lab sent, no answer may be
interrupted in the store, and each server must end by itself. A page must be usable soon after it
was loaded from another server, and show all in the end.

``python -m tests.faults.rolling --streams 200`` prints the counts.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import asyncpg
from playwright.async_api import Browser, Page, async_playwright
from playwright.async_api import Error as BrowserError

from tests.e2e import chromium
from tests.faults.fleet_storm import NAMES, PlainHAProxy, Replica, serving, shared_engines
from tests.faults.storm import Answer, tell
from wireside.client import AsyncClient
from wireside.client.core import State
from wireside.errors import Overloaded, WiresideError
from wireside.testing import FakeOpenAI

ANSWER_S = (10, 40)
"""How long an answer takes, in seconds: at least, and at most."""

UNSTORED_SHARE = 0.25
"""Share of the clients whose answers are stored nowhere."""

AGAIN_S = 2.0
"""Seconds until a client asks again after an error."""

BETWEEN_S = 0.2
"""Seconds between the starts of two clients."""

TTL_S = 20.0
"""A busy machine must remove no server in this time."""

STOP_S = 900
"""Seconds after which a server that does not end is killed."""

USABLE_S = 3.0
"""Within this time after its request a page must be usable."""

LONG_MS = 120_000

TELL_USABLE = """
const looking = setInterval(() => {
  if (!document.querySelector("[data-testid=connection-status][data-state=connected]")) return;
  if (!document.querySelector("[data-testid=message-assistant]")) return;
  if (document.querySelector("[data-testid=input-chat]")?.disabled !== false) return;
  clearInterval(looking);
  __usable(performance.now());
}, 10);
"""
"""Reports the time since the page was requested once it is connected and shows an answer."""

INTERRUPTED = "SELECT count(*) FROM segments WHERE reason IS NULL OR reason <> 'stop'"


@dataclass
class RollingTally:
    """Counts of observations. All from ``errors`` on must be 0."""

    answers: int = 0
    characters: int = 0
    restarts: int = 0
    longest_restart_s: float = 0.0
    moves: int = 0
    """Connections that a server closed for the clients to move."""
    refused: int = 0
    """Connections that could not be opened; the client tries again."""
    busy: int = 0
    """Questions that were refused because the database is late: the machine is too slow."""
    longest_pause_s: float = 0.0
    """Longest time between two pieces of an answer."""
    page_loads: int = 0
    usable_ms: list[float] = field(default_factory=list)
    errors: int = 0
    wrong: int = 0
    interrupted: int = 0
    killed: int = 0
    slow_pages: int = 0
    stale_pages: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return not any(
            (
                self.errors,
                self.wrong,
                self.interrupted,
                self.killed,
                self.slow_pages,
                self.stale_pages,
            )
        )

    def note(self, what: str, text: str) -> None:
        """Count something that must not happen."""
        setattr(self, what, getattr(self, what) + 1)
        self.notes.append(f"{what}: {text}")

    def table(self) -> str:
        """Return the counts as lines."""
        rows = {name: value for name, value in vars(self).items() if type(value) in (int, float)}
        if self.usable_ms:
            rows["usable_ms_median"] = median(self.usable_ms)
            rows["usable_ms_max"] = max(self.usable_ms)
        return "\n".join(
            f"{name.replace('_', ' '):<18} {value:>12,.{0 if value == int(value) else 2}f}"
            for name, value in rows.items()
        )


class Reader:
    """A client that asks one question after another."""

    def __init__(self, url: str, tally: RollingTally, dice: random.Random, *, rate: int) -> None:
        self._url = url
        self._rate = rate
        self._tally = tally
        self._dice = dice
        self._is_stored = dice.random() >= UNSTORED_SHARE
        self.last_text = ""
        self.conversation_id: str | None = None
        self.has_begun = asyncio.Event()

    def store(self) -> None:
        """Ask in a conversation."""
        self._is_stored = True

    async def ask_until(self, stop: asyncio.Event) -> None:
        """Ask until ``stop`` is set; the last answer is read to its end."""
        async with AsyncClient(self._url, on_state=self._note_state) as client:
            conversation = client.conversation() if self._is_stored else None
            while not stop.is_set():
                seed = self._dice.randint(1, 10**9)
                count = self._dice.randint(*ANSWER_S) * self._rate
                asked = Answer(count, seed, "", rate=self._rate)
                answer = client.ask(asked.question, conversation=conversation)
                heard_at = time.monotonic()
                try:
                    async for text in answer:
                        now = time.monotonic()
                        if asked.text:
                            pause_s = now - heard_at
                            self._tally.longest_pause_s = max(self._tally.longest_pause_s, pause_s)
                        heard_at = now
                        asked.text += text
                        self.conversation_id = answer.conversation
                        self.has_begun.set()
                except WiresideError as error:
                    if str(error) == Overloaded.sentence:  # the machine is too slow, in any case
                        self._tally.busy += 1
                    else:
                        self._tally.note("errors", f"{error.code}: {error}")
                    await asyncio.sleep(error.retry_after or AGAIN_S)
                    continue
                self._tally.answers += 1
                self._tally.characters += len(asked.text)
                self.last_text = asked.text
                if asked.text != asked.expected or answer.reason != "stop":
                    size = f"{len(asked.text)} of {len(asked.expected)}"
                    self._tally.note("wrong", f"{answer.reason}, {size}")

    def _note_state(self, state: State, error: WiresideError | None) -> None:
        if state != "waiting":
            return
        if error is not None and "can't be reached" in str(error):
            self._tally.refused += 1
            self._tally.notes.append(f"refused: {error}")
        else:
            self._tally.moves += 1


async def roll(
    tally: RollingTally, dice: random.Random, *, streams: int, pages: int, rate: int
) -> None:
    """Restart three servers one after another under load, and compare.

    Args:
        tally: the counts.
        dice: lengths and texts of the answers.
        streams: number of clients.
        pages: number of pages in a browser.
        rate: tokens per second of each answer.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _, database, redis = await stack.enter_async_context(shared_engines(folder))
        lab = await stack.enter_async_context(FakeOpenAI(rate=rate))
        more = {
            "WIRESIDE_REDIS_URL": redis.url,
            "WIRESIDE_LOG_LEVEL": "info",
            "WIRESIDE_REPLICA_TTL_S": str(TTL_S),
        }
        replicas = [
            await stack.enter_async_context(serving(folder, name, database, lab.url, **more))
            for name in NAMES
        ]
        proxy = PlainHAProxy(folder, {one.name: one.port for one in replicas})
        stack.callback(proxy.stop)
        await asyncio.to_thread(proxy.start, lambda text: text)
        url = f"http://127.0.0.1:{proxy.port}"
        readers = [Reader(url, tally, dice, rate=rate) for _ in range(streams)]
        for reader in readers[:pages]:
            reader.store()
        stop = asyncio.Event()
        shown = await stack.enter_async_context(browser_for(pages))
        async with asyncio.TaskGroup() as group:
            opened: list[tuple[Page, Reader]] = []
            for number, reader in enumerate(readers):
                group.create_task(reader.ask_until(stop))
                await asyncio.sleep(BETWEEN_S)
                if shown is not None and number < pages:
                    await reader.has_begun.wait()
                    address = f"{url}/c/{reader.conversation_id}"
                    opened.append((await open_page(shown, address, tally), reader))
            await asyncio.gather(*(reader.has_begun.wait() for reader in readers))
            for replica in replicas:
                await restart(replica, tally)
            stop.set()
        for page, reader in opened:
            await compare_page(page, reader, tally)
        connection = await asyncpg.connect(database)
        tally.interrupted = await connection.fetchval(INTERRUPTED)
        await connection.close()


async def restart(replica: Replica, tally: RollingTally) -> None:
    """End a server by SIGTERM and start it again, as a deploy does."""
    began = time.monotonic()
    if (how := await tell(replica.process, f"terminate {STOP_S}")) != "ended":
        tally.note("killed", f"{replica.name} was {how}")
    await tell(replica.process, "start")
    await replica.until_ready()
    tally.restarts += 1
    took_s = round(time.monotonic() - began, 1)
    tally.longest_restart_s = max(tally.longest_restart_s, took_s)
    print(f"{replica.name} restarted in {took_s} s, {tally.answers} answers so far", flush=True)


@asynccontextmanager
async def browser_for(pages: int) -> AsyncIterator[Browser | None]:
    """Start a browser, if there are pages to open."""
    if not pages:
        yield None
        return
    path = await asyncio.to_thread(chromium.find)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        yield browser
        await browser.close()


async def open_page(browser: Browser, url: str, tally: RollingTally) -> Page:
    """Open a page in a browser profile of its own, and record each of its loads."""

    def record(_: object, usable_ms: float) -> None:
        tally.page_loads += 1
        tally.usable_ms.append(usable_ms)
        if usable_ms > USABLE_S * 1000:
            tally.note("slow_pages", f"usable after {usable_ms:.0f} ms")

    context = await browser.new_context()
    await context.expose_binding("__usable", record)
    await context.add_init_script(TELL_USABLE)
    page = await context.new_page()
    await page.goto(url)
    try:
        await page.get_by_test_id("message-assistant").first.wait_for(timeout=LONG_MS)
    except BrowserError:
        print(await page.locator("body").inner_text())
        raise
    return page


async def compare_page(page: Page, reader: Reader, tally: RollingTally) -> None:
    """Check that a page shows the last answer, whose words are numbered."""
    wanted = re.findall(r"\d+", reader.last_text)[-20:]
    end = time.monotonic() + LONG_MS / 1000
    while time.monotonic() < end:
        found = await page.get_by_test_id("message-assistant").all_inner_texts()
        if found and re.findall(r"\d+", found[-1])[-20:] == wanted:
            return
        await asyncio.sleep(0.2)
    text = await page.locator("body").inner_text()
    tally.note("stale_pages", f"{page.url}: {text[-400:]!r} lacks {reader.last_text[-80:]!r}")


def main() -> int:
    """Run it with the given arguments; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--pages", type=int, default=3)
    parser.add_argument("--rate", type=int, default=3, help="tokens per second of each answer")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    tally, dice = RollingTally(), random.Random(given.seed)
    work = roll(tally, dice, streams=given.streams, pages=given.pages, rate=given.rate)
    try:
        asyncio.run(work)
    finally:
        print(tally.table())
    for note, count in Counter(tally.notes).most_common(20):
        print(f"  {count} × {note}")
    return int(not tally.is_clean)


if __name__ == "__main__":
    sys.exit(main())
