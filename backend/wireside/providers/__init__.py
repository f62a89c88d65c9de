"""Model providers: OpenAI-compatible servers, the embedded model and a scripted one for tests."""
