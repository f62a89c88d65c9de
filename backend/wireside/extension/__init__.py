"""The extension API: a chat whose answers come from a team's own code.

``chat`` has the handlers, ``turn`` what a handler gets, ``parts`` what it may yield, ``questions``
what it may ask. ``provider`` makes the handlers models of the server, and ``run`` runs them.
``tools`` has the functions that upstream models may call, and ``mcp`` the tools of MCP servers.
"""
