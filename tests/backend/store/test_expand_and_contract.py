"""Migrations leave what the previous release needs: both run side by side during a deploy.

A column or table is first added, in a release that does without it too, and removed by a later one,
once no server reads it (docs/replicas.md, "Deploys"). Nothing was released before 0011.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from wireside.store import migrate

FOLDER = Path(migrate.__file__).parent / "migrations" / "versions"
BOUND = sorted(file for file in FOLDER.glob("0*.py") if file.stem[:4] > "0010")
REMOVES = re.compile(r"\b(DROP|RENAME|SET NOT NULL|TRUNCATE)\b", re.IGNORECASE)


def faults_of(source: str) -> list[str]:
    """Return what the previous release may not bear of a migration."""
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if is_fault(node)]


def is_fault(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and REMOVES.search(node.value) is not None
    if not isinstance(node, ast.Call):
        return False
    call = ast.unparse(node)
    if call.startswith("op.add_column"):
        return "nullable=False" in call and "server_default" not in call
    return re.match(r"op\.(drop|rename|alter)_", call) is not None


@pytest.mark.parametrize("file", BOUND, ids=lambda file: file.stem)
def test_a_migration_only_adds(file: Path) -> None:
    assert faults_of(file.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "op.drop_column('segments', 'replica')",
        "op.alter_column('segments', 'replica', nullable=False)",
        "op.rename_table('segments', 'parts')",
        "op.execute('ALTER TABLE segments DROP COLUMN replica')",
        "op.add_column('segments', sa.Column('x', sa.String, nullable=False))",
    ],
)
def test_what_removes_or_requires_is_found(line: str) -> None:
    assert faults_of(line)


def test_an_addition_with_a_default_is_none() -> None:
    line = "op.add_column('t', sa.Column('x', sa.Integer, nullable=False, server_default='0'))"
    assert faults_of(line) == []
