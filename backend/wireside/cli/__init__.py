"""The command ``wireside``."""
