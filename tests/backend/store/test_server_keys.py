"""Keys that all servers on a database share."""

from __future__ import annotations

from wireside.store.store import SqlStore


async def test_the_first_server_creates_a_key_and_all_read_it(url: str) -> None:
    first, second = SqlStore(url), SqlStore(url)
    await first.open()
    await second.open_beside()
    key = await first.server_keys.get_or_create("cookies")
    assert len(key) > 40
    assert await second.server_keys.get_or_create("cookies") == key
    assert await second.server_keys.get_or_create("other") != key
    await first.aclose()
    await second.aclose()
