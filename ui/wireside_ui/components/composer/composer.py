"""The message composer: text box, send and stop button, model settings."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeGuard

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from wireside.chat.access import Right
from wireside.chat.comparison import MAX_MODELS
from wireside.chat.effort import EFFORTS, effort_of, parameters_with
from wireside.messages import Options
from wireside_ui.components.kit import KIT
from wireside_ui.presenters.link import NO_LINK, ChatLink
from wireside_ui.presenters.rows import FileRow
from wireside_ui.presenters.views import ContextRow, Sending

MAX_ID_CHARS = 64
MAX_MODEL_CHARS = 200
MAX_SYSTEM_CHARS = 20_000
MAX_TEMPERATURE = 2
MAX_TOKENS = 1_000_000
MAX_VALUES_CHARS = 20_000


class Composer(
    Element, component="wireside_composer.js", esm=KIT | {"wireside-composer": "modules"}
):
    """The composer element.

    The draft and every unacknowledged question are stored in the browser, so that neither a reload
    nor a lost connection loses text. Every ``Sending`` must be answered by ``accepted`` or
    ``refused``.
    """

    def __init__(
        self,
        *,
        conversation: str | None,
        lost: str | None,
        base: str,
        max_chars: int,
        max_files: int = 0,
        max_file_mb: int = 0,
        recording_s: int = 0,
        is_reader: bool = False,
        right: Right = "own",
        footer: str = "",
        links: Mapping[str, str] | None = None,
        words: Mapping[str, str],
        on_send: Callable[[Sending], Awaitable[None]],
        on_stop: Callable[[], Awaitable[None]],
        on_edit_last: Callable[[], Awaitable[None]],
        on_open: Callable[[str, str | None], Awaitable[None]],
        on_choose: Callable[[str, Options], Awaitable[None]],
        on_compact: Callable[[], Awaitable[None]],
        options: Options | None = None,
        preset: Options | None = None,
        link: ChatLink = NO_LINK,
        link_preset: Options | None = None,
    ) -> None:
        """Create the composer.

        Args:
            conversation: id of the conversation that the page shows; None for a new one.
            lost: id of the conversation in the page's address if it no longer exists; its draft is
                carried over.
            base: path that the application is mounted at, without a trailing slash.
            max_chars: maximum length of a question.
            max_files: maximum number of files of a question; 0: files are not accepted.
            max_file_mb: maximum size of a file in MB.
            recording_s: longest recording in seconds; 0: there is no microphone button.
            is_reader: the user may not ask questions.
            right: what the user may do with the conversation.
            footer: the line below the box, "" for the built-in one.
            links: addresses by label below it.
            words: texts of the interface.
            on_send: called with each question.
            on_stop: called when the user stops the answer.
            on_edit_last: called when the user asks to edit the last question.
            on_open: called with the id of the conversation in the browser's new address ("" for a
                new one) and the id of the turn to scroll to, if any.
            on_choose: called with the id of a conversation and the options chosen for it.
            on_compact: called when the user wants older turns to be summarised.
            options: options of ``conversation``.
            preset: the preset for new chats.
            link: what the address of a new chat asks for.
            link_preset: the preset that ``link`` names.
        """
        super().__init__()
        self._props["conversation"] = conversation or ""
        self._props["lost"] = lost or ""
        self._props["base"] = base
        self._props["max-chars"] = max_chars
        self._props["max-files"] = max_files
        self._props["max-file-mb"] = max_file_mb
        self._props["recording-s"] = recording_s
        self._props["is-viewer"] = is_reader
        self._props["right"] = right
        self._props["footer"] = footer
        self._props["links"] = list((links or {}).items())
        self._props["words"] = dict(words)
        self._props["chosen"] = plain_options(options) if options else None
        self._props["link"] = {
            "question": link.question,
            "model": link.model,
            "isTemporary": link.is_temporary,
            "preset": plain_options(link_preset) if link_preset else None,
            "isPresetMissing": bool(link.preset) and link_preset is None,
        }
        self._props["preset"] = plain_options(preset) if preset else None
        self._on_choose = on_choose
        self._on_send = on_send
        self._on_open = on_open
        self.on("send", self._send)
        self.on("stop", on_stop)
        self.on("edit-last", on_edit_last)
        self.on("compact", on_compact)
        self.on("open", self._open)
        self.on("choose", self._choose)

    def accepted(self, turn_id: str, conversation_id: str) -> None:
        """Acknowledge a question; the address of a new chat becomes that of the conversation."""
        self.run_method("accepted", turn_id, conversation_id)

    def refused(self, turn_id: str, sentence: str, wait_s: float | None = None) -> None:
        """Refuse a question: put the text back and show the reason.

        If ``wait_s`` is given, a countdown of that many seconds runs until the next attempt.
        """
        self.run_method("refused", turn_id, sentence, wait_s)

    def tell(self, sentence: str, wait_s: float | None = None) -> None:
        """Show an error below the box, with the countdown of ``refused``."""
        self.run_method("tell", sentence, wait_s)

    def allow(self, sentence: str) -> None:
        """Show how much of the user's quota is left; "" hides it."""
        self.run_method("allow", sentence)

    def show_context(self, use: ContextRow | None) -> None:
        """Show how much of the model's context is used; None without turns."""
        self.run_method("setContext", use)

    def compacting(self, is_compacting: bool) -> None:
        """Set whether older turns are being summarised."""
        self.run_method("setCompacting", is_compacting)

    def answering(self, is_answering: bool) -> None:
        """Set whether an answer is in progress: the button then stops it.

        Otherwise the button sends, and is disabled while the box is empty.
        """
        self.run_method("setAnswering", is_answering)

    def put_back(self, question: str, files: Sequence[FileRow]) -> None:
        """Insert a withdrawn question into the box, before the existing text, and its files."""
        self.run_method("putBack", question, list(files))

    def edit(self, turn_id: str, question: str, files: Sequence[FileRow]) -> None:
        """Load the question of a turn, with its files, into the box for editing."""
        self.run_method("edit", turn_id, question, list(files))

    def set_right(self, right: Right) -> None:
        """Set what the user may do with the conversation."""
        self.run_method("setRight", right)

    def lose(self, conversation_id: str) -> None:
        """Report that the opened conversation no longer exists."""
        self.run_method("lose", conversation_id)

    def set_choice(self, conversation_id: str, options: Options | None) -> None:
        """Show the model and settings of a conversation, if the browser still shows it.

        ``options`` is None if the conversation can't be read: the next question then starts a new
        one.
        """
        plain = plain_options(options) if options else None
        self.run_method("setChoice", conversation_id, plain)

    def come_back(self, conversation_id: str) -> None:
        """Reopen a restored conversation that was deleted while the page showed it."""
        self.run_method("comeBack", conversation_id)

    def go_to(self, conversation_id: str) -> None:
        """Open a conversation that was just created."""
        self.run_method("goTo", conversation_id)

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
    """Validate the untrusted arguments of a ``send`` event; None if they are malformed."""
    if not isinstance(args, dict):
        return None
    turn_id, question = args.get("turn_id"), args.get("question")
    if not (
        isinstance(turn_id, str) and 0 < len(turn_id) <= MAX_ID_CHARS and isinstance(question, str)
    ):
        return None
    options, invalid = _options(args.get("options"))
    edits = args.get("edits")
    attachments = args.get("attachments") or []
    if not isinstance(attachments, list) or not all(map(_is_id, attachments)):
        return None
    return Sending(
        turn_id=turn_id,
        question=question,
        options=options,
        edits=edits if isinstance(edits, str) and len(edits) <= MAX_ID_CHARS else None,
        attachments=tuple(attachments),
        invalid=invalid,
        is_once=args.get("once") is True,
        is_temporary=args.get("temporary") is True,
        steers=args.get("steers") is True,
        compared=_models(args.get("compared")),
    )


def _models(given: Any) -> tuple[str, ...]:
    """Return the models that answer side by side; none if they are malformed."""
    if not isinstance(given, list) or len(given) > MAX_MODELS:
        return ()
    is_valid = all(isinstance(one, str) and 0 < len(one) <= MAX_MODEL_CHARS for one in given)
    return tuple(given) if is_valid else ()


def plain_options(options: Options) -> dict[str, Any]:
    """Return the options that the browser shows, as JSON values."""
    return {
        "model": options.model,
        "system": options.system,
        "temperature": options.temperature,
        "max_tokens": options.max_tokens,
        "effort": effort_of(options.parameters),
        "values": json.loads(options.values) if options.values else None,
    }


def _options(given: Any) -> tuple[Options, str]:
    """Parse options sent by the browser; also return the name of the first invalid one, or "".

    Invalid options are omitted; None or blank text selects the default.
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
    effort = valid.pop("effort", None)
    return Options(**valid, parameters=parameters_with("", effort)), invalid


def _model(value: Any) -> str | None:
    return _text(value, MAX_MODEL_CHARS)


def _system(value: Any) -> str | None:
    return _text(value, MAX_SYSTEM_CHARS)


def _temperature(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    if not 0 <= value <= MAX_TEMPERATURE:  # NaN fails this test too
        raise ValueError
    return float(value)


def _max_tokens(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError
    if not 1 <= value <= MAX_TOKENS:
        raise ValueError
    return value


def _values(value: Any) -> str:
    """Return the model's own options as JSON text; the model's class of options checks them."""
    if not isinstance(value, dict):
        raise ValueError
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if len(text) > MAX_VALUES_CHARS:
        raise ValueError
    return text if value else ""


def _effort(value: Any) -> str:
    if value not in EFFORTS:
        raise ValueError
    return str(value)


def _text(value: Any, max_chars: int) -> str | None:
    if not isinstance(value, str) or len(value) > max_chars:
        raise ValueError
    return value if value.strip() else None


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "model": _model,
    "system": _system,
    "temperature": _temperature,
    "max_tokens": _max_tokens,
    "effort": _effort,
    "values": _values,
}
