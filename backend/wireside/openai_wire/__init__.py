"""Parses the wire format of OpenAI-compatible servers, with its many variations. No I/O."""
