"""Reads and writes the wire format of OpenAI-compatible servers, with its variations. No I/O."""
