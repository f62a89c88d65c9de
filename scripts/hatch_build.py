"""Packs the documentation: the site if ``make docs`` has built it, otherwise the Markdown files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SITE = "build/docs/site"
SITE_PLACES = {"wheel": "wireside/_site", "sdist": SITE}
PACKED = ("*.md", "images/*", "site/console.js")
"""The files of docs/ that the server shows without the site."""


class DocumentationHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the documentation to the files of a distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files; an editable installation reads them where they are."""
        if version == "editable":
            return
        site = Path(self.root) / SITE
        if (site / "index.html").is_file():
            build_data["force_include"][str(site)] = SITE_PLACES[self.target_name]
        elif self.target_name == "wheel":
            build_data["force_include"] |= dict(self._plain_pages())

    def _plain_pages(self) -> Iterator[tuple[str, str]]:
        folder = Path(self.root) / "docs"
        for pattern in PACKED:
            for file in folder.glob(pattern):
                if file.name != "protocol.md":  # in each wheel
                    yield str(file), f"wireside/_docs/{file.relative_to(folder).as_posix()}"
