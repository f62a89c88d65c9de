"""A page whose WebSocket always reaches a server that does not have it must not load in a loop."""

from __future__ import annotations

import re

from playwright.sync_api import Page, WebSocketRoute

from tests.server_process import ServerProcess

OPEN = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'


def test_a_page_loads_again_twice_and_then_waits(page: Page, served: ServerProcess) -> None:
    loads: list[str] = []
    refused: list[str] = []

    def refuse(socket: WebSocketRoute) -> None:
        def answer(message: str | bytes) -> None:
            refused.append(page.url)
            socket.send('44{"message":"Implicit handshake failed"}')

        socket.on_message(answer)
        socket.send(OPEN)

    page.route_web_socket(re.compile("_nicegui_ws"), refuse)
    page.on("load", lambda _: loads.append(page.url))
    page.goto(served.url)
    while len(refused) < 3:
        page.wait_for_timeout(100)
    page.wait_for_timeout(3000)  # no time-out of a slow machine: a loop would be faster
    assert len(loads) == 3
