"""Those who answer: OpenAI-compatible servers, the embedded model, a script for tests."""
