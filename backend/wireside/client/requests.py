"""Open requests of a client, and what is known of their answers: values and rules, without I/O."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wireside.client.errors import error_of_frame
from wireside.errors import Expired, WiresideError
from wireside.messages import Usage
from wireside.protocol.frames import (
    BatchDoneFrame,
    BatchFrame,
    CancelFrame,
    ChatFrame,
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    PartFrame,
    ReasoningFrame,
    ResumedFrame,
    ResumeFrame,
    ServerFrame,
    StartFrame,
    ToolFrame,
)

Piece = ChunkFrame | ReasoningFrame | ToolFrame | PartFrame
"""A frame with a piece of an answer."""


@dataclass(frozen=True, slots=True)
class Started:
    """An answer has begun: its stream, model and conversation are known."""

    answer: AnswerState


@dataclass(frozen=True, slots=True)
class Received:
    """A piece of an answer has arrived; pieces that arrived before are never repeated."""

    answer: AnswerState
    piece: Piece


@dataclass(frozen=True, slots=True)
class Ended:
    """An answer has ended, with a ``reason`` or with an ``error``."""

    answer: AnswerState


@dataclass(frozen=True, slots=True)
class StreamNeeded:
    """The server has the answer already, but its stream is not known here.

    The reply to a question was accepted, and the connection dropped before ``start`` arrived. Find
    the stream by REST and report it with ``ClientCore.resolve``.
    """

    answer: AnswerState
    conversation: str


AnswerEvent = Started | Received | Ended | StreamNeeded


class AnswerState:
    """What is known of one answer.

    Attributes:
        index: position in a batch.
        stream: name of the stream, to follow the answer from another client.
        model: the model that answers.
        conversation: id of the conversation that stores it.
        offset: position after the last received piece.
        reason: why it ended; None while it runs and after an error.
        usage: tokens, where the model reports them.
        is_saved: False if the store failed, so that only the server's memory has it.
        error: the error that ended it.
        question: the last question part, which is open if ``reason`` is ``asking``.
    """

    def __init__(
        self, *, index: int | None = None, stream: str | None = None, offset: int = 0
    ) -> None:
        self.index = index
        self.stream = stream
        self.offset = offset
        self.model: str | None = None
        self.conversation: str | None = None
        self.reason: str | None = None
        self.usage = Usage()
        self.is_saved = True
        self.error: WiresideError | None = None
        self.question: PartFrame | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.reason is not None or self.error is not None

    def receive(self, frame: ServerFrame) -> list[AnswerEvent]:
        """Handle a frame about this answer."""
        if self.is_over:
            return []
        match frame:
            case StartFrame():
                if self.stream not in (None, frame.stream):
                    return self.fail(Expired())  # the server was restarted and has lost the text
                self.stream, self.model = frame.stream, frame.model
                self.conversation = frame.conversation
                return [Started(self)]
            case ResumedFrame():
                return [Started(self)]
            case ChunkFrame() | ReasoningFrame() | ToolFrame() | PartFrame():
                return self._add(frame)
            case DoneFrame():
                self.reason = frame.reason or "stop"
                self.usage = frame.usage or self.usage
                self.is_saved = frame.saved
                self.offset = self.offset if frame.offset is None else frame.offset
                return [Ended(self)]
            case ErrorFrame():
                return self.fail(error_of_frame(frame))
            case _:
                return []

    def fail(self, error: WiresideError) -> list[AnswerEvent]:
        """End it with an error, unless it has ended."""
        if self.is_over:
            return []
        self.error = error
        return [Ended(self)]

    def cancel(self) -> list[AnswerEvent]:
        """End it as cancelled, unless it has ended."""
        if self.is_over:
            return []
        self.reason = "cancelled"
        return [Ended(self)]

    def _add(self, frame: Piece) -> list[AnswerEvent]:
        if frame.offset is None or frame.offset <= self.offset:
            return []  # received already
        self.offset = frame.offset
        if isinstance(frame, PartFrame) and frame.kind == "question":
            self.question = frame
        return [Received(self, frame)]


class ConversationState:
    """A stored conversation; ``id`` is None until the first answer has started."""

    def __init__(self, conversation_id: str | None = None) -> None:
        self.id = conversation_id
        self._opener: Request | None = None

    def id_for(self, request: Request) -> str | None:
        """Return the id to send with a request; None while another one opens the conversation."""
        if self.id is not None:
            return self.id
        if self._opener is None or self._opener.is_over:
            self._opener = request  # the previous one failed
        return "new" if self._opener is request else None


class Request:
    """One request of the client, until it has its last frame. Sent again on each connection."""

    def __init__(self) -> None:
        self.id = ""
        self.is_sent = False
        """On this connection."""
        self.sends = 0
        self.has_begun = False
        """Whether a frame about it arrived since it was last sent."""
        self.held_until: float | None = None
        """Time at which it is sent again, after the server was busy; infinite: once resolved."""
        self.is_stopped = False
        self.sent_at: float | None = None
        """Time of the first sending, until a piece of an answer has arrived."""

    @property
    def answers(self) -> Sequence[AnswerState]:
        """Its answers."""
        raise NotImplementedError

    @property
    def is_over(self) -> bool:
        """Whether all answers have ended."""
        return all(answer.is_over for answer in self.answers)

    @property
    def is_held(self) -> bool:
        """Whether it is sent again after some time, as the server was busy."""
        return self.held_until is not None and self.held_until != float("inf")

    @property
    def streams(self) -> int:
        """Number of concurrent streams of the connection that it counts as."""
        return 1

    @property
    def size(self) -> int:
        """Number of characters that the user gave."""
        return 0

    def frame(self) -> ChatFrame | BatchFrame | ResumeFrame | None:
        """Return the frame to send now under ``id``; None while it has to wait."""
        raise NotImplementedError

    def cancels(self) -> list[CancelFrame]:
        """Return the frames that stop what has been stopped here."""
        return [CancelFrame(id=self.id)] if self.is_stopped else []

    def receive(self, frame: ServerFrame) -> tuple[list[AnswerEvent], bool]:
        """Handle a frame with its id; return the events, and whether it was the last one."""
        raise NotImplementedError

    def fail(self, error: WiresideError) -> list[AnswerEvent]:
        """End the open answers with an error."""
        return [event for answer in self.answers for event in answer.fail(error)]


class AnswerRequest(Request):
    """A question, the reply to a question of the server, or a stream to follow (without ``chat``).

    ``chat`` is sent again under the same key until the stream is known, then a ``resume``.
    """

    def __init__(
        self,
        answer: AnswerState,
        chat: ChatFrame | None = None,
        conversation: ConversationState | None = None,
    ) -> None:
        super().__init__()
        self.answer = answer
        self.chat = chat if chat is None or chat.part else _with_key(chat)
        self.conversation = conversation
        self._waits_for_stream = False

    @property
    def answers(self) -> Sequence[AnswerState]:
        """Its answer."""
        return (self.answer,)

    @property
    def size(self) -> int:
        """Number of characters that the user gave."""
        if self.chat is None or self.answer.stream is not None:
            return 0
        chat = self.chat
        return len(chat.message) + sum(message.chars for message in chat.messages)

    def frame(self) -> ChatFrame | ResumeFrame | None:
        """Return the frame to send now; None while it has to wait."""
        if self.answer.stream is not None:
            return ResumeFrame(id=self.id, stream=self.answer.stream, offset=self.answer.offset)
        assert self.chat is not None
        if self.conversation is None:
            return replace(self.chat, id=self.id)
        conversation = self.conversation.id_for(self)
        if conversation is None:
            return None
        return replace(self.chat, id=self.id, conversation=conversation)

    def receive(self, frame: ServerFrame) -> tuple[list[AnswerEvent], bool]:
        """Handle a frame with its id; return the events, and whether it was the last one."""
        is_last = isinstance(frame, DoneFrame | ErrorFrame)
        if isinstance(frame, StartFrame) and self.conversation is not None:
            self.conversation.id = self.conversation.id or frame.conversation
        if self._was_accepted(frame):
            assert self.chat is not None
            assert self.chat.conversation is not None
            self.held_until = float("inf")
            return [StreamNeeded(self.answer, self.chat.conversation)], True
        return self.answer.receive(frame), is_last

    def _was_accepted(self, frame: ServerFrame) -> bool:
        """Whether the server has accepted an earlier sending of this reply to a question."""
        is_answered = isinstance(frame, ErrorFrame) and frame.code == "already_answered"
        is_reply = self.chat is not None and self.chat.part is not None
        return is_answered and is_reply and self.sends > 1 and self.answer.stream is None


class BatchRequest(Request):
    """A batch with ``parallel``, sent again under the same key and with the offsets received."""

    def __init__(self, batch: BatchFrame, conversation: ConversationState | None = None) -> None:
        super().__init__()
        self.batch = replace(
            batch, key=batch.key or secrets.token_hex(16), parallel=batch.parallel or 1
        )
        self.conversation = conversation
        self.conversation_id: str | None = None  # as first sent: it belongs to the key
        self.stopped: set[int] = set()
        self._answers = tuple(AnswerState(index=index) for index in range(len(batch.messages)))

    @property
    def answers(self) -> Sequence[AnswerState]:
        """Its answers, by index."""
        return self._answers

    @property
    def streams(self) -> int:
        """Number of concurrent streams of the connection that it counts as."""
        open_answers = sum(not answer.is_over for answer in self._answers)
        return max(1, min(self.batch.parallel or 1, open_answers))

    @property
    def size(self) -> int:
        """Number of characters that the user gave."""
        return sum(map(len, self.batch.messages))

    def frame(self) -> BatchFrame | None:
        """Return the frame to send now; None while it has to wait."""
        offsets = tuple(answer.offset for answer in self._answers)
        batch = replace(self.batch, id=self.id, offsets=offsets)
        if self.conversation is None:
            return batch
        self.conversation_id = self.conversation_id or self.conversation.id_for(self)
        if self.conversation_id is None:
            return None
        return replace(batch, conversation=self.conversation_id)

    def cancels(self) -> list[CancelFrame]:
        """Return the frames that stop what has been stopped here."""
        if self.is_stopped:
            return super().cancels()
        return [CancelFrame(id=self.id, index=index) for index in sorted(self.stopped)]

    def receive(self, frame: ServerFrame) -> tuple[list[AnswerEvent], bool]:
        """Handle a frame with its id; return the events, and whether it was the last one."""
        if isinstance(frame, BatchDoneFrame):
            return self.fail(Expired()), True
        index = getattr(frame, "index", None)
        if index is None:
            return (self.fail(error_of_frame(frame)) if isinstance(frame, ErrorFrame) else []), (
                isinstance(frame, ErrorFrame)
            )
        if index >= len(self._answers):
            return [], False
        if isinstance(frame, StartFrame) and self.conversation is not None:
            self.conversation.id = self.conversation.id or frame.conversation
        return self._answers[index].receive(frame), False

    def is_asked_again(self, frame: ServerFrame) -> bool:
        """Whether the server begins an answer again that nothing here reads.

        After its restart it has lost those that had ended here, and those that fail as expired.
        """
        if not isinstance(frame, StartFrame) or frame.index is None:
            return False
        if frame.index >= len(self._answers):
            return False
        answer = self._answers[frame.index]
        has_changed = answer.stream != frame.stream
        return has_changed and (answer.is_over or answer.stream is not None)


def _with_key(chat: ChatFrame) -> ChatFrame:
    return chat if chat.key is not None else replace(chat, key=secrets.token_hex(16))
