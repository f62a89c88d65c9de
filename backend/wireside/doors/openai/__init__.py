"""The OpenAI-compatible API below ``/v1``: chat completions, responses and models."""
