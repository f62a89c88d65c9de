"""An address is accepted only if browsers and readers interpret it in the same way."""

from __future__ import annotations

import pytest

from wireside_ui.markdown.urls import destination, says_it


@pytest.mark.parametrize(
    ("url", "host", "goes_to"),
    [
        ("https://docs.example/a?b#c", "docs.example", "https://docs.example/a?b#c"),
        ("HTTPS://Docs.EXAMPLE", "docs.example", "https://docs.example"),
        ("https://bank.example@evil.example/x", "evil.example", "https://evil.example/x"),
        ("https://u:p@evil.example:8443/", "evil.example", "https://evil.example:8443/"),
        ("https://a@b@evil.example/@c", "evil.example", "https://evil.example/@c"),
        ("https://%65vil.example/", "evil.example", "https://evil.example/"),
        ("https://evil。example/", "evil.example", "https://evil.example/"),
        ("https://ｅｖｉｌ.example/", "evil.example", "https://evil.example/"),
        ("https://gооgle.example/", "xn--ggle-55da.example", "https://xn--ggle-55da.example/"),
        ("http://127.0.0.1:8080/", "127.0.0.1", "http://127.0.0.1:8080/"),
        ("http://[::1]:8080/", "[::1]", "http://[::1]:8080/"),
        ("http://[0:0::1]", "[::1]", "http://[::1]"),
    ],
)
def test_an_address_is_written_in_one_way(url: str, host: str, goes_to: str) -> None:
    found = destination(url)
    assert found is not None
    assert (found.host, found.url) == (host, goes_to)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "javascript:x()",
            "//evil.example",
            "https:evil.example",
            "https:/evil.example",
            "https://",
        ),
        *("https:///evil.example", "http://2130706433/", "http://0x7f.1/", "http://127.1/"),
        *(
            "http://127.0.0.1.2/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::1%25eth0]/",
            "http://[x]/",
        ),
        *("https://a\\@b.example/", "https://a b.example/", "https://a\tb.example/", "https://./"),
        *("https://a.example:99999/", "https://a.example:x/", "https://℀.example/", "https://%ff/"),
        *("https://a%00b.example/", "https://a%2fb.example/", "ftp://a.example/", ""),
        "https://a.example/" + "x" * 3_000,
    ],
)
def test_what_is_not_certain_is_no_address(url: str) -> None:
    assert destination(url) is None


@pytest.mark.parametrize(
    ("text", "is_honest"),
    [
        ("the docs", True),
        ("docs.example", True),
        ("https://www.docs.example/a/b", True),
        ("Read DOCS.EXAMPLE now", True),
        ("bank.example", False),
        ("Sign in at bank.example now", False),
        ("https://bank.example@docs.example", False),
        ("bank。example", False),
        ("ｂａｎｋ．example", False),
        ("ban\u200bk.example", False),
        ("bank\u200b.example", False),
        ("docs\u00ad.example", True),
        ("\u202eelpmaxe.knab", False),
        ("dоcs.example", False),
        ("192.0.2.1", False),
    ],
)
def test_a_text_that_names_another_host_is_noticed(text: str, is_honest: bool) -> None:
    target = destination("https://docs.example/x")
    assert target is not None
    assert says_it(text, target) is is_honest
