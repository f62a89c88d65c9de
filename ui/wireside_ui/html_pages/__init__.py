"""Plain HTML pages, rendered without NiceGUI."""
