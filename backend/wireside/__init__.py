"""Wireside: a streaming AI chat in pure Python."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("wireside")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0"

__all__ = ["__version__"]
