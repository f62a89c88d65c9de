"""A conversation in memory: a tree of turns, of which one path is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from wireside.errors import NotFound
from wireside.generation.runner import Stream
from wireside.messages import Message, Options

TITLE_CHARS = 60


@dataclass(slots=True, eq=False)
class Answer:
    """One answer to a question: a stream, and one more for each "Continue"."""

    segments: list[Stream]

    @property
    def text(self) -> str:
        """The visible text so far."""
        return "".join(stream.log.text() for stream in self.segments)

    @property
    def is_live(self) -> bool:
        """Whether it may still grow."""
        return self.segments[-1].is_live


@dataclass(slots=True, eq=False)
class Turn:
    """A question with its answers, of which the last one is shown."""

    id: str
    question: str
    options: Options
    parent: Turn | None
    answers: list[Answer] = field(default_factory=list)
    waiting: bool = True

    @property
    def model(self) -> str | None:
        """The model that was asked for, None for the default."""
        return self.options.model

    @property
    def is_live(self) -> bool:
        """Whether an answer is being made."""
        return bool(self.answers) and self.answers[-1].is_live


class Conversation:
    """Turns in a tree; who watches is woken when its shape changes."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self.leaf: Turn | None = None
        self._turns: dict[str, Turn] = {}
        self._wakes: dict[object, Callable[[], None]] = {}

    @property
    def title(self) -> str:
        """The first words of the first question."""
        path = self.path()
        words = " ".join(path[0].question.split()) if path else ""
        return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1] + "…"

    def path(self) -> list[Turn]:
        """Return the turns of the shown branch, oldest first."""
        turns: list[Turn] = []
        turn = self.leaf
        while turn is not None:
            turns.append(turn)
            turn = turn.parent
        return turns[::-1]

    def find(self, turn_id: str) -> Turn | None:
        """Return the turn of that id, on whatever branch."""
        return self._turns.get(turn_id)

    def turn(self, turn_id: str) -> Turn:
        """Return the turn of that id on the shown branch. Raises ``NotFound``."""
        for turn in self.path():
            if turn.id == turn_id:
                return turn
        raise NotFound("This message is not in the conversation any more.")

    def add(self, turn: Turn) -> None:
        """Make ``turn``, whose parent is set, the end of the shown branch."""
        self._turns[turn.id] = turn
        self.leaf = turn
        self.changed()

    def remove(self, turn: Turn) -> None:
        """Take a turn without answers out of the shown branch."""
        del self._turns[turn.id]
        if self.leaf is turn:
            self.leaf = turn.parent
        for other in self._turns.values():
            if other.parent is turn:
                other.parent = turn.parent
        self.changed()

    def first_waiting(self) -> Turn | None:
        """Return the first turn of the shown branch that waits for its answer."""
        return next((turn for turn in self.path() if turn.waiting), None)

    def live_stream(self) -> Stream | None:
        """Return an answer of the shown branch that is being made."""
        return next((t.answers[-1].segments[-1] for t in self.path() if t.is_live), None)

    def context_of(self, turn: Turn) -> list[Message]:
        """Return all that was said before ``turn``, and its question."""
        messages: list[Message] = []
        for earlier in self.path():
            if earlier is turn:
                break
            if earlier.answers and (text := earlier.answers[-1].text):
                messages += [Message("user", earlier.question), Message("assistant", text)]
        return [*messages, Message("user", turn.question)]

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake``, which must be cheap, at each change; returns what ends that."""
        key = object()
        self._wakes[key] = wake

        def unsubscribe() -> None:
            self._wakes.pop(key, None)

        return unsubscribe

    def changed(self) -> None:
        """Wake everybody who watches."""
        for wake in tuple(self._wakes.values()):
            wake()
