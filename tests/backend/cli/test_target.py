"""The chat that `wireside serve MODULE:CHAT` names, and the sentence if there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wireside import Chat
from wireside.cli.target import CannotLoad, load_chat

SOURCE = "from wireside import Chat\nchat = Chat('Mine')\nother = 1\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module; modules imported from it are removed afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_app.py").write_text(SOURCE)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "bot.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("def f():\n    return {}['k']\n\nf()\n")
    (tmp_path / "needs.py").write_text("import nothing_of_this_name\n")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    "target",
    ["my_app:chat", "my_app", "my_app.py", "my_app.py:chat", "inner/bot.py:chat", "inner.bot:chat"],
)
def test_a_chat_is_found(target: str) -> None:
    assert isinstance(load_chat(target), Chat)


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("nowhere:chat", "no module 'nowhere'"),
        ("inner/nowhere.py:chat", "no module 'inner.nowhere'"),
        ("my_app:nothing", "has no 'nothing'"),
        ("my_app:other", "is a int, not a Chat"),
        (":chat", "MODULE:CHAT"),
        ("../my_app.py:chat", "MODULE:CHAT"),
        ("needs:chat", "nothing_of_this_name"),
        ("broken:chat", "KeyError: 'k'"),
    ],
)
def test_a_mistake_is_named(target: str, sentence: str) -> None:
    with pytest.raises(CannotLoad, match=sentence) as raised:
        load_chat(target)
    assert "importlib" not in str(raised.value)
