"""Markdown to safe HTML: the dialect, its parser rules and the incremental renderer."""
