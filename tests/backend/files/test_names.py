"""Names of uploads are shown, and offered for downloads; they are never paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.files.names import MAX_NAME_CHARS, clean_name


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("report.pdf", "report.pdf"),
        ("Übersicht – Mai.xlsx", "Übersicht – Mai.xlsx"),
        ("C:\\Users\\ada\\report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("/", "file"),
        ("..", "file"),
        (".htaccess", "htaccess"),
        ("a\r\nSet-Cookie: b.png", "a Set-Cookie b.png"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("\0\x07", "file"),
        ('a"b<c>.txt', "a b c .txt"),
        ("x" * 500 + ".csv", "x" * 116 + ".csv"),
        ("y" * 500, "y" * 120),
    ],
)
def test_names(name: str, clean: str) -> None:
    assert clean_name(name) == clean


@given(st.text(max_size=300))
def test_no_name_is_a_path_or_too_long(name: str) -> None:
    clean = clean_name(name)
    assert 0 < len(clean) <= MAX_NAME_CHARS
    assert not set(clean) & set('/\\:*?"<>|\r\n\0')
    assert clean_name(clean) == clean or "." in clean
