"""The JavaScript client is one file, joined from its modules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from wireside.assets import assets_folder
from wireside_ui import client_module

SOURCE = assets_folder() / "client" / "wireside"

EXPORTS = """
const exports = Object.entries(await import(process.argv[1]));
console.log(JSON.stringify(exports.map(([name, value]) => [name, String(value)])));
"""
"""Prints the names and the source of what a module exports."""


def test_every_module_is_joined() -> None:
    assert sorted(client_module.MODULES) == sorted(path.stem for path in SOURCE.glob("*.js"))


def test_modules_import_only_each_other_and_only_the_last_one_exports() -> None:
    text = client_module.joined()
    assert re.findall(r"^import\b|@import|\bimport\(", text, re.MULTILINE) == []
    assert re.findall(r"^export\b.*", text, re.MULTILINE) == [
        "export { Answer, Batch, Conversation, Wireside, WiresideError };"
    ]
    assert text.endswith(";\n")


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here")
def test_the_file_exports_the_same_as_the_modules(tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "wireside.mjs").write_text(client_module.joined(), "utf-8")
    apart = tmp_path / "apart"
    shutil.copytree(SOURCE, apart)
    (apart / "package.json").write_text('{"type": "module"}')
    exported = exports_of(alone / "wireside.mjs")
    assert exported == exports_of(apart / "index.js")
    assert "Wireside" in exported


def exports_of(module: Path) -> dict[str, str]:
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", EXPORTS, module.as_uri()],
        cwd=module.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))
