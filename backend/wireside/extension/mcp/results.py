"""Reads the result of a tool call: hostile text, within limits. No address in it is followed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any, Final

from wireside.extension.parts import Image, to_json
from wireside.extension.tools import ToolResult
from wireside.files.media_types import IMAGES, TypeSniffer

MAX_TEXT_CHARS: Final = 100_000
"""Length at which the texts of a result are cut; a model gets ``ToolLimits.result_chars``."""

MAX_IMAGES: Final = 8

MAX_IMAGE_CHARS: Final = 1_900_000
"""Length of an image in Base64 that fits into a part."""

MAX_NAME_CHARS: Final = 200


def to_result(content: Iterable[Any], structured: object) -> ToolResult:
    """Return the contents of a result: their text, and the images among them.

    Args:
        content: content blocks of the package ``mcp``.
        structured: the structured content, None for none; used if there is no text.
    """
    texts: list[str] = []
    images: list[Image] = []
    room = MAX_TEXT_CHARS
    for block in content:
        image = _image(block)
        if image is not None and len(images) < MAX_IMAGES:
            images.append(image)
            continue
        text = _text(block)
        if text:
            texts.append(text[:room])
            room -= len(text)
        if room <= 0:
            texts[-1] += "… (cut)"
            break
    if structured is not None and not texts:
        texts.append(_cut(to_json(structured), MAX_TEXT_CHARS))
    if images:
        many = f"{len(images)} images" if len(images) > 1 else "an image"
        texts.append(f"(The user sees {many}.)")
    return ToolResult("\n\n".join(texts), tuple(images))


def _image(block: Any) -> Image | None:
    """Return an image of a type that browsers show safely, by its content; None for others."""
    resource = getattr(block, "resource", None)
    data = (
        getattr(block, "data", None) if block.type == "image" else getattr(resource, "blob", None)
    )
    if not isinstance(data, str) or len(data) > MAX_IMAGE_CHARS:
        return None
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    sniffer = TypeSniffer()
    sniffer.feed_bytes(content)
    media_type = sniffer.media_type("")
    if media_type not in IMAGES:
        return None
    return Image(data=content, media_type=media_type, name="image")


def _text(block: Any) -> str:
    """Return a block as text; what is neither text nor a small image is named only."""
    match block.type:
        case "text":
            return str(block.text)
        case "resource":
            name = _cut(str(block.resource.uri), MAX_NAME_CHARS)
            text = getattr(block.resource, "text", None)
            return f"{name}:\n\n{text}" if isinstance(text, str) else f"[file: {name}]"
        case "resource_link":
            return f"[link: {_cut(block.name, MAX_NAME_CHARS)}, {_cut(str(block.uri), 1_000)}]"
        case kind:
            return f"[{kind}: it can't be shown]"


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[:chars]}…"
