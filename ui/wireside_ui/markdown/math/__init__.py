"""Formulas in Markdown."""
