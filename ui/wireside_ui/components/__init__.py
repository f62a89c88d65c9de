"""NiceGUI components: one folder each, with a Python file, a script and a style sheet."""
