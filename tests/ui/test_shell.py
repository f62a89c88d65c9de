"""The page before its scripts are loaded."""

from __future__ import annotations

from typing import Any

from wireside_ui.i18n.catalogue import words_in
from wireside_ui.shell import shell_html


def shell(**changes: Any) -> str:
    values: dict[str, Any] = {
        "name": "Name",
        "logo": "/logo",
        "base": "",
        "tagline": "Line",
        "starters": ("One", "Two"),
        "draft": "",
        "words": words_in("en"),
        "is_empty": True,
    }
    return shell_html(**{**values, **changes})


def test_a_new_chat_shows_its_starters_and_an_old_one_does_not() -> None:
    assert "One</button>" in shell()
    assert "One</button>" not in shell(is_empty=False)


def test_what_a_team_or_an_address_brings_is_text() -> None:
    hostile = "</script><script>alert(1)</script>\"'"
    page = shell(name=hostile, tagline=hostile, starters=(hostile,), draft=hostile, logo=hostile)
    assert page.count("<script>") == 1
    assert page.count("</script>") == 1
    assert "alert(1)</script>" not in page


def test_it_bears_no_test_id_that_the_page_has_too() -> None:
    assert "data-testid" not in shell()
