"""Every word of the interface, one language a file."""
