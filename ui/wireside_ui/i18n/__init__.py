"""The texts of the interface, one module per language."""
