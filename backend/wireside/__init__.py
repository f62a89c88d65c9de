"""Wireside: a streaming AI chat in pure Python."""
