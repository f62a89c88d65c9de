"""NiceGUI components: one Python file each, with a JavaScript file of the same name."""
