"""Entry point of ``python -m wireside``, the same as ``wireside``."""

from wireside.cli import main

main()
