"""Parses the model lists that OpenAI-compatible servers send. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from wireside.messages import ModelInfo
from wireside.openai_wire.decode import without_surrogates
from wireside.protocol.frames import MAX_NAME_CHARS
from wireside.providers.model_kinds import can_chat, can_see

FIRST = "gpt-4o"
"""The integration guide's model: the default if it is listed and no other default is set."""

MAX_MODELS = 5_000
"""Maximum number of models: a page can't offer more, and it is 100 times the longest known list."""

MAX_NUMBER = 2**53
"""Integers below it are exact in every JSON parser."""

_OPENAI = re.compile(r"openai|system", re.IGNORECASE)
_NO_CHAT = re.compile(
    r"embed|whisper|tts|dall-e|moderation|transcribe|realtime|audio|image|sora"
    r"|^(davinci|babbage)-002$|instruct$|codex-mini|computer-use|deep-research|search-api",
    re.IGNORECASE,
)
_CONTEXT_KEYS = ("context_length", "max_model_len", "context_window", "max_context_length")


def models_in(body: bytes) -> tuple[ModelInfo, ...]:
    """Return the models of a ``/v1/models`` response, chat models first.

    OpenAI's own list is sorted newest first, without models that can't chat; other lists have
    those last.

    Raises:
        ValueError: ``body`` is not a list of models.
    """
    entries = [entry for item in _items(json.loads(body)) if (entry := _entry(item))]
    if any(_is_openai(entry) for entry in entries):
        entries = [entry for entry in entries if not (_is_openai(entry) and _cannot_chat(entry))]
        entries.sort(key=_age)
    models = [_model(entry) for entry in entries]
    models.sort(key=lambda model: (model.id != FIRST, not model.can_chat))
    unique: dict[str, ModelInfo] = {}
    for model in models:
        unique.setdefault(model.id, model)
    return tuple(unique.values())[:MAX_MODELS]


def _items(document: Any) -> Sequence[object]:
    if isinstance(document, dict):
        document = document.get("data", document.get("models"))
    if document is None or isinstance(document, (str, int, float, dict)):
        raise ValueError("not a list of models")
    return list(document)


def _entry(item: object) -> dict[str, Any] | None:
    entry = {"id": item} if isinstance(item, str) else item
    if not isinstance(entry, dict):
        return None
    name = entry.get("id") or entry.get("model") or entry.get("key") or entry.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME_CHARS:
        return None  # no request could name it
    return {**entry, "id": without_surrogates(name)}


def _is_openai(entry: dict[str, Any]) -> bool:
    return _OPENAI.match(str(entry.get("owned_by") or "")) is not None


def _cannot_chat(entry: dict[str, Any]) -> bool:
    return _NO_CHAT.search(entry["id"]) is not None


def _age(entry: dict[str, Any]) -> float:
    created = entry.get("created")
    if not isinstance(created, (int, float)) or not abs(created) < MAX_NUMBER:
        return 0.0
    return -float(created)


def _model(entry: dict[str, Any]) -> ModelInfo:
    name = entry.get("name") or entry.get("display_name")
    owner = entry.get("owned_by")
    return ModelInfo(
        id=entry["id"],
        name=without_surrogates(name[:MAX_NAME_CHARS]) if isinstance(name, str) else entry["id"],
        owner=without_surrogates(owner[:MAX_NAME_CHARS]) if isinstance(owner, str) else None,
        context_tokens=_context_tokens(entry),
        can_see=can_see(entry),
        can_chat=can_chat(entry),
    )


def _context_tokens(entry: dict[str, Any]) -> int | None:
    meta = entry.get("meta")  # used by llama.cpp
    places = [entry.get(key) for key in _CONTEXT_KEYS]
    places.append(meta.get("n_ctx_train") if isinstance(meta, dict) else None)
    return next((value for value in places if type(value) is int and 0 < value < MAX_NUMBER), None)
