"""The OpenAPI document of the REST API: that of FastAPI, with an example for each schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI

from wireside.api.errors import Problem

_AT: Final = "2026-11-30T09:00:00Z"
_LATER: Final = "2026-11-30T09:01:12Z"
_CONVERSATION: Final = "c-4pYx0bHn3QyPq1fW7sK2dA"
_STREAM: Final = "s-Zk3vQ0m1TzGJ2mJrV5nB8w"

_SUMMARY: Final[Mapping[str, Any]] = {
    "id": _CONVERSATION,
    "title": "WebSockets explained",
    "created_at": _AT,
    "updated_at": _LATER,
    "pinned": False,
    "archived": False,
    "answering": False,
    "tags": ["networks"],
    "folder": "f-1",
    "right": "own",
    "owner": None,
    "members": 1,
}
_UPLOAD_NAME: Final = {"name": "report.pdf", "media_type": "application/pdf"}
_TEXT: Final = {"type": "text", "text": "A WebSocket is a connection that stays open."}
_STREAM_OF_ANSWER: Final[Mapping[str, Any]] = {
    "stream": _STREAM,
    "model": "llama3.3",
    "state": "finished",
    "head": 44,
    "saved": True,
    "reason": "stop",
    "error": None,
    "code": None,
    "input_tokens": 12,
    "output_tokens": 74,
    "cost": 0.00078,
    "currency": "$",
    "parts": [_TEXT],
}
_TURN: Final[Mapping[str, Any]] = {
    "id": "t-1",
    "index": 0,
    "question": "What is a WebSocket?",
    "attachments": [],
    "created_at": _AT,
    "waiting": False,
    "sibling": 0,
    "siblings": 1,
    "feedback": None,
    "asked_by": "ada",
    "answer": [_STREAM_OF_ANSWER],
}
_MODEL: Final[Mapping[str, Any]] = {
    "id": "llama3.3",
    "name": "Llama 3.3",
    "owner": "meta",
    "context_tokens": 131072,
    "can_see": False,
    "can_chat": True,
    "description": "",
    "icon": "",
    "starters": ["What can you do?"],
    "options": None,
}
_HIT: Final[Mapping[str, Any]] = {
    "conversation": _CONVERSATION,
    "title": "WebSockets explained",
    "turn": "t-1",
    "kind": "answer",
    "snippet": ["A ", "WebSocket", " is a connection that stays open."],
    "owner": None,
    "created_at": _AT,
}

_USAGE: Final[Mapping[str, Any]] = {
    "day": "2026-07-28",
    "user": "u-1",
    "name": "ada",
    "model": "llama3.3",
    "answers": 12,
    "input_tokens": 4810,
    "output_tokens": 5120,
    "cost": 0.0632,
    "currency": "$",
}

_PRESET_OPTIONS: Final[Mapping[str, Any]] = {
    "model": "llama3.3",
    "system": "Answer in two sentences.",
    "temperature": 0.3,
    "max_tokens": None,
    "effort": "low",
    "values": None,
}

_SAVED: Final[Mapping[str, Any]] = {
    "shared": False,
    "own": True,
    "editable": True,
    "updated_at": _AT,
}

_PRESET: Final[Mapping[str, Any]] = {
    **_PRESET_OPTIONS,
    "id": "s-1",
    "name": "Short answers",
    **_SAVED,
}

_PROMPT_TEXT: Final[Mapping[str, Any]] = {
    "name": "Translate",
    "text": "Translate into {{language}}:",
}

_RATED: Final[Mapping[str, Any]] = {
    "at": _AT,
    "rating": "down",
    "model": "gpt-4o-mini",
    "is_shown": True,
    "question": "What is a port?",
    "answer": "A harbour.",
    "comment": "I meant the one of TCP.",
}
_MODEL_FEEDBACK: Final = {"model": "gpt-4o-mini", "up": 12, "down": 1}
_FOLDER: Final[Mapping[str, Any]] = {"id": "f-1", "name": "Networking", "created_at": _AT}

_MEMBER: Final[Mapping[str, Any]] = {
    "kind": "user",
    "id": "u-2",
    "name": "grace",
    "access": "reply",
}

_COMMENT: Final[Mapping[str, Any]] = {
    "id": "m-1",
    "turn": "t-1",
    "author": "grace",
    "is_own": False,
    "can_delete": True,
    "text": "Is that still true for HTTP/3?",
    "created_at": _AT,
    "edited_at": None,
}

_TAG: Final[Mapping[str, Any]] = {"tag": "networks", "conversations": 3}

_PROMPT: Final[Mapping[str, Any]] = {"id": "p-1", **_PROMPT_TEXT, **_SAVED}

EXAMPLES: Final[Mapping[str, Any]] = {
    "AnswerPart": _TEXT,
    "AnswerStream": _STREAM_OF_ANSWER,
    "Audience": {"owner": "ada", "members": [_MEMBER], "groups": ["research"]},
    "Changes": {"title": "WebSockets", "pinned": True},
    "CommentChange": {"text": "Is that still true for HTTP/2?"},
    "CommentList": {"comments": [_COMMENT]},
    "CommentView": _COMMENT,
    "ConversationList": {"conversations": [_SUMMARY], "cursor": None},
    "ConversationSummary": _SUMMARY,
    "ConversationUsage": {
        "answers": 3,
        "input_tokens": 310,
        "output_tokens": 420,
        "costs": [{"amount": 0.0049, "currency": "$"}],
    },
    "ConversationView": {**_SUMMARY, "total": 1, "turns": [_TURN]},
    "Copied": {"turn": "t-1"},
    "CostSum": {"amount": 0.0049, "currency": "$"},
    "DefaultPreset": {"preset": "s-1"},
    "EditedAnswer": {"text": "The capital of Australia is Canberra."},
    "Entry": {
        "number": 17,
        "at": _AT,
        "action": "key_created",
        "user": "u-1",
        "name": "ada",
        "subject": "nightly job",
        "address": "192.0.2.7",
    },
    "FeedbackList": {"ratings": [_RATED], "models": [_MODEL_FEEDBACK]},
    "FolderList": {"folders": [_FOLDER]},
    "ModelFeedback": _MODEL_FEEDBACK,
    "FolderName": {"name": "Networking"},
    "FolderView": _FOLDER,
    "ImportedPrompts": {"imported": 3},
    "Imports": {
        "imported": 1,
        "updated": 0,
        "unchanged": 0,
        "passed_over": 0,
        "conversations": [_CONVERSATION],
    },
    "Key": {
        "id": "k-1",
        "name": "nightly job",
        "scopes": ["chat", "read"],
        "created_at": _AT,
        "expires_at": None,
        "used_at": None,
        "messages_per_minute": 60,
        "tokens_per_day": None,
        "streams": 2,
        "key": None,
    },
    "Spending": {
        "today": [{"amount": 0.0049, "currency": "$"}],
        "month": [{"amount": 1.37, "currency": "$"}],
    },
    "UsageList": {"usage": [_USAGE]},
    "UsageRow": _USAGE,
    "Link": {"link": "https://chat.example.org/join?…"},
    "Live": {"status": "ok"},
    "Me": {
        "id": "u-1",
        "name": "ada",
        "role": "user",
        "scopes": ["chat", "read"],
        "messages_left": 59,
        "messages_limit": 60,
        "messages_reset_s": 41.5,
        "tokens_left": None,
        "tokens_limit": None,
        "tokens_reset_s": None,
        "streams_left": None,
        "streams_limit": None,
    },
    "MemberChange": {"kind": "user", "name": "grace", "access": "reply"},
    "MemberView": _MEMBER,
    "Model": _MODEL,
    "ModelList": {"models": [_MODEL]},
    "NewComment": {"turn": "t-1", "text": "Is that still true for HTTP/3?"},
    "NewConversation": {"title": "WebSockets explained"},
    "NewKey": {"name": "nightly job", "scopes": ["chat", "read"], "days": 90},
    "NewPerson": {"role": "user", "name": "ada"},
    "NewPreset": {**_PRESET_OPTIONS, "name": "Short answers"},
    "NewPrompt": _PROMPT_TEXT,
    "NewTicket": {"origin": "https://app.example.org"},
    "Person": {
        "id": "u-1",
        "name": "ada",
        "role": "user",
        "disabled": False,
        "has_password": True,
        "created_at": _AT,
        "seen_at": _LATER,
    },
    "PersonChanges": {"role": "viewer"},
    "PresetChanges": {"options": _PRESET_OPTIONS},
    "PresetList": {"presets": [_PRESET], "default": "s-1"},
    "PresetOptions": _PRESET_OPTIONS,
    "PresetView": _PRESET,
    "Problem": {"message": "Rate limit exceeded", "code": "rate_limited"},
    "PromptChanges": {"name": "Translate a text"},
    "PromptList": {"prompts": [_PROMPT]},
    "PromptView": _PROMPT,
    "NewVersion": {"turn": "t-2"},
    "QuestionAnswer": {"part": "p1", "value": True},
    "QuestionFile": {"id": "u-8cVh2LQp", **_UPLOAD_NAME},
    "SummaryOutcome": {"outcome": "done"},
    "Ready": {
        "status": "ready",
        "provider": "openai",
        "streams": 3,
        "memory_mb": 171.5,
        "reason": None,
        "replica": None,
    },
    "SearchHit": _HIT,
    "SearchResult": {"hits": [_HIT], "cursor": None},
    "SessionView": {
        "id": "e-1",
        "agent": "Firefox on Linux",
        "address": "192.0.2.7",
        "created_at": _AT,
        "seen_at": _LATER,
        "here": True,
    },
    "ShareView": {
        "id": "h-1",
        "conversation": _CONVERSATION,
        "title": "WebSockets explained",
        "created_at": _AT,
        "link": "https://chat.example.org/s/…",
    },
    "TagList": {"tags": [_TAG]},
    "TagView": _TAG,
    "Ticket": {"ticket": "…", "expires_in": 30},
    "TurnView": _TURN,
    "Rated": _RATED,
    "Transcription": {"text": "When does the last train leave?"},
    "Upload": {"id": "u-8cVh2LQp", **_UPLOAD_NAME, "size_bytes": 48213, "created_at": _AT},
}
"""An example of each schema, by name."""


class DescribedAPI(FastAPI):
    """A FastAPI application whose OpenAPI document has examples, and the schema of errors."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, which is built once."""
        is_new = self.openapi_schema is None
        document = super().openapi()
        if is_new:
            components = document.setdefault("components", {})
            schemas = {**components.get("schemas", {}), "Problem": Problem.model_json_schema()}
            components["schemas"] = dict(sorted(schemas.items()))
            for name, schema in schemas.items():
                if name in EXAMPLES:
                    schema["examples"] = [EXAMPLES[name]]
        return document
