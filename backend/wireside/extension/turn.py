"""What a handler gets: the question with its context, and the ways to act on the answer."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from inspect import isawaitable
from types import TracebackType
from typing import Any, Generic, Protocol, Self, cast, overload

from typing_extensions import TypeVar

from wireside.extension.parts import StepPart, StepState, as_text, to_json
from wireside.extension.questions import Question
from wireside.identity import Caller
from wireside.messages import Message
from wireside.openai_wire.requests import encode_messages
from wireside.parts import FilePart, ImagePart

OptionsT = TypeVar("OptionsT", default=Any)
StateT = TypeVar("StateT", default=Any)
T = TypeVar("T")

Messages = Sequence[Message] | Sequence[Mapping[str, Any]]
"""Messages as values, or in the format of OpenAI's API."""

ONCE = ".once"
SAVED = ".saved"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """The user that asks. Without accounts, ``id`` and ``name`` are ""."""

    id: str = ""
    name: str = ""
    groups: tuple[str, ...] = ()

    @classmethod
    def of(cls, caller: Caller) -> User:
        """Return the user of a request; with the id that a host application gave it."""
        groups = tuple(sorted(caller.groups))
        return cls(id=caller.host_id or caller.user_id, name=caller.name, groups=groups)


class CannotAsk(RuntimeError):
    """The question can't be answered later: the request is not part of a conversation."""


class Output(Protocol):
    """Where the parts of an answer go, and how a question waits for its answer."""

    run: str
    """Id of this run of the handler; a run that is repeated after a restart has the same."""

    def emit(self, value: object) -> None:
        """Add a value to the answer."""
        ...

    async def ask(self, question: Question) -> Any:
        """Return the answer to a question."""
        ...

    def stored(self, kind: str, name: str) -> str | None:
        """Return the JSON text that was stored under a name in this answer."""
        ...

    def store(self, kind: str, name: str, value: object) -> None:
        """Store a value under a name in this answer."""
        ...

    def complete(self, messages: Messages, model: str | None) -> AsyncIterator[str]:
        """Stream the text of another model's answer."""
        ...


class NoOutput:
    """Keeps what is emitted in ``parts``: for handlers that a test calls directly."""

    def __init__(self) -> None:
        self.run = ""
        self.parts: list[object] = []
        self._stored: dict[tuple[str, str], str] = {}
        self.answers: list[Any] = []

    def emit(self, value: object) -> None:
        """Add a value to ``parts``."""
        self.parts.append(value)

    async def ask(self, question: Question) -> Any:
        """Return the next of ``answers``. Raises ``CannotAsk`` if there is none."""
        if not self.answers:
            raise CannotAsk("The handler asked a question that the test has no answer for.")
        return question.parse(self.answers.pop(0))

    def stored(self, kind: str, name: str) -> str | None:
        """Return the JSON text that was stored under a name."""
        return self._stored.get((kind, name))

    def store(self, kind: str, name: str, value: object) -> None:
        """Store a value under a name."""
        self._stored[kind, name] = to_json(value)

    def complete(self, messages: Messages, model: str | None) -> AsyncIterator[str]:
        """Raise ``RuntimeError``: a direct call has no server with other models."""
        raise RuntimeError("Only a server has other models: use `ChatTester`.")


class Turn(Generic[OptionsT, StateT]):
    """One question, and the answer that the handler writes.

    A handler yields text and parts; ``emit`` does the same from a callback. A test makes a turn
    itself: ``Turn("hi", user="ada")``.
    """

    def __init__(
        self,
        text: str,
        *,
        user: User | str = "",
        messages: Sequence[Message] | None = None,
        files: Sequence[ImagePart | FilePart] = (),
        options: OptionsT | None = None,
        state: StateT | None = None,
        model: str = "",
        conversation: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        output: Output | None = None,
    ) -> None:
        """Make a turn.

        Args:
            text: the question.
            user: the user, or an id and name of one.
            messages: the context, the question last; None for the question alone.
            files: the files and images of the question.
            options: the options that the user chose.
            state: the state after the turn before this one.
            model: the name of the handler.
            conversation: id of the conversation, None if the answer is not stored.
            parameters: what a client of the OpenAI-compatible API has requested.
            output: where the answer goes; None keeps it in memory.
        """
        self.text = text
        self.user = user if isinstance(user, User) else User(id=user, name=user)
        self.context = tuple(messages or (Message.of_text("user", text),))
        """The context as values; ``messages`` is the same in OpenAI's format."""
        self.files = tuple(files)
        self.options = cast("OptionsT", options)
        self.state = cast("StateT", state)
        self.model = model
        self.conversation = conversation
        self.parameters = dict(parameters or {})
        """What the request sets in OpenAI's names: ``temperature``, ``stop``, ``tools`` …

        ``tools`` are those that the client runs: a handler that yields a ``ToolDelta`` in the state
        ``requested``, or forwards a model's chunks, requests a call of one.
        """
        self.output: Output = output or NoOutput()
        self.stopped = False
        """Whether the user has stopped the answer, for handlers in a thread."""
        self._steps: list[str] = []

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The context in the format of OpenAI's API: tool calls and results included."""
        return encode_messages(self.context)

    def emit(self, value: object) -> None:
        """Add a text or a part to the answer; the same as yielding it."""
        self.output.emit(value)

    def step(self, name: str, input: object = "") -> Step:  # noqa: A002 (as its field)
        """Return a step of the answer, shown while and after the block runs.

        Steps in a step are nested. An exception in the block marks the step as failed::

            async with turn.step("query", input=sql) as step:
                step.output = await run(sql)
        """
        return Step(self, name, input)

    def ask(self, question: Question) -> Asking:
        """Ask the user; await the result for the answer.

        The turn ends until the question is answered, and needs no slot; the answer may come days
        later, after a restart. Then the handler is called again: it runs silently up to this
        question, earlier questions return at once, and ``once`` repeats nothing.

        Raises:
            CannotAsk: the request is not part of a conversation.
        """
        if not hasattr(question, "fields") or not hasattr(question, "parse"):
            raise TypeError(
                "turn.ask wants a question: Approve(…), Choose(…), Form(…), AskText(…) or"
                " AskFile(…)."
            )
        return Asking(self.output, question)

    @overload
    async def once(self, name: str, work: Callable[[], Awaitable[T]]) -> T: ...

    @overload
    async def once(self, name: str, work: Callable[[], T]) -> T: ...

    async def once(self, name: str, work: Callable[[], Any]) -> Any:
        """Return what ``work`` returned the first time, also after a restart.

        Args:
            name: name of the work, unique within the handler.
            work: a function or coroutine function whose result is JSON.
        """
        stored = self.output.stored(ONCE, name)
        if stored is None:
            result = work()
            value = await result if isawaitable(result) else result
            self.output.store(ONCE, name, value)
            stored = self.output.stored(ONCE, name)
        return json.loads(stored or "null")

    @property
    def saved(self) -> Any:
        """A JSON value that is stored with the turn; None at first.

        For frameworks with a durable state of their own.
        """
        return json.loads(self.output.stored(SAVED, "") or "null")

    @saved.setter
    def saved(self, value: object) -> None:
        self.output.store(SAVED, "", value)

    def complete(
        self,
        messages: Messages | None = None,
        *,
        model: str | None = None,
    ) -> AsyncIterator[str]:
        """Stream the text of another model's answer.

        Args:
            messages: the context, as values or in the format of OpenAI's API; None for that of
                this turn.
            model: name of the model; None for the server's default besides the handlers.
        """
        return self.output.complete(self.context if messages is None else messages, model)


class Asking:
    """A question that is asked when it is awaited."""

    def __init__(self, output: Output, question: Question) -> None:
        self._output = output
        self._question = question

    def __await__(self) -> Generator[Any, Any, Any]:
        """Ask the question and return its answer."""
        return self._output.ask(self._question).__await__()

    def __bool__(self) -> bool:
        """Raise ``TypeError``: without ``await``, every question would be answered by yes."""
        raise TypeError("Write `await turn.ask(…)`. A handler without `async` can't ask questions.")


class Step(AbstractAsyncContextManager["Step"]):
    """A step of an answer: what the handler does, with its input and output."""

    def __init__(self, turn: Turn[Any, Any], name: str, input: object) -> None:  # noqa: A002
        self._turn = turn
        self.id = secrets.token_hex(6)
        self.name = name
        self.input = input
        self.output: object = ""
        """What the step has found; shown when it ends."""
        self._parent = ""
        self._began = 0.0

    async def __aenter__(self) -> Self:
        """Show the step as running."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show the step as done or failed."""
        self.__exit__(kind, error, trace)

    def __enter__(self) -> Self:
        """Show the step as running."""
        steps = self._turn._steps
        self._parent = steps[-1] if steps else ""
        steps.append(self.id)
        self._began = time.monotonic()
        self._show("running", None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show the step as done or failed."""
        if self.id in self._turn._steps:
            self._turn._steps.remove(self.id)
        if error is not None and not self.output:
            self.output = type(error).__name__
        self._show("done" if error is None else "failed", time.monotonic() - self._began)

    def _show(self, state: StepState, seconds: float | None) -> None:
        self._turn.emit(
            StepPart(
                id=self.id,
                name=self.name,
                state=state,
                input=as_text(self.input),
                output=as_text(self.output),
                parent=self._parent,
                seconds=None if seconds is None else round(seconds, 3),
            )
        )
