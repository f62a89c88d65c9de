"""The UI message chunks of an answer (AI SDK, UI message stream v1). Pure: no I/O, no clock.

The client treats a chunk that it can't validate, and one out of order, as fatal: each kind of part
has its ``start`` before its ``delta``, and each tool call its input before its output.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, assert_never

from wireside.doors.json_texts import encode_text, json_in, to_json
from wireside.doors.tool_ids import ToolIds
from wireside.extension.questions import KIND as QUESTION
from wireside.generation.log import PartPiece, Piece, ReasoningPiece, TextPiece, ToolPiece
from wireside.messages import End, FinishReason, ToolDelta, Usage
from wireside.parts import DataPart, FilePart, ImagePart, data_of, upload_of

_FINISH_REASONS: Final[dict[FinishReason, str]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "interrupted": "interrupted",
    "asking": "tool-calls",
}

_WEB: Final = ("https://", "http://")


class ChunkEncoder:
    """Encodes one answer as chunks, each a JSON text.

    The chunks of an answer are the same each time it is encoded, apart from how its text is cut.

    Args:
        message_id: id of the client's message, the same in each replay.
        files_url: beginning of the addresses of files that the server keeps.
    """

    def __init__(self, message_id: str, *, files_url: str = "/api/files/") -> None:
        self._message_id = message_id
        self._files_url = files_url
        self._segment = -1
        self._tools = ToolIds()
        self._open: type[Piece] | None = None
        self._open_id = ""
        self._parts = 0
        self._delta = ""  # the beginning of the next delta of the open part
        self._announced: dict[str, tuple[str, str]] = {}  # names and arguments by id
        self._asked: set[str] = set()

    def start(self, metadata: dict[str, Any]) -> list[str]:
        """Return the first chunk of a response."""
        return [_chunk("start", messageId=self._message_id, messageMetadata=metadata)]

    def begin_segment(self) -> list[str]:
        """Begin the next stream of the answer: a step of the message."""
        self._segment += 1
        self._tools.begin_segment()
        return ['{"type":"start-step"}']

    def encode_pieces(self, pieces: Iterable[Piece]) -> list[str]:
        """Return the chunks of the next pieces."""
        chunks: list[str] = []
        for piece in pieces:
            match piece:
                case TextPiece() | ReasoningPiece():
                    if self._open is not type(piece):
                        self._open_part(chunks, type(piece))
                    chunks.append(f"{self._delta}{encode_text(piece.text).decode()}}}")
                case ToolPiece():
                    self._close_part(chunks)
                    self._add_tool(chunks, piece.delta)
                case PartPiece():
                    self._close_part(chunks)
                    self._add_part(chunks, piece)
                case _:
                    assert_never(piece)
        return chunks

    def end_segment(self) -> list[str]:
        """End a stream of the answer."""
        chunks: list[str] = []
        self._close_part(chunks)
        chunks.append('{"type":"finish-step"}')
        return chunks

    def finish(self, end: End) -> list[str]:
        """Return the last chunks of a response."""
        if end.error is not None:
            return [error_chunk(str(end.error))]
        if end.reason == "cancelled":
            return ['{"type":"abort"}']
        reason = _FINISH_REASONS.get(end.reason or "interrupted", "other")
        metadata = {"usage": _usage(end.usage)}
        return [_chunk("finish", finishReason=reason, messageMetadata=metadata)]

    # ---- text ----------------------------------------------------------------------------------

    def _open_part(self, chunks: list[str], kind: type[Piece]) -> None:
        self._close_part(chunks)
        self._parts += 1
        name = "text" if kind is TextPiece else "reasoning"
        self._open, self._open_id = kind, f"{name}-{self._parts}"
        self._delta = f'{{"type":"{name}-delta","id":"{self._open_id}","delta":'
        chunks.append(f'{{"type":"{name}-start","id":"{self._open_id}"}}')

    def _close_part(self, chunks: list[str]) -> None:
        if self._open is not None:
            name = "text" if self._open is TextPiece else "reasoning"
            chunks.append(f'{{"type":"{name}-end","id":"{self._open_id}"}}')
            self._open = None

    # ---- tool calls ----------------------------------------------------------------------------

    def _add_tool(self, chunks: list[str], delta: ToolDelta) -> None:
        tool = self._tools.id_of(delta)
        if self._announced.get(tool) != (delta.name, delta.arguments):
            first = tool not in self._announced
            if first or delta.arguments:  # a later state may leave them out
                self._announced[tool] = (delta.name, delta.arguments)
                self._add_input(chunks, tool, delta)
        result = delta.result or ""
        match delta.state:
            case "requested":
                pass
            case "running":
                if delta.result is not None:
                    self._add_output(chunks, tool, json_in(result), preliminary=True)
            case "done":
                self._add_output(chunks, tool, json_in(result))
            case "failed":
                text = result or "The tool failed."
                chunks.append(_chunk("tool-output-error", toolCallId=tool, errorText=text))
            case _:
                assert_never(delta.state)

    def _add_input(self, chunks: list[str], tool: str, delta: ToolDelta) -> None:
        by_server = "" if delta.state == "requested" else ',"providerExecuted":true'
        chunks.append(
            f'{{"type":"tool-input-available","toolCallId":{to_json(tool)},'
            f'"toolName":{to_json(delta.name)},"input":{json_in(delta.arguments or "{}")},'
            f'"dynamic":true{by_server}}}'
        )

    def _add_output(
        self, chunks: list[str], tool: str, output: str, *, preliminary: bool = False
    ) -> None:
        suffix = ',"preliminary":true' if preliminary else ""
        chunks.append(
            f'{{"type":"tool-output-available","toolCallId":{to_json(tool)},'
            f'"output":{output}{suffix}}}'
        )

    # ---- other parts ---------------------------------------------------------------------------

    def _add_part(self, chunks: list[str], piece: PartPiece) -> None:
        part = piece.delta.part
        match part:
            case ImagePart() | FilePart():
                self._add_file(chunks, part)
            case DataPart(kind=kind) if kind == QUESTION and isinstance(data_of(part), dict):
                self._add_question(chunks, part)
            case DataPart(kind="source") if isinstance(data_of(part), dict):
                chunks.append(_source(part, f"source-{self._segment}-{piece.offset}"))
            case DataPart():
                name = to_json(f"data-{part.kind}")
                part_id = f'"id":{to_json(part.id)},' if part.id else ""
                chunks.append(f'{{"type":{name},{part_id}"data":{json_in(part.data)}}}')

    def _add_file(self, chunks: list[str], part: ImagePart | FilePart) -> None:
        upload = upload_of(part)
        url = part.url if upload is None else f"{self._files_url}{upload}"
        if not url:  # an imported file whose content could not be kept
            return
        media_type = part.media_type or (
            "image/png" if isinstance(part, ImagePart) else "application/octet-stream"
        )
        about = {"providerMetadata": {"wireside": {"name": part.name}}} if part.name else {}
        chunks.append(_chunk("file", url=url, mediaType=media_type, **about))

    def _add_question(self, chunks: list[str], part: DataPart) -> None:
        """Add a question as a tool call of the client's: its output is the answer."""
        question = data_of(part)
        kind, answer = question.get("type"), question.get("answer")
        if part.id not in self._asked:
            self._asked.add(part.id)
            self._tools.reserve(part.id)
            chunks.append(
                f'{{"type":"tool-input-available","toolCallId":{to_json(part.id)},'
                f'"toolName":{to_json(f"ask_{kind}")},"input":{json_in(part.data)},'
                '"dynamic":true}'
            )
            if kind == "approve":
                chunks.append(
                    _chunk("tool-approval-request", approvalId=part.id, toolCallId=part.id)
                )
        if answer is None:
            return
        if kind == "approve":
            approved = answer is True
            chunks.append(_chunk("tool-approval-response", approvalId=part.id, approved=approved))
            if not approved:
                chunks.append(_chunk("tool-output-denied", toolCallId=part.id))
                return
        self._add_output(chunks, part.id, json_in(to_json(answer)))


def error_chunk(sentence: str) -> str:
    """Return the chunk that ends a response with an error."""
    return _chunk("error", errorText=sentence)


def _source(part: DataPart, source_id: str) -> str:
    data = data_of(part)
    title, url = str(data.get("title") or ""), data.get("url")
    text = str(data.get("text") or "")
    about = {"providerMetadata": {"wireside": {"text": text}}} if text else {}
    if isinstance(url, str) and url.startswith(_WEB):
        return _chunk("source-url", sourceId=source_id, url=url, title=title, **about)
    return _chunk(
        "source-document", sourceId=source_id, mediaType="text/plain", title=title, **about
    )


def _usage(usage: Usage) -> dict[str, int | None]:
    return {"inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens}


def _chunk(chunk_type: str, **fields: Any) -> str:
    return to_json({"type": chunk_type, **fields})
