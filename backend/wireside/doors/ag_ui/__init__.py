"""The door for AG-UI clients (protocol version 1.0): a run is an answer."""
