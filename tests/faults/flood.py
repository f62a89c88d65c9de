"""Kills under load: what a client was shown is in the store, however slowly the store works.

Clients begin stored conversations as fast as they can: once, three and ten times as many at a time
as the store commits within the delay above which it refuses questions. Commits are slowed down, so
that this does not depend on the machine. The server is killed at random, when the last ``done``
arrives, in a checkpoint, and while it shuts down. After the restart

- every answer that a socket or a page was shown is there to the last character shown, and an answer
  that was shown to its end is whole; the others are ``interrupted``
- every conversation exists, once, and the model was asked once for each question
- a question that is sent again with its key, or by a page with its id, has the same answer.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import socketio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.faults.chat_page import ChatPage, PageAnswer
from tests.faults.storm import Answer, Storm, Tally, free_port, print_tally_of, tell, victim
from wireside.testing import FakeOpenAI
from wireside.testing import answer as answer_of

LOADS = (1, 3, 10)

COMMIT_S = 0.01
"""Seconds that each commit takes longer."""

FITS = 5
"""Questions that the store commits, one by one, within the delay above which it refuses others."""

AT_ONCE = 5
"""Answers of a socket at a time; a connection may have 8."""

PAGES = 1

SHUTDOWN_S = 1.0

AGAIN_S = 0.2
"""Seconds after which a refused question is asked again; the server suggests a longer time."""

LONG_S = 300.0
"""Longer than any answer or restart takes, also on a busy machine."""

ROUNDS = 12
"""Rounds of one store: each load at each moment."""

SENT_AGAIN = 2
"""Questions of each kind that are sent again after a kill."""

NUMBERS = tuple(f"{n} " for n in range(40))
"""The tokens of the answer to each question of a page."""

GONE = (OSError, EOFError, WebSocketException)
"""What a killed server is to its clients."""

PAGE_GONE = (*GONE, TimeoutError, socketio.exceptions.SocketIOError, aiohttp.ClientError)


@dataclass
class FloodTally(Tally):
    """Counts of observations, in addition to those of ``Tally``."""

    torn: int = 0
    """Kills in the middle of a checkpoint."""
    terminated: int = 0
    """Servers that ended by themselves after SIGTERM."""
    not_saved: int = 0
    """Servers among them that had no time to save what they had not shown yet."""
    whole: int = 0
    """Answers that clients saw end."""
    refused: int = 0
    page_answers: int = 0
    sent_again: int = 0


@dataclass
class Crowd:
    """The clients of one round. With ``goes_on``, an ended answer is followed by a question."""

    goes_on: bool
    asked: list[Answer] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Keys of questions that were refused, and not accepted later."""
    pages: list[PageAnswer] = field(default_factory=list)
    running: int = 0
    """Answers of sockets that have not ended; counted without ``goes_on`` only."""
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)

    def ended(self) -> None:
        """Count an answer that has ended, or whose connection is lost."""
        self.running -= 1
        if self.running <= 0:
            self.has_ended.set()


class Flood(Storm):
    """All clients, and the moments of the kills."""

    def __init__(self, dice: random.Random, *, kills: int, commit_s: float = COMMIT_S) -> None:
        super().__init__(dice, cuts=0, kills=kills, answers=0)
        self.tally: FloodTally = FloodTally()
        self._commit_s = commit_s
        moments = (self._at_random, self._at_the_last_done, self._in_a_checkpoint, self._at_the_end)
        # their numbers have no common factor, so that all pairs occur
        self._rounds = zip(itertools.cycle(LOADS), itertools.cycle(moments), strict=True)
        self._socket = ""
        self._server: asyncio.subprocess.Process
        self._numbers = itertools.count()

    async def run(self) -> Tally:
        """Kill servers until the goal is reached."""
        async with FakeOpenAI() as lab:
            lab.default = answer_of(NUMBERS, rate=100)
            while self.tally.kills < self._goal_kills:
                with tempfile.TemporaryDirectory() as folder:
                    await self._use_store(folder, lab)
                print(f"{self.tally.kills:,} kills: {self._summary()}", flush=True)
        return self.tally

    def _summary(self) -> str:
        tally = self.tally
        bad = tally.lost + tally.doubled + tally.wrong + tally.shown_then_lost + tally.asked_twice
        return f"{tally.answers:,} answers, {bad} lost, doubled or wrong"

    async def _use_store(self, folder: str, lab: FakeOpenAI) -> None:
        port = free_port()
        self._http = f"http://127.0.0.1:{port}"
        self._socket = f"ws://127.0.0.1:{port}/ws/ai-chat"
        self._server = await victim(
            port,
            lab.url,
            folder,
            VICTIM_COMMIT_S=str(self._commit_s),
            WIRESIDE_SAVE_DELAY_S=str(FITS * self._commit_s),
            WIRESIDE_SHUTDOWN_S=str(SHUTDOWN_S),
            WIRESIDE_BALLAST_MB="0",
            WIRESIDE_MESSAGES_PER_MINUTE="10000000",
        )
        crowds: list[Crowd] = []
        try:
            await tell(self._server, "start")
            for _ in range(min(ROUNDS, self._goal_kills - self.tally.kills)):
                load, moment = next(self._rounds)
                crowds.append(await self._round(load, moment))
            await self._compare_all(crowds, lab)
            log = (Path(folder) / "log").read_text(encoding="utf-8")
            self.tally.not_saved += log.count("not_saved")
            if "Traceback" in log:
                self.tally.wrong += 1
                self.tally.notes.append(f"log: {log[-3000:]}")
        finally:
            assert self._server.stdin is not None
            self._server.stdin.close()
            await self._server.wait()

    async def _round(self, load: int, moment: Callable[[Crowd], Awaitable[str]]) -> Crowd:
        crowd = Crowd(goes_on=moment != self._at_the_last_done)
        number = load * FITS // AT_ONCE
        crowd.running = number * AT_ONCE
        pages = [ChatPage(self._http) for _ in range(PAGES)]
        await asyncio.gather(*(page.open() for page in pages))
        clients = [asyncio.create_task(self._ask_on_socket(crowd)) for _ in range(number)]
        clients += [asyncio.create_task(self._ask_in_page(page, crowd)) for page in pages]
        how = await moment(crowd)
        await asyncio.wait(clients, timeout=LONG_S)
        for client in clients:
            client.cancel()
        await asyncio.wait(clients)
        self.tally.kills += how != "ended"
        self.tally.torn += how == "torn"
        self.tally.terminated += how == "ended"
        await tell(self._server, "start")
        await self._check(crowd)
        return crowd

    # ---- moments -----------------------------------------------------------------------------

    async def _at_random(self, _: Crowd) -> str:
        await asyncio.sleep(self._dice.uniform(0.02, 1.5))
        return await tell(self._server, "kill")

    async def _at_the_last_done(self, crowd: Crowd) -> str:
        async with asyncio.timeout(LONG_S):
            await crowd.has_ended.wait()
        return await tell(self._server, "kill")

    async def _in_a_checkpoint(self, _: Crowd) -> str:
        await asyncio.sleep(self._dice.uniform(0.02, 0.3))
        return await tell(self._server, f"tear {self._dice.randint(1, 12)} 3")

    async def _at_the_end(self, _: Crowd) -> str:
        await asyncio.sleep(self._dice.uniform(0.05, 1.0))
        seconds = self._dice.uniform(0.02, 1.5 * SHUTDOWN_S)
        return await tell(self._server, f"terminate {seconds}")

    # ---- clients -----------------------------------------------------------------------------

    async def _ask_on_socket(self, crowd: Crowd) -> None:
        """Ask ``AT_ONCE`` questions at a time on one connection, until it is lost."""
        waiting: dict[str, Answer] = {}
        try:
            async with connect(self._socket, compression=None, open_timeout=LONG_S) as connection:
                for _ in range(AT_ONCE):
                    await self._begin(connection, waiting, crowd)
                while waiting:
                    frame = json.loads(await connection.recv())
                    answer = waiting.get(frame.get("id"))
                    if answer is None:
                        continue
                    if frame.get("code") == "overloaded" and answer.stream is None:
                        self.tally.refused += 1
                        crowd.refused.add(answer.key)
                        await asyncio.sleep(AGAIN_S)
                        await self._send(connection, frame["id"], answer)
                        continue
                    crowd.refused.discard(answer.key)
                    self._take(answer, frame)
                    if answer.reason is not None:
                        del waiting[frame["id"]]
                        self.tally.whole += answer.reason == "stop"
                        crowd.ended()
                        if crowd.goes_on:
                            await self._begin(connection, waiting, crowd)
        except GONE:  # killed, or lost on a busy machine
            for _ in waiting:
                crowd.ended()

    async def _begin(
        self, connection: ClientConnection, waiting: dict[str, Answer], crowd: Crowd
    ) -> None:
        number = str(next(self._numbers))
        answer = Answer(self._dice.randint(10, 60), int(number) + 10**6, f"key-{number}")
        waiting[number] = answer
        crowd.asked.append(answer)
        await self._send(connection, number, answer)

    async def _send(self, connection: ClientConnection, number: str, answer: Answer) -> None:
        frame = {"type": "chat", "id": number, "message": answer.question, "key": answer.key}
        await connection.send(json.dumps({**frame, "conversation": "new"}))

    async def _ask_in_page(self, page: ChatPage, crowd: Crowd) -> None:
        number = next(self._numbers)
        answer = PageAnswer(f"turn-{number}", f"Page {number}")
        crowd.pages.append(answer)
        try:
            await self._show(page, answer)
        except PAGE_GONE:
            return

    async def _show(self, page: ChatPage, answer: PageAnswer) -> None:
        """Send a question, again after each refusal, and wait for the end of its answer."""
        await page.send(answer)
        while page.is_open and answer.state not in ENDED:
            await asyncio.sleep(0.02)
            if answer.refused:
                answer.refused = ""
                await asyncio.sleep(AGAIN_S)
                await page.send(answer)
        await page.aclose()

    def _take_error(self, answer: Answer, frame: dict[str, Any]) -> None:
        """Only a server that shuts down refuses an answer that has begun."""
        is_expected = frame["code"] == "overloaded" and answer.stream is not None
        if is_expected:
            answer.reason = "refused"
        else:
            super()._take_error(answer, frame)
            answer.reason = answer.reason or "refused"

    # ---- after a restart -----------------------------------------------------------------------

    async def _check(self, crowd: Crowd) -> None:
        begun = [answer for answer in crowd.asked if answer.stream]
        self.tally.answers += len(begun)
        self.tally.page_answers += sum(answer.conversation is not None for answer in crowd.pages)
        async with connect(self._socket, compression=None, open_timeout=LONG_S) as connection:
            for answer in begun:
                await self._check_answer(connection, answer)
        for answer in self._some(begun):
            stored = await asyncio.to_thread(self._stored, answer)
            if stored is None or not stored[1].startswith(answer.text):
                self._note("shown_then_lost", answer, "REST has less")
        unknown = [a for a in crowd.asked if not a.stream and a.key not in crowd.refused]
        await asyncio.gather(
            *map(self._send_again, [*self._some(begun), *self._some(unknown)]),
            *map(self._check_page, crowd.pages),
        )

    def _some(self, answers: list[Answer]) -> list[Answer]:
        return self._dice.sample(answers, min(SENT_AGAIN, len(answers)))

    async def _check_answer(self, connection: ClientConnection, answer: Answer) -> None:
        """Read an answer from its beginning, and compare it with what its client was shown."""
        stored = Answer(answer.count, answer.seed, answer.key, stream=answer.stream)
        frame = {"type": "resume", "id": "again", "stream": answer.stream, "offset": 0}
        await connection.send(json.dumps(frame))
        while stored.reason is None:
            self._take(stored, json.loads(await connection.recv()))
        self.tally.interrupted += stored.reason == "interrupted"
        if not answer.expected.startswith(stored.text):
            self._note("wrong", answer, "not the beginning of what was sent")
        if not stored.text.startswith(answer.text):
            self._note("shown_then_lost", answer, f"{len(stored.text)} characters are there")
        elif answer.reason and (stored.text, stored.reason) != (answer.text, answer.reason):
            self._note("shown_then_lost", answer, f"{answer.reason} is now {stored.reason}")
        elif stored.reason == "stop" and stored.text != answer.expected:
            self._note("wrong", answer, "complete, but not what was sent")

    async def _send_again(self, answer: Answer) -> None:
        """Send a question again with its key, and read its answer."""
        self.tally.sent_again += 1
        answer.reason = None
        async with connect(self._socket, compression=None, open_timeout=LONG_S) as connection:
            await self._send(connection, "again", answer)
            while answer.reason is None:
                frame = json.loads(await connection.recv())
                if frame.get("code") == "overloaded" and answer.stream is None:
                    await asyncio.sleep(AGAIN_S)
                    await self._send(connection, "again", answer)
                    continue
                self._take(answer, frame)
        if not answer.expected.startswith(answer.text):
            self._note("wrong", answer, "not the beginning of what was sent")

    async def _check_page(self, shown: PageAnswer) -> None:
        """Send an unacknowledged question again; compare the answer with what the page showed."""
        if shown.conversation is None:
            self.tally.sent_again += 1
            page = ChatPage(self._http)
            await page.open()
            async with asyncio.timeout(LONG_S):
                await self._show(page, shown)
        stored = await asyncio.to_thread(self._text_of, shown.conversation)
        if stored is None or not stored.startswith(shown.text):
            self.tally.shown_then_lost += 1
            self.tally.notes.append(f"shown_then_lost: a page showed {shown.text!r} of {stored!r}")
        elif not "".join(NUMBERS).startswith(stored):
            self.tally.wrong += 1
            self.tally.notes.append(f"wrong: {stored!r} in a page's conversation")

    def _text_of(self, conversation: str | None) -> str | None:
        """Return the text of the only answer of a conversation."""
        try:
            [turn] = self._get(f"/{conversation}?limit=200")["turns"]
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None
        parts = [part for stream in turn["answer"] for part in stream["parts"]]
        return "".join(part["text"] or "" for part in parts)

    async def _compare_all(self, crowds: list[Crowd], lab: FakeOpenAI) -> None:
        """Compare the questions with the list of conversations and with the model's requests."""
        titles = await asyncio.to_thread(self._titles)
        asked = Counter(request.question for request in lab.chats)
        for answer in itertools.chain.from_iterable(crowd.asked for crowd in crowds):
            counts = titles[answer.question], asked[answer.question]
            if max(counts) > 1:
                why = f"{counts[0]} conversations, {counts[1]} requests"
                self._note("asked_twice", answer, why)
            if answer.stream and not titles[answer.question]:
                self._note("shown_then_lost", answer, "the conversation is not in the list")
        for shown in itertools.chain.from_iterable(crowd.pages for crowd in crowds):
            if titles[shown.question] > 1 or asked[shown.question] > 1:
                self.tally.asked_twice += 1
                self.tally.notes.append(f"asked_twice: {shown.question}")
            if not titles[shown.question]:
                self.tally.shown_then_lost += 1
                self.tally.notes.append(f"shown_then_lost: {shown.question} is not in the list")
        lab.requests.clear()

    def _titles(self) -> Counter[str]:
        """Return how many conversations have each title, which is their question."""
        titles: Counter[str] = Counter()
        cursor: str | None = None
        while True:
            more = f"&cursor={urllib.parse.quote(cursor)}" if cursor else ""
            page = self._get(f"?limit=200{more}")
            titles.update(one["title"] for one in page["conversations"])
            cursor = page["cursor"]
            if cursor is None:
                return titles

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._http}/api/conversations{path}", timeout=60) as found:
            return json.load(found)


ENDED = ("done", "interrupted", "error", "stopped")
"""States of a page's answer after which it does not change."""


def main() -> int:
    """Flood and kill, and print the tally; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    return print_tally_of(Flood(random.Random(given.seed), kills=given.kills))


if __name__ == "__main__":
    sys.exit(main())
