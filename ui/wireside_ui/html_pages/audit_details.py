"""The details of audit entries in the language of the page.

Entries are stored in English, as in the server's log and ``GET /api/audit``. What does not match
the form of its action (such as an entry of an older version, or one that was cut) is shown as it
is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_ROLE: Final = "admin|user|viewer"

_FORMS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "signed_in": (("by_host", "by the host"), ("by_proxy", "by the proxy")),
    "signed_out": (("browsers", r"(?P<count>\d+) browsers"),),
    "invited": (
        ("new_user", rf"a new user as (?P<role>{_ROLE})"),
        ("user", rf"(?P<name>.+) as (?P<role>{_ROLE})"),
    ),
    "account_made": (
        ("user", rf"(?P<name>.+) as (?P<role>{_ROLE})"),
        ("role", rf"as (?P<role>{_ROLE})"),
        ("role_by", rf"as (?P<role>{_ROLE}), by (?P<by>.+)"),
    ),
    "role_changed": (("role_change", rf"(?P<name>.+): (?P<was>{_ROLE}) to (?P<role>{_ROLE})"),),
    "key_made": (
        ("key", r"(?P<key>\S+ .+): (?P<scopes>(?:chat|read|admin)(?:, (?:chat|read|admin))*)"),
    ),
    "shared": (("share", r"(?P<share>\S+) of (?P<conversation>\S+)"),),
    "conversation_shared": (
        ("user_reads", r"(?P<conversation>\S+) with user (?P<name>.+): read"),
        ("user_replies", r"(?P<conversation>\S+) with user (?P<name>.+): reply"),
        ("group_reads", r"(?P<conversation>\S+) with group (?P<name>.+): read"),
        ("group_replies", r"(?P<conversation>\S+) with group (?P<name>.+): reply"),
    ),
    "conversation_unshared": (
        ("with_user", r"(?P<conversation>\S+) with user (?P<name>.+)"),
        ("with_group", r"(?P<conversation>\S+) with group (?P<name>.+)"),
    ),
    "conversation_exported": (("all", r"all (?P<format>\S+)"),),
    "conversations_expired": (("conversations", r"(?P<count>\d+) conversations"),),
    "all_exported": (("conversations_as", r"(?P<count>\d+) conversations, (?P<format>.+)"),),
    "restored": (("backup", r"(?P<file>.+), made (?P<time>[^,]+)"),),
    "moved": (("move", r"(?P<source>.+) to (?P<target>.+)"),),
}
"""For each action the forms of its details: their name in the catalogue and their pattern."""

_COMMAND_LINE: Final = re.compile(r"command line of (?P<user>.+)", re.DOTALL)


def detail_in(words: Mapping[str, str], action: str, subject: str) -> str | None:
    """Return the details of an entry in the language of ``words``; None if their form is unknown.

    >>> detail_in({"audited_browsers": "Browser: {count}"}, "signed_out", "3 browsers")
    'Browser: 3'
    """
    for name, pattern in _FORMS.get(action, ()):
        if found := re.fullmatch(pattern, subject, re.DOTALL):
            values = {key: _word(words, key, value) for key, value in found.groupdict().items()}
            return words[f"audited_{name}"].format(**values)
    return None


def address_in(words: Mapping[str, str], address: str) -> str:
    """Return where an action came from: a network address, or a command line."""
    found = _COMMAND_LINE.fullmatch(address)
    return words["audited_command_line"].format(**found.groupdict()) if found else address


def _word(words: Mapping[str, str], key: str, value: str) -> str:
    if key in ("role", "was"):
        return words[f"account_role_{value}"]
    if key == "scopes":
        return " · ".join(words[f"account_scope_{one}"] for one in value.split(", "))
    return value
