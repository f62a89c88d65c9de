"""Checks of several servers that share a database, as run by ``wireside doctor``."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import httpx2
from sqlalchemy import Connection, func, select, text

from wireside.api.middleware.replica_cookie import REPLICA_COOKIE
from wireside.doctor.checks import Check
from wireside.errors import NotConfigured, StoreError
from wireside.records import Replica
from wireside.settings.model import Settings
from wireside.store.connections import (
    CONNECTIONS_PER_SERVER,
    REMEDY,
    read_connection_limit,
)
from wireside.store.database import Database, create_database
from wireside.store.tables import replicas

TRIPS: Final = 5
SLOW_MS: Final = 10.0
"""Round trip from which each commit, and with it each piece of an answer, is noticeably late."""

CLOCK_S: Final = 5.0
"""Difference of two clocks, in seconds, from which times on pages look wrong."""

REQUESTS: Final = 6
"""Requests that must all reach the server that the cookie names."""

REPLY_S: Final = 10.0


async def check_fleet(settings: Settings, base: str) -> list[Check]:
    """Check database, Redis, the replicas and the proxy in front; nothing for a server alone.

    ``base`` is the address by which browsers reach the servers.
    """
    if not settings.replicas:
        return []
    checks = [check_files(settings), *await _check_database(settings)]
    if settings.redis_url is not None:
        checks.append(await check_redis(settings.redis_url.get_secret_value()))
    return [*checks, await check_stickiness(base)]


def check_files(settings: Settings) -> Check:
    """Check that all servers can have the same files."""
    if settings.files_url is not None:
        return Check(name="Shared files", state="ok", finding="in a bucket")
    return Check(
        name="Shared files",
        state="warning",
        finding=f"uploads are in {settings.data_dir}, which all servers must see",
        remedy="export WIRESIDE_FILES_URL=s3://…, or mount one folder on all machines",
    )


async def _check_database(settings: Settings) -> list[Check]:
    url = settings.database_url
    try:
        opened = create_database(url.get_secret_value() if url else "sqlite://", is_shared=True)
        await opened.open(is_server=False)
    except NotConfigured as error:
        remedy = "check WIRESIDE_DATABASE_URL, and that PostgreSQL runs"
        return [Check(name="Shared database", state="failed", finding=str(error), remedy=remedy)]
    try:
        return [
            await check_latency(opened, time.time),
            await check_connections(opened),
            await check_replicas(opened, pause_s=2 * settings.replica_beat_s + 0.5),
        ]
    except StoreError as error:
        return [Check(name="Replicas", state="failed", finding=f"can't be read: {error}")]
    finally:
        await opened.aclose()


async def check_latency(opened: Database, wall_clock: Callable[[], float]) -> Check:
    """Check the round trip to the database, and its clock against ours."""
    trips: list[tuple[float, float]] = []

    def read_clock(connection: Connection) -> float:
        now = func.extract("epoch", func.clock_timestamp())
        return float(connection.scalar(select(now)) or 0)

    for _ in range(TRIPS):
        began = wall_clock()
        theirs = await opened.read(read_clock)
        took_s = wall_clock() - began
        trips.append((took_s, theirs - (began + took_s / 2)))
    took_s, ahead_s = min(trips)
    finding = f"a round trip takes {took_s * 1000:.1f} ms, its clock is {ahead_s:+.1f} s off"
    if abs(ahead_s) > CLOCK_S:
        remedy = "let both machines take their time from the same NTP servers"
        return Check(name="Shared database", state="warning", finding=finding, remedy=remedy)
    if took_s * 1000 > SLOW_MS:
        remedy = "run servers and database in one network"
        return Check(name="Shared database", state="warning", finding=finding, remedy=remedy)
    return Check(name="Shared database", state="ok", finding=finding)


async def check_connections(opened: Database) -> Check:
    """Check that PostgreSQL admits the connections of all servers that run."""
    servers = len(await opened.read(_read_replicas))
    return judge_connections(max(servers, 1), await read_connection_limit(opened))


def judge_connections(servers: int, limit: int) -> Check:
    """Return the check of ``servers`` servers on a database that admits ``limit`` connections."""
    name = "Database connections"
    needed = servers * CONNECTIONS_PER_SERVER
    finding = f"{servers} × {CONNECTIONS_PER_SERVER} = {needed} at most, of {limit}"
    if needed > limit:
        return Check(name=name, state="warning", finding=finding, remedy=REMEDY)
    return Check(name=name, state="ok", finding=finding)


async def check_replicas(opened: Database, *, pause_s: float) -> Check:
    """Check that all replicas have a name of their own, one version, and a beat."""
    before = await opened.read(_read_replicas)
    if not before:
        return Check(name="Replicas", state="skipped", finding="no server runs on this database")
    await asyncio.sleep(pause_s)
    after = {one.id: one for one in await opened.read(_read_replicas)}
    still = [one for one in before if one.id in after and after[one.id].beat == one.beat]
    return judge_replicas(tuple(after.values()) or tuple(before), still)


def judge_replicas(found: Sequence[Replica], still: Sequence[Replica]) -> Check:
    """Return the check of replicas, of which some did not show a beat."""
    names = ", ".join(f"{one.name} {one.version}" for one in found)
    finding = f"{len(found)}: {names}"
    if still:
        finding += f"; no beat: {', '.join(one.name for one in still)}"
        remedy = "look at that machine: the server is frozen, or does not reach the database"
        return Check(name="Replicas", state="failed", finding=finding, remedy=remedy)
    twice = [name for name, count in Counter(one.name for one in found).items() if count > 1]
    if twice:
        finding += f"; several have the name {', '.join(twice)}"
        remedy = "export WIRESIDE_REPLICA_NAME=…  (another one on each server)"
        return Check(name="Replicas", state="failed", finding=finding, remedy=remedy)
    if len({one.version for one in found}) > 1:
        remedy = "finish the deploy: versions may differ during one only"
        return Check(name="Replicas", state="warning", finding=finding, remedy=remedy)
    return Check(name="Replicas", state="ok", finding=finding)


def _read_replicas(connection: Connection) -> list[Replica]:
    if connection.scalar(text("SELECT to_regclass('replicas')")) is None:
        return []
    return [
        Replica(
            id=row.id,
            name=row.name,
            beat=row.beat,
            version=row.version,
            started_at=row.started_at,
        )
        for row in connection.execute(select(replicas).order_by(replicas.c.started_at))
    ]


async def check_redis(url: str) -> Check:
    """Check that Redis answers, and how fast."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError

    redis = Redis.from_url(
        url,
        socket_timeout=REPLY_S,
        socket_connect_timeout=REPLY_S,
        retry=Retry(NoBackoff(), 0),  # by default it would try for ten seconds
    )
    try:
        took_ms = min([await _time_ms(redis.ping) for _ in range(TRIPS)])
    except (RedisError, OSError, TimeoutError) as error:
        return Check(
            name="Redis",
            state="failed",
            finding=f"does not answer ({type(error).__name__}): limits count on each server",
            remedy="check WIRESIDE_REDIS_URL, and that Redis or Valkey runs",
        )
    finally:
        await redis.aclose()
    return Check(name="Redis", state="ok", finding=f"a round trip takes {took_ms:.1f} ms")


async def _time_ms(call: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1000


async def check_stickiness(base: str) -> Check:
    """Check that the proxy sends a browser's requests to the server that has made its page."""
    name = "Stickiness"
    remedy = "let the proxy follow the cookie wireside_replica (docs/proxies.md)"
    try:
        cookies = httpx2.Cookies()  # also the proxy's own, where it sets one
        first = await _replica_of_page(base, cookies)
        reached = [await _replica_of_page(base, cookies) for _ in range(REQUESTS)] if first else []
    except httpx2.HTTPError as error:
        finding = f"{base} does not answer ({type(error).__name__})"
        return Check(name=name, state="skipped", finding=finding)
    if first is None:
        finding = f"pages of {base} have no cookie {REPLICA_COOKIE}"
        return Check(
            name=name,
            state="failed",
            finding=finding,
            remedy="export WIRESIDE_REPLICAS=true on each server, and let the proxy pass cookies",
        )
    others = sorted({str(one) for one in reached if one != first})
    if others:
        finding = f"requests of a page of {first} also reach {', '.join(others)}"
        return Check(name=name, state="failed", finding=finding, remedy=remedy)
    return Check(name=name, state="ok", finding=f"{REQUESTS} requests of a page reach {first}")


async def _replica_of_page(base: str, cookies: httpx2.Cookies) -> str | None:
    """Request a page on a new connection; return the name of the server that has made it."""
    sent = httpx2.Cookies(cookies)
    async with httpx2.AsyncClient(
        verify=ssl.create_default_context(),
        trust_env=False,
        timeout=REPLY_S,
        follow_redirects=True,
        cookies=sent,
    ) as http:
        page = await http.get(f"{base.rstrip('/')}/", headers={"Accept": "text/html"})
        if not cookies:
            cookies.update(http.cookies)
    return page.cookies.get(REPLICA_COOKIE)
