"""The clients around the state machine: their tasks, threads and ends."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from wireside.client import AsyncClient, Client, aio
from wireside.client.errors import ClientClosed
from wireside.errors import WiresideError


async def test_a_client_with_too_much_unread_text_does_not_spin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 20:
            raise asyncio.CancelledError

    client = AsyncClient("http://127.0.0.1:1", silence_s=20)
    client._core.connecting()
    client._core.connected(time.monotonic() - 1_000)  # its deadline is over
    client._unread_chars = aio.MAX_UNREAD_CHARS + 1
    monkeypatch.setattr("wireside.client.aio.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await client._watch_silence(None)  # type: ignore[arg-type]  # nothing is dropped
    assert sum(waits) >= 50


def test_closing_ends_the_calls_of_other_threads() -> None:
    errors: list[WiresideError] = []

    def ask_for_models() -> None:
        try:
            client.rest.models()
        except WiresideError as error:
            errors.append(error)

    with socket.create_server(("127.0.0.1", 0)) as server:  # it never answers
        client = Client(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread = threading.Thread(target=ask_for_models, daemon=True)
        thread.start()
        connection, _ = server.accept()
        with connection:
            connection.recv(1)
            client.close()
            thread.join(20)
    assert not thread.is_alive()
    assert [error.code for error in errors] == ["closed"]
    client.close()
    with pytest.raises(ClientClosed):
        client.rest.models()
