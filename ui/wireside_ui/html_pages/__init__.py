"""Pages of plain HTML, without NiceGUI."""
