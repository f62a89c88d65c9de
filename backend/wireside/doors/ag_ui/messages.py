"""The messages of a thread, as AG-UI clients that have followed it have them. Pure: no I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def question_message(turn_id: str, text: str) -> dict[str, Any]:
    """Return the message of a turn's question, which has the id of the turn."""
    return {"id": turn_id, "role": "user", "content": text}


def answer_messages(events: Iterable[str]) -> list[dict[str, Any]]:
    """Return the messages that a client makes of the events of an answer."""
    messages: dict[str, dict[str, Any]] = {}
    calls: dict[str, dict[str, Any]] = {}
    for event in map(json.loads, events):
        message_id, call_id = event.get("messageId", ""), event.get("toolCallId", "")
        match event["type"]:
            case "TEXT_MESSAGE_START" | "REASONING_MESSAGE_START":
                messages[message_id] = {"id": message_id, "role": event["role"], "content": ""}
            case "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT":
                messages[message_id]["content"] += event["delta"]
            case "TOOL_CALL_START":
                function = {"name": event["toolCallName"], "arguments": ""}
                calls[call_id] = {"id": call_id, "type": "function", "function": function}
                message = {"id": call_id, "role": "assistant", "toolCalls": [calls[call_id]]}
                messages[call_id] = message
            case "TOOL_CALL_ARGS":
                calls[call_id]["function"]["arguments"] += event["delta"]
            case "TOOL_CALL_RESULT":
                result = {"toolCallId": call_id, "content": event["content"]}
                messages[message_id] = {"id": message_id, "role": "tool", **result}
            case "ACTIVITY_SNAPSHOT":
                about = {"activityType": event["activityType"], "content": event["content"]}
                messages[message_id] = {"id": message_id, "role": "activity", **about}
    return list(messages.values())
