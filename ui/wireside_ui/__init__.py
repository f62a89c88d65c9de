"""The web interface of Wireside, built with NiceGUI; ``mount.mount`` adds it to an application."""
