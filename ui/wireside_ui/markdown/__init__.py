"""Markdown to safe HTML: the dialect, its rules, the incremental renderer."""
