"""The snippets of docs/openai.md run as they stand, apart from the address."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server_process import ROOT, ServerProcess
from wireside.testing import FakeOpenAI

PAGE = (ROOT / "docs" / "openai.md").read_text("utf-8")

PROGRAMS = dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', PAGE, re.DOTALL | re.MULTILINE))

COMMANDS = {".py": [sys.executable], ".mjs": ["node"], ".sh": ["sh"]}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_prints_the_answer(
    name: str, server: ServerProcess, packages: Path, tmp_path: Path
) -> None:
    program = tmp_path / name
    program.write_text(PROGRAMS[name].replace("http://127.0.0.1:8080", server.url), "utf-8")
    (tmp_path / "node_modules").symlink_to(packages)
    done = subprocess.run(
        [*COMMANDS[program.suffix], name],
        cwd=tmp_path,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first = FakeOpenAI.text(300)[:20]
    assert first.split()[0] in done.stdout
