"""Finds ``assets/``: beside the code in a wheel, at the top of the project in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder() -> Path:
    """Return the folder of the logo, icons, fonts and styles. Raises ``FileNotFoundError``."""
    for candidate in (_PACKAGE / "_assets", _PACKAGE.parents[1] / "assets"):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError("The folder `assets` is neither in the package nor beside it.")
