"""The path below which browsers reach the server, such as ``/tools/chat``; "" for the root."""

from __future__ import annotations

import re
from typing import Final

# only characters that need no escaping in a URL, HTML, CSS, JavaScript or a cookie's path
_ROOT_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")


def parse_root_path(text: str) -> str:
    """Return a path without its trailing slash; "" for "/" and "".

    Raises:
        ValueError: it is no path of letters, digits and ``.``, ``_``, ``~``, ``-``; the text is a
            sentence.
    """
    bare = text.rstrip("/")
    if bare and not _ROOT_PATH.fullmatch(bare):
        raise ValueError(f"{text!r} is no path; write it as /tools/chat.")
    return bare
