"""The AsyncAPI document passes AsyncAPI's own parser."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients import runtimes

ASYNCAPI = Path(__file__).parents[2] / "docs" / "contract" / "asyncapi.json"

PROGRAM = """
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const require = createRequire(process.argv[2] + "/");
const { Parser } = require("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[3], "utf8"));
console.log(JSON.stringify({
  operations: document?.operations().all().map((one) => one.id()),
  diagnostics: diagnostics.map((one) => `${one.path.join(".")}: ${one.message}`),
}));
"""


def parsed(folder: Path, document: Path) -> dict[str, list[str]]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here")
    try:
        modules = runtimes.install("asyncapi", "@asyncapi/parser@3")
    except runtimes.Missing as error:
        pytest.skip(str(error))
    program = folder / "program.mjs"
    program.write_text(PROGRAM)
    ended = subprocess.run(
        [node, program, modules, document], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, list[str]] = json.loads(ended.stdout)
    return found


@pytest.mark.timeout(360)  # packages are downloaded
def test_the_document_is_valid(tmp_path: Path) -> None:
    found = parsed(tmp_path, ASYNCAPI)
    assert found["diagnostics"] == []
    assert found["operations"] == [
        *("ask", "askSeveral", "answerQuestion", "resume", "cancel", "keepAlive")
    ]


@pytest.mark.timeout(360)
def test_a_reply_that_does_not_exist_is_noticed(tmp_path: Path) -> None:
    document = json.loads(ASYNCAPI.read_text("utf-8"))
    del document["channels"]["chat"]["messages"]["Pong"]
    changed = tmp_path / "asyncapi.json"
    changed.write_text(json.dumps(document), "utf-8")
    assert any("Pong" in one for one in parsed(tmp_path, changed)["diagnostics"])
