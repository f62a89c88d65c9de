"""Process faults: no file descriptors, SIGTERM under load, little memory, a wall clock jump."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import sys
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Origin, Subprotocol

from tests.faults.house import House, Told, talk
from tests.server_process import LONG_S, TRACE
from wireside.testing import FakeOpenAI, answer

pytestmark = pytest.mark.timeout(240)  # some wait for seconds, longer on a busy machine

STREAMS = 200
SHORT = 20
"""Number of answers that finish during the shutdown."""


async def begin(house: House, count: int) -> tuple[list[Told], list[asyncio.Task[None]]]:
    """Start ``count`` answers, each on a separate connection; all have begun on return."""
    told = [Told(f"Question {n}") for n in range(count)]
    tasks = [asyncio.create_task(house.listen(one)) for one in told]
    async with asyncio.timeout(LONG_S):
        await asyncio.gather(*(one.begun.wait() for one in told))
    return told, tasks


# ---- SIGTERM -------------------------------------------------------------------------------------


async def test_asked_to_end_under_200_streams(lab: FakeOpenAI, tmp_path: Path) -> None:
    """Short answers finish in the grace period; long ones are interrupted with an error, and kept.

    Sockets are closed with the code that asks clients to reconnect.
    """
    long, short = answer(600, rate=4), answer(30, rate=30)
    grace_s = 8  # short answers take a second; on a busy machine several
    house = House(tmp_path, lab.url, shutdown_s=grace_s, save_delay_s=60)  # refuses none
    async with house:
        await house.until_ready()
        lab.answer_with(*[long] * (STREAMS - SHORT))
        longs, long_tasks = await begin(house, STREAMS - SHORT)

        async def all_are_asked() -> bool:
            return len(lab.chats) >= STREAMS - SHORT

        # an answer begins before its request arrives at the model, which answers in order
        await house.until(all_are_asked, "every long answer is requested")
        lab.answer_with(*[short] * SHORT)
        shorts, short_tasks = await begin(house, SHORT)
        async with house.socket() as idle:
            began = time.monotonic()
            code = await asyncio.to_thread(house.stop)
            seconds = time.monotonic() - began
            await idle.wait_closed()
        await asyncio.gather(*long_tasks, *short_tasks)
    assert code == 0
    assert seconds < grace_s + 5  # the limit of the server's own watchdog
    assert idle.close_code == 1001
    assert {(one.reason, one.text) for one in shorts} == {("stop", short.text)}
    assert {one.reason for one in longs} == {"interrupted"}
    assert all(long.text.startswith(one.text) and one.text for one in longs)
    async with house:  # the next process has all of it
        told = longs + shorts
        for one, kept in zip(told, await asyncio.gather(*map(house.kept, told)), strict=True):
            assert (kept.text, kept.reason) == (one.text, one.reason)
        await house.resume(longs[0])
        assert longs[0].end["offset"] == len(longs[0].text)
        assert TRACE not in house.log


async def test_who_is_connected_is_told_that_it_ends(lab: FakeOpenAI, tmp_path: Path) -> None:
    """Health and metrics stay available on kept-alive connections; new connections are refused."""
    async with House(tmp_path, lab.url, shutdown_s=60) as house:
        await house.until_ready()
        lab.answer_with(answer(1200, rate=10))
        [told], [task] = await begin(house, 1)
        async with httpx2.AsyncClient(base_url=house.url, timeout=30, trust_env=False) as kept:

            async def ready() -> tuple[int, str]:
                response = await kept.get("/api/health/ready")
                return response.status_code, response.json()["status"]

            assert await ready() == (200, "ready")
            assert "\nwireside_draining 0" in (await kept.get("/metrics")).text
            house.process.send_signal(signal.SIGTERM)

            async def is_told() -> bool:
                return await ready() == (503, "draining")

            await house.until(is_told, "draining")
            assert "\nwireside_draining 1" in (await kept.get("/metrics")).text
            assert (await kept.get("/api/health/live")).status_code == 200
            async with httpx2.AsyncClient(base_url=house.url, trust_env=False) as new:
                with pytest.raises(httpx2.ConnectError):
                    await new.get("/api/health/ready")
            assert not told.end  # all checks were made during the shutdown
        house.process.send_signal(signal.SIGINT)  # the shutdown need not wait for the answer
        await task


# ---- descriptors ---------------------------------------------------------------------------------


async def test_out_of_file_descriptors(lab: FakeOpenAI, tmp_path: Path) -> None:
    """New connections are refused and running answers continue.

    The server neither spins nor floods its log, and accepts connections as soon as there are
    descriptors.
    """
    limit = 120
    few = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}));"
        "from wireside.cli.main import main; main()"
    )
    command = (sys.executable, "-c", few, "serve", "--port", "0")
    async with House(tmp_path, lab.url, command=command, handshake_s=60) as house:
        await house.until_ready()
        lab.answer_with(*[answer(300, rate=60)] * 4)
        told, tasks = await begin(house, 4)
        held = await house.socket()
        address = ("127.0.0.1", int(house.url.rpartition(":")[2]))
        crowd: list[socket.socket] = []
        for _ in range(2 * limit):
            crowd.append(socket.create_connection(address, 5))
        await house.until(lambda: house.process.num_fds() >= limit - 2, "out of descriptors")
        log_before, cpu_before = len(house.log), sum(house.process.cpu_times()[:2])
        late = Told("On a connection that was there")
        await talk(held, {"type": "chat", "id": "1", "message": late.question}, late)
        assert late.end  # answered, or refused with an error
        await held.close()
        lengths = [len(one.text) for one in told]
        await asyncio.sleep(2)
        cpu_s = sum(house.process.cpu_times()[:2]) - cpu_before
        await house.until(
            lambda: all(
                one.end or len(one.text) > was for one, was in zip(told, lengths, strict=True)
            ),
            "going on",
        )
        print(f"\n{cpu_s:.2f} s of CPU in 2 s; {len(house.log) - log_before} characters logged")
        assert cpu_s < 1.5
        assert house.log.count("descriptors_used_up") == 1
        assert len(house.log) - log_before < 20_000
        for one in crowd:
            one.close()
        await house.until_ready()
        await house.until(lambda: "descriptors_left_again" in house.log, "told")
        after = await house.ask("After")
        assert after.reason == "stop"
        await asyncio.gather(*tasks)
        assert {(one.reason, one.text) for one in told} == {("stop", lab.text(300))}
        for answered in told:
            assert (await house.kept(answered)).text == answered.text
        assert await asyncio.to_thread(house.stop) == 0


# ---- memory --------------------------------------------------------------------------------------

LEFT = 6 << 20
"""Memory available to a process that is short of it."""

LARGE = 7 << 19
"""A frame within the server's limits whose copies do not fit into that memory."""


async def test_memory_is_short(lab: FakeOpenAI, tmp_path: Path) -> None:
    """An allocation that does not fit fails by itself.

    Running answers continue, new ones begin, and the server works as before when memory is
    available again. (If small allocations fail as well, the process ends in whichever library fails
    first: this equals SIGKILL, see `test_storm.py`.)
    """
    # each further heap would hold 64 MiB in reserve, and the first one what large frames have freed
    no_reserve = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(128 << 10)}
    async with House(tmp_path, lab.url, **no_reserve, max_frame_bytes=4 << 20) as house:
        process = house.process
        await house.until_ready()
        large = "x" * LARGE
        before = await house.ask(large)
        assert (before.code, before.close_code) == ("too_large", None)  # of the text, not the frame
        lab.answer_with(*[answer(200, rate=60)] * 4)
        told, tasks = await begin(house, 4)
        refused = 0
        for _ in range(50):
            # memory that was in use at the last measurement may be free by now
            process.rlimit(resource.RLIMIT_AS, (process.memory_info().vms + LEFT, -1))
            dropped = await house.ask(large)
            if dropped.end:  # it fitted into such memory
                assert dropped.code == "too_large"
                continue
            refused += 1
            assert dropped.close_code in (1006, 1011)
            await house.until_logged("MemoryError", refused, "refused")
            if refused == 5:
                break
        assert refused == 5
        assert (await house.ask("Meanwhile")).reason == "stop"
        process.rlimit(resource.RLIMIT_AS, (-1, -1))
        assert "too_much_unfinished" not in house.log
        await asyncio.gather(*tasks)
        assert {(one.reason, one.text) for one in told} == {("stop", lab.text(200))}
        await house.until_ready()
        assert (await house.ask(large)).code == "too_large"
        assert (await house.ask("After")).reason == "stop"
        for answered in told:
            assert (await house.kept(answered)).text == answered.text
        assert await asyncio.to_thread(house.stop) == 0


# ---- the clock -----------------------------------------------------------------------------------

_found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


class WallClock:
    """The server's wall clock; its monotonic clock is unchanged."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.jump(0)
        self.environment = {
            "LD_PRELOAD": str(_found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # with it, waits of other threads never sleep
        }

    def jump(self, seconds: int) -> None:
        """Move the server's wall clock to ``seconds`` after the real time."""
        new = self._file.with_name("new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)


HOUR_S = 3600
LIMIT = 7


@pytest.mark.skipif(not _found, reason="libfaketime is not installed (Debian: faketime)")
async def test_the_clock_jumps_by_an_hour(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    settings = {
        "auth": "password",
        "silence_s": 8,
        "first_token_s": 8,
        "ping_interval_s": 2,
        "ping_timeout_s": 8,
        "user_messages_per_minute": LIMIT,
    }
    async with (
        FakeOpenAI(count=90, rate=30) as lab,
        House(tmp_path, lab.url, **clock.environment, **settings) as house,
    ):
        await join(house)
        lab.answer_with(answer(5))
        loose = await ask_loosely(house)
        began = await server_time(house)
        tickets = [await ticket(house) for _ in range(2)]
        for offset, one_time in ((HOUR_S, tickets[0]), (-HOUR_S, tickets[1])):
            told, tasks = await begin(house, 2)  # three seconds long
            clock.jump(offset)
            await until_it_is(house, began + offset)
            assert (await house.get("/api/me"))[0] == 200  # still signed in
            assert (await house.ready())[0] == 200
            await opens_with(house, one_time)
            await house.resume(loose)  # within the resume window of answers in memory
            assert loose.reason == "stop"
            await asyncio.gather(*tasks)
            assert {(one.reason, one.text) for one in told} == {("stop", lab.text(90))}
            for one in told:
                assert (await house.kept(one)).text == one.text
        clock.jump(0)
        _, listing = await house.get("/api/conversations")
        assert len(listing["conversations"]) == 4
        lab.answer_with(*[answer(2)] * LIMIT)
        assert "rate_limited" in {(await house.ask("Hi")).code for _ in range(LIMIT + 1)}
        for offset in (HOUR_S, -HOUR_S):  # a rate limit ends neither sooner nor later
            clock.jump(offset)
            await until_it_is(house, began + offset)
            for _ in range(LIMIT):
                refused = await house.ask("Hi")
                assert refused.code == "rate_limited"
                assert 0 < refused.end["retry_after"] <= 60
        clock.jump(0)
        assert TRACE not in house.log
        assert await asyncio.to_thread(house.stop) == 0


async def join(house: House) -> None:
    """Create the first account, and send its session cookie from then on, as a browser does."""
    link = await asyncio.to_thread(house.administrator_link)
    secret = parse_qs(urlsplit(link).query)["link"][0]
    form = {"link": secret, "name": "ada", "password": "a long enough password"}
    async with httpx2.AsyncClient(base_url=house.url, timeout=30) as browser:
        response = await browser.post("/join", data=form, headers={"Origin": house.url})
        assert response.status_code == 303, response.text
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    house.headers = {"Cookie": cookie, "Origin": house.url}


async def ask_loosely(house: House) -> Told:
    """Ask outside of any conversation: the answer is in memory only."""
    told = Told("Hello")
    await house.listen(told, None)
    assert told.reason == "stop"
    return told


async def server_time(house: House) -> float:
    async with httpx2.AsyncClient(base_url=house.url, timeout=30) as browser:
        date = (await browser.get("/api/health/live")).headers["date"]
    return parsedate_to_datetime(date).timestamp()


async def until_it_is(house: House, then: float) -> None:
    """Wait until the response's ``Date`` header shows ``then``, checked once a second."""

    async def is_so() -> bool:
        return abs(await server_time(house) - then) < 60

    await house.until(is_so, "the clock has jumped")


async def ticket(house: House) -> str:
    status, said = await house.get("/api/tickets", "POST")
    assert status in (200, 201), said
    return str(said["ticket"])


async def opens_with(house: House, one_time: str) -> None:
    url = f"ws{house.url.removeprefix('http')}/ws/ai-chat"
    protocols = [Subprotocol("ai-chat"), Subprotocol(f"ticket.{one_time}")]
    async with connect(url, origin=Origin(house.url), subprotocols=protocols) as connection:
        await connection.send('{"type": "ping"}')
        assert "pong" in str(await connection.recv())
