"""State of the page as plain values, without layout."""
