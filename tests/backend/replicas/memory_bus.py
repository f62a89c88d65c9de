"""A bus within one process, which can be cut, lose messages and bring them twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from wireside.replicas.bus import Message, QueuedBus


class Hub:
    """What connects the buses of a test. ``loses`` decides about each delivery."""

    def __init__(self) -> None:
        self.buses: list[MemoryBus] = []
        self.loses: Callable[[str, bytes], bool] = lambda channel, data: False
        self.delivered = 0
        self.is_cut = False

    def new_bus(self) -> MemoryBus:
        """Return a bus that is up."""
        bus = MemoryBus(self)
        self.buses.append(bus)
        return bus

    def cut(self) -> None:
        """Lose all messages from now on."""
        self.is_cut = True
        for bus in self.buses:
            bus.is_up = False

    def mend(self) -> None:
        """Deliver messages again."""
        self.is_cut = False
        for bus in self.buses:
            bus._note_up()


class MemoryBus(QueuedBus):
    """Delivers what is posted in the next turn of the event loop."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._hub = hub
        self.is_up = True

    def post(self, channel: str, data: bytes) -> None:
        for bus in self._hub.buses:
            if self._hub.is_cut or self._hub.loses(channel, data):
                self.dropped += 1
            else:
                self._hub.delivered += 1
                asyncio.get_running_loop().call_soon(bus._deliver, channel, data)

    async def run_until_cancelled(self) -> None:
        await asyncio.Event().wait()

    async def _send(self, messages: Sequence[Message]) -> None:
        raise NotImplementedError

    async def _listen_until_failure(self) -> None:
        raise NotImplementedError

    def _change_channels(self) -> None:
        pass

    async def _disconnect(self) -> None:
        pass
