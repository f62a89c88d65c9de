"""The server is imported without packages that it does not use, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from wireside.cli.unused import UNUSED, without_unused_packages

with without_unused_packages():
    import wireside.app
mapper = "sqlalchemy.orm"  # for PostgreSQL
print([name for name in (*UNUSED, mapper) if name in sys.modules])
import redis, requests
print(redis.__name__, requests.__name__)
with without_unused_packages():
    import redis
print(redis.__name__)
"""


def test_they_are_imported_by_those_who_need_them_only() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "redis requests", "redis"]
