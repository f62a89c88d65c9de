"""Joins the script modules of a page into one, which a browser loads with one request.

Loaded one by one, the fifty modules of a page cost a request each, and a round trip for each level
of imports. There is no build step: a process joins the modules once, when it starts to serve them.

Theory of operation: the text of each module becomes the body of a function that returns its
exports; an import becomes a destructuring of what that function has returned. This needs no parser,
because all modules are our own and Prettier formats them: each import and each export begins a
line. Exported bindings must be constant, and imports must not form a cycle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

from wireside.assets import assets_folder
from wireside_ui.styles import COMPONENTS

PAGES = {
    "chat": (
        "sidebar",
        "header",
        "banners",
        "preferences",
        "model_picker",
        "status",
        "welcome",
        "transcript",
        "composer",
        "library",
        "palette",
    ),
    "dashboard": ("dashboard",),
}
"""The components of each page."""

START = COMPONENTS / "kit" / "modules" / "start.js"
"""Creates the page's application, once all components are joined."""

_IMPORT = re.compile(
    r'^import (?P<names>\{[^}]*\}|\* as \w+) from "(?P<source>[^"]+)";\n', re.MULTILINE
)
_EXPORT = re.compile(
    r"^export (?P<code>(?:async )?(?:class|const|function) (?P<name>\w+))", re.MULTILINE
)
_DEFAULT = re.compile(r"^export default ", re.MULTILINE)
_LEFT = re.compile(r"^(?:import\b(?!\()|export\b)", re.MULTILINE)


@cache
def bundled(page: str) -> str:
    """Return the script of a page of ``PAGES``, served as ``js/PAGE.js``.

    Raises:
        ValueError: the modules import each other in a cycle, or one has a form of import or export
            that can't be joined.
    """
    return joined(
        {f"nicegui-wireside_{name}": _script_of(name) for name in PAGES[page]}, start=START
    )


@cache
def doctor() -> str:
    """Return the script of the connection doctor's page, served as ``js/doctor.js``."""
    return joined({}, start=assets_folder() / "doctor" / "page.js")


@cache
def externals(page: str) -> frozenset[str]:
    """Return the names by which a page's script imports modules of NiceGUI."""
    return frozenset(re.findall(r'\b(?:from |import\()"([\w-]+)"', bundled(page)))


def joined(components: Mapping[str, Path], *, start: Path) -> str:
    """Return a module that calls ``start`` of the module ``start`` with the components by tag.

    Raises:
        ValueError: see ``bundled``.
    """
    modules = _Modules()
    listed = ", ".join(f'"{tag}": {modules.add(file)}.default' for tag, file in components.items())
    call = f"{modules.add(start)}.start({{ {listed} }});\n"
    return "\n".join([*modules.imports, *modules.texts, call])


class _Modules:
    """The modules joined so far, each after those that it imports."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._names: dict[Path, str] = {}
        """The variable with the exports of each module."""
        self._outside: dict[str, str] = {}
        """The variables of the modules that the browser imports."""
        self._open: list[Path] = []

    @property
    def imports(self) -> list[str]:
        """The import statements of the modules that are not joined."""
        return [f'import * as {it} from "{name}";' for name, it in self._outside.items()]

    def add(self, file: Path) -> str:
        """Join a module and those that it imports; return the variable with its exports."""
        if (known := self._names.get(file)) is not None:
            return known
        if file in self._open:
            raise ValueError(f"{file.name} imports itself through other modules.")
        self._open.append(file)
        body = _IMPORT.sub(partial(self._bound, file), file.read_text("utf-8"))
        self._open.pop()
        exports = [found["name"] for found in _EXPORT.finditer(body)]
        body = _EXPORT.sub(lambda found: found["code"], body)
        body, defaults = _DEFAULT.subn("const itself = ", body)
        if _LEFT.search(body):
            raise ValueError(f"{file.name} has an import or export that can't be joined.")
        name = self._names[file] = f"m{len(self._names)}_{file.stem}"
        returned = ", ".join([*exports, *["default: itself"] * defaults])
        self.texts.append(f"const {name} = (() => {{\n{body}return {{ {returned} }};\n}})();")
        return name

    def _bound(self, importer: Path, found: re.Match[str]) -> str:
        source, names = found["source"], found["names"]
        file = _file_of(source, importer)
        module = self._import(source) if file is None else self.add(file)
        bound = names.removeprefix("* as ").replace(" as ", ": ")
        return f"const {bound} = {module};\n"

    def _import(self, name: str) -> str:
        return self._outside.setdefault(name, f"outside{len(self._outside)}")


def _script_of(component: str) -> Path:
    return COMPONENTS / component / f"wireside_{component}.js"


def _file_of(source: str, importer: Path) -> Path | None:
    """Return the file of an imported module, None for one of NiceGUI's."""
    if source.startswith("./"):
        return importer.parent / source[2:]
    package, _, rest = source.partition("/")
    if not package.startswith("wireside-"):
        return None
    return COMPONENTS / package.removeprefix("wireside-") / "modules" / rest
