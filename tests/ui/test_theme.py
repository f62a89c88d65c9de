"""The contents of the page's head."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from wireside.assets import assets_folder
from wireside_ui.styles import PAGES
from wireside_ui.theme import BACKGROUNDS, Branding, head_html

JOINED = {f"css/{page}.css" for page in PAGES}


def head(look: Branding) -> str:
    return head_html(look, base="/x", version="v1", language="ar", direction="rtl")


def test_what_it_asks_for_exists_and_bears_the_version() -> None:
    for path, version in re.findall(r'href="/x/assets/([^"?]+)(\?v=v1)?"', head(Branding())):
        assert path in JOINED or (assets_folder() / path).is_file()
        assert version or path.endswith(".woff2")


def test_a_name_is_text() -> None:
    assert "<b>" not in head(Branding(name="<b>&\"'"))


def test_a_teams_accent_is_used_in_light_and_dark() -> None:
    css = head(Branding(accent="#aa3300"))
    assert "--ws-accent:#aa3300" in css
    assert "html.ws-dark" in css
    assert "--ws-accent" not in head(Branding())


def test_what_surrounds_the_page_has_its_colour() -> None:
    css = (assets_folder() / "css" / "theme.css").read_text(encoding="utf-8")
    assert re.findall(r"--ws-bg: (#\w+)", css) == [BACKGROUNDS["light"], BACKGROUNDS["dark"]]


def test_every_font_is_there_with_its_licence() -> None:
    css = (assets_folder() / "css" / "theme.css").read_text(encoding="utf-8")
    fonts = [Path(name).name for name in re.findall(r'url\("([^"]+)"\)', css)]
    there = {file.name for file in (assets_folder() / "fonts").glob("*.woff2")}
    assert set(fonts) == there
    for name in there:
        assert any(
            name.startswith(f.stem) for f in (assets_folder() / "fonts").glob("*.LICENSE")
        ), name
    assert sum((assets_folder() / "fonts" / name).stat().st_size for name in there) < 250_000


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    values = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_accent_can_be_read_in_light_and_dark() -> None:
    folder = assets_folder() / "css"
    sheets = ((folder / f"{name}.css").read_text("utf-8") for name in ("theme", "accent"))
    theme, accents = ("".join(text) for text in sheets)
    grounds = [
        re.findall(rf"--ws-{name}: (#\w+)", theme)
        for name in ("bg", "surface", "bubble", "code-bg")
    ]
    pairs = re.findall(r"--ws-accent: (#\w+);\s+--ws-on-accent: (#\w+)", accents)
    assert len(pairs) == 14
    for at, (accent, text) in enumerate(pairs):
        is_dark = at >= len(pairs) // 2
        assert contrast(accent, text) >= 4.5, accent
        for ground in grounds:
            assert contrast(accent, ground[is_dark]) >= 4.5, (accent, ground[is_dark])


def test_css_variables_have_values_for_light_and_dark() -> None:
    look = Branding(css_variables={"--ws-bg": ("#fff", "#000"), "--ws-radius": "4px"})
    css = head(look)
    assert ":root{--ws-bg:#fff;--ws-radius:4px}" in css
    assert "html.ws-dark,body.body--dark{--ws-bg:#000;--ws-radius:4px}" in css


@pytest.mark.parametrize(
    "wrong",
    [
        {"accent": "red"},
        {"links": {"Imprint": "javascript:alert(1)"}},
        {"links": {"Imprint": "//other.example"}},
        {"css_variables": {"ws-bg": "#fff"}},
        {"css_variables": {"--ws-bg": "red;}body{display:none"}},
        {"css_variables": {"--ws-bg": "</style><script>"}},
        {"css_variables": {"--ws-bg": ("#fff", "")}},
    ],
)
def test_a_look_that_would_break_the_page_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Branding(**wrong)
