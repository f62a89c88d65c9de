"""Writes the contract with clients into docs/contract/, and compares it with the last release's.

``make contract`` fails with a sentence for each change that breaks a client. ``--check`` writes
nothing and fails if the committed contract is not that of the code. ``--release`` makes the
contract that of a release, which later ones are compared with.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from contract_changes import Contract, breaks

from wireside.app import create_app
from wireside.protocol.contract import (
    asyncapi_document,
    client_schemas,
    schema_document,
    server_schemas,
)
from wireside.providers.scripted import ScriptedProvider
from wireside.settings.model import Settings
from wireside.tester.chat_tester import TestSettings
from wireside.version import __version__

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "contract"


def main() -> int:
    """Write or check the contract; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if out of date")
    parser.add_argument("--release", action="store_true", help="make it the last release's")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    folder, released = options.folder, options.folder / "released"
    contract = build_contract()
    texts = {name: text_of(document) for name, document in contract.items()}
    if options.check:
        stale = [name for name, text in texts.items() if read(folder / name) != text]
        if stale:
            print(f"{', '.join(stale)}: not that of the code; run `make contract`.")
            return 1
    else:
        for name, text in texts.items():
            write(folder / name, text)
    if options.release:
        shutil.rmtree(released, ignore_errors=True)
        for name, text in texts.items():
            write(released / name, text)
        print(f"The contract of {__version__} is that of the last release.")
        return 0
    return compare(released, contract)


def compare(released: Path, contract: Contract) -> int:
    """Print what breaks clients of the last release; return the exit code."""
    if not released.is_dir():
        print("There is no release to compare with.")
        return 0
    old = {name: json.loads(read(released / name)) for name in contract}
    version = old["openapi.json"]["info"]["version"]
    found = breaks(old, contract)
    for sentence in found:
        print(sentence)
    print(
        f"{len(found)} changes break clients of {version}."
        if found
        else f"Clients of {version} need no change."
    )
    return int(bool(found))


def build_contract() -> Contract:
    """Return the documents of the contract by file name."""
    chars = Settings.model_fields["max_message_chars"].default
    return {
        "client-frames.schema.json": schema_document(
            "Frames of clients of /ws/ai-chat", client_schemas(chars)
        ),
        "server-frames.schema.json": schema_document(
            "Frames of the server of /ws/ai-chat", server_schemas()
        ),
        "asyncapi.json": asyncapi_document(version=__version__, max_message_chars=chars),
        "openapi.json": openapi_document(),
    }


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of a server with default settings."""
    with tempfile.TemporaryDirectory() as folder:
        settings = TestSettings(data_dir=Path(folder))
        application = create_app(settings, provider=ScriptedProvider())
        return application.app.openapi()


def text_of(document: dict[str, Any]) -> str:
    """Return a document as it is committed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read(file: Path) -> str:
    """Return the text of a file, "" if there is none."""
    return file.read_text("utf-8") if file.is_file() else ""


def write(file: Path, text: str) -> None:
    """Write a file, and its folder if there is none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
