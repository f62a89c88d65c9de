"""Icons of handlers: an icon of the page, an emoji or a short text, or an image file."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path

from wireside.files.media_types import IMAGES

NAMES = frozenset(
    (
        "archive", "arrow_down", "attach", "audio", "auto", "back", "caret_down",
        "chart", "check", "chevron_down", "close", "code", "comment", "compose", "copy", "dots",
        "download", "edit", "file", "filter", "folder", "gear", "help", "keyboard", "leave",
        "link", "microphone", "moon",
        "next", "people", "person", "picture", "pin", "plus", "previous", "prompt", "pulse",
        "retry",
        "search", "send", "send_now", "sidebar", "stop", "stop_solid", "sun", "tag", "temporary",
        "thumb_down", "thumb_up", "trash", "tune", "upload", "wrap",
    )
)  # fmt: skip
"""The icons of the page (``components/kit/modules/icons.js``)."""

MAX_TEXT_CHARS = 8
"""Maximum length of a text; an emoji can have several code points."""

MAX_FILE_BYTES = 64 * 1024


def icon_of(icon: str | Path, *, folder: Path) -> str:
    """Return an icon as ``ModelInfo`` has it.

    Args:
        icon: the name of an icon of the page, an emoji or text of at most ``MAX_TEXT_CHARS``
            characters, or the ``Path`` of an image of at most ``MAX_FILE_BYTES``.
        folder: the folder that a relative path starts at.

    Raises:
        ValueError: it is none of these; the text is a sentence.
        OSError: the file can't be read.
    """
    if isinstance(icon, Path):
        return _image(folder / icon)
    if icon in NAMES or (len(icon) <= MAX_TEXT_CHARS and not Path(icon).suffix):
        return icon
    raise ValueError(
        f"There is no icon {icon!r}: use an emoji, a Path of an image, or one of"
        f" {', '.join(sorted(NAMES))}."
    )


def _image(path: Path) -> str:
    media_type = mimetypes.guess_type(path.name)[0] or ""
    if media_type not in IMAGES | {"image/svg+xml"}:
        raise ValueError(f"The icon {path.name} is no PNG, JPEG, GIF, WebP or SVG file.")
    content = path.read_bytes()
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(
            f"The icon {path.name} has {len(content):,} bytes; at most {MAX_FILE_BYTES:,} fit."
        )
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
