"""The wire format of OpenAI-compatible servers, as they send it. No I/O."""
