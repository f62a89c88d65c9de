"""Reads the size of an image from its header, without decoding it.

A few kilobytes can declare an image whose pixels fill the memory of a program that decodes it.
"""

from __future__ import annotations

import struct

MAX_PIXELS = 50_000_000
"""Largest image: 50 megapixels, as cameras make them."""


def pixel_size(media_type: str, head: bytes) -> tuple[int, int] | None:
    """Return the width and height that an image declares; None if it is damaged.

    Args:
        media_type: one of ``media_types.IMAGES``.
        head: the beginning of the image.
    """
    try:
        match media_type:
            case "image/png":
                size = struct.unpack_from(">II", head, 16) if head[12:16] == b"IHDR" else None
            case "image/gif":
                size = struct.unpack_from("<HH", head, 6)
            case "image/webp":
                size = _webp_size(head)
            case _:
                size = _jpeg_size(head)
    except struct.error:
        return None
    return (size[0], size[1]) if size and min(size) > 0 else None


def _jpeg_size(head: bytes) -> tuple[int, ...] | None:
    """Read the frame header, after the segments before it."""
    at = 2
    while True:
        mark, kind, length = struct.unpack_from(">BBH", head, at)
        if mark != 0xFF:
            return None
        if kind == 0xFF:  # a fill byte
            at += 1
        elif 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        elif kind == 0xDA or length < 2:  # the pixels: there was no frame header
            return None
        else:
            at += 2 + length


def _webp_size(head: bytes) -> tuple[int, ...] | None:
    match head[12:16]:
        case b"VP8X":
            low = struct.unpack_from("<HBHB", head, 24)
            return low[0] + (low[1] << 16) + 1, low[2] + (low[3] << 16) + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", head, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return None
