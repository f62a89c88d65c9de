"""Interfaces that external services must implement."""
