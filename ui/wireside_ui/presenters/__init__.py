"""Presenters: the state of a page as plain values, without layout."""
