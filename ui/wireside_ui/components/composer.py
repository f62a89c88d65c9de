"""The box at the bottom: text, send and stop, the model's settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from wireside.messages import Options

MAX_ID_CHARS = 64
MAX_MODEL_CHARS = 200
MAX_SYSTEM_CHARS = 20_000
MAX_TEMPERATURE = 2
MAX_TOKENS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A question that the browser wants asked. ``turn_id`` is the browser's, so that a question
    sent twice is asked once; ``edits`` is the turn that it takes the place of. ``invalid`` names
    an option that is out of its range: the question must be refused.
    """

    turn_id: str
    question: str
    options: Options
    edits: str | None
    invalid: str = ""


class Composer(Element, component="wireside_composer.js", esm={"wireside-kit": "kit"}):
    """Keeps its text, and what was sent and not yet acknowledged, in the browser: neither a
    reload nor a lost connection loses a word. Every ``Sending`` must be answered by ``accepted``
    or ``refused``.
    """

    def __init__(
        self,
        *,
        conversation: str | None,
        lost: str | None,
        base: str,
        max_chars: int,
        is_reader: bool = False,
        words: Mapping[str, str],
        on_send: Callable[[Sending], Awaitable[None]],
        on_stop: Callable[[], Awaitable[None]],
        on_edit_last: Callable[[], Awaitable[None]],
        on_open: Callable[[str, str | None], Awaitable[None]],
        on_choose: Callable[[str, Options], Awaitable[None]],
        options: Options | None = None,
    ) -> None:
        """``lost`` is the conversation of the page's address that is not here any more: what was
        written there comes along; ``is_reader`` may not ask. ``on_open`` hears which conversation
        the browser's address has become, "" for a new one, and which turn of it is looked for.
        ``on_choose`` gets the id of a conversation and the options that were chosen for it;
        ``options`` are those of ``conversation``.
        """
        super().__init__()
        self._props["conversation"] = conversation or ""
        self._props["lost"] = lost or ""
        self._props["base"] = base
        self._props["max-chars"] = max_chars
        self._props["is-reader"] = is_reader
        self._props["words"] = dict(words)
        self._props["chosen"] = plain_options(options) if options else None
        self._on_choose = on_choose
        self._on_send = on_send
        self._on_open = on_open
        self.on("send", self._send)
        self.on("stop", on_stop)
        self.on("edit-last", on_edit_last)
        self.on("open", self._open)
        self.on("choose", self._choose)

    def accepted(self, turn_id: str, conversation_id: str) -> None:
        """The question is the server's now; a new chat's address becomes the conversation's."""
        self.run_method("accepted", turn_id, conversation_id)

    def refused(self, turn_id: str, sentence: str, wait_s: float | None = None) -> None:
        """The question could not be asked: give the text back and say why, and count down until it
        can be tried again.
        """
        self.run_method("refused", turn_id, sentence, wait_s)

    def tell(self, sentence: str, wait_s: float | None = None) -> None:
        """Say under the box what could not be done, and count down as ``refused`` does."""
        self.run_method("tell", sentence, wait_s)

    def allow(self, sentence: str) -> None:
        """Say what is left of somebody's limits; "" while that is plenty."""
        self.run_method("allow", sentence)

    def answering(self, is_answering: bool) -> None:
        """Whether the button stops, instead of being off while the box is empty."""
        self.run_method("setAnswering", is_answering)

    def put_back(self, question: str) -> None:
        """Put a question that was taken back into the box, before what stands there."""
        self.run_method("putBack", question)

    def edit(self, turn_id: str, question: str) -> None:
        """Offer a question that was asked to be changed and asked anew."""
        self.run_method("edit", turn_id, question)

    def lose(self, conversation_id: str) -> None:
        """The conversation that was opened is not here any more."""
        self.run_method("lose", conversation_id)

    def set_choice(self, conversation_id: str, options: Options | None) -> None:
        """Show the model and settings of a conversation, if the browser still shows it.

        None: the conversation can't be read, so that the next question begins a new one.
        """
        plain = plain_options(options) if options else None
        self.run_method("setChoice", conversation_id, plain)

    def come_back(self, conversation_id: str) -> None:
        """Open a conversation again that was deleted while the page showed it."""
        self.run_method("comeBack", conversation_id)

    async def _choose(self, event: GenericEventArguments) -> None:
        args = event.args if isinstance(event.args, dict) else {}
        conversation_id = args.get("id")
        options, invalid = _options(args.get("options"))
        if _is_id(conversation_id) and not invalid:
            await self._on_choose(conversation_id, options)

    async def _open(self, event: GenericEventArguments) -> None:
        args = event.args if isinstance(event.args, dict) else {}
        conversation_id, turn_id = args.get("id"), args.get("turn")
        if _is_id(conversation_id) and (turn_id is None or _is_id(turn_id)):
            await self._on_open(conversation_id, turn_id)

    async def _send(self, event: GenericEventArguments) -> None:
        sending = _sending(event.args)
        if sending is not None:
            await self._on_send(sending)


def _is_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= MAX_ID_CHARS


def _sending(args: Any) -> Sending | None:
    """Read what a browser sent, which anybody could have written."""
    if not isinstance(args, dict):
        return None
    turn_id, question = args.get("turn_id"), args.get("question")
    if not (
        isinstance(turn_id, str) and 0 < len(turn_id) <= MAX_ID_CHARS and isinstance(question, str)
    ):
        return None
    options, invalid = _options(args.get("options"))
    edits = args.get("edits")
    return Sending(
        turn_id=turn_id,
        question=question,
        options=options,
        edits=edits if isinstance(edits, str) and len(edits) <= MAX_ID_CHARS else None,
        invalid=invalid,
    )


def plain_options(options: Options) -> dict[str, Any]:
    """Return what the browser shows of ``options``, as JSON values."""
    return {
        "model": options.model,
        "system": options.system,
        "temperature": options.temperature,
        "max_tokens": options.max_tokens,
    }


def _options(given: Any) -> tuple[Options, str]:
    """Return the options that a browser sent, and the name of the first one that is not valid.

    An option that is not valid is left out; one that is None or blank is the default.
    """
    sent = given if isinstance(given, dict) else {}
    valid: dict[str, Any] = {}
    invalid = ""
    for name, read in _READERS.items():
        value = sent.get(name)
        if value is None:
            continue
        try:
            valid[name] = read(value)
        except ValueError:
            invalid = invalid or name
    return Options(**valid), invalid


def _model(value: Any) -> str | None:
    return _text(value, MAX_MODEL_CHARS)


def _system(value: Any) -> str | None:
    return _text(value, MAX_SYSTEM_CHARS)


def _temperature(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    if not 0 <= value <= MAX_TEMPERATURE:  # neither is NaN
        raise ValueError
    return float(value)


def _max_tokens(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError
    if not 1 <= value <= MAX_TOKENS:
        raise ValueError
    return value


def _text(value: Any, max_chars: int) -> str | None:
    if not isinstance(value, str) or len(value) > max_chars:
        raise ValueError
    return value if value.strip() else None


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "model": _model,
    "system": _system,
    "temperature": _temperature,
    "max_tokens": _max_tokens,
}
