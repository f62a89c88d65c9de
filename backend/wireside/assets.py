"""Locates ``assets/``, ``docs/`` and the built site: in a wheel, or in the source tree."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def assets_folder() -> Path:
    """Return the folder of the logo, icons, fonts and styles.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for candidate in (_PACKAGE / "_assets", _PACKAGE.parents[1] / "assets"):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError("The folder `assets` is neither in the package nor in the source tree.")


def documents_folder() -> Path:
    """Return the folder of ``protocol.md``.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for candidate in (_PACKAGE / "_docs", _PACKAGE.parents[1] / "docs"):
        if (candidate / "protocol.md").is_file():
            return candidate
    raise FileNotFoundError("`docs/protocol.md` is neither in the package nor in the source tree.")


def site_folder() -> Path:
    """Return the folder of the documentation as a site; it need not exist.

    A wheel has the site if it was built before; in a checkout ``make docs`` builds it.
    """
    packed = _PACKAGE / "_site"
    return packed if packed.is_dir() else _PACKAGE.parents[1] / "build" / "docs" / "site"
