"""Conversations in files: import, export, bulk export, shared snapshots."""
