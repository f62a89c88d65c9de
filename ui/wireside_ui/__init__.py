"""The chat page of Wireside, made with NiceGUI. ``mount.mount`` puts it on a server."""
