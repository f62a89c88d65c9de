"""A server of level 2 in memory, for the state machine of the client: answers are texts by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wireside.protocol.frames import (
    BatchDoneFrame,
    BatchFrame,
    CancelFrame,
    ChatFrame,
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    PingFrame,
    PongFrame,
    ResumedFrame,
    ResumeFrame,
    ServerFrame,
    StartFrame,
    parse_client_frame,
)


class Log:
    """One answer: it grows by ``write`` and ends with its text, or where it was cancelled."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.head = 0
        self.reason: str | None = None

    def write(self, count: int) -> None:
        if self.reason is None:
            self.head = min(self.head + count, len(self.text))
            if self.head == len(self.text):
                self.reason = "stop"

    def cancel(self) -> None:
        self.reason = self.reason or "cancelled"


@dataclass(eq=False)
class Reader:
    """A request on the connection that reads a log."""

    id: str
    log: Log
    offset: int
    index: int | None = None


class MemoryServer:
    """Keeps the answers; ``receive`` and ``send`` are those of the current connection.

    ``text_of`` returns the text that answers a question.
    """

    def __init__(self, text_of: Callable[[str], str]) -> None:
        self.asked: Counter[str] = Counter()
        """How often the model was asked each question."""
        self.logs: dict[str, Log] = {}
        self._streams: dict[str, Log] = {}
        self._text_of = text_of
        self._readers: list[Reader] = []
        self._batches: dict[str, Counter[str]] = {}
        self._out: list[ServerFrame] = []

    def drop(self) -> None:
        """End the connection; the answers go on."""
        self._readers.clear()
        self._batches.clear()
        self._out.clear()

    def receive(self, text: str) -> None:
        frame = parse_client_frame(text, max_message_chars=1_000)
        match frame:
            case PingFrame():
                self._out.append(PongFrame(t=frame.t))
            case ChatFrame():
                log = self._log(frame.key or "", frame.message)
                self._begin(Reader(frame.id or "", log, frame.offset))
            case BatchFrame():
                self._batches[frame.id or ""] = Counter()
                for index, chat in enumerate(frame.chats()):
                    log = self._log(f"{index} {frame.key}", chat.message)
                    self._begin(Reader(frame.id or "", log, chat.offset, index))
            case ResumeFrame():
                log = self._streams[frame.stream]
                assert frame.offset <= log.head
                self._out.append(
                    ResumedFrame(id=frame.id, stream=log.name, head=log.head, state="live")
                )
                self._readers.append(Reader(frame.id, log, frame.offset))
            case CancelFrame():
                for reader in self._readers:
                    if reader.id == frame.id and frame.index in (None, reader.index):
                        reader.log.cancel()
            case _:
                raise AssertionError(frame)

    def send(self) -> Iterable[str]:
        """Return the frames that the connection can send now."""
        for reader in tuple(self._readers):
            log = reader.log
            if log.head > reader.offset:
                piece = log.text[reader.offset : log.head]
                reader.offset = log.head
                self._out.append(
                    ChunkFrame(id=reader.id, content=piece, offset=log.head, index=reader.index)
                )
            if log.reason is not None:
                self._end(reader, log.reason)
        out, self._out = self._out, []
        return [frame.encode() for frame in out]

    def refuse(self, code: str) -> None:
        """End the running requests of this connection with an error that is only theirs."""
        for reader in self._readers:
            if reader.index is None:
                self._out.append(ErrorFrame(id=reader.id, message="No.", code=code, retryable=True))
        self._readers = [reader for reader in self._readers if reader.index is not None]

    def _log(self, key: str, question: str) -> Log:
        if key not in self.logs:
            self.asked[question] += 1
            self.logs[key] = log = Log(f"s{len(self.logs)}", self._text_of(question))
            self._streams[log.name] = log
        return self.logs[key]

    def _begin(self, reader: Reader) -> None:
        self._readers.append(reader)
        self._out.append(
            StartFrame(id=reader.id, stream=reader.log.name, model="m", index=reader.index)
        )

    def _end(self, reader: Reader, reason: str) -> None:
        self._readers.remove(reader)
        self._out.append(
            DoneFrame(id=reader.id, offset=reader.offset, reason=reason, index=reader.index)
        )
        if reader.index is not None:
            counts = self._batches[reader.id]
            counts["cancelled" if reason == "cancelled" else "done"] += 1
            if not any(one.id == reader.id for one in self._readers):
                self._out.append(
                    BatchDoneFrame(
                        id=reader.id, done=counts["done"], failed=0, cancelled=counts["cancelled"]
                    )
                )
