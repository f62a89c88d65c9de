"""The chat in a terminal: input, answers as Markdown, and questions of the server."""
