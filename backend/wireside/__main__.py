"""``python -m wireside`` is ``wireside``."""

from wireside.cli import main

main()
