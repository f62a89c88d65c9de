"""Imports the ``openai`` package without the models of its API.

The package imports four hundred modules with the classes of all requests and responses, three
quarters of the time that it takes to import. The provider here uses none of them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

MODELS = "openai.types"


def import_openai() -> None:
    """Import the package; its packages of models are run when one of their names is first used."""
    if "openai" not in sys.modules:
        with _deferred(MODELS):
            importlib.import_module("openai")


@contextmanager
def _deferred(package: str) -> Iterator[None]:
    """Defer the ``__init__`` of a package and of its subpackages, if imported meanwhile."""
    finder = _Finder(package)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if f"{name}.".startswith(f"{self._package}."):
            spec = PathFinder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None and spec.submodule_search_locations:
                spec.loader = _DeferredLoader(spec.loader)
                return spec
        return None


class _DeferredLoader(Loader):
    """Loads a package that can be imported from at once, and is run when a name of it is used."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        def run_and_get(name: str) -> Any:
            if name.startswith("__") and name != "__all__":
                raise AttributeError(name)
            if module.__dict__.pop("__getattr__", None) is not None:
                self._loader.exec_module(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = run_and_get
