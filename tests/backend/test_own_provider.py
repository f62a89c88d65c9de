"""An application with a provider of its own, in a process that is not the server's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wireside

pytestmark = pytest.mark.slow

HOST = Path(__file__).with_name("host_process.py")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a host process saw of an application with its own provider, and of itself."""
    folder = tmp_path_factory.mktemp("host")
    ended = subprocess.run(
        [sys.executable, "-W", "error", HOST, folder],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=folder,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_a_question_over_the_websocket_gets_the_answer_of_the_own_provider(
    seen: dict[str, Any],
) -> None:
    frames = seen["frames"]
    assert "".join(frame["content"] for frame in frames if frame["type"] == "chunk") == "HELLO"
    assert (frames[-1]["type"], frames[-1]["reason"]) == ("done", "stop")
    (turn,) = seen["conversation"]["turns"]
    assert turn["answer"][0]["parts"][0]["text"] == "HELLO"


def test_an_own_provider_is_named_by_itself(seen: dict[str, Any]) -> None:
    assert (seen["ready"]["status"], seen["ready"]["provider"]) == ("ready", "parrot")
    (model,) = seen["models"]
    assert (model["id"], model["name"], model["owner"]) == ("polly", "Polly", "The ship")


def test_an_own_provider_is_warmed_up_and_closed(seen: dict[str, Any]) -> None:
    assert seen["calls"] == ["warm_up", "aclose"]


@pytest.mark.parametrize("when", ["process", "after"])
def test_nothing_of_the_process_is_changed(seen: dict[str, Any], when: str) -> None:
    before, later = seen["before"], seen[when]
    if when == "process":  # NiceGUI runs, and our pages' connections are guarded
        assert before["nicegui"] != later.pop("nicegui")
        before = {name: value for name, value in before.items() if name != "nicegui"}
    loggers = later["loggers"]
    later["loggers"] = {name: loggers[name] for name in before["loggers"]}
    assert later == before
    assert loggers["alembic"][0] == 0, "the level is the host's"


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    document = Path(__file__).parents[2] / "docs" / "python.md"
    _, program, _ = document.read_text("utf-8").split("```", 2)
    program = program.removeprefix("python") + "print(app.parts.provider.kind)\n"
    environment = os.environ | {"WIRESIDE_DATA_DIR": str(tmp_path)}
    out = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)
    assert out == "parrot\n"


def test_a_subclass_of_the_port_needs_models_and_stream_only() -> None:
    class Quiet(wireside.Provider):
        async def models(self) -> list[wireside.ModelInfo]:
            return []

        async def stream(self, request: wireside.ModelRequest) -> Any:
            yield wireside.Finished("stop")

    assert Quiet().kind == "Quiet"


def test_every_public_name_is_there() -> None:
    assert all(getattr(wireside, name) is not None for name in wireside.__all__)


def test_the_package_is_imported_without_its_server() -> None:
    program = "import sys, wireside; print(*sorted(n for n in sys.modules if 'wireside' in n))"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == ["wireside"]
