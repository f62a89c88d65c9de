"""The lower bounds of the dependencies are correct, and the extras are optional."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx2
import pytest
from websockets.sync.client import connect

from tests.server_process import ServerProcess
from wireside.testing import FakeOpenAI, answer

pytestmark = pytest.mark.timeout(420)  # packages are downloaded

ROOT = Path(__file__).parents[2]
UV = (sys.executable, "-m", "uv")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TESTS = ("pytest>=9", "pytest-asyncio>=1.3", "pytest-timeout>=2.4", "hypothesis>=6.150", "psutil")
PLATFORMS = (
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "x86_64-unknown-linux-gnu",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
)


def uv(*words: str | Path, cwd: Path) -> str:
    """Run uv; return its output."""
    done = subprocess.run([*UV, *map(str, words)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_requirements(folder: Path, lines: list[str]) -> Path:
    file = folder / "requirements.in"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture(scope="module")
def lowest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python environment with the lowest versions that the wheel accepts, and no extra."""
    folder = tmp_path_factory.mktemp("lowest")
    file = write_requirements(folder, PROJECT["dependencies"])
    resolved = uv("pip", "compile", "--resolution", "lowest-direct", "-q", file, cwd=folder)
    (folder / "resolved.txt").write_text(resolved)
    uv("venv", "-q", "--python", sys.executable, folder / "venv", cwd=folder)
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = ("-r", folder / "resolved.txt", *TESTS)
    uv("pip", "install", "-q", "--python", python, *wanted, cwd=folder)
    return python


def test_a_server_answers_with_the_lowest_versions_and_no_extra(
    lowest: Path, tmp_path: Path
) -> None:
    command = (str(lowest), "-m", "wireside", "serve", "--port", "0")
    with FakeOpenAI() as lab:
        lab.answer_with(answer(["Hello ", "you"]), answer(["Hello ", "again"]))
        with ServerProcess(tmp_path, lab.url, command=command) as server:
            page = httpx2.get(server.url)
            assert (page.status_code, "wireside_composer" in page.text) == (200, True)
            with connect(server.socket_url) as client:
                client.send('{"type": "chat", "message": "Hi"}')
                frames = [client.recv()]
                while '"done"' not in frames[-1]:
                    frames.append(client.recv())
                assert "Hello" in "".join(map(str, frames))
                client.send('{"type": "chat", "id": "1", "message": "Hi", "conversation": "new"}')
                while '"done"' not in str(client.recv()):
                    pass
            listed = httpx2.get(f"{server.url}/api/conversations").json()
            assert len(listed["conversations"]) == 1
        assert "Traceback" not in server.log


def test_unit_tests_pass_with_the_lowest_versions(lowest: Path) -> None:
    """Tests of code that relies on dependency internals: protocols, parsing, SQL, Markdown."""
    paths = [
        *("backend/server/test_http.py", "backend/api/test_websocket.py", "backend/session"),
        *("backend/openai_wire", "backend/providers/test_openai.py"),
        *("backend/chat/test_library.py", "backend/transfer/test_imports.py"),
        *("ui/markdown/test_math.py", "ui/markdown/test_rules.py"),
    ]
    waits = ("-k", "not sign_of_life and not slow")  # their durations do not depend on a dependency
    warnings = ("-o", "filterwarnings=default")  # old versions use APIs deprecated by newer ones
    options = ("-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", *waits, *warnings)
    done = subprocess.run(
        [lowest, "-m", "pytest", *options, *(f"tests/{path}" for path in paths)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([f"{ROOT}/backend", f"{ROOT}/ui"])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize(
    ("settings", "extra"),
    [
        ({"auth": "oidc", "oidc_issuer": "https://id.example", "oidc_client_id": "x"}, "oidc"),
        ({"redis_url": "redis://127.0.0.1:9"}, "redis"),
        ({"files_url": "s3://bucket"}, "s3"),
        ({"database_url": "postgresql://127.0.0.1:9/x"}, "postgres"),
        ({"mcp_servers": '{"mcpServers": {"x": {"command": "y"}}}'}, "mcp"),
    ],
)
def test_a_setting_that_needs_an_extra_names_it(
    lowest: Path, tmp_path: Path, settings: dict[str, str], extra: str
) -> None:
    command = (str(lowest), "-m", "wireside", "serve", "--port", "0")
    server = ServerProcess(tmp_path, "http://127.0.0.1:9/v1", command=command, **settings)
    with pytest.raises(AssertionError, match=rf"pip install 'wireside\[{extra}\]'"):
        server.start()


def test_without_the_runtime_of_the_embedded_model_the_server_says_what_to_install(
    lowest: Path, tmp_path: Path
) -> None:
    command = (str(lowest), "-m", "wireside", "serve", "--port", "0")
    with ServerProcess(tmp_path, None, command=command, cache_dir=tmp_path) as server:
        ready = httpx2.get(f"{server.url}/api/health/ready").json()
        assert "wireside[local]" in ready["reason"], ready
    assert "wireside[local]" in server.log


def test_without_the_packages_for_office_files_the_server_knows_it(lowest: Path) -> None:
    code = (
        "from wireside.files.media_types import *\n"
        "print(*(can_read(one) for one in (PDF, WORD, EXCEL, POWERPOINT)))"
    )
    done = subprocess.run(
        [lowest, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{ROOT}/backend"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "False", "False", "False"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_installs_from_wheels_alone(platform: str, tmp_path: Path) -> None:
    """Alpine images often lack a compiler."""
    file = write_requirements(tmp_path, PROJECT["dependencies"])
    options = ("--python-platform", platform, "--python-version", "3.11", "--only-binary", ":all:")
    assert "nicegui==" in uv("pip", "compile", "-q", *options, file, cwd=tmp_path)
