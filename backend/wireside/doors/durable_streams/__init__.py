"""The door for Durable Streams clients, which read the answers of the caller."""
