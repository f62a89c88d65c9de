"""Conformance kit: checks servers and clients against docs/protocol.md."""
