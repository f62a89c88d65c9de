"""The requests of AI SDK clients as values. Pure: no I/O.

The frames of the WebSocket transport and the bodies of the SSE transport have the same fields,
apart from ``body``, whose fields the latter has at the top. ``headers`` of frames are not read: a
connection is authenticated by its handshake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wireside.doors.threads import ClientFile, ClientQuestion, EarlierTurn
from wireside.errors import BadMessage, UnknownType

MAX_ID_CHARS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """A request for an answer.

    Attributes:
        chat: the client's id of the chat.
        trigger: what is asked for.
        message_id: the edited question, or the answer to replace; None for neither.
        question: the last message if it is a question.
        answers: ids of questions of the server with the user's answers, in the last message.
        earlier: the turns before the last message.
        system: the text of the client's system messages.
        body: fields that the client's code adds, such as ``model``.
    """

    chat: str
    trigger: Literal["submit-message", "regenerate-message"]
    message_id: str | None
    question: ClientQuestion | None
    answers: tuple[tuple[str, object], ...]
    earlier: tuple[EarlierTurn, ...]
    system: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """A request for a replay of the answer that runs in a chat."""

    chat: str


@dataclass(frozen=True, slots=True)
class AbortRequest:
    """A request to stop the answer of another request on the same socket."""


def parse_frame(fields: dict[str, Any]) -> SendRequest | ResumeRequest | AbortRequest:
    """Return the request of a frame. Raises ``BadMessage`` and ``UnknownType``."""
    match fields.get("type"):
        case "send":
            body = fields.get("body")
            return parse_send(fields, body if isinstance(body, dict) else {})
        case "resume":
            return ResumeRequest(_id(fields, "id"))
        case "abort":
            return AbortRequest()
        case _:
            raise UnknownType("type: expected send, resume or abort.")


def parse_send(fields: dict[str, Any], body: dict[str, Any]) -> SendRequest:
    """Return a request for an answer. Raises ``BadMessage``."""
    trigger = fields.get("trigger", "submit-message")
    if trigger not in ("submit-message", "regenerate-message"):
        raise BadMessage("trigger: expected submit-message or regenerate-message.")
    messages = fields.get("messages")
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        raise BadMessage("messages: expected a list of messages.")
    said = [one for one in messages if one.get("role") in ("user", "assistant")]
    system = "\n\n".join(_text_of(one) for one in messages if one.get("role") == "system")
    last = said[-1] if said else {}
    is_answered = last.get("role") == "assistant"
    place = max((i for i, one in enumerate(said) if one.get("role") == "user"), default=None)
    question = None if place is None else _question(said[place])
    is_submitted = trigger == "submit-message"
    if is_submitted and question is None:
        raise BadMessage("messages: the last one is the question; there is none.")
    return SendRequest(
        chat=_id(fields, "id"),
        trigger=trigger,
        message_id=_optional_id(fields, "messageId"),
        question=None if is_submitted and is_answered else question,
        answers=tuple(_answers(last)) if is_submitted and is_answered else (),
        earlier=tuple(_turns(said[:place])),
        system=system,
        body=body,
    )


def _id(fields: dict[str, Any], name: str) -> str:
    value = _optional_id(fields, name)
    if not value:
        raise BadMessage(f"{name}: is missing.")
    return value


def _optional_id(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > MAX_ID_CHARS):
        raise BadMessage(f"{name}: expected a string of at most {MAX_ID_CHARS} characters.")
    return value


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    parts = message.get("parts")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise BadMessage("messages: each needs its parts, a list of objects.")
    return parts


def _text_of(message: dict[str, Any]) -> str:
    texts = [part.get("text") for part in _parts(message) if part.get("type") == "text"]
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)


def _question(message: dict[str, Any]) -> ClientQuestion:
    files = [
        ClientFile(url, _string(part, "mediaType"), _string(part, "filename"))
        for part in _parts(message)
        if part.get("type") == "file" and (url := _string(part, "url"))
    ]
    return ClientQuestion(
        id=_optional_id(message, "id") or "", text=_text_of(message), files=tuple(files)
    )


def _string(part: dict[str, Any], name: str) -> str:
    value = part.get(name)
    return value if isinstance(value, str) else ""


def _turns(said: Sequence[dict[str, Any]]) -> list[EarlierTurn]:
    """Return messages as turns; the texts of several answers to a question are joined."""
    turns: list[EarlierTurn] = []
    for message in said:
        if message.get("role") == "user":
            turns.append(EarlierTurn(_question(message), ""))
        elif turns:
            texts = filter(None, (turns[-1].answer, _text_of(message)))
            turns[-1] = EarlierTurn(turns[-1].question, "\n\n".join(texts))
    return turns


def _answers(message: dict[str, Any]) -> list[tuple[str, object]]:
    """Return the user's answers in a message, which are those of tool calls of the client."""
    found: list[tuple[str, object]] = []
    for part in _parts(message):
        call, kind = part.get("toolCallId"), str(part.get("type"))
        name = part.get("toolName") if kind == "dynamic-tool" else kind.removeprefix("tool-")
        if not isinstance(call, str) or not str(name).startswith("ask_"):
            continue
        approval = part.get("approval")
        if isinstance(approval, dict) and isinstance(approval.get("approved"), bool):
            found.append((call, approval["approved"]))
        elif part.get("state") == "output-available" and part.get("output") is not None:
            found.append((call, part["output"]))
    return found
