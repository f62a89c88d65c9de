"""The input of an AG-UI run as a value. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wireside.doors.requests import texts_in
from wireside.doors.threads import ClientFile, ClientQuestion, EarlierTurn
from wireside.errors import BadMessage, TooLarge
from wireside.openai_wire.completion_request import MAX_PARAMETERS_CHARS
from wireside.openai_wire.fields import BadField, WireFields, json_of, read_tools

MAX_ID_CHARS = 256

_MEDIA = ("image", "audio", "video", "document")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInput:
    """A request for a run.

    Attributes:
        thread: the client's id of the thread.
        run: the client's id of the run; the same id is answered once.
        question: the last message of the user.
        is_new: the question is the last message: the run answers it.
        earlier: the turns before it.
        answers: ids of interrupts with the user's answers.
        cancelled: ids of interrupts that the user cancelled.
        results: the results of the client's tools at the end of the messages, by the ids of the
            calls.
        tools: the tools that the client runs, as JSON text of parameters; "" without any.
        state: the state that the client shares with the handler; empty for none.
        system: the text of system and developer messages, and of the context.
        options: ``forwardedProps``: options of the question, such as ``model``.
    """

    thread: str
    run: str
    question: ClientQuestion | None
    is_new: bool
    earlier: tuple[EarlierTurn, ...]
    answers: tuple[tuple[str, object], ...]
    cancelled: tuple[str, ...]
    results: dict[str, str]
    tools: str
    state: dict[str, Any]
    system: str
    options: dict[str, Any]

    @property
    def is_opening(self) -> bool:
        """Whether it has no messages: the client opens a thread that the server has."""
        has_messages = self.question or self.earlier or self.results
        return not (has_messages or self.answers or self.cancelled)


def parse_input(body: dict[str, Any]) -> RunInput:
    """Return the input of a run. Raises ``BadMessage``."""
    messages = _objects(body, "messages")
    said = [one for one in messages if one.get("role") in ("user", "assistant", "tool")]
    place = max((i for i, one in enumerate(said) if one.get("role") == "user"), default=None)
    answers, cancelled = _resumed(_objects(body, "resume"))
    given = body.get("forwardedProps")
    return RunInput(
        thread=_id(body, "threadId"),
        run=_id(body, "runId"),
        question=None if place is None else _question(said[place]),
        is_new=place is not None and place == len(said) - 1,
        earlier=tuple(_turns(said[:place])),
        answers=answers,
        cancelled=cancelled,
        results=_results(said),
        tools=_tools(body),
        state=_state(body),
        system=_system(messages, _objects(body, "context")),
        options=given if isinstance(given, dict) else {},
    )


def _id(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARS:
        raise BadMessage(f"{name}: expected 1 to {MAX_ID_CHARS} characters.")
    return value


def _objects(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise BadMessage(f"{name}: expected a list of objects.")
    return value


def _system(messages: Sequence[dict[str, Any]], context: Sequence[dict[str, Any]]) -> str:
    texts = [
        texts_in(one.get("content"))
        for one in messages
        if one.get("role") in ("system", "developer")
    ]
    for one in context:
        description, value = one.get("description"), one.get("value")
        if isinstance(value, str) and value:
            texts.append(f"{description}: {value}" if isinstance(description, str) else value)
    return "\n\n".join(filter(None, texts))


def _question(message: dict[str, Any]) -> ClientQuestion:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    files = [
        file
        for part in parts
        if isinstance(part, dict) and part.get("type") in _MEDIA and (file := _file(part))
    ]
    return ClientQuestion(
        id=_id(message, "id") if "id" in message else "",
        text=texts_in(content),
        files=tuple(files),
    )


def _file(part: dict[str, Any]) -> ClientFile | None:
    source = part.get("source")
    if not isinstance(source, dict) or not isinstance(source.get("value"), str):
        raise BadMessage(f"messages: the source of a part of type {part['type']} is missing.")
    value, media_type = source["value"], source.get("mimeType")
    media_type = media_type if isinstance(media_type, str) else ""
    if source.get("type") == "data":
        value = f"data:{media_type};base64,{value}"
    about = part.get("metadata")
    name = about.get("filename") if isinstance(about, dict) else None
    return ClientFile(value, media_type, name if isinstance(name, str) else "")


def _turns(said: Sequence[dict[str, Any]]) -> list[EarlierTurn]:
    turns: list[EarlierTurn] = []
    for message in said:
        if message.get("role") == "user":
            turns.append(EarlierTurn(_question(message), ""))
        elif turns and message.get("role") == "assistant":
            texts = filter(None, (turns[-1].answer, texts_in(message.get("content"))))
            turns[-1] = EarlierTurn(turns[-1].question, "\n\n".join(texts))
    return turns


def _results(said: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the results after the last message of the user or the assistant."""
    results: dict[str, str] = {}
    for message in reversed(said):
        if message["role"] != "tool":
            break
        text = texts_in(message.get("content"))
        results[_id(message, "toolCallId")] = text or texts_in(message.get("error"))
    return results


def _tools(body: dict[str, Any]) -> str:
    try:
        fields = [WireFields(tool, f"tools[{i}]") for i, tool in enumerate(_objects(body, "tools"))]
        tools = read_tools(fields, nested=False)
    except BadField as error:
        raise BadMessage(str(error)) from error
    text = json_of({"tools": tools}) if tools else ""
    if len(text) > MAX_PARAMETERS_CHARS:
        raise TooLarge("tools: are too long.")
    return text


def _state(body: dict[str, Any]) -> dict[str, Any]:
    """Return the client's state; other JSON values than objects fit no handler."""
    state = body.get("state")
    return state if isinstance(state, dict) else {}


def _resumed(
    entries: Sequence[dict[str, Any]],
) -> tuple[tuple[tuple[str, object], ...], tuple[str, ...]]:
    answers: list[tuple[str, object]] = []
    cancelled: list[str] = []
    for entry in entries:
        interrupt = _id(entry, "interruptId")
        if entry.get("status") == "cancelled":
            cancelled.append(interrupt)
            continue
        payload = entry.get("payload")
        if isinstance(payload, dict) and isinstance(payload.get("approved"), bool):
            payload = payload["approved"]  # as approvals of tools are answered elsewhere
        answers.append((interrupt, payload))
    return tuple(answers), tuple(cancelled)
