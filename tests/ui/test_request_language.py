"""The language of a request: the chosen one, else the browser's."""

from __future__ import annotations

import pytest
from fastapi import Request

from wireside_ui.request_language import language_of_request


@pytest.mark.parametrize(
    ("cookie", "language"),
    [
        ("", "fr"),
        ("wireside_language=ja", "ja"),
        ("a=1; wireside_language=ar; b=2", "ar"),
        ("wireside_language=klingon", "fr"),
        ('wireside_language="><script>', "fr"),
    ],
)
def test_a_cookie_chooses_the_language(cookie: str, language: str) -> None:
    headers = [(b"accept-language", b"fr-CA,en;q=0.5"), (b"cookie", cookie.encode())]
    request = Request({"type": "http", "headers": headers})
    assert language_of_request(request) == language
