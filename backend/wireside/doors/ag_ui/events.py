"""The AG-UI events of an answer (protocol version 1.0). Pure: no I/O, no clock.

The client verifies the order of events: each message, call and step is begun before it is
continued, and ended before the run is finished.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, assert_never

from wireside.doors.json_texts import encode_text, json_in, to_json
from wireside.doors.tool_ids import ToolIds
from wireside.extension.questions import KIND as QUESTION
from wireside.generation.log import PartPiece, Piece, ReasoningPiece, TextPiece, ToolPiece
from wireside.messages import End, ToolDelta, Usage
from wireside.parts import SHARED_STATE, DataPart, FilePart, ImagePart, data_of, upload_of

PROTOCOL_VERSION: Final = "1.0"


class EventEncoder:
    """Encodes one run as events, each a JSON text.

    Args:
        thread: the client's id of the thread.
        run: the client's id of the run.
        files_url: beginning of the addresses of files that the server keeps.
        is_opening: whether the client opens the thread: it gets the results of its own tools, too.
    """

    def __init__(
        self, thread: str, run: str, *, files_url: str = "/api/files/", is_opening: bool = False
    ) -> None:
        self._is_opening = is_opening
        self._thread = thread
        self._run = run
        self._files_url = files_url
        self._stream = ""
        self._messages = 0
        self._open: type[Piece] | None = None
        self._open_id = ""
        self._content = ""  # the beginning of the next content event of the open message
        self._tools = ToolIds()
        self._begun: set[str] = set()
        self._finished: set[str] = set()
        self._of_client: set[str] = set()  # calls that the client runs: it has their results
        self._steps: dict[str, str] = {}  # names of running steps by id
        self._questions: dict[str, dict[str, Any]] = {}

    def start(self) -> list[str]:
        """Return the first event of a run."""
        return [
            _event(
                "RUN_STARTED",
                threadId=self._thread,
                runId=self._run,
                protocolVersion=PROTOCOL_VERSION,
            )
        ]

    def show_messages(self, messages: list[dict[str, Any]]) -> list[str]:
        """Return the event with the messages of a thread that the client opens."""
        return [_event("MESSAGES_SNAPSHOT", messages=messages)]

    def begin_segment(self, stream: str, about: dict[str, Any]) -> list[str]:
        """Begin a stream of the answer, whose name begins the ids of its messages."""
        self._stream, self._messages = stream, 0
        self._tools.begin_segment()
        self._questions = {}
        return [_event("CUSTOM", name="wireside", value={"stream": stream, **about})]

    def encode_pieces(self, pieces: Iterable[Piece]) -> list[str]:
        """Return the events of the next pieces."""
        events: list[str] = []
        for piece in pieces:
            match piece:
                case TextPiece() | ReasoningPiece():
                    if self._open is not type(piece):
                        self._open_message(events, type(piece))
                    events.append(f"{self._content}{encode_text(piece.text).decode()}}}")
                case ToolPiece():
                    self._close_message(events)
                    self._add_tool(events, piece.delta)
                case PartPiece():
                    self._close_message(events)
                    self._add_part(events, piece)
                case _:
                    assert_never(piece)
        return events

    def end_segment(self) -> list[str]:
        """End a stream of the answer: nothing stays open."""
        events: list[str] = []
        self._close_message(events)
        for step_id in tuple(self._steps):
            self._end_step(events, step_id)
        return events

    def finish(self, end: End, model: str) -> list[str]:
        """Return the last event of a run."""
        if end.error is not None:
            return [error_event(str(end.error), end.error.code)]
        fields: dict[str, Any] = {"threadId": self._thread, "runId": self._run}
        if usage := _usage(end.usage, model):
            fields["usage"] = [usage]
        open_questions = [data for data in self._questions.values() if data.get("answer") is None]
        if end.reason == "asking" and open_questions:
            interrupts = [_interrupt(data) for data in open_questions]
            fields["outcome"] = {"type": "interrupt", "interrupts": interrupts}
        elif end.reason == "cancelled":
            fields["outcome"] = {"type": "cancelled"}
        else:
            fields["outcome"] = {"type": "success"}
            fields["result"] = {"reason": end.reason or "interrupted"}
        return [_event("RUN_FINISHED", **fields)]

    # ---- text ----------------------------------------------------------------------------------

    def _open_message(self, events: list[str], kind: type[Piece]) -> None:
        self._close_message(events)
        self._messages += 1
        number = f"-{self._messages}" if self._messages > 1 else ""
        self._open, self._open_id = kind, f"{self._stream}{number}"
        name, quoted = "TEXT_MESSAGE", to_json(self._open_id)
        role = "assistant"
        if kind is ReasoningPiece:
            name, role = "REASONING_MESSAGE", "reasoning"
            events.append(_event("REASONING_START", messageId=self._open_id))
        events.append(_event(f"{name}_START", messageId=self._open_id, role=role))
        self._content = f'{{"type":"{name}_CONTENT","messageId":{quoted},"delta":'

    def _close_message(self, events: list[str]) -> None:
        if self._open is TextPiece:
            events.append(_event("TEXT_MESSAGE_END", messageId=self._open_id))
        elif self._open is not None:
            events.append(_event("REASONING_MESSAGE_END", messageId=self._open_id))
            events.append(_event("REASONING_END", messageId=self._open_id))
        self._open = None

    # ---- tool calls ----------------------------------------------------------------------------

    def _add_tool(self, events: list[str], delta: ToolDelta) -> None:
        tool = self._tools.id_of(delta)
        if tool not in self._begun:
            self._begun.add(tool)
            events.append(_event("TOOL_CALL_START", toolCallId=tool, toolCallName=delta.name))
            if delta.arguments:
                events.append(_event("TOOL_CALL_ARGS", toolCallId=tool, delta=delta.arguments))
            events.append(_event("TOOL_CALL_END", toolCallId=tool))
        if delta.state == "requested":
            if not self._is_opening:
                self._of_client.add(tool)
        elif delta.state != "running" and tool not in self._finished | self._of_client:
            self._finished.add(tool)
            content = delta.result or ("The tool failed." if delta.state == "failed" else "")
            events.append(
                _event(
                    "TOOL_CALL_RESULT",
                    messageId=f"{self._stream}-{tool}-result",
                    toolCallId=tool,
                    content=content,
                    role="tool",
                )
            )

    # ---- other parts ---------------------------------------------------------------------------

    def _add_part(self, events: list[str], piece: PartPiece) -> None:
        part = piece.delta.part
        match part:
            case ImagePart() | FilePart():
                upload = upload_of(part)
                url = part.url if upload is None else f"{self._files_url}{upload}"
                content = {"url": url, "mediaType": part.media_type, "name": part.name}
                kind = "image" if isinstance(part, ImagePart) else "file"
                self._add_activity(events, str(piece.offset), kind, to_json(content))
            case DataPart(kind=kind) if kind == SHARED_STATE:
                events.append(f'{{"type":"STATE_SNAPSHOT","snapshot":{json_in(part.data)}}}')
            case DataPart(kind=kind) if kind == QUESTION and isinstance(data_of(part), dict):
                self._questions[part.id] = {**data_of(part), "id": part.id}
            case DataPart():
                data = data_of(part)
                if part.kind == "step" and isinstance(data, dict):
                    self._add_step(events, part.id or str(piece.offset), data)
                content_text = json_in(part.data)
                if not content_text.startswith("{"):
                    content_text = f'{{"value":{content_text}}}'
                self._add_activity(events, part.id or str(piece.offset), part.kind, content_text)

    def _add_activity(self, events: list[str], name: str, kind: str, content: str) -> None:
        message_id = to_json(f"{self._stream}-{kind}-{name}")
        events.append(
            f'{{"type":"ACTIVITY_SNAPSHOT","messageId":{message_id},"activityType":{to_json(kind)},'
            f'"content":{content}}}'
        )

    def _add_step(self, events: list[str], step_id: str, data: dict[str, Any]) -> None:
        is_running = data.get("state") == "running"
        if step_id not in self._steps:
            name = str(data.get("name") or "step")
            while name in self._steps.values():
                name = f"{name} (again)"
            self._steps[step_id] = name
            events.append(_event("STEP_STARTED", stepName=name))
        if not is_running:
            self._end_step(events, step_id)

    def _end_step(self, events: list[str], step_id: str) -> None:
        events.append(_event("STEP_FINISHED", stepName=self._steps.pop(step_id)))


def error_event(sentence: str, code: str) -> str:
    """Return the event that ends a run with an error."""
    return _event("RUN_ERROR", message=sentence, code=code)


def _interrupt(question: dict[str, Any]) -> dict[str, Any]:
    """Return an open question as an interrupt; ``resume`` brings its answer as the payload."""
    reason = "confirmation" if question.get("type") == "approve" else "input_required"
    about = {name: value for name, value in question.items() if name not in ("id", "answer")}
    return {
        "id": str(question["id"]),
        "reason": reason,
        "message": str(question.get("prompt") or ""),
        "responseSchema": _answer_schema(question),
        "metadata": {"wireside": about},
    }


def _answer_schema(question: dict[str, Any]) -> dict[str, Any]:
    match question.get("type"):
        case "approve":
            return {"type": "boolean"}
        case "choose":
            choice = {"enum": _values(question)}
            return {"type": "array", "items": choice} if question.get("multiple") else choice
        case "form":
            fields = [one for one in question.get("fields") or () if isinstance(one, dict)]
            return {
                "type": "object",
                "properties": {str(field.get("name")): _field_schema(field) for field in fields},
                "required": [str(field.get("name")) for field in fields if field.get("required")],
            }
        case "file":
            return {"type": "string", "description": "The id of an upload."}
        case _:
            return {"type": "string"}


def _field_schema(field: dict[str, Any]) -> dict[str, Any]:
    title = {"title": str(field.get("label") or "")}
    match field.get("type"):
        case "number":
            return {"type": "number", **title}
        case "switch":
            return {"type": "boolean", **title}
        case "choice":
            return {"enum": _values(field), **title}
        case _:
            return {"type": "string", **title}


def _values(holder: dict[str, Any]) -> list[Any]:
    options = holder.get("options")
    items = options if isinstance(options, list) else []
    return [one.get("value") for one in items if isinstance(one, dict)]


def _usage(usage: Usage, model: str) -> dict[str, Any]:
    counts = {"inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens}
    known = {name: count for name, count in counts.items() if count is not None}
    return {"model": model, **known} if known else {}


def _event(event_type: str, **fields: Any) -> str:
    return to_json({"type": event_type, **fields})
