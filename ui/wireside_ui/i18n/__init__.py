"""The texts of the interface, a language a module."""
