"""The JavaScript client as programs get it: one file, or the npm package ``wireside-client``.

``scripts/client.py`` builds both from the modules in ``client/wireside/`` of the assets. The
package's archive has the same bytes on every machine, because npm keeps a hash of it: its times are
fixed, and its data is not compressed, as compressors differ.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zlib
from functools import cache
from typing import Any

from wireside.assets import assets_folder
from wireside.version import __version__

ENTRIES = ("wireside", "react", "vue", "svelte")
"""The core, and the hooks of each framework."""

FRAMEWORKS = {"react": ">=18", "vue": ">=3.3", "svelte": ">=4"}
"""Peer dependencies. All are optional."""

BLOCK_BYTES = 65_535
"""The most bytes that a block of uncompressed data has in the format of gzip (RFC 1951, 3.2.4)."""

TIME_S = 499_162_500
"""The time of all files: that of every package which npm packs."""


@cache
def module() -> str:
    """Return the client as one file, ``client/wireside.mjs`` and ``client/wireside.js``."""
    return (assets_folder() / "client" / "wireside.mjs").read_text("utf-8")


@cache
def tarball() -> bytes:
    """Return the package as npm installs it, ``client/wireside-client.tgz``."""
    folder = assets_folder() / "client" / "package"
    texts = {"package.json": json.dumps(manifest(), indent=2) + "\n"}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            texts[file.relative_to(folder).as_posix()] = file.read_text("utf-8")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, text in texts.items():
            info = tarfile.TarInfo(f"package/{name}")
            data = text.encode()
            info.size, info.mtime, info.mode = len(data), TIME_S, 0o644
            archive.addfile(info, io.BytesIO(data))
    return _stored(packed.getvalue())


def manifest() -> dict[str, Any]:
    """Return the package's ``package.json``."""
    exports = {
        "." if entry == "wireside" else f"./{entry}": {
            "types": f"./{entry}.d.mts",
            "default": f"./{entry}.mjs",
        }
        for entry in ENTRIES
    }
    return {
        "name": "wireside-client",
        "version": npm_version(__version__),
        "description": "Streams answers of a Wireside server, and resumes them after a disconnect.",
        "license": "MIT",
        "type": "module",
        "sideEffects": ["./wireside.mjs"],
        "main": "./wireside.mjs",
        "types": "./wireside.d.mts",
        "exports": {**exports, "./package.json": "./package.json"},
        "engines": {"node": ">=20"},
        "peerDependencies": FRAMEWORKS,
        "peerDependenciesMeta": {name: {"optional": True} for name in FRAMEWORKS},
    }


def npm_version(version: str) -> str:
    """Return a Python version as one of npm: ``0.1.0.dev3`` is ``0.1.0-dev3``."""
    numbers: list[str] = []
    rest: list[str] = []
    for piece in version.replace("+", ".").split("."):
        (numbers if piece.isdigit() and len(numbers) < 3 and not rest else rest).append(piece)
    numbers += ["0"] * (3 - len(numbers))
    return ".".join(numbers) + (f"-{'.'.join(rest)}" if rest else "")


def _stored(data: bytes) -> bytes:
    """Return ``data`` in the format of gzip, uncompressed."""
    pieces = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]
    for start in range(0, len(data), BLOCK_BYTES):
        block = data[start : start + BLOCK_BYTES]
        is_last = start + BLOCK_BYTES >= len(data)
        pieces += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    pieces.append(struct.pack("<II", zlib.crc32(data), len(data)))
    return b"".join(pieces)
