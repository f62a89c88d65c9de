"""Distinguishes chat models from models for embeddings, reranking, speech, images … No I/O.

A list's fields about a model (``capabilities``, ``type``, ``architecture`` …) take precedence over
its name. docs/models.md names the services that these fields come from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_EMBEDDERS = (
    "bge|gte|e5|uae|voyage|minilm|mpnet|sbert|labse|colbert|colpali|splade|stella|instructor|m3e"
)
_READERS = "stt|asr|tts|xtts|vits|kokoro|orpheus|parler|playai|chatterbox|bark|suno|lyria|musicgen"
_PAINTERS = (
    r"sdxl|sd-?\d|sd-turbo|flux|imagen|veo|sora|wan-?\d|kling|cogvideo\w*|cogview\w*|seedream"
    r"|seedance|ideogram|recraft|midjourney|kandinsky|dreamshaper|animagine|hidream|z-image"
)

_NEVER_CHATS = re.compile(
    r"\*$"  # a gateway's wildcard, not a model
    rf"|embed|sentence-transformers|re-?rank|(?<![a-z])({_EMBEDDERS}|jina-(clip|code))(?![a-z])"
    r"|whisper|wav2vec|parakeet|transcri|deepgram|speech|elevenlabs|tts(?![a-z])|native-audio"
    r"|(cosy|sense)voice|paraformer|sambert|so-?vits|piper-|(?<![a-z])vad(?![a-z])|paraphrase-"
    r"|audio-(preview|generation)|gpt-audio|realtime|(?<![a-z])live(?![a-z])"
    rf"|(?<![a-z])({_READERS})(?![a-z])"
    r"|moderation|(?<![a-z])guard(ian|rails?)?(?![a-z])|shield-?gemma|safeguard|nemo-?guard"
    r"|(?<![a-z])(aqa|reward|classifier)(?![a-z])"
    r"|^(davinci|babbage)-002$|^gpt-3\.5-turbo-instruct",
    re.IGNORECASE,
)
_SELDOM_CHATS = re.compile(
    rf"dall-?e|stable-?diffusion|hunyuan-?video|(?<![a-z])({_PAINTERS})(?![a-z])"
    r"|kolors|nv-?clip|imagine-|(?<![a-z])[ti]2[iv](?![a-z])"
    r"|(gpt|qwen|glm|grok-?\d*)-image|(?<!gemini-)(?<![a-z])image-(\d|gen|edit|alpha)"
    r"|(?<![a-z])(clip|siglip|ocr|detr|yolo\w*|resnet|vit|(distil|ro|de)?bert(a)?)(?![a-z])",
    re.IGNORECASE,
)
"""Matches names of models that can't chat, unless the list says that they can."""

_CHAT = re.compile(
    r"chat|llm|vlm|language|completion|^generatecontent$|text[-_ ]?generation"
    r"|text[-_]?(to|2)[-_]?text|instruct|conversational|multimodal|any[-_]to[-_]any|responses"
    r"|^(text|code|openai|anthropic)$",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"embed|re-?rank|moderat|classif|guard|transcri|translation|similarity|feature[-_]extraction"
    r"|fill[-_]mask|image[-_]?gen|to[-_]?(image|speech|audio|video)|diffusion"
    r"|^(ocr|score|scoring|reward|retrieval|predict\w*|bidigenerate\w*|generateanswer)$",
    re.IGNORECASE,
)
_OTHER_KIND = re.compile(r"speech|audio|voice|image|video|(^|[-_ ])(tts|stt|asr)", re.IGNORECASE)
"""Matches kinds of models that can't chat; as capabilities they may be the model's input."""

_FLAGS = ("completion_chat", "supports_chat", "chat_completion", "chat")
_KINDS = ("type", "model_type", "task", "tasks", "mode", "pipeline_tag", "category", "categories")
_ABILITIES = (
    *("capabilities", "model_ability", "endpoints", "supported_endpoints", "supported_actions"),
    *("supported_endpoint_types", "supportedGenerationMethods", "supported_generation_methods"),
)


def can_chat(entry: Mapping[str, Any]) -> bool:
    """Return whether a model can probably chat.

    ``entry`` is an item of a model list with its name in ``id``; other fields may be of any type.
    """
    said = [verdict for verdict in _verdicts(entry) if verdict is not None]
    if False in said or _NEVER_CHATS.search(entry["id"]):
        return False
    return True in said or _SELDOM_CHATS.search(entry["id"]) is None


_SEES = re.compile(
    r"gpt-4o|gpt-4\.[15]|gpt-4-(turbo|vision)|gpt-[5-9]|chatgpt-|(?<![a-z\d])o[134](?!-mini)(?![a-z\d])"
    r"|o4-mini|claude-(3|[a-z]+-\d)|gemini|gemma-?3(?!n?[:-]?(270m|1b))|gemma-?4|pixtral|llava"
    r"|(?<![a-z])vl(?![a-z])|vlm|vision|llama-?4|internvl|minicpm-v|moondream|phi-?[34].*(vision"
    r"|multimodal)|molmo|nova-(lite|pro|premier)|grok-[4-9]|mistral-(small-3\.[1-9]|small-latest"
    r"|medium)|omni|glm-\d\.?\d*v|cogvlm|kimi-(vl|k2\.[5-9])",
    re.IGNORECASE,
)
_BLIND = re.compile(
    r"gpt-3\.5|gpt-oss|o1-mini|o3-mini|deepseek-(r1|chat|reasoner|coder|v\d)|smollm|codestral|qwen2\.5-coder"
    r"|llama-?3\.[13]|llama-?[12](?![\d.])|mixtral|mistral-7b|command-r|phi-?[1-4](:|-mini|$)|granite",
    re.IGNORECASE,
)
"""Match names of models that see images, and that don't, unless the list says more."""

_SIGHT = re.compile(r"vision|multimodal|image[-_ ]?(in|input|understanding)|^vlm$", re.IGNORECASE)
_SIGHT_FLAGS = ("vision", "supports_vision", "supports_image_in", "supports_images", "multimodal")


def can_see(entry: Mapping[str, Any]) -> bool | None:
    """Return whether a model accepts images; None if neither its fields nor its name say so.

    ``entry`` is an item of a model list, as for ``can_chat``.
    """
    capabilities = entry.get("capabilities")
    inside = capabilities if isinstance(capabilities, Mapping) else {}
    for place in (entry, inside):
        for key in _SIGHT_FLAGS:
            if isinstance(flag := place.get(key), bool):
                return flag
    if (inputs := _inputs(entry)) is not None:
        return any(word.lower() == "image" for word in inputs)
    words = [word for key in (*_KINDS, "capabilities") for word in _words(entry.get(key))]
    if any(_SIGHT.search(word) for word in words):
        return True
    if _BLIND.search(entry["id"]):
        return False
    return True if _SEES.search(entry["id"]) else None


def _inputs(entry: Mapping[str, Any]) -> Sequence[str] | None:
    """Return the modalities that a model accepts; None if the entry does not say."""
    for place in (entry.get("architecture"), entry.get("modalities"), entry):
        if not isinstance(place, Mapping):
            continue
        for key in ("input_modalities", "supported_input_modalities", "input"):
            if words := _words(place.get(key)):
                return words
        modality = place.get("modality")
        if isinstance(modality, str) and "->" in modality:
            return modality.partition("->")[0].split("+")
    return None


def _verdicts(entry: Mapping[str, Any]) -> Sequence[bool | None]:
    capabilities = entry.get("capabilities")
    inside = capabilities if isinstance(capabilities, Mapping) else {}
    is_out_of_use = entry.get("active") is False or entry.get("archived") is True
    flags = [place[key] for place in (entry, inside) for key in _FLAGS if key in place]
    flag = next((flag for flag in flags if isinstance(flag, bool)), None)
    kinds = [_verdict(_words(entry.get(key)), is_kind=True) for key in _KINDS]
    kinds.append(_verdict(_words(inside.get("type")), is_kind=True))
    abilities = [] if flag is not None else [_verdict(_words(entry.get(k))) for k in _ABILITIES]
    return (False if is_out_of_use else None, flag, *kinds, *abilities, _modalities(entry))


def _verdict(words: Sequence[str], *, is_kind: bool = False) -> bool | None:
    """Return True if any word means chat, else False if any means another task, else None."""
    others = 0
    for word in words:
        is_other = _OTHER.search(word) or (is_kind and _OTHER_KIND.search(word))
        if _CHAT.search(word) and (not is_other or "text-to-text" in word.replace("_", "-")):
            return True
        others += bool(is_other)
    return False if others else None


def _modalities(entry: Mapping[str, Any]) -> bool | None:
    """Return whether text is both input and output; None if the entry does not say."""
    for place in (entry.get("architecture"), entry.get("modalities"), entry):
        if not isinstance(place, Mapping):
            continue
        sides = [
            words
            for side in ("input", "output")
            for key in (f"{side}_modalities", f"supported_{side}_modalities", side)
            if (words := _words(place.get(key)))
        ]
        if sides:
            return all(any(word.lower() == "text" for word in words) for words in sides)
        modality = place.get("modality")
        if isinstance(modality, str) and "->" in modality:
            into, _, out = modality.partition("->")
            return "text" in into and "text" in out
    return None


def _words(value: object) -> Sequence[str]:
    """Return the words of a field: a string, a list of strings, or a mapping's true keys."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Mapping):
        return tuple(key for key, flag in value.items() if isinstance(key, str) and flag is True)
    if isinstance(value, Sequence):
        return tuple(word for word in value if isinstance(word, str))
    return ()
