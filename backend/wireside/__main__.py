"""Entry point of ``python -m wireside``, the same as ``wireside``."""

from wireside.cli.main import main

main()
