"""Tools of MCP servers for upstream models.

``servers`` has the configured servers, ``tools`` their tools as those of a chat. ``connection``
keeps one session with a server and reopens it; ``session``, ``child_process``, ``http`` and
``traffic`` are the only modules that import the package ``mcp``, which is an optional extra.
"""
