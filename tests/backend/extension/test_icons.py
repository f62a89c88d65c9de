"""Icons of handlers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wireside.extension.chat import Chat
from wireside.extension.icons import MAX_FILE_BYTES, NAMES, icon_of
from wireside.extension.turn import Turn
from wireside_ui.styles import COMPONENTS


async def icon_in_list(icon: str | Path) -> str:
    chat = Chat()

    @chat.on_message(icon=icon)
    def answer(turn: Turn) -> str:
        return ""

    (model,) = await chat.provider().models()
    return model.icon


def test_the_names_are_those_of_the_page() -> None:
    script = (COMPONENTS / "kit" / "modules" / "icons.js").read_text("utf-8")
    paths = script[script.index("const PATHS") : script.index("};")]
    assert set(re.findall(r"^  (\w+):", paths, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("icon", ["search", "👩🏽‍🔬", "R2", ""])
async def test_names_and_short_texts_are_kept(icon: str) -> None:
    assert await icon_in_list(icon) == icon


async def test_an_image_is_found_next_to_the_handler() -> None:
    logo = Path(__file__).parents[3] / "assets" / "logo.svg"
    assert (await icon_in_list(logo)).startswith("data:image/svg+xml;base64,")
    with pytest.raises(FileNotFoundError, match=str(Path(__file__).parent)):
        await icon_in_list(Path("robot.png"))


def test_other_icons_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no icon 'robot-with-hat'.*search"):
        icon_of("robot-with-hat", folder=tmp_path)
    (tmp_path / "page.html").write_text("<script>")
    with pytest.raises(ValueError, match=r"page\.html is no PNG"):
        icon_of(Path("page.html"), folder=tmp_path)
    (tmp_path / "big.png").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(ValueError, match="at most 65,536"):
        icon_of(Path("big.png"), folder=tmp_path)
