"""The description of the package on an index: the README without links into the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"<picture>.*?</picture>\n*", re.DOTALL)
LOCAL_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|mailto:|#)[^)\s]+\)")


def description_of(readme: str) -> str:
    """Return the README as an index shows it, where neither files nor pictures are next to it."""
    return LOCAL_LINK.sub(r"\1", PICTURE.sub("", readme))


class DescriptionHook(MetadataHookInterface):
    """Sets the description of a distribution."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the description to the metadata of ``pyproject.toml``."""
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = description_of(readme)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
