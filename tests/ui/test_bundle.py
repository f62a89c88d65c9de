"""The script of a page, joined from the modules of its components."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from wireside.assets import assets_folder
from wireside_ui.bundle import PAGES, bundled, doctor, externals, joined
from wireside_ui.styles import COMPONENTS

NODE = shutil.which("node")


def files_of(page: str) -> list[Path]:
    folders = {*PAGES[page], *({"kit"} if page == "chat" else ())}
    return [file for name in folders for file in (COMPONENTS / name).rglob("*.js")]


def ran(script: str, tmp_path: Path) -> str:
    """Run a script in Node; return its output."""
    assert NODE is not None
    file = tmp_path / "joined.mjs"
    file.write_text(script)
    done = subprocess.run([NODE, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_each_module_of_its_components_once(name: str) -> None:
    text = bundled(name)
    for file in files_of(name):
        assert len(re.findall(rf"m\d+_{file.stem} = ", text)) == 1


@pytest.mark.parametrize("name", PAGES)
def test_a_page_imports_only_what_the_import_map_names(name: str) -> None:
    used = {
        "chat": {"vue", "nicegui-mermaid", "nicegui-plotly"},
        "dashboard": {"vue", "nicegui-echart"},
    }
    assert externals(name) == used[name]


@pytest.mark.skipif(NODE is None, reason="needs Node")
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_a_valid_module(name: str, tmp_path: Path) -> None:
    assert NODE is not None
    file = tmp_path / f"{name}.mjs"
    file.write_text(bundled(name))
    done = subprocess.run([NODE, "--check", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(NODE is None, reason="needs Node")
def test_joined_modules_behave_like_the_modules(tmp_path: Path) -> None:
    (tmp_path / "words.js").write_text(
        'const hidden = "a";\nexport const FIRST = hidden;\n'
        "export function second() {\n  return `${hidden}b`;\n}\n"
        'export async function third() {\n  return "c";\n}\n'
    )
    (tmp_path / "again.js").write_text(
        'import {\n  FIRST as one,\n  second,\n} from "./words.js";\n'
        'import * as words from "./words.js";\nconst hidden = "z";\n'
        "export default { all: async () => [one, second(), await words.third(), hidden] };\n"
    )
    (tmp_path / "start.js").write_text(
        'import { basename } from "node:path";\n'
        "export async function start(components) {\n"
        '  console.log(basename("/x/y"), ...(await components["t"].all()));\n}\n'
    )
    script = joined({"t": tmp_path / "again.js"}, start=tmp_path / "start.js")
    assert ran(script, tmp_path) == "y a ab c z\n"


@pytest.mark.skipif(NODE is None, reason="needs Node")
def test_an_exported_class_is_joined(tmp_path: Path) -> None:
    (tmp_path / "words.js").write_text('export class Word {\n  text = "a";\n}\n')
    (tmp_path / "start.js").write_text(
        'import { Word } from "./words.js";\n'
        "export function start() {\n  console.log(new Word().text);\n}\n"
    )
    assert ran(joined({}, start=tmp_path / "start.js"), tmp_path) == "a\n"


def test_the_doctors_page_has_each_of_its_modules_once_and_imports_nothing() -> None:
    for file in (assets_folder() / "doctor").glob("*.js"):
        assert len(re.findall(rf"m\d+_{file.stem} = ", doctor())) == 1
    assert "import" not in doctor()


def test_a_cycle_of_imports_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nexport const a = b;\n')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\nexport const b = a;\n')
    with pytest.raises(ValueError, match="imports itself"):
        joined({}, start=tmp_path / "a.js")


@pytest.mark.parametrize(
    "line",
    ['import a from "./b.js";', 'import "./b.js";', "export { a };", 'export * from "./b.js";'],
)
def test_a_form_that_can_not_be_joined_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text(f"{line}\n")
    with pytest.raises(ValueError, match="can't be joined"):
        joined({}, start=tmp_path / "a.js")


def test_no_module_exports_a_binding_that_changes() -> None:
    for file in COMPONENTS.rglob("*.js"):
        assert not re.search(r"^export (let|var)\b", file.read_text("utf-8"), re.MULTILINE), file
