"""A real S3-compatible server on a free port: that of the package ``moto``, in its own process."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

BUCKET = "files"


@contextmanager
def serve_s3() -> Iterator[str]:
    """Yield the address of a server that has one empty bucket."""
    command = [sys.executable, "-m", "moto.server", "-p", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        url = next(found[0] for line in process.stderr if (found := re.search(r"http://\S+", line)))
        request = urllib.request.Request(f"{url}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request, timeout=20).close()
        yield url
    finally:
        process.kill()
        process.communicate()
