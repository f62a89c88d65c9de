"""The configuration of MCP servers: accepted and refused values, and the secrets in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wireside import McpServer
from wireside.extension.mcp.servers import read_servers
from wireside.settings.load import WrongSettings, load_settings
from wireside.settings.model import Settings

SECRET = "sesame-1234"


def config(**servers: Any) -> str:
    return json.dumps({"mcpServers": servers})


def test_the_well_known_form_is_read() -> None:
    files, crm = read_servers(
        config(
            files={"command": "npx", "args": ["-y", "files"], "env": {"A": "b"}, "cwd": "/srv"},
            crm={
                "type": "http",
                "url": "https://crm.example.org/mcp",
                "headers": {"Authorization": "Bearer x"},
                "approve": ["delete"],
            },
            off={"command": "x", "disabled": True},
        )
    )
    assert files == McpServer("files", command=("npx", "-y", "files"), env={"A": "b"}, cwd="/srv")
    assert (crm.url, crm.headers, crm.approve) == (
        "https://crm.example.org/mcp",
        {"Authorization": "Bearer x"},
        ("delete",),
    )
    assert read_servers("") == ()


def test_a_path_is_read_as_well(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(config(files={"command": "x"}))
    (server,) = read_servers(str(file))
    assert server.name == "files"
    with pytest.raises(ValueError, match="can't be read"):
        read_servers(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not valid JSON"),
        ("[]", "must have the form"),
        ('{"mcpServers": []}', "must have the form"),
        ("[" * 100_000, "JSON|deeply"),
        (config(x=7), "'x' must be an object"),
        (config(x={}), "'x' needs either a `command` or a `url`"),
        (config(x={"command": "a", "url": "https://b"}), "either"),
        (config(x={"command": 7}), "`command` as a text"),
        (config(x={"command": "a", "args": "b"}), "`args` as a list"),
        (config(x={"command": "a", "args": [7]}), "list of texts"),
        (config(x={"command": "a", "env": {"A": 7}}), "`env` as an object of texts"),
        (config(x={"command": "a", "env": {"A=": "7"}}), "variable in `env`"),
        (config(x={"command": "a\0"}), "NUL"),
        (config(x={"command": "a", "headers": {"A": "b"}}), "`headers`"),
        (config(x={"url": "file:///etc/passwd"}), "such as https"),
        (config(x={"url": "https://"}), "such as https"),
        (config(x={"url": "https://a:port/"}), "such as https"),
        (config(x={"url": "https://a", "headers": {"A b": "c"}}), "HTTP does not allow"),
        (config(x={"url": "https://a", "headers": {"A": "b\r\nC: d"}}), "HTTP does not allow"),
        (config(x={"url": "https://a", "env": {"A": "b"}}), "`env`"),
        (config(x={"type": "sse", "url": "https://a"}), "unknown type 'sse'"),
        (config(x={"type": "http", "command": "a"}), "needs a `url`"),
        (config(x={"command": "a", "alwaysAllow": []}), "unknown key 'alwaysAllow'"),
        (config(x={"command": "a", "approve": "all"}), "`approve`"),
        (config(**{"a b": {"command": "x"}}), "no name of an MCP server"),
    ],
)
def test_what_does_not_fit_is_named(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_servers(text)


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "a", "args": [SECRET, 7]},
        {"command": "a", "env": {"A": SECRET}, "headers": {"A": SECRET}},
        {"command": "a", "env": {"A": f"{SECRET}\0"}},
        {"url": f"ftp://{SECRET}"},
        {"url": "https://a", "headers": {"A": f"{SECRET}\n"}},
        {"url": f"https://{SECRET}", "type": "stdio"},
    ],
)
def test_no_error_and_no_representation_shows_a_secret(
    entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRESIDE_MCP_SERVERS", config(x=entry))
    with pytest.raises(WrongSettings) as error:
        load_settings()
    assert "WIRESIDE_MCP_SERVERS" in str(error.value)
    assert SECRET not in str(error.value)
    valid = McpServer("x", url=f"https://{SECRET}", headers={"A": f"Bearer {SECRET}"})
    assert SECRET not in repr(valid)
    assert SECRET not in repr(Settings(mcp_servers=config(x={"command": SECRET})))
    assert SECRET not in valid.redacted(f"Bearer {SECRET} and {SECRET}")


def test_the_setting_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(config(files={"command": "x"}))
    monkeypatch.setenv("WIRESIDE_MCP_SERVERS_FILE", str(file))
    assert [server.name for server in load_settings().mcp_server_list] == ["files"]
    monkeypatch.delenv("WIRESIDE_MCP_SERVERS_FILE")
    monkeypatch.setenv("WIRESIDE_MCP_SERVERS", str(file))
    assert [server.name for server in load_settings().mcp_server_list] == ["files"]


@pytest.mark.parametrize(
    ("approve", "read_only", "writing"),
    [(None, False, True), (True, True, True), (False, False, False), (["write"], False, True)],
)
def test_approval(approve: Any, read_only: bool, writing: bool) -> None:
    server = McpServer("x", command=["a"], approve=approve)
    assert server.needs_approval("read", is_read_only=True) is read_only
    assert server.needs_approval("write", is_read_only=False) is writing


@pytest.mark.parametrize("before", ["'", "\ufeff", "''"])
def test_a_quoted_value_is_read_and_a_wrong_one_is_not_shown(before: str) -> None:
    value = '{"mcpServers": {"a": {"url": "https://a.example", "headers": {"K": "sesame"}}}}'
    (server,) = read_servers(f"{before}{value}{before}")
    assert server.url == "https://a.example"
    with pytest.raises(ValueError, match="neither JSON nor the path") as error:
        read_servers(f"MCP={value}")
    assert "sesame" not in str(error.value)
