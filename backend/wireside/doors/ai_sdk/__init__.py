"""The door for the AI SDK's clients: its chat transports over WebSocket and over SSE."""
